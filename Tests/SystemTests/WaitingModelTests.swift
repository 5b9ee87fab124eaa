// Callers that wait for a lock or a turn against a model of them: random requests, and callers that
// go away, over several workers.

import Foundation
import Testing
import struct TestSupport.Seeded

/// A caller that waits.
private struct ModelWaiter {
  let client: LineClient
  let agent: String
  let isFresh: Bool
  /// The text of its message, for a turn.
  var text = ""
}

/// One device that many wait for: who has it, and who is next.
private struct ModelQueue {
  var holder: String?
  var number = 0
  var waiting: [ModelWaiter] = []
  /// The texts that a chat of turns has.
  var texts: [String] = []
  /// The steps at which the running turn has shown a piece of its answer.
  var parts: [Int] = []
}

extension SystemSuites {
  @Suite(.lab(workers: [["--threads", "2"], [], []])) struct WaitingModel {
    private static let agents = ["a", "b", "c"]
    private static let steps = 300

    private func awaitWaiting(_ model: ModelQueue, _ look: () throws -> Int?) throws {
      try eventually("\(model.waiting.count) callers wait") { try look() == model.waiting.count }
    }

    // MARK: Locks

    @Test func `a lock goes from caller to caller as the model says`() throws {
      var random = Seeded("a lock and its queue")
      let lab = try Lab.current
      let (client, device) = (try lab.connect(), Lab.device())
      var model = ModelQueue()
      var done: [String: Int] = [:]
      for step in 0..<Self.steps {
        guard let agent = Self.agents.randomElement(using: &random) else { break }
        let verb = verb(model, &random)
        done[verb, default: 0] += 1
        switch verb {
        case "wait":
          let isFresh = Bool.random(using: &random)
          let other = try lab.connect(Int.random(in: 0..<3, using: &random))
          try other.sendLine("LOCK \(device) \(agent) wait=60s fresh=\(isFresh ? "yes" : "no")")
          let waiter = ModelWaiter(client: other, agent: agent, isFresh: isFresh)
          if model.holder == nil {
            try grant(to: waiter, &model, isRenewed: false)
          } else if model.holder == agent, !isFresh {
            try share(waiter, model)
          } else {
            model.waiting.append(waiter)
          }
        case "leave": leave(&model, &random)
        case "UNLOCK", "CLEAR":
          let holder = model.holder ?? "a"
          let line = verb == "CLEAR" ? "CLEAR \(device)" : "UNLOCK \(device) \(holder)"
          expect(try client.request(line), model.holder == nil ? "NONE" : "OK")
          if model.holder != nil { try release(&model) }
        default:
          let from = model.holder ?? "a"
          let line =
            verb == "SEIZE" ? "SEIZE \(device) \(agent)" : "HANDOFF \(device) \(from) \(agent)"
          let reply = try client.request(line)
          guard verb == "SEIZE" || model.holder != nil else {
            expect(reply, "NONE")
            break
          }
          let grant = try Grant(reply)
          #expect(grant.token > model.number, "step \(step)")
          (model.holder, model.number) = (agent, grant.token)
          try shareAll(&model)
        }
        try check(model, device, client)
      }
      #expect(done.count == 6 && done.values.allSatisfy { $0 > 5 }, "\(done)")
    }

    private func verb(_ model: ModelQueue, _ random: inout Seeded) -> String {
      let verbs = [
        "wait", "wait", "wait", "leave", "UNLOCK", "UNLOCK", "CLEAR", "SEIZE", "HANDOFF",
      ]
      let verb = verbs.randomElement(using: &random) ?? "wait"
      return verb == "wait" && model.waiting.count >= 8 ? "UNLOCK" : verb
    }

    private func leave(_ model: inout ModelQueue, _ random: inout Seeded) {
      guard let at = model.waiting.indices.randomElement(using: &random) else { return }
      let client = model.waiting.remove(at: at).client
      if Bool.random(using: &random) { client.socket.close() } else { client.socket.reset() }
    }

    private func grant(
      to waiter: ModelWaiter, _ model: inout ModelQueue, isRenewed: Bool
    ) throws {
      let grant = try Grant(waiter.client.reply())
      #expect(grant.agent == waiter.agent && !grant.renewed)
      #expect(grant.token > model.number)
      (model.holder, model.number) = (waiter.agent, grant.token)
    }

    private func share(_ waiter: ModelWaiter, _ model: ModelQueue) throws {
      let grant = try Grant(waiter.client.reply())
      #expect(grant.agent == waiter.agent && grant.renewed && grant.token == model.number)
    }

    /// Callers that share the lock of the new holder have it too.
    private func shareAll(_ model: inout ModelQueue) throws {
      let holder = model.holder
      for waiter in model.waiting where waiter.agent == holder && !waiter.isFresh {
        try share(waiter, model)
      }
      model.waiting.removeAll { $0.agent == holder && !$0.isFresh }
    }

    private func release(_ model: inout ModelQueue) throws {
      model.holder = nil
      guard !model.waiting.isEmpty else { return }
      let head = model.waiting.removeFirst()
      try grant(to: head, &model, isRenewed: false)
      try shareAll(&model)
    }

    private func check(_ model: ModelQueue, _ device: String, _ client: LineClient) throws {
      guard let holder = model.holder else {
        return expect(try client.request("HOLDER \(device)"), "NONE")
      }
      try awaitWaiting(model) {
        let shown = try client.request("HOLDER \(device)")
        #expect(try shown.string("agent") == holder)
        return try shown.int("waiting")
      }
    }

    // MARK: Turns

    @Test func `a turn goes from caller to caller as the model says`() throws {
      var random = Seeded("a turn and its queue")
      let lab = try Lab.current
      let (client, device) = (try lab.connect(), Lab.device())
      var model = ModelQueue()
      var done: [String: Int] = [:]
      for step in 0..<Self.steps {
        let verb = turnVerb(model, &random)
        done[verb, default: 0] += 1
        switch verb {
        case "wait":
          let other = try lab.connect(Int.random(in: 0..<3, using: &random))
          try other.sendLine("TURN \(device) wait=60s last=0 {\"t\":\"\(step)\"}")
          let waiter = ModelWaiter(client: other, agent: "", isFresh: true, text: "\(step)")
          if model.holder == nil { try begin(waiter, &model) } else { model.waiting.append(waiter) }
        case "leave": leave(&model, &random)
        case "PART": try part(step, &model, device, client)
        case "DONE":
          let reply = try client.request("DONE \(device) turn=\(max(1, model.number))")
          guard model.holder != nil else {
            expect(reply, "STALE")
            break
          }
          expect(reply, "OK")
          (model.holder, model.parts) = (nil, [])
          if !model.waiting.isEmpty { try begin(model.waiting.removeFirst(), &model) }
        default:
          let line = "TURN \(device) policy=\(verb) last=0 {\"t\":\"\(step)\"}"
          let turn = try BegunTurn(client.request(line))
          #expect(turn.number > model.number)
          if verb == "rollback", let text = model.holder { model.texts.removeAll { $0 == text } }
          (model.holder, model.number, model.parts) = ("\(step)", turn.number, [])
          model.texts.append("\(step)")
        }
        try checkTurn(model, device, client)
      }
      #expect(done.count == 6 && done.values.allSatisfy { $0 > 5 }, "\(done)")
      #expect(try TurnTexts.of(device, client) == model.texts)
    }

    private func turnVerb(_ model: ModelQueue, _ random: inout Seeded) -> String {
      let verbs = [
        "wait", "wait", "wait", "leave", "DONE", "DONE", "interrupt", "rollback", "PART", "PART",
      ]
      let verb = verbs.randomElement(using: &random) ?? "wait"
      return verb == "wait" && model.waiting.count >= 8 ? "DONE" : verb
    }

    private func begin(_ waiter: ModelWaiter, _ model: inout ModelQueue) throws {
      let turn = try BegunTurn(waiter.client.reply())
      #expect(turn.number > model.number)
      (model.holder, model.number, model.parts) = (waiter.text, turn.number, [])
      model.texts.append(waiter.text)
    }

    private func part(
      _ step: Int, _ model: inout ModelQueue, _ device: String, _ client: LineClient
    ) throws {
      let reply = try client.request("PART \(device) turn=\(max(1, model.number)) {\"p\":\(step)}")
      expect(reply, model.holder == nil ? "STALE" : "OK")
      if model.holder != nil { model.parts.append(step) }
    }

    private func checkTurn(_ model: ModelQueue, _ device: String, _ client: LineClient) throws {
      let shown = try client.request("HISTORY \(device) last=0").raw
      #expect(shown.matches(of: /\{"p":(\d+)\}/).compactMap { Int($0.1) } == model.parts)
      guard model.holder != nil else { return }
      try awaitWaiting(model) {
        let busy = try client.request("TURN \(device) policy=reject")
        expect(busy, "BUSY")
        return try busy.int("ahead")
      }
    }
  }
}
