// Section 5 of the contract, verb by verb: each reply word, each member, each rule on tokens.

import Foundation
import Testing

private let hourMs = 3_600_000

extension SystemSuites {
  @Suite(.lab()) struct Locks {
    private func client() throws -> LineClient { try Lab.current.connect() }

    /// A lock that `agent` holds, on a device of its own.
    private func held(
      by agent: String = "a", on client: LineClient, _ options: String = ""
    ) throws -> (device: String, grant: Grant) {
      let device = Lab.device()
      return (device, try Grant(client.request("LOCK \(device) \(agent)\(options)")))
    }

    private func holder(_ device: String, _ client: LineClient) throws -> String? {
      let reply = try client.request("HOLDER \(device)")
      return reply.word == "NONE" ? nil : try reply.string("agent")
    }

    private func expectTtl(
      _ reply: Reply, _ wantedMs: Int, at place: SourceLocation = #_sourceLocation
    ) throws {
      let ttlMs = try reply.int("ttl_ms")
      #expect(
        ttlMs <= wantedMs && ttlMs > max(0, wantedMs - 2_000), "\(reply)", sourceLocation: place)
    }

    // MARK: LOCK

    @Test func `LOCK takes a free device and says so in full`() throws {
      let client = try client()
      let reply = try client.request("LOCK \(Lab.device()) scheduling")
      let grant = try Grant(reply)
      #expect(grant.agent == "scheduling")
      #expect(!grant.renewed)
      #expect(abs(grant.acquiredAt - nowUnixMs()) < 5_000)
      try expectTtl(reply, 24 * hourMs)
      let wanted: Set = ["agent", "token", "ttl_ms", "acquired_at", "renewed"]
      #expect(try reply.json().names.isSuperset(of: wanted))
      #expect(reply.raw.filter { $0 == " " }.count == 1, "the JSON is compact: \(reply)")
    }

    @Test(arguments: [
      ("50ms", 50), ("5s", 5_000), ("7", 7_000), ("3m", 180_000), ("2h", 2 * hourMs),
      ("1d", 24 * hourMs), ("3650d", 3650 * 24 * hourMs), ("10ms", 10),
    ])
    func `every unit of time is understood`(ttl: String, wantedMs: Int) throws {
      let reply = try client().request("LOCK \(Lab.device()) a ttl=\(ttl)")
      try expectTtl(reply, wantedMs)
    }

    @Test func `LOCK by its holder starts the clock again and keeps the token`() throws {
      let client = try client()
      let (device, first) = try held(on: client, " ttl=10s")
      for ttl in ["1h", "10s"] {
        let reply = try client.request("LOCK \(device) a ttl=\(ttl)")
        let again = try Grant(reply)
        #expect(again.renewed)
        #expect(again.token == first.token)
        #expect(again.acquiredAt == first.acquiredAt)
        try expectTtl(reply, ttl == "1h" ? hourMs : 10_000)
        try expectTtl(client.request("HOLDER \(device)"), ttl == "1h" ? hourMs : 10_000)
      }
    }

    @Test func `LOCK of another's device is HELD, without the token, and changes nothing`() throws {
      let client = try client()
      let (device, grant) = try held(on: client, " ttl=1h")
      let tries = [
        "LOCK \(device) b", "LOCK \(device) b ttl=5s", "LOCK \(device) b token=\(grant.token)",
        "LOCK \(device) b token=1", "LOCK \(device) A",
      ]
      for line in tries {
        let reply = try client.request(line)
        expect(reply, "HELD")
        #expect(try reply.string("agent") == "a")
        try expectTtl(reply, hourMs)
        #expect(!reply.raw.contains("token") && !reply.raw.contains("\(grant.token)"))
      }
      #expect(try Grant(client.request("LOCK \(device) a token=\(grant.token)")).renewed)
    }

    @Test func `LOCK with a token is STALE unless it is the current one`() throws {
      let client = try client()
      let (device, grant) = try held(on: client)
      #expect(try Grant(client.request("LOCK \(device) a token=\(grant.token)")).renewed)
      for other in [1, grant.token - 1, grant.token + 1, 1 << 53 - 1] {
        let reply = try client.request("LOCK \(device) a token=\(other) ttl=1s")
        expect(reply, "STALE")
        _ = try reply.json()
        #expect(!reply.raw.contains("\(grant.token)"), "a token is shown: \(reply)")
      }
      try expectTtl(client.request("HOLDER \(device)"), 24 * hourMs)
      let free = Lab.device()
      expect(try client.request("LOCK \(free) a token=\(grant.token)"), "STALE")
      expect(try client.request("HOLDER \(free)"), "NONE")
    }

    @Test func `a lock ends with its ttl, not before, and the next token is greater`() throws {
      let client = try client()
      let start = ContinuousClock.now
      let (device, first) = try held(on: client, " ttl=50ms")
      try eventually("the end of the lock") {
        try client.request("HOLDER \(device)").word == "NONE"
      }
      #expect(elapsedMs(since: start) >= 49)
      let second = try Grant(client.request("LOCK \(device) b"))
      #expect(second.token > first.token)
      #expect(!second.renewed)
      expect(try client.request("RENEW \(device) a token=\(first.token)"), "HELD")
      expect(try client.request("UNLOCK \(device) a token=\(first.token)"), "HELD")
    }

    // MARK: RENEW

    @Test func `RENEW starts the clock again for the holder with its token`() throws {
      let client = try client()
      let (device, grant) = try held(on: client, " ttl=10s")
      let reply = try client.request("RENEW \(device) a token=\(grant.token) ttl=1h")
      let renewed = try Grant(reply)
      #expect(renewed.renewed)
      #expect(renewed.token == grant.token)
      #expect(renewed.acquiredAt == grant.acquiredAt)
      try expectTtl(reply, hourMs)
      // Without ttl= it is the one that was asked for last.
      try expectTtl(client.request("RENEW \(device) a token=\(grant.token)"), hourMs)
    }

    @Test func `RENEW never acquires`() throws {
      let client = try client()
      let device = Lab.device()
      expect(try client.request("RENEW \(device) a token=5"), "NONE")
      expect(try client.request("HOLDER \(device)"), "NONE")
      let grant = try Grant(client.request("LOCK \(device) a"))
      expect(try client.request("UNLOCK \(device) a"), "OK")
      expect(try client.request("RENEW \(device) a token=\(grant.token)"), "NONE")
      expect(try client.request("HOLDER \(device)"), "NONE")
    }

    @Test func `RENEW of another's lock is HELD, with a wrong token STALE`() throws {
      let client = try client()
      let (device, grant) = try held(on: client, " ttl=1h")
      let other = try client.request("RENEW \(device) b token=\(grant.token) ttl=5s")
      expect(other, "HELD")
      #expect(try other.string("agent") == "a")
      let stale = try client.request("RENEW \(device) a token=\(grant.token + 1) ttl=5s")
      expect(stale, "STALE")
      #expect(!stale.raw.contains("\(grant.token)"))
      try expectTtl(client.request("HOLDER \(device)"), hourMs)
    }

    @Test func `RENEW without a token is a bad request`() throws {
      expectBadRequest(try client().request("RENEW \(Lab.device()) a"), naming: "token")
    }

    // MARK: UNLOCK

    @Test(arguments: [true, false]) func `UNLOCK frees the device`(withToken: Bool) throws {
      let client = try client()
      let (device, grant) = try held(on: client)
      let token = withToken ? " token=\(grant.token)" : ""
      let reply = try client.request("UNLOCK \(device) a\(token)")
      expect(reply, "OK")
      #expect((0..<5_000).contains(try reply.int("held_ms")))
      expect(try client.request("HOLDER \(device)"), "NONE")
      expect(try client.request("UNLOCK \(device) a\(token)"), "NONE")
    }

    @Test func `UNLOCK by another agent is HELD, with a wrong token STALE`() throws {
      let client = try client()
      let (device, grant) = try held(on: client)
      for options in ["", " token=\(grant.token)"] {
        let reply = try client.request("UNLOCK \(device) b\(options)")
        expect(reply, "HELD")
        #expect(!reply.raw.contains("\(grant.token)"))
      }
      let stale = try client.request("UNLOCK \(device) a token=\(grant.token - 1)")
      expect(stale, "STALE")
      #expect(!stale.raw.contains("\(grant.token)"))
      #expect(try holder(device, client) == "a")
    }

    // MARK: HANDOFF

    @Test func `HANDOFF passes the lock on with a greater token and a note`() throws {
      let client = try client()
      let (device, first) = try held(on: client)
      let reply = try client.request(#"HANDOFF \#(device) a b ttl=1h {"why": "lunch"}"#)
      let second = try Grant(reply)
      #expect(second.agent == "b")
      #expect(second.token > first.token)
      #expect(!second.renewed)
      try expectTtl(reply, hourMs)
      let holder = try client.request("HOLDER \(device)")
      #expect(try holder.string("agent") == "b")
      #expect(holder.shows("note", as: #"{"why": "lunch"}"#), "\(holder)")
      expect(try client.request("RENEW \(device) a token=\(first.token)"), "HELD")
      expect(try client.request("UNLOCK \(device) b token=\(first.token)"), "STALE")
      expect(try client.request("UNLOCK \(device) b token=\(second.token)"), "OK")
    }

    @Test func `HANDOFF with the right token passes the lock on`() throws {
      let client = try client()
      let (device, first) = try held(on: client)
      let second = try Grant(client.request("HANDOFF \(device) a b token=\(first.token)"))
      #expect(second.token > first.token)
      let holder = try client.request("HOLDER \(device)")
      #expect(!holder.raw.contains("note"), "no note was given: \(holder)")
    }

    @Test func `HANDOFF of a free, another's or a lost lock changes nothing`() throws {
      let client = try client()
      expect(try client.request("HANDOFF \(Lab.device()) a b"), "NONE")
      let (device, grant) = try held(on: client)
      let refused = try client.request("HANDOFF \(device) b c token=\(grant.token)")
      expect(refused, "HELD")
      #expect(try refused.string("agent") == "a")
      expect(try client.request("HANDOFF \(device) a b token=\(grant.token + 1)"), "STALE")
      #expect(try Grant(client.request("LOCK \(device) a")).token == grant.token)
    }

    @Test func `a note stays with its holder and goes with the lock`() throws {
      let client = try client()
      let (device, _) = try held(on: client)
      let grant = try Grant(client.request("HANDOFF \(device) a b [1]"))
      expect(try client.request("RENEW \(device) b token=\(grant.token)"), "OK")
      expect(try client.request("LOCK \(device) b"), "OK")
      #expect(try client.request("HOLDER \(device)").shows("note", as: "[1]"))
      expect(try client.request("HANDOFF \(device) b c"), "OK")
      #expect(try !client.request("HOLDER \(device)").raw.contains("note"))
      expect(try client.request("HANDOFF \(device) c d [2]"), "OK")
      expect(try client.request("UNLOCK \(device) d"), "OK")
      expect(try client.request("LOCK \(device) d"), "OK")
      #expect(try !client.request("HOLDER \(device)").raw.contains("note"))
    }

    @Test func `a note comes back byte for byte`() throws {
      let client = try client()
      var (device, grant) = try held(on: client)
      let digits = String(repeating: "1234567890", count: 40)
      let notes = [
        "[]", "{}", "[[],{}]", #"{"a":[]}"#, "[1e400]", "[-1E-400]", "[\(digits)]",
        "[0.\(digits)]", "[3.99,-0,0.10,1E+2,100000000000000000]", #"{"b":1,"a":2,"b":3}"#,
        #"{"é":"日本語 🎉 \u00e9\ud83d\ude00\/\b"}"#, #"{ "a" : [ 1 , 2 ] }"#, #"{"":null}"#,
        #"["\\","\"","\u0000","a=b","=","\n"]"#, "[\"\u{fffe}\u{2028}\"]",
        #"["%s %d {0} $1 \\1"]"#, "[true,false,null]", #"["OK {\"agent\":\"x\"}"]"#,
        String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
        "[\"" + String(repeating: "x", count: 60_000) + "\"]",
      ]
      for note in notes {
        let next = try Grant(client.request("HANDOFF \(device) a a2 token=\(grant.token) \(note)"))
        let holder = try client.request("HOLDER \(device)")
        #expect(holder.shows("note", as: note), "\(note.prefix(80)): \(holder)")
        grant = try Grant(client.request("HANDOFF \(device) a2 a token=\(next.token)"))
      }
    }

    // MARK: SEIZE and CLEAR

    @Test func `SEIZE takes the lock from any holder`() throws {
      let client = try client()
      let device = Lab.device()
      let free = try client.request("SEIZE \(device) a ttl=1h")
      var last = try Grant(free)
      #expect(free.shows("seized_from", as: "null"), "\(free)")
      try expectTtl(free, hourMs)
      for (agent, from) in [("b", "a"), ("b", "b"), ("c", "b")] {
        let reply = try client.request("SEIZE \(device) \(agent)")
        let grant = try Grant(reply)
        #expect(grant.agent == agent)
        #expect(grant.token > last.token)
        #expect(!grant.renewed)
        #expect(try reply.string("seized_from") == from)
        try expectTtl(reply, 24 * hourMs)
        expect(
          try client.request("RENEW \(device) \(from) token=\(last.token)"),
          from == agent ? "STALE" : "HELD")
        last = grant
      }
      expect(try client.request("UNLOCK \(device) c token=\(last.token)"), "OK")
      // A SEIZE of a free lock, or from oneself, ends no other agent's lock.
      let log = try client.request("EVENTS \(device)")
      #expect(log.raw.components(separatedBy: "\"type\":\"lock.seized\"").count == 3, "\(log)")
    }

    @Test func `a token that was never given out is stale wherever one is shown`() throws {
      let client = try client()
      let (device, grant) = try held(on: client)
      expect(try client.request("OPEN \(device)"), "OK")
      for token in [grant.token + 1, 1 << 53 - 1] {
        for line in [
          "LOCK \(device) a", "RENEW \(device) a", "UNLOCK \(device) a", "HANDOFF \(device) a b",
          "TOUCH \(device)", "OPEN \(device)", "RECOVER \(device)", "CLOSE \(device)",
        ] {
          expect(try client.request("\(line) token=\(token)"), "STALE", "", "\(line) \(token)")
        }
      }
      expect(try client.request("RENEW \(device) a token=\(grant.token)"), "OK")
    }

    @Test func `a note may have 64 KiB, and no more`() throws {
      let client = try client()
      let (device, _) = try held(on: client)
      func note(_ bytes: Int) -> String { "[\"\(String(repeating: "n", count: bytes - 4))\"]" }
      let reply = try client.request("HANDOFF \(device) a b \(note(65_537))")
      expect(reply, "ERR", "too_large")
      #expect(reply.raw.contains("65536"))
      #expect(try client.request("HOLDER \(device)").string("agent") == "a")
      expect(try client.request("HANDOFF \(device) a b \(note(65_536))"), "OK")
      #expect(try client.request("HOLDER \(device)").shows("note", as: note(65_536)))
    }

    @Test func `CLEAR frees the device from any holder`() throws {
      let client = try client()
      let (device, grant) = try held(by: "billing", on: client)
      let reply = try client.request("CLEAR \(device)")
      expect(reply, "OK")
      #expect(try reply.string("agent") == "billing")
      #expect((0..<5_000).contains(try reply.int("held_ms")))
      #expect(!reply.raw.contains("\(grant.token)"))
      expect(try client.request("CLEAR \(device)"), "NONE")
      expect(try client.request("HOLDER \(device)"), "NONE")
    }

    // MARK: HOLDER

    @Test func `HOLDER names the agent, its start and its TTL, and changes nothing`() throws {
      let client = try client()
      expect(try client.request("HOLDER \(Lab.device())"), "NONE")
      let (device, grant) = try held(on: client, " ttl=10s")
      var lastMs = 10_000
      for _ in 0..<100 {
        let reply = try client.request("HOLDER \(device)")
        #expect(try reply.string("agent") == "a")
        #expect(try reply.int("acquired_at") == grant.acquiredAt)
        let ttlMs = try reply.int("ttl_ms")
        #expect(ttlMs <= lastMs)
        #expect(!reply.raw.contains("token") && !reply.raw.contains("\(grant.token)"))
        lastMs = ttlMs
      }
      try eventually("HOLDER showing less time left") {
        try client.request("HOLDER \(device)").int("ttl_ms") < 9_950
      }
    }

    // MARK: tokens

    @Test func `tokens of a device grow over every way in which a lock can end`() throws {
      let client = try client()
      let device = Lab.device()
      var tokens: [Int] = []
      func take(_ line: String) throws { tokens.append(try Grant(client.request(line)).token) }
      for _ in 0..<3 {
        try take("LOCK \(device) a")
        expect(try client.request("UNLOCK \(device) a"), "OK")
        try take("LOCK \(device) a")
        try take("SEIZE \(device) b")
        try take("SEIZE \(device) b")
        try take("HANDOFF \(device) b c")
        expect(try client.request("CLEAR \(device)"), "OK")
        try take("LOCK \(device) a ttl=10ms")
        try eventually("the end of the lock") {
          try client.request("HOLDER \(device)").word == "NONE"
        }
      }
      #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 }, "\(tokens)")
    }
  }
}
