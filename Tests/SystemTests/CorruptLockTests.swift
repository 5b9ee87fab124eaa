// Keys of locks, kept replies and ledgers that are corrupt in Redis: every reply is valid, no token
// is given twice, and CLEAR and SEIZE repair a lock.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab()) struct CorruptLocks {
    private let lab: Lab
    private let client: LineClient
    private let device = Lab.device()

    init() throws {
      lab = try Lab.current
      client = try lab.connect()
    }

    /// The key of the namespace that ends so.
    private func key(_ ending: String) throws -> String {
      guard case .array(let keys) = try lab.redis.command("KEYS", "lk:*\(ending)"),
        let key = keys.first?.string
      else { throw Failure("no key \(ending)") }
      return key
    }

    /// Runs Lua in Redis; K is the key, and R its text.
    private func corrupt(_ key: String, _ lua: String) throws {
      let text = "local K = KEYS[1] local R = redis.pcall('GET', K) \(lua) return 1"
      let reply = try lab.redis.command("EVAL", text, "1", key)
      guard reply == .integer(1) else { throw Failure("\(lua): \(reply)") }
    }

    private func damaged(_ reply: Reply) throws -> [String] {
      guard case .array(let names) = try reply.json()["damaged"] ?? .array([]) else { return [] }
      return names.compactMap(\.string)
    }

    private static let hash = "redis.call('DEL', K) redis.call('HSET', K, 'a', 'b')"

    static let records = [
      "redis.call('SET', K, 'garbage')", "redis.call('SET', K, '')", hash,
      "redis.call('DEL', K) redis.call('RPUSH', K, 'a')",
      "redis.call('SET', K, R .. ' x')", "redis.call('SET', K, R .. ' 179566321630 +')",
      "redis.call('SET', K, string.sub(R, 1, 20))",
      "redis.call('SET', K, string.sub(R, 1, 16) .. '\"' .. string.sub(R, 18))",
      "redis.call('SET', K, string.sub(R, 1, 31) .. 'q\"x 1d')",
      "redis.call('SET', K, string.sub(R, 1, 14) .. '9999999999999999' .. string.sub(R, 31))",
      "redis.call('SET', K, 'x' .. string.sub(R, 2))",
    ]

    @Test(arguments: records)
    func `a corrupt record is shown as such, and CLEAR and SEIZE repair it`(lua: String) throws {
      let first = try client.request("LOCK \(device) a").int("token")
      let key = try key(":held:\(device)")
      try corrupt(key, lua)
      let shown = try client.request("HOLDER \(device)")
      #expect(try damaged(shown) == ["agent", "ttl_ms", "acquired_at"], "\(shown)")
      for request in [
        "LOCK \(device) a", "LOCK \(device) b", "RENEW \(device) b token=\(first)",
        "UNLOCK \(device) a", "HANDOFF \(device) a b",
      ] {
        let reply = try client.request(request)
        #expect(
          reply.code == "illegal_state" && reply.text.contains("CLEAR"), "\(request): \(reply)")
        #expect(reply.text.contains(":held:"), "\(request): \(reply)")
      }
      let seized = try client.request("SEIZE \(device) c")
      #expect(try damaged(seized) == ["seized_from"], "\(seized)")
      #expect(try seized.int("token") > first)
      expect(try client.request("HOLDER \(device)"), "OK")
      #expect(try client.request("LOCK \(device) c").raw.contains("\"renewed\":true"))

      try corrupt(key, lua)
      let cleared = try client.request("CLEAR \(device)")
      #expect(try damaged(cleared) == ["agent", "held_ms"], "\(cleared)")
      for name in ["HOLDER", "CLEAR"] { expect(try client.request("\(name) \(device)"), "NONE") }
      #expect(try client.request("LOCK \(device) d").int("token") > seized.int("token"))
      let events = try client.request("EVENTS \(device)")
      #expect(events.raw.contains("\"type\":\"lock.seized\""), "\(events)")
      #expect(events.raw.contains("\"type\":\"lock.cleared\""), "\(events)")
      #expect((try? events.json()) != nil, "\(events)")
    }

    @Test func `a fenced change needs a lock that can be read`() throws {
      expect(try client.request("OPEN \(device)"), "OK")
      let token = try client.request("LOCK \(device) a").int("token")
      try corrupt(try key(":held:\(device)"), Self.hash)
      for request in ["SAY \(device) token=\(token) {}", "DELETE \(device) token=\(token)"] {
        let reply = try client.request(request)
        #expect(reply.code == "illegal_state" && reply.text.contains("lock"), "\(reply)")
      }
      expect(try client.request("SAY \(device) {}"), "OK")
    }

    @Test(arguments: [
      "redis.call('SET', K, 'garb\"')", "redis.call('SET', K, '{}\\n')", "redis.call('DEL', K)",
      "redis.call('SET', K, '\\255')", hash,
    ])
    func `a corrupt note is null and named`(lua: String) throws {
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("HANDOFF \(device) a b {\"x\": 1}"), "OK")
      try corrupt(try key(":note:\(device)"), lua)
      let shown = try client.request("HOLDER \(device)")
      #expect(try damaged(shown) == ["note"], "\(shown)")
      #expect(try shown.string("agent") == "b")
      expect(try client.request("HANDOFF \(device) b c"), "OK")
      #expect(try damaged(client.request("HOLDER \(device)")) == [])
    }

    static let kept = [
      "F .. ' HELLO \"x'", "F .. ' OK {\"a\":1}\\nOK'", "F .. ' OK {\"a\":'", "F .. ' OKAY {}'",
      "F .. ' OK '", "F .. ' 1795749616303 1795663216303808 a 1d'", "F", "''", "'garbage'",
      "'\\255'",
    ]

    @Test(arguments: kept)
    func `a corrupt kept reply is an error, and nothing is done again`(value: String) throws {
      let requests = [
        "LOCK \(device) a req=r1", "SEIZE \(device) b req=r2", "HANDOFF \(device) b c req=r3",
        "OPEN \(device) req=r4", "SAY \(device) req=r5 {}", "CHAT \(device) req=r6",
        "UNLOCK \(device) c req=r7",
      ]
      for (index, request) in requests.enumerated() {
        let first = try client.request(request)
        expect(first, "OK")
        expect(try client.request(request), "OK")
        let key = try key(":req:\(device)/r\(index + 1)")
        // The id of a session that has gone cannot be distinguished from another word.
        if first.raw.contains("\"session\""), value.contains("OKAY") { continue }
        try corrupt(
          key, "local F = string.match(R, '^%S+') redis.call('SET', K, \(value))")
        let before = try client.request("HISTORY \(device)").raw
        let again = try client.request(request)
        #expect(again.code == "unknown_outcome" && again.text.contains(key), "\(request): \(again)")
        #expect(try client.request("HISTORY \(device)").raw == before)
        try corrupt(key, Self.hash)
        #expect(try client.request(request).code == "unknown_outcome", "\(request)")
        #expect(try client.request("PING").raw == "OK")
      }
    }

    @Test func `a corrupt count is left out and named`() throws {
      let agent = Lab.device("agent")
      expect(try client.request("LOCK \(device) \(agent)"), "OK")
      let held = try key(":held:\(device)")
      let ledger = String(held.dropLast(":held:\(device)".count)) + ":ledger"
      for (name, value) in [
        ("held:\(agent)", "x"), ("held:q\"x", "1"), ("released", "nan"), ("held_ms", "1e400"),
        ("agent:\(agent)", "1 2 x 4"), ("cleared", "1.5"),
      ] {
        _ = try lab.redis.command("HSET", ledger, name, value)
      }
      let names = try damaged(client.request("STATS"))
      let wanted = [
        "locks.by_agent", "locks.by_agent.\(agent)", "locks.cleared", "locks.held_ms_mean",
        "locks.released",
      ]
      #expect(names.sorted() == wanted)
      let report = try client.request("REPORT agent=\(agent)")
      #expect(
        try damaged(report)
          == ["held", "ended", "abandoned", "held_ms_mean", "held_ms_longest"], "\(report)")
      expect(try client.request("UNLOCK \(device) \(agent)"), "OK")
      expect(try client.request("LOCK \(device) \(agent)"), "OK")
      expect(try client.request("CLEAR \(device)"), "OK")
      #expect(try damaged(client.request("REPORT agent=\(agent)")) == [])
      #expect(try damaged(client.request("STATS")) == ["locks.by_agent"])
      _ = try lab.redis.command("HDEL", ledger, "held:q\"x")
    }

    /// Locks another device whose keys are in the same partition.
    private func lockNeighbour(_ held: String, agent: String) throws -> String {
      let prefix = held.dropLast(device.count)
      for number in 0..<10_000 {
        let name = "\(device)-\(number)"
        expect(try client.request("LOCK \(name) \(agent)"), "OK")
        if try lab.redis.command("EXISTS", "\(prefix)\(name)") == .integer(1) { return name }
        expect(try client.request("CLEAR \(name)"), "OK")
      }
      throw Failure("no device of the same partition")
    }

    @Test func `the end of a corrupt lock is counted, and no agent keeps it`() throws {
      let (agent, other) = (Lab.device("agent"), Lab.device("agent"))
      expect(try client.request("LOCK \(device) \(agent)"), "OK")
      let held = try key(":held:\(device)")
      let neighbour = try lockNeighbour(held, agent: agent)
      for (request, ending, wanted) in [
        ("CLEAR \(device)", "cleared", [1, nil]), ("LOCK \(device) \(other)", "", [1, 1]),
        ("SEIZE \(device) \(agent)", "seized", [2, nil]),
      ] as [(String, String, [Int?])] {
        let before = try #require(client.request("STATS").json()["locks"])
        if !ending.isEmpty { try corrupt(held, "redis.call('SET', K, 'garbage')") }
        expect(try client.request(request), "OK")
        let locks = try #require(client.request("STATS").json()["locks"])
        #expect(
          [agent, other].map { locks["by_agent"]?[$0]?.int } == wanted, "\(request): \(locks)")
        for name in ["cleared", "seized"] {
          let count = (before[name]?.int ?? -1) + (name == ending ? 1 : 0)
          #expect(locks[name]?.int == count, "\(request): \(locks)")
        }
        let parts = ["released", "abandoned", "cleared", "held"].compactMap { locks[$0]?.int }
        #expect(locks["acquired"]?.int == parts.reduce(0, +), "\(request): \(locks)")
        #expect((0..<60_000).contains(locks["held_now_ms_mean"]?.int ?? -1), "\(locks)")
      }
      for name in [device, neighbour] { expect(try client.request("CLEAR \(name)"), "OK") }
    }

    @Test func `a corrupt latest token is replaced by the clock's`() throws {
      var last = try client.request("LOCK \(device) a").int("token")
      let held = try key(":held:\(device)")
      let ledger = String(held.dropLast(":held:\(device)".count)) + ":ledger"
      for value in ["zz", "", "nan", "inf", "1e300", "-5", "9007199254740991", "9007199254740992"] {
        _ = try lab.redis.command("HSET", ledger, "token", value)
        for _ in 0..<2 {
          let token = try client.request("SEIZE \(device) a").int("token")
          #expect(token > last && token < 1 << 53, "\(value)")
          last = token
        }
      }
    }
  }
}
