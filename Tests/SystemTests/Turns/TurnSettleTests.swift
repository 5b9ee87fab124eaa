// Section 6 of the contract, 'settle=': a burst of short messages is one turn.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct TurnsThatSettle {
    private func send(_ device: String, _ text: String, _ rest: String) throws -> LineClient {
      let client = try Lab.current.connect(1)
      try client.sendLine("TURN \(device) policy=join \(rest) {\"t\":\"\(text)\"}")
      return client
    }

    /// Waits until the device's turn has as many messages.
    private func awaitSaid(_ count: Int, _ device: String, _ client: LineClient) throws {
      try eventually("\(count) messages") {
        let history = try client.request("HISTORY \(device)")
        return try history.isOK && TurnTexts.of(history.json()).count == count
      }
    }

    @Test func `a burst of messages is one turn, with all of them in its reply`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request("SAY \(device) {\"t\":\"old\"}"), "OK")
      let began = ContinuousClock.now
      let first = try send(device, "one", "settle=600ms last=1")
      try awaitSaid(2, device, client)
      let busy = try client.request("TURN \(device) policy=reject")
      expect(busy, "BUSY")
      let joined = try send(device, "two", "settle=600ms").reply()
      let joinedMs = elapsedMs(since: began)
      let last = try client.request("TURN \(device) policy=join {\"t\":\"three\"}")
      let turn = try BegunTurn(first.reply())
      #expect(elapsedMs(since: began) >= max(600, joinedMs))
      #expect(try joined.int("joined") == turn.number && last.int("joined") == turn.number)
      #expect(try turn.texts == ["one", "two", "three"])
      #expect(try turn.reply.int("seq") == 4 && turn.reply.int("ttl_ms") > 59_000)
      #expect(turn.reply.shows("more", as: "true"))
      // None of them is left for DONE; what is joined later is.
      #expect(try client.request("TOUCH \(device) turn=\(turn.number)").int("joined") == 0)
      expect(try send(device, "four", "settle=1h").reply(), "OK")
      let goesOn = try client.request("DONE \(device) turn=\(turn.number) {\"say\":{\"t\":\"a\"}}")
      #expect(try TurnTexts.of(goesOn.json()) == ["four"])
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
    }

    @Test func `a turn settles for four times its length at most`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let began = ContinuousClock.now
      let first = try send(device, "0", "settle=200ms")
      try awaitSaid(1, device, client)
      var count = 1
      while elapsedMs(since: began) < 5_000 {
        let reply = try client.request("TURN \(device) policy=join {\"t\":\"\(count)\"}")
        guard try reply.json()["joined"] != nil else { break }
        count += 1
        if let line = try first.readLine(within: .milliseconds(20)) {
          let turn = try BegunTurn(Reply(raw: line))
          #expect(800..<2_000 ~= elapsedMs(since: began))
          let texts = (0..<count).map { "\($0)" }
          #expect(try texts.starts(with: turn.texts) && turn.texts.count >= count - 2)
          return
        }
      }
      Issue.record("no reply after \(elapsedMs(since: began)) ms")
    }

    @Test func `a turn that is interrupted while it settles is STALE for its caller`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let first = try send(device, "one", "settle=300ms")
      try awaitSaid(1, device, client)
      let second = try BegunTurn(client.request("TURN \(device) policy=interrupt {\"t\":\"two\"}"))
      #expect(try second.texts == ["one", "two"])
      #expect(try first.reply().raw == "STALE {\"interrupted\":true}")
    }

    @Test(arguments: [
      "TURN <d> policy=interrupt", "TURN <d> policy=rollback", "SEIZE <d> b", "CLEAR <d>",
      "DONE <d> turn=<n>",
    ])
    func `a caller hears at once that its turn has ended while it settles`(line: String) throws {
      let client = try Lab.current.connect()
      for rest in ["settle=1h", "wait=5s settle=1h"] {
        let device = Lab.device()
        let first = try send(device, "one", "agent=a \(rest)")
        try awaitSaid(1, device, client)
        let joined = try client.request("TURN \(device) policy=join {\"t\":\"two\"}")
        let ending = line.replacing("<d>", with: device)
          .replacing("<n>", with: "\(try joined.int("joined"))")
        expect(try client.request(ending), "OK")
        #expect(
          try first.reply(within: .seconds(5)).raw
            == "STALE {\"interrupted\":\(!line.hasPrefix("DONE"))}")
      }
    }

    @Test func `a retry gets the reply whose caller has gone, with what was joined`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let line = "settle=500ms req=r1"
      let gone = try send(device, "one", line)
      try awaitSaid(1, device, client)
      gone.socket.close()
      expect(try client.request("TURN \(device) policy=join {\"t\":\"two\"}"), "OK")
      let turn = try BegunTurn(send(device, "one", line).reply())
      #expect(try turn.texts == ["one", "two"])
      #expect(try turn.reply.int("seq") == 2 && turn.reply.int("ttl_ms") > 59_000)
      let again = try BegunTurn(send(device, "one", "settle=1s req=r1").reply())
      #expect(again.number == turn.number)
      #expect(try again.texts == ["one", "two"] && again.reply.int("seq") == 2)
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
    }

    @Test(arguments: ["", " settle=0", " wait=5s", " settle=50ms"])
    func `a retry waits for the settling of its first call, whatever its own times`(
      times: String
    ) throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let began = ContinuousClock.now
      let first = try send(device, "one", "settle=600ms req=r1")
      try awaitSaid(1, device, client)
      // A retry does not hold up a turn of another device behind it.
      try client.sendLine("TURN \(device) policy=join\(times) req=r1 {\"t\":\"one\"}")
      let other = Lab.device()
      try client.sendLine("TURN \(other) {\"t\":\"other\"}")
      let joined = try Lab.current.connect().request("TURN \(device) policy=join {\"t\":\"two\"}")
      let turn = try BegunTurn(client.reply())
      #expect(elapsedMs(since: began) >= 600)
      #expect(try turn.texts == ["one", "two"] && turn.number == joined.int("joined"))
      #expect(try BegunTurn(client.reply()).texts == ["other"])
      #expect(try BegunTurn(first.reply()).number == turn.number)
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
    }

    @Test func `retries of several turns that settle share a connection, and may go away with it`()
      throws
    {
      let (client, devices) = (try Lab.current.connect(), [Lab.device(), Lab.device()])
      let firsts = try devices.map { try send($0, "one", "settle=500ms req=r1") }
      for device in devices { try awaitSaid(1, device, client) }
      let gone = try Lab.current.connect()
      for retrying in [client, gone] {
        let lines = devices.map { "TURN \($0) policy=join req=r1 {\"t\":\"one\"}" }
        try retrying.sendLine(lines.joined(separator: "\n"))
      }
      gone.socket.close()
      for first in firsts { #expect(try BegunTurn(first.reply()).texts == ["one"]) }
      for device in devices {
        let turn = try BegunTurn(client.reply())
        #expect(try turn.texts == ["one"])
        expect(try Lab.current.connect().request("DONE \(device) turn=\(turn.number)"), "OK")
      }
    }

    @Test func `a turn settles with its lock, and after a wait`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let first = try BegunTurn(client.request("TURN \(device)"))
      let waiting = try Lab.current.connect(1)
      try waiting.sendLine(
        "TURN \(device) agent=a wait=20s settle=300ms ttl=5s {\"t\":\"one\"}")
      try eventually("it waits") {
        try client.request("TURN \(device) policy=reject").int("ahead") == 1
      }
      expect(try client.request("DONE \(device) turn=\(first.number)"), "OK")
      try awaitSaid(1, device, client)
      expect(try client.request("TURN \(device) policy=join {\"t\":\"two\"}"), "OK")
      let turn = try BegunTurn(waiting.reply())
      #expect(try turn.texts == ["one", "two"])
      #expect(try client.request("HOLDER \(device)").int("ttl_ms") > 4_000)
      #expect(try turn.reply.int("token") > 0)
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
    }
  }

  @Suite struct TurnsThatSettleInWorkers {
    @Test
    func `a draining worker answers at once; without its caller a turn is abandoned soon after`()
      throws
    {
      let lab = try Lab(workers: [[], [], []])
      defer { lab.stop() }
      let client = try lab.connect()
      // However long a turn settles, its caller or its caller's worker is missed.
      let names = ["drained", "killed", "closed", "reset"]
      let devices = names.map { Lab.device($0) }
      let callers = try zip([1, 2, 1, 0], devices).map { worker, device in
        let caller = try lab.connect(worker)
        try caller.sendLine("TURN \(device) policy=join settle=1h {\"t\":\"one\"}")
        return caller
      }
      try eventually("all have begun") {
        try devices.allSatisfy { device in
          let history = try client.request("HISTORY \(device)")
          return try history.isOK && TurnTexts.of(history.json()).count == 1
        }
      }
      let began = ContinuousClock.now
      lab.workers[2].kill()
      callers[2].socket.close()
      callers[3].socket.reset()
      let waiting = try devices.dropFirst().map { device in
        let client = try lab.connect()
        try client.sendLine("TURN \(device) wait=20s {\"t\":\"two\"}")
        return client
      }
      lab.workers[1].signal(SIGTERM)
      #expect(try BegunTurn(callers[0].reply()).texts == ["one"])
      for (device, client) in zip(devices.dropFirst(), waiting) {
        #expect(try BegunTurn(client.reply(within: .seconds(15))).texts == ["one", "two"])
        #expect(try client.request("EVENTS \(device)").raw.contains("turn.abandoned"))
      }
      #expect(elapsedMs(since: began) < 11_000)
    }

    @Test func `settle= is an hour at most`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      expectBadRequest(
        try lab.connect().request("TURN \(Lab.device()) settle=3601s"), naming: "settle=")
    }
  }
}
