// Section 6 of the contract: turns that do not wait, their policies, their fences and their ends.

import Foundation
import Testing

/// A turn as TURN shows it.
struct BegunTurn {
  let number: Int
  let reply: Reply
  let body: JSON

  init(_ reply: Reply) throws {
    expect(reply, "OK")
    self.reply = reply
    body = try reply.json()
    number = try reply.int("turn")
  }

  /// The texts of the messages that it shows.
  var texts: [String] { get throws { try TurnTexts.of(body) } }
}

/// The texts of messages such as `{"t":"one"}`.
enum TurnTexts {
  static func of(_ body: JSON) throws -> [String] {
    guard case .array(let messages)? = body["messages"] else {
      throw Failure("no messages: \(body)")
    }
    return messages.map { $0["message"]?["t"]?.string ?? "?" }
  }

  static func of(_ device: String, _ client: LineClient) throws -> [String] {
    try of(client.request("HISTORY \(device) last=1000").json())
  }
}

extension SystemSuites {
  @Suite(.lab()) struct Turns {
    private func client() throws -> LineClient { try Lab.current.connect() }

    private func turn(
      _ device: String, _ rest: String = "", _ client: LineClient
    ) throws -> BegunTurn {
      try BegunTurn(client.request("TURN \(device)\(rest)"))
    }

    private func events(
      _ device: String, _ type: String, _ client: LineClient
    ) throws -> [JSON] {
      guard
        case .array(let events)? = try client.request("EVENTS \(device) limit=1000")
          .json()["events"]
      else { throw Failure("no events") }
      return events.filter { $0["type"]?.string == type }
    }

    // MARK: TURN

    @Test func `a turn has the session, the newest messages and the fields in one reply`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " phase=p name=n {\"t\":\"one\"}", client)
      #expect(try first.texts == ["one"])
      #expect(try first.reply.string("how") == "new")
      #expect(try first.reply.string("phase") == "p")
      #expect(try first.reply.int("ttl_ms") == 60_000)
      expect(
        try client.request(
          "DONE \(device) turn=\(first.number) {\"say\":[{\"t\":\"two\"}],\"set\":{\"k\":1.50}}"),
        "OK")
      let session = try first.reply.string("session")
      expect(try client.request("PAUSE \(device)"), "OK")
      let second = try turn(
        device, " phase=q last=2 ttl=5s [{\"t\":\"three\"},{\"t\":\"four\"}]", client)
      #expect(try second.reply.string("session") == session)
      #expect(try second.reply.string("how") == "latest")
      #expect(try second.texts == ["three", "four"])
      #expect(second.reply.shows("more", as: "true"))
      #expect(second.reply.shows("fields", as: "{\"k\":1.50}"))
      #expect(second.reply.shows("ignored", as: "[\"phase\"]"))
      #expect(try second.reply.int("seq") == 4)
      // Its members come in the order of docs/protocol.md.
      let members = second.reply.raw.matches(of: #/(?:OK \{|,)"(\w+)":/#).map { String($0.1) }
      let order = [
        "turn", "ttl_ms", "session", "how", "ignored", "chat", "seq", "messages", "more", "fields",
        "phase", "step", "waited_ms",
      ]
      #expect(members.filter(order.contains) == order)
      #expect(second.number > first.number)
      #expect(try client.request("GET \(device)").string("state") == "active")
    }

    @Test(arguments: ["", " policy=enqueue", " policy=reject"])
    func `a second turn is BUSY and says nothing`(policy: String) throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " agent=a {\"t\":\"one\"}", client)
      let busy = try client.request("TURN \(device)\(policy) {\"t\":\"two\"}")
      expect(busy, "BUSY")
      #expect(try busy.string("agent") == "a")
      #expect(try busy.int("ahead") == 0)
      #expect(1...60_000 ~= (try busy.int("ttl_ms")))
      #expect(!busy.raw.contains("\(first.number)"))
      #expect(try TurnTexts.of(device, client) == ["one"])
    }

    @Test func `a turn of an agent takes the lock, which lives as long, and is HELD by others`()
      throws
    {
      let (client, device) = (try client(), Lab.device())
      let lock = try Grant(client.request("LOCK \(device) a ttl=5s"))
      let turn = try turn(device, " agent=a ttl=30s", client)
      #expect(try turn.reply.int("token") == lock.token)
      #expect(try client.request("HOLDER \(device)").int("ttl_ms") > 25_000)
      // Not even its own agent makes it shorter than the turn.
      let renew = "RENEW \(device) a token=\(lock.token)"
      for line in ["LOCK \(device) a ttl=2s", "\(renew) ttl=2s", renew] {
        #expect(25_000...30_000 ~= (try client.request(line).int("ttl_ms")), "\(line)")
        #expect(try client.request("HOLDER \(device)").int("ttl_ms") > 25_000)
      }
      expect(try client.request("TURN \(device) agent=b"), "HELD")
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
      expect(try client.request("TURN \(device) agent=b"), "HELD")
      expect(try client.request("TURN \(device) token=7"), "STALE")
      expect(try client.request("TURN \(device) token=\(lock.token)"), "OK")
    }

    @Test func `a fenced session takes a turn with its agent or token only`() throws {
      let (client, device) = (try client(), Lab.device())
      expect(try client.request("OPEN \(device) fenced=yes"), "OK")
      expect(try client.request("TURN \(device)"), "STALE")
      expectBadRequest(try client.request("TURN \(device) fenced=yes"), naming: "agent=")
      let turn = try turn(device, " agent=a {\"t\":\"one\"}", client)
      expect(try client.request("SAY \(device) {\"t\":\"two\"}"), "STALE")
      expect(try client.request("SAY \(device) turn=\(turn.number) {\"t\":\"two\"}"), "OK")
      expect(try client.request("DONE \(device) turn=\(turn.number) {\"set\":{\"a\":1}}"), "OK")
    }

    @Test func `a turn counts sessions of its user and thread alone, and links what it makes`()
      throws
    {
      let (client, device) = (try client(), Lab.device())
      let (ada, bob) = (Lab.device("ada"), Lab.device("bob"))
      var sessions: [String] = []
      for user in [ada, bob, ada] {
        let turn = try turn(device, " user=\(user) {\"t\":\"x\"}", client)
        sessions.append(try turn.reply.string("session"))
        expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
      }
      #expect(sessions[0] == sessions[2] && sessions[0] != sessions[1])
      #expect(try client.request("LIST user=\(bob)").raw.contains(sessions[1]))
    }

    // MARK: Policies

    @Test func `joined messages are said at once, and given by DONE until they are answered`()
      throws
    {
      let (client, device) = (try client(), Lab.device())
      let turn = try turn(device, " {\"t\":\"one\"}", client)
      for text in ["two", "three"] {
        let reply = try client.request("TURN \(device) policy=join {\"t\":\"\(text)\"}")
        #expect(try reply.int("joined") == turn.number)
      }
      #expect(try client.request("TOUCH \(device) turn=\(turn.number)").int("joined") == 2)
      let goesOn = try client.request(
        "DONE \(device) turn=\(turn.number) seen=2 {\"say\":{\"t\":\"to two\"}}")
      #expect(try TurnTexts.of(goesOn.json()) == ["three"])
      #expect(try goesOn.int("turn") == turn.number)
      expect(try client.request("TURN \(device) policy=join {\"t\":\"four\"}"), "OK")
      let last = try client.request("DONE \(device) turn=\(turn.number) last=yes")
      #expect(try last.int("joined") == 1)
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "STALE")
      #expect(try TurnTexts.of(device, client) == ["one", "two", "three", "to two", "four"])
      // With nothing running it begins a turn.
      #expect(try self.turn(device, " policy=join {\"t\":\"five\"}", client).number > turn.number)
      expectBadRequest(try client.request("TURN \(device) policy=join"), naming: "message")
    }

    @Test func `a message for another session does not join the turn`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " thread=t1 {\"t\":\"one\"}", client)
      expect(try client.request("TURN \(device) thread=t2 policy=join {\"t\":\"two\"}"), "BUSY")
      expect(try client.request("TURN \(device) thread=t1 policy=join {\"t\":\"two\"}"), "OK")
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(try client.request("TURN \(device) thread=t1 policy=join {\"t\":\"three\"}"), "BUSY")
      expect(try client.request("DONE \(device) turn=\(first.number) last=yes"), "OK")
    }

    @Test func `a message that joins makes a paused or abandoned session active, as a turn would`()
      throws
    {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " abandon=200ms idle=0 {\"t\":\"one\"}", client)
      for state in ["paused", "abandoned"] {
        if state == "paused" { expect(try client.request("PAUSE \(device)"), "OK") }
        try eventually(state) { try client.request("GET \(device)").string("state") == state }
        let joined = try client.request("TURN \(device) policy=join {\"t\":\"two\"}")
        #expect(try joined.int("joined") == first.number)
        #expect(try client.request("GET \(device)").string("state") == "active")
      }
      #expect(try events(device, "session.recovered", client).count == 2)
    }

    @Test func `messages that are removed wait for no turn`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " {\"t\":\"one\"}", client)
      let messages = (2...9).map { "{\"t\":\"\($0)\"}" }.joined(separator: ",")
      expect(try client.request("TURN \(device) policy=join [\(messages)]"), "OK")
      func joined() throws -> Int {
        try client.request("TOUCH \(device) turn=\(first.number)").int("joined")
      }
      #expect(try joined() == 8)
      for (line, left) in [
        ("POP <d>", 7), ("FORGET <d> seq=4", 6), ("FORGET <d> seq=2", 5), ("FORGET <d> seq=7", 4),
        ("FORGET <d> after=6", 3),
      ] {
        expect(try client.request(line.replacing("<d>", with: device)), "OK")
        #expect(try joined() == left, "\(line)")
      }
      let done = try client.request("DONE \(device) turn=\(first.number) seen=3 last=yes")
      #expect(try done.int("joined") == 2)
    }

    @Test func `more than 1 MiB of joined messages are given in parts`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " {\"t\":\"one\"}", client)
      let long = String(repeating: "x", count: 250_000)
      for n in 0..<5 {
        expect(
          try client.request("TURN \(device) policy=join {\"t\":\"\(n)\",\"x\":\"\(long)\"}"), "OK")
      }
      let line = "DONE \(device) turn=\(first.number)"
      let part = try client.request("\(line) req=d")
      #expect(try TurnTexts.of(part.json()) == ["0", "1", "2", "3"])
      #expect(part.shows("more", as: "true"))
      #expect(try client.request("\(line) req=d").raw == part.raw)
      let rest = try client.request(line)
      #expect(try TurnTexts.of(rest.json()) == ["4"] && !rest.raw.contains("more"))
      // What a kept reply names may be gone.
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("\(line) req=d"), "NONE")
    }

    @Test func `an interrupted turn's writes are STALE, and its messages stay`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " {\"t\":\"one\"}", client)
      expect(try client.request("SAY \(device) turn=\(first.number) {\"t\":\"tool\"}"), "OK")
      let second = try turn(device, " policy=interrupt {\"t\":\"two\"}", client)
      #expect(try second.texts == ["one", "tool", "two"])
      let stale = "STALE {\"interrupted\":true}"
      for line in ["DONE \(device)", "TOUCH \(device)", "SET \(device)", "OPEN \(device)"] {
        #expect(try client.request("\(line) turn=\(first.number)").raw == stale, "\(line)")
      }
      expect(try client.request("DONE \(device) turn=\(second.number)"), "OK")
      // Also when the one that interrupted it has ended.
      #expect(try client.request("DONE \(device) turn=\(first.number)").raw == stale)
      #expect(
        try client.request("DONE \(device) turn=\(second.number)").raw
          == "STALE {\"interrupted\":false}")
    }

    @Test func `a turn that does not run is STALE with whether it was interrupted, in every verb`()
      throws
    {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " {\"t\":\"one\"}", client)
      expect(try client.request("DONE \(device) turn=\(first.number)"), "OK")
      for line in [
        "TOUCH \(device)", "SET \(device)", "OPEN \(device)", "POP \(device)", "FORGET \(device)",
        "CLOSE \(device)", "DELETE \(device)/current", "DONE \(device)", "CHAT \(device)",
        "SAY \(device)",
      ] {
        let payload = line.hasPrefix("SAY") ? " {\"t\":1}" : ""
        for number in [first.number, first.number + 1_000] {
          #expect(
            try client.request("\(line) turn=\(number)\(payload)").raw
              == "STALE {\"interrupted\":false}", "\(line)")
        }
      }
      // A lock's token is STALE with the revision, as before.
      #expect(try client.request("TOUCH \(device) token=5").raw == "STALE {\"rev\":1}")
    }

    @Test func `the newest 16 interrupted turns of a device are remembered`() throws {
      let (client, device) = (try client(), Lab.device())
      let numbers = try (0...17).map { _ in
        try turn(device, " policy=interrupt {\"t\":1}", client).number
      }
      let interrupted = try numbers.map {
        try client.request("TOUCH \(device) turn=\($0)").shows("interrupted", as: "true")
      }
      #expect(interrupted == [false] + Array(repeating: true, count: 16) + [false])
      expect(try client.request("DONE \(device) turn=\(numbers[17])"), "OK")
    }

    @Test func `a message that joins takes or renews the lock of its agent`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " ttl=50s {\"t\":\"one\"}", client)
      let join = "TURN \(device) agent=a policy=join"
      expect(try client.request("\(join) {\"t\":\"two\"}"), "OK")
      let holder = try client.request("HOLDER \(device)")
      #expect(try holder.string("agent") == "a" && holder.int("ttl_ms") > 86_000_000)
      // One's own lock lives as long as the turn, at least.
      expect(try client.request("LOCK \(device) a ttl=5s"), "OK")
      expect(try client.request("\(join) {\"t\":\"three\"}"), "OK")
      #expect(try client.request("HOLDER \(device)").int("ttl_ms") > 40_000)
      // Another agent's keeps the message away.
      expect(
        try client.request("TURN \(device) agent=b policy=join {\"t\":\"four\"}"), "HELD")
      #expect(try TurnTexts.of(device, client) == ["one", "two", "three"])
      expect(try client.request("DONE \(device) turn=\(first.number) last=yes"), "OK")
    }

    @Test func `rollback removes what the turn has said, and nothing else`() throws {
      let (client, device) = (try client(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request("CHAT \(device)"), "OK")
      expect(try client.request("SAY \(device) {\"t\":\"zero\"}"), "OK")
      let first = try turn(device, " [{\"t\":\"one\"},{\"t\":\"two\"}]", client)
      let fence = "turn=\(first.number)"
      expect(try client.request("TURN \(device) policy=join {\"t\":\"joined\"}"), "OK")
      expect(try client.request("SAY \(device) \(fence) [{\"t\":\"a\"},{\"t\":\"b\"}]"), "OK")
      expect(try client.request("SAY \(device) {\"t\":\"other\"}"), "OK")
      expect(try client.request("SAY \(device) \(fence) {\"t\":\"c\"}"), "OK")
      expect(try client.request("SAY \(device)/current/1 \(fence) {\"t\":\"d\"}"), "OK")
      expect(try client.request("SET \(device) \(fence) {\"k\":1}"), "OK")
      let second = try turn(device, " policy=rollback {\"t\":\"new\"}", client)
      #expect(try second.texts == ["zero", "joined", "other", "new"])
      #expect(second.reply.shows("fields", as: "{\"k\":1}"))
      #expect(try TurnTexts.of("\(device)/current/1", client) == [])
      // The numbers of the removed messages do not come again.
      #expect(try second.reply.int("seq") == 9)
    }

    @Test func `rollback removes what DONE has said in a turn that goes on`() throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " {\"t\":\"one\"}", client)
      expect(try client.request("TURN \(device) policy=join {\"t\":\"joined\"}"), "OK")
      let goesOn = try client.request(
        "DONE \(device) turn=\(first.number) {\"say\":{\"t\":\"to one\"},\"set\":{\"k\":1}}")
      #expect(try goesOn.int("turn") == first.number)
      let second = try turn(device, " policy=rollback {\"t\":\"two\"}", client)
      #expect(try second.texts == ["joined", "two"])
      #expect(second.reply.shows("fields", as: "{\"k\":1}"))
    }

    // MARK: The end

    @Test func `DONE that cannot be applied changes nothing, and the turn goes on`() throws {
      let (client, device) = (try client(), Lab.device())
      let turn = try turn(device, " {\"t\":\"one\"}", client)
      let many = (0..<129).map { "\"k\($0)\":1" }.joined(separator: ",")
      let refused = try client.request(
        "DONE \(device) turn=\(turn.number) {\"say\":{\"t\":\"two\"},\"set\":{\(many)}}")
      expect(refused, "ERR", "quota")
      #expect(try TurnTexts.of(device, client) == ["one"])
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(
        try client.request("DONE \(device) turn=\(turn.number) {\"say\":{\"t\":\"two\"}}"), "ERR",
        "illegal_state")
      expect(try client.request("DELETE \(device)"), "OK")
      expect(
        try client.request("DONE \(device) turn=\(turn.number) {\"say\":{\"t\":\"two\"}}"), "NONE")
      let done = try client.request("DONE \(device) turn=\(turn.number)")
      #expect(done.raw == "OK {\"seq\":null,\"rev\":null}")
    }

    @Test func `DONE applies say, set, phase and step in one step`() throws {
      let (client, device) = (try client(), Lab.device())
      let turn = try turn(device, " {\"t\":\"one\"}", client)
      let done = try client.request(
        "DONE \(device) turn=\(turn.number) step=s {\"say\":[],\"set\":{\"a\":[],\"b\":null},"
          + "\"phase\":\"p\"}")
      #expect(done.raw == "OK {\"seq\":1,\"rev\":2}")
      let record = try client.request("GET \(device)")
      #expect(record.shows("fields", as: "{\"a\":[]}"))
      #expect(try record.string("phase") == "p" && record.string("step") == "s")
    }

    @Test(arguments: [
      ("{\"put\":[]}", "put"), ("{\"puts\":{}}", "puts"), ("{\"say\":1}", "message"),
      ("{\"set\":[]}", "set"),
      ("{\"phase\":1}", "phase"), ("{\"say\":[1]}", "message"), ("[1]", "object"),
    ])
    func `a payload that DONE does not know is refused`(payload: String, name: String) throws {
      let (client, device) = (try client(), Lab.device())
      let turn = try turn(device, "", client)
      expectBadRequest(
        try client.request("DONE \(device) turn=\(turn.number) \(payload)"), naming: name)
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
    }

    @Test func `a turn whose TTL ends is abandoned once, with the numbers of what it said`() throws
    {
      let (client, device) = (try client(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request("SAY \(device) {\"t\":\"zero\"}"), "OK")
      let turn = try turn(device, " ttl=300ms agent=a {\"t\":\"one\"}", client)
      expect(try client.request("SAY \(device) {\"t\":\"other\"}"), "OK")
      expect(try client.request("SAY \(device) turn=\(turn.number) {\"t\":\"two\"}"), "OK")
      expect(
        try client.request("SAY \(device)/current/@log turn=\(turn.number) [{\"t\":1},{\"t\":2}]"),
        "OK")
      let began = ContinuousClock.now
      let event = try eventually("turn.abandoned") {
        try events(device, "turn.abandoned", client).first
      }
      #expect(elapsedMs(since: began) > 100)
      #expect(event["turn"]?.int == turn.number && event["agent"]?.string == "a")
      #expect(event["session"]?.string == (try turn.reply.string("session")))
      #expect(event["chat"]?.int == 1)
      #expect(event["seqs"] == .array([.int(2), .int(4)]))
      guard case .array(let also)? = event["also"] else { throw Failure("only one chat") }
      #expect(also.count == 1 && also[0]["chat"]?.int == 2)
      #expect(also[0]["session"] == event["session"])
      #expect(also[0]["seqs"] == .array([.int(1), .int(2)]))
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "STALE")
      let next = try self.turn(device, " agent=a", client)
      #expect(next.number > turn.number)
      #expect(try events(device, "turn.abandoned", client).count == 1)
    }

    @Test func `TOUCH with the turn keeps it running`() throws {
      let (client, device) = (try client(), Lab.device())
      let turn = try turn(device, " ttl=400ms {\"t\":\"one\"}", client)
      let began = ContinuousClock.now
      while elapsedMs(since: began) < 1_000 {
        let touched = try client.request("TOUCH \(device) turn=\(turn.number)")
        #expect(try touched.int("ttl_ms") == 400)
        pause(ms: 50)
      }
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
      #expect(try events(device, "turn.abandoned", client).isEmpty)
    }

    @Test(arguments: [("SEIZE", " b"), ("CLEAR", "")])
    func `a lock that is taken away interrupts the turn of an agent`(
      verb: String, agent: String
    ) throws {
      let (client, device) = (try client(), Lab.device())
      let first = try turn(device, " agent=a", client)
      expect(try client.request("\(verb) \(device)\(agent)"), "OK")
      #expect(
        try client.request("DONE \(device) turn=\(first.number)").raw
          == "STALE {\"interrupted\":true}")
      let second = try turn(device, "", client)
      _ = try client.request("\(verb) \(device)\(agent)")
      expect(try client.request("DONE \(device) turn=\(second.number)"), "OK")
    }

    @Test(arguments: ["UNLOCK {d} a", "HANDOFF {d} a b"])
    func `a lock that its agent gives away leaves the turn alone`(line: String) throws {
      let (client, device) = (try client(), Lab.device())
      let turn = try turn(device, " agent=a", client)
      expect(try client.request(line.replacing("{d}", with: device)), "OK")
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
    }

    // MARK: Retries

    @Test func `a retry shows the turn again, and says nothing twice`() throws {
      let (client, device) = (try client(), Lab.device())
      let line = "TURN \(device) req=r1 {\"t\":\"one\"}"
      let first = try turn(device, " req=r1 {\"t\":\"one\"}", client)
      let again = try BegunTurn(client.request(line))
      #expect(again.number == first.number)
      #expect(try again.texts == ["one"])
      expect(try client.request("TURN \(device) policy=join req=j {\"t\":\"two\"}"), "OK")
      expect(try client.request("TURN \(device) policy=join req=j {\"t\":\"two\"}"), "OK")
      let done = "DONE \(device) turn=\(first.number) req=d1 {\"say\":{\"t\":\"answer\"}}"
      let goesOn = try client.request(done)
      #expect(try TurnTexts.of(goesOn.json()) == ["two"])
      #expect(try client.request(done).raw == goesOn.raw)
      let end = "DONE \(device) turn=\(first.number) req=d2"
      #expect(try client.request(end).raw == (try client.request(end).raw))
      #expect(try BegunTurn(client.request(line)).reply.int("ttl_ms") == 0)
      expect(try client.request("TURN \(device) req=r1 {\"t\":\"other\"}"), "ERR", "conflict")
      #expect(try TurnTexts.of(device, client) == ["one", "two", "answer"])
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request(line), "NONE")
    }

    @Test func `STATS counts turns`() throws {
      let (client, device) = (try client(), Lab.device())
      func counts() throws -> [Int] {
        let turns = try client.request("STATS").json()["turns"]
        return ["running", "begun", "interrupted"].map { turns?[$0]?.int ?? -1 }
      }
      let before = try counts()
      _ = try turn(device, "", client)
      let turn = try turn(device, " policy=interrupt", client)
      #expect(try counts() == zip(before, [1, 2, 1]).map { $0 + $1 })
      expect(try client.request("DONE \(device) turn=\(turn.number)"), "OK")
      #expect(try counts() == zip(before, [0, 2, 1]).map { $0 + $1 })
    }
  }
}
