// Locks against a model of them, with random requests over several workers.

import Foundation
import Testing
import struct TestSupport.Seeded

/// The contract's section 5 for one device, while nothing expires.
private struct ModelLock {
  var holder: String?
  var token = 0
  /// The TTL that was asked for last.
  var ttlMs = 0
  /// The greatest token that was ever given for the device.
  var last = 0
  /// Tokens that are no longer current.
  var old: [Int] = []
  /// The agent to whom it goes back, and for how long it has it then.
  var back: (agent: String, ttlMs: Int)?

  /// The word that the contract wants for `verb` by `agent` with the token `shown`.
  func word(_ verb: String, _ agent: String, _ shown: Int?, isFresh: Bool = false) -> String {
    switch verb {
    case "LOCK" where isFresh && holder != nil: return "HELD"
    case "SEIZE": return "OK"
    case "CLEAR", "HOLDER": return holder == nil ? "NONE" : "OK"
    case "LOCK" where holder == nil: return shown == nil ? "OK" : "STALE"
    default:
      guard let holder else { return "NONE" }
      guard holder == agent else { return "HELD" }
      return shown == nil || shown == token ? "OK" : "STALE"
    }
  }

  static let ttlDefaultMs = 86_400_000

  mutating func give(_ agent: String, _ newToken: Int) {
    free()
    holder = agent
    token = newToken
    last = newToken
  }

  mutating func free() {
    if holder != nil { old.append(token) }
    (holder, back) = (nil, nil)
  }
}

extension SystemSuites {
  @Suite(.lab(workers: [[], ["--http", "127.0.0.1:0"]])) struct LockModel {
    private static let verbs = ["LOCK", "RENEW", "UNLOCK", "HANDOFF", "SEIZE", "CLEAR", "HOLDER"]

    @Test func `two workers and both wires agree with the model over thousands of random requests`()
      throws
    {
      var random = Seeded("two workers and the model")
      let lab = try Lab.current
      let byHTTP = try HTTPLineClient(httpPort: lab.workers[1].httpPort)
      let clients = [try lab.connect(0), try lab.connect(1), byHTTP]
      let devices = (0..<4).map { _ in Lab.device() }
      var model = [String: ModelLock](uniqueKeysWithValues: devices.map { ($0, ModelLock()) })
      var words: [String: Int] = [:]
      for step in 0..<4_000 {
        guard let device = devices.randomElement(using: &random),
          let client = clients.randomElement(using: &random),
          let verb = Self.verbs.randomElement(using: &random),
          let agent = ["a", "b", "c"].randomElement(using: &random), var lock = model[device]
        else { break }
        let shown = showing(verb, lock, &random)
        let takesTTL = ["LOCK", "RENEW", "HANDOFF", "SEIZE"].contains(verb)
        let ttlMs = takesTTL ? [nil, 3_600_000, 90_500].randomElement(using: &random) ?? nil : nil
        let isFresh = verb == "LOCK" && shown == nil && Int.random(in: 0..<4, using: &random) == 0
        let returns = verb == "HANDOFF" && Int.random(in: 0..<4, using: &random) > 0
        let hasKey = verb != "HOLDER" && Int.random(in: 0..<5, using: &random) == 0
        let line =
          request(verb, device, agent, shown) + (ttlMs.map { " ttl=\($0)ms" } ?? "")
          + (isFresh ? " fresh=yes" : "") + (returns ? " return=\(600_000 + step)ms" : "")
          + (hasKey ? " req=r\(step)" : "")
        let reply = try client.request(line)
        if hasKey, let other = clients.randomElement(using: &random) {
          let again = try other.request(line)
          #expect(
            reply.isOK ? again.raw == reply.raw : again.word == reply.word,
            "step \(step): \(line): \(reply), then \(again)")
        }
        let word = lock.word(verb, agent, shown, isFresh: isFresh)
        #expect(reply.word == word, "step \(step): \(line): \(reply)")
        words["\(verb) \(reply.word)", default: 0] += 1
        if reply.isOK, takesTTL {
          let isRenewed = lock.holder == agent && ["LOCK", "RENEW"].contains(verb)
          lock.ttlMs = ttlMs ?? (isRenewed ? lock.ttlMs : ModelLock.ttlDefaultMs)
          #expect(try Grant(reply).ttlMs == lock.ttlMs, "step \(step): \(line): \(reply)")
        }
        let back = returns ? (agent: agent, ttlMs: 600_000 + step) : lock.back
        try apply(reply, of: verb, by: agent, to: &lock)
        if verb == "HANDOFF", reply.isOK { lock.back = back }
        if verb == "UNLOCK", reply.isOK, let back {
          words["returned", default: 0] += 1
          try giveBack(to: back, &lock, device, client)
        }
        model[device] = lock
      }
      // All 20 pairs of a verb and a reply word were seen, or this run has shown little.
      #expect(words.count == 21 && words["returned", default: 0] > 0, "\(words)")
    }

    /// The lock has gone back, under a token that its agent learns now.
    private func giveBack(
      to back: (agent: String, ttlMs: Int), _ lock: inout ModelLock, _ device: String,
      _ client: LineClient
    ) throws {
      let grant = try Grant(client.request("LOCK \(device) \(back.agent)"))
      #expect(grant.renewed && grant.token > lock.last && grant.ttlMs == back.ttlMs)
      lock.give(grant.agent, grant.token)
      lock.ttlMs = back.ttlMs
    }

    /// The token that the request carries: none, the current one or one that is over.
    private func showing(_ verb: String, _ lock: ModelLock, _ random: inout Seeded) -> Int? {
      guard ["LOCK", "RENEW", "UNLOCK", "HANDOFF"].contains(verb) else { return nil }
      let needed = verb == "RENEW"
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        return [lock.old.randomElement(using: &random) ?? 7, lock.last + 1].randomElement(
          using: &random)
      case 1 where !needed: return nil
      case 2 where !needed: return nil
      default: return lock.holder == nil ? (needed ? 7 : nil) : lock.token
      }
    }

    private func request(_ verb: String, _ device: String, _ agent: String, _ shown: Int?) -> String
    {
      let token = shown.map { " token=\($0)" } ?? ""
      switch verb {
      case "CLEAR", "HOLDER": return "\(verb) \(device)"
      case "HANDOFF": return "\(verb) \(device) \(agent) \(agent == "a" ? "b" : "a")\(token)"
      default: return "\(verb) \(device) \(agent)\(token)"
      }
    }

    private func apply(
      _ reply: Reply, of verb: String, by agent: String, to lock: inout ModelLock
    ) throws {
      guard reply.isOK else {
        if reply.word == "HELD" { #expect(try reply.string("agent") == lock.holder) }
        return
      }
      switch verb {
      case "UNLOCK": lock.free()
      case "CLEAR":
        #expect(try reply.string("agent") == lock.holder)
        lock.free()
      case "HOLDER": #expect(try reply.string("agent") == lock.holder)
      default:
        let grant = try Grant(reply)
        if grant.renewed {
          #expect(["LOCK", "RENEW"].contains(verb) && lock.holder == agent)
          #expect(grant.token == lock.token)
        } else {
          #expect(grant.token > lock.last, "tokens grow: \(reply)")
          #expect(verb != "LOCK" || lock.holder == nil)
          lock.give(grant.agent, grant.token)
        }
      }
    }

    @Test func `pipelined requests of all kinds are done in their order`() throws {
      var random = Seeded("a pipeline of all kinds")
      let devices = (0..<3).map { _ in Lab.device() }
      var model: [String: ModelLock] = [:]
      var lines: [String] = []
      var wanted: [String] = []
      for _ in 0..<5_000 {
        guard let device = devices.randomElement(using: &random),
          let verb = Self.verbs.randomElement(using: &random), verb != "RENEW",
          let agent = ["a", "b"].randomElement(using: &random)
        else { continue }
        var lock = model[device] ?? ModelLock()
        let word = lock.word(verb, agent, nil)
        lines.append(request(verb, device, agent, nil))
        wanted.append(word)
        switch (word, verb) {
        case ("OK", "UNLOCK"), ("OK", "CLEAR"): lock.free()
        case ("OK", "HANDOFF"): lock.give(agent == "a" ? "b" : "a", 0)
        case ("OK", "LOCK"), ("OK", "SEIZE"): lock.give(agent, 0)
        default: break
        }
        model[device] = lock
      }
      let client = try Lab.current.connect()
      var replies: [String] = []
      // In bursts that a slow machine does within the deadline of their requests.
      for start in stride(from: 0, to: lines.count, by: 200) {
        let burst = lines[start..<min(start + 200, lines.count)]
        let bytes = Array(burst.map { $0 + "\n" }.joined().utf8)
        replies += try client.exchange(bytes, lines: burst.count, within: .seconds(20))
      }
      let wrong = lines.indices.filter { Reply(raw: replies[$0]).word != wanted[$0] }
      let first = wrong.first.map { "\(lines[$0]): \(replies[$0])" } ?? ""
      #expect(wrong.isEmpty, "\(wrong.count) wrong, first: \(first)")
    }

    @Test func `one device that many want through two workers has one holder at a time`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let inside = Shared(0)
      let tokens = try inParallel(6) { index in
        let client = try lab.connect(index % 2)
        var mine: [Int] = []
        let deadline = Deadline(within: .seconds(20))
        while mine.count < 40, !deadline.isOver {
          let reply = try client.request("LOCK \(device) agent\(index)")
          guard reply.isOK else {
            #expect(reply.word == "HELD", "\(reply)")
            continue
          }
          let entered = inside.update { inside in
            inside += 1
            return inside
          }
          #expect(entered == 1, "two holders at once")
          mine.append(try Grant(reply).token)
          inside.update { $0 -= 1 }
          let freed = try client.request("UNLOCK \(device) agent\(index) token=\(mine.last ?? 0)")
          #expect(freed.isOK, "\(freed)")
        }
        return mine
      }
      #expect(tokens.allSatisfy { zip($0, $0.dropFirst()).allSatisfy { $0 < $1 } })
      let all = tokens.flatMap { $0 }
      #expect(Set(all).count == all.count, "a token was given twice")
      #expect(all.count >= 100, "only \(all.count) grants")
    }
  }
}
