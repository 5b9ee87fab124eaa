// Keys of sessions that are corrupt in Redis, in any way: every reply is valid, valid members are
// shown, corrupt ones are null and named, and DELETE removes the session.

import Foundation
import Testing
import struct TestSupport.Seeded

extension SystemSuites {
  @Suite(.lab()) struct CorruptRecords {
    /// A session with all that a record can have, and one beside it.
    private struct Pair {
      let device = Lab.device()
      let user = Lab.device("user")
      let bad: String
      let good: String
      let key: String
      let lab: Lab

      init(_ lab: Lab, _ client: LineClient) throws {
        self.lab = lab
        good = try client.request("OPEN \(device) life=24h user=\(user) {\"g\":1}").string(
          "session")
        let opened = try client.request(
          "OPEN \(device) life=24h user=\(user) name=Ada phase=p step=s thread=\(device) "
            + "{\"topic\":\"x\",\"n\":[1]}")
        bad = try opened.string("session")
        expect(try client.request("CHAT \(device)/\(bad) name=two {\"m\":1}"), "OK")
        expect(try client.request("SWITCH \(device)/\(bad)/1"), "OK")
        for n in 1...4 {
          let role = n % 2 == 1 ? "user" : "agent"
          expect(try client.request("SAY \(device)/\(bad) {\"role\":\"\(role)\",\"n\":\(n)}"), "OK")
        }
        let keys = try lab.redis.command("KEYS", "lk:*:session:\(device)/\(bad)")
        guard case .array(let found) = keys, let key = found.first?.string else {
          throw Failure("no record: \(keys)")
        }
        self.key = key
      }

      /// Runs Lua in Redis, which can write bytes that are no text; K is the record's key.
      func corrupt(_ lua: String) throws {
        let reply = try lab.redis.command("EVAL", "local K = KEYS[1] \(lua) return 1", "1", key)
        guard reply == .integer(1) else { throw Failure("\(lua): \(reply)") }
      }
    }

    /// Expects a reply by the grammar of the protocol.
    private func check(_ reply: Reply, of request: String) {
      let rest = reply.raw.dropFirst(reply.word.utf8.count)
      switch reply.word {
      case "NONE": #expect(rest.isEmpty, "\(request): \(reply)")
      case "ERR": #expect(!reply.code.isEmpty && !reply.text.isEmpty, "\(request): \(reply)")
      case "OK", "STALE":
        if rest.isEmpty { break }
        // JSON has a number of any size, Foundation's parser not.
        let small = Reply(raw: reply.raw.replacing("1e400", with: "1"))
        #expect((try? small.json()) != nil, "\(request): \(reply.raw.prefix(400))")
      default: Issue.record("\(request): \(reply)")
      }
      #expect(reply.code != "internal", "\(request): \(reply)")
    }

    private func damaged(_ reply: Reply) throws -> [String] {
      guard case .array(let names) = try reply.json()["damaged"] ?? .array([]) else { return [] }
      return names.compactMap(\.string)
    }

    /// The corruption, and the members that GET and HISTORY then name.
    static let cases: [(lua: String, get: [String], history: [String])] = [
      ("redis.call('HSET', K, 'f:\"topic\"', '3 {\"a\":')", ["fields.topic"], []),
      ("redis.call('HSET', K, 'f:\"topic\"', '3 \\255\\254')", ["fields.topic"], []),
      ("redis.call('HSET', K, 'f:\"topic\"', '3 \"a\\nb\"')", ["fields.topic"], []),
      ("redis.call('HSET', K, 'f:\"topic\"', '3 [1,\\n2]')", ["fields.topic"], []),
      ("redis.call('HSET', K, 'f:\"topic\"', '3 \"\\0\"')", ["fields.topic"], []),
      ("redis.call('HSET', K, 'f:\"topic\"', 'x \"a\"')", ["fields.topic"], []),
      ("redis.call('HSET', K, 'f:topic', '3 1')", ["fields"], []),
      ("redis.call('HSET', K, 'name', '1 12')", ["name"], []),
      ("redis.call('HSET', K, 'name', '1 \"a\"b\"')", ["name"], []),
      ("redis.call('HSET', K, 'phase', '')", ["phase"], []),
      ("redis.call('HSET', K, 'thread', '{}')", ["thread"], []),
      ("redis.call('HSET', K, 'reason', 'nul')", ["reason"], []),
      (
        "redis.call('HSET', K, 'state', 'asleep')",
        ["state", "idle_at", "abandon_at", "life_at", "keep_until"], []
      ),
      (
        "redis.call('HDEL', K, 'state')",
        ["state", "idle_at", "abandon_at", "life_at", "keep_until"], []
      ),
      (
        "redis.call('HSET', K, 'clocks', '1800000 x 604800000 86400000 2592000000 120000')",
        ["abandon_at", "clocks.abandon_ms"], []
      ),
      (
        "redis.call('HDEL', K, 'clocks')",
        [
          "idle_at", "abandon_at", "life_at", "clocks.idle_ms", "clocks.abandon_ms",
          "clocks.archive_ms", "clocks.life_ms", "clocks.keep_ms", "clocks.warn_ms",
        ], []
      ),
      ("redis.call('HSET', K, 'active', 'now')", ["active_at", "idle_at", "abandon_at"], []),
      ("redis.call('HSET', K, 'created', '-1')", ["created_at", "life_at"], []),
      ("redis.call('HSET', K, 'updated', 'x')", ["updated_at"], []),
      ("redis.call('HSET', K, 'rev', '1e400')", ["rev"], []),
      ("redis.call('HSET', K, 'chat', 'nan')", ["chat"], ["chat"]),
      ("redis.call('HSET', K, 'chats', '99999999999')", ["chats"], []),
      ("redis.call('HSET', K, 'chats', '2 1 x')", ["chats"], []),
      ("redis.call('HSET', K, 'links', 'user \"x\\n')", ["links"], []),
      ("redis.call('DEL', K) redis.call('SET', K, 'x')", ["record", "messages"], ["chat"]),
      ("redis.call('DEL', K..'/1') redis.call('SADD', K..'/1', 'x')", ["messages"], ["messages"]),
      ("redis.call('LSET', K..'/1', 1, '2,\"at\":1,\"message\":{\"n\"')", [], ["messages.2"]),
      (
        "redis.call('LSET', K..'/1', 1, '2,\"at\":x,\"message\":{}}')", [],
        ["messages.2.at", "messages.2"]
      ),
      ("redis.call('LSET', K..'/1', 1, '2,\"at\":1,\"message\":[1]}')", [], ["messages.2"]),
      (
        "redis.call('LSET', K..'/1', 1, '\\255')", [],
        ["messages.at.1.seq", "messages.at.1.at", "messages.at.1.message"]
      ),
    ]

    @Test(arguments: cases)
    func `corrupt members are null and named, and all others are shown`(
      lua: String, get: [String], history: [String]
    ) throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let pair = try Pair(lab, client)
      let address = "\(pair.device)/\(pair.bad)"
      let (before, said) = (
        try client.request("GET \(address)"), try client.request("HISTORY \(address)")
      )
      try pair.corrupt(lua)
      let after = try client.request("GET \(address)")
      check(after, of: "GET")
      if !get.contains("record") {
        #expect(try damaged(after) == get, "\(after)")
        try expectRest(of: after, like: before, but: get)
      } else {
        #expect(try damaged(after).contains("record"))
      }
      let shown = try client.request("HISTORY \(address)")
      check(shown, of: "HISTORY")
      #expect(try damaged(shown) == history, "\(shown)")
      if history.isEmpty { #expect(shown.raw == said.raw) }
      if case .array(let messages) = try shown.json()["messages"] { #expect(messages.count == 4) }
    }

    /// Expects all members that are not among `names` to be as they were.
    private func expectRest(of reply: Reply, like before: Reply, but names: [String]) throws {
      let (now, then) = (try reply.json(), try before.json())
      for name in then.names where !names.contains(where: { $0.split(separator: ".")[0] == name }) {
        if name == "links", names.contains("links") { continue }
        #expect(now[name] == then[name], "\(name): \(reply)")
      }
      if names == ["fields.topic"] {
        #expect(now["fields"]?["topic"] == .null && now["fields"]?["n"] == .array([.int(1)]))
      }
    }

    /// Lua that corrupts a member, a message or a key at random.
    private func randomDamage(_ seeded: inout Seeded) -> String {
      let members = [
        "state", "rev", "clocks", "created", "active", "born", "since", "warned", "name", "phase",
        "step", "thread", "links", "fields", "floor", "chat", "chats", "reason", "fenced",
        "answers", "answer_ms", "q:1", "n:2", "c:2", "t:1", "s:active", "f:\"topic\"", "f:\"n\"",
      ]
      let values = [
        "''", "' '", "'\\0'", "'\\255\\254'", "'x'", "'-1'", "'1e400'", "'99999999999999999999'",
        "'1.5'", "'nan'", "'\"a'", "'3 {\"a\":'", "'3 \"\\n\"'", "'\"\\n\"'", "'null'", "'0x10'",
        "string.rep('[', 300)", "'3 ' .. string.rep('[', 300)", "'1 \\194'",
      ]
      let types = ["'SET', %, 'x'", "'SADD', %, 'x'", "'HSET', %, 'a', 'b'", "'RPUSH', %, 'x'"]
      let value = values.randomElement(using: &seeded) ?? ""
      switch Int.random(in: 0..<10, using: &seeded) {
      case 0:
        let key = ["K", "K..'/1'", "K..'/2'"].randomElement(using: &seeded) ?? "K"
        let make = types.randomElement(using: &seeded) ?? ""
        return "redis.call('DEL', \(key)) redis.call(\(make.replacing("%", with: key)))"
      case 1: return "redis.call('HDEL', K, '\(members.randomElement(using: &seeded) ?? "")')"
      case 2, 3:
        let place = Int.random(in: 0..<4, using: &seeded)
        return "redis.call('LSET', K..'/1', \(place), \(value))"
      default:
        return "redis.call('HSET', K, '\(members.randomElement(using: &seeded) ?? "")', \(value))"
      }
    }

    private static let verbs = [
      "GET %", "GET D", "LIST D", "LIST D state=active", "LIST D limit=1", "LIST user=U",
      "LIST user=U state=paused", "CHATS %", "HISTORY %", "HISTORY % after=0", "HISTORY % after=2",
      "HISTORY %/1 last=2", "HISTORY %/2", "REPORT %", "REPORT user=U", "EXPORT %",
      "TOUCH %", "SET % {\"new\":1}", "SET % name=x", "SAY % {\"a\":1}", "SAY %/2 {\"a\":1}",
      "POP %", "POP % req=R", "POP % req=R", "CHAT %", "SWITCH %/2", "LINK % tag red",
      "UNLINK % tag red", "PAUSE % reason=r", "RESUME %", "RECOVER %", "RECOVER D hint=S",
      "RECOVER D req=Q", "RECOVER D req=Q", "FORGET %/1", "HISTORY %/1", "EVENTS D", "GET %",
      "CLOSE %", "ARCHIVE %", "LIST * limit=1000",
    ]

    @Test func `every verb answers by the grammar, whatever was done to the keys`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      var seeded = Seeded("corrupt records")
      for round in 0..<40 {
        let pair = try Pair(lab, client)
        let damage = (0..<Int.random(in: 1...3, using: &seeded)).map { _ in
          randomDamage(&seeded)
        }
        for lua in damage {
          // A key that has another type by now is corrupt enough.
          try? pair.corrupt(lua)
        }
        let comment = "round \(round): \(damage)"
        for verb in Self.verbs {
          let request = verb.replacing("%", with: "\(pair.device)/\(pair.bad)")
            .replacing("D", with: pair.device).replacing("U", with: pair.user)
            .replacing("=S", with: "=\(pair.bad)")
          check(try client.request(request), of: "\(comment) \(request)")
        }
        let beside = try client.request("GET \(pair.device)/\(pair.good)")
        #expect(beside.shows("fields", as: "{\"g\":1}"), "\(comment): \(beside)")
        #expect(try damaged(beside) == [], "\(comment): \(beside)")
        let deleted = try client.request("DELETE \(pair.device)/\(pair.bad)")
        #expect(deleted.raw == "OK" || deleted.raw == "NONE", "\(comment): \(deleted)")
        expect(try client.request("GET \(pair.device)/\(pair.bad)"), "NONE")
        for list in ["LIST \(pair.device)", "LIST user=\(pair.user)"] {
          let reply = try client.request(list)
          #expect(!reply.raw.contains("\"\(pair.bad)\""), "\(comment) \(list): \(reply)")
          #expect(reply.raw.contains("\"\(pair.good)\""), "\(comment) \(list): \(reply)")
        }
        check(try client.request("EVENTS \(pair.device)"), of: comment)
        #expect(try client.request("OPEN \(pair.device)").isOK, "\(comment)")
      }
    }
  }
}
