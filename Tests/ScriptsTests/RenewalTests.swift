// Owns: the tests of several LOCKs and RENEWs in one call: reads and writes are shared, and yet
// each request sees the changes of those before it.

import Scripts
import TestSupport
import Testing

struct RenewalTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  /// Calls a script once for these requests of five words; the words before the replies' bodies.
  private func call(_ script: Script, _ requests: [[String]]) throws -> [ScriptReply] {
    let keys = [String](repeating: bench.base, count: requests.count)
    let items = try bench.call(script, keys: keys, requests.flatMap(\.self)).items
    return try items.map { try ScriptReply($0.string ?? "") }
  }

  /// How often Redis has run a command.
  private func calls(_ command: String, on redis: BareRedisClient) throws -> Int {
    let info = try redis.command("INFO", "commandstats").string ?? ""
    guard
      let line = info.split(separator: "\r\n").first(where: { $0.hasPrefix("cmdstat_\(command):") }
      ),
      let calls = line.firstMatch(of: /calls=(\d+)/)
    else { return 0 }
    return Int(calls.1) ?? 0
  }

  @Test(arguments: [50, 512])
  func `renewals of one call share one read and one write`(count: Int) throws {
    let server = try BareRedis()
    let bench = try ScriptBench(on: server)
    let requests = (0..<count).flatMap { ["d\($0)", "a", "60000", "", ""] }
    let keys = [String](repeating: bench.base, count: count)
    _ = try bench.call(.lock, keys: keys, requests)
    let names = ["mget", "mset", "get", "set", "zadd", "hset", "pexpireat"]
    let before = try names.map { try calls($0, on: bench.redis) }
    let replies = try bench.call(.lock, keys: keys, requests).items.compactMap(\.string)
    #expect(replies.count == count && replies.allSatisfy { $0.contains(#""renewed":true"#) })
    let after = try names.map { try calls($0, on: bench.redis) }
    #expect(zip(after, before).map { $0 - $1 } == [1, 1, 0, 0, 0, 0, 0])
  }

  @Test func `requests for one lock in one call see each other in their order`() throws {
    try bench.run(.lock, "d", "a", "60000", "", "")
    let first = try bench.held("d")
    let replies = try call(
      .lock,
      [
        ["d", "a", "70000", "", ""], ["d", "b", "60000", "", ""], ["d", "a", "80000", "", "r"],
        ["d", "a", "90000", "", ""], ["d", "a", "10000", "", ""], ["d", "a", "95000", "", ""],
        ["d", "a", "80000", "", "r"],
      ])
    #expect(replies.map(\.word) == ["OK", "HELD", "OK", "OK", "OK", "OK", "OK"])
    #expect(replies[0].body["ttl_ms"] as? Int == 70_000)
    #expect(replies[1].body["ttl_ms"] as? Int == 70_000)
    #expect(replies[2].raw == replies[6].raw)
    let now = try bench.held("d")
    #expect(now.token == first.token && now.acquiredAt == first.acquiredAt)
    #expect(now.endsAt >= first.endsAt + 35_000)
    // The shortest of them is its deadline in the index.
    #expect(try bench.due("d") == bench.expiresAt("d"))
    #expect(try (bench.due("d") ?? 0) <= first.endsAt - 50_000 + 1_000)
  }

  @Test func `a lock granted in a call is renewed by the next request of the call`() throws {
    let replies = try call(
      .lock,
      [["d", "a", "60000", "", ""], ["d", "a", "61000", "", ""], ["d", "b", "1000", "", ""]])
    #expect(replies.map(\.word) == ["OK", "OK", "HELD"])
    #expect(replies[0].body["renewed"] as? Bool == false)
    #expect(replies[1].body["renewed"] as? Bool == true)
    #expect(try replies[0].int("token") == replies[1].int("token"))
    #expect(try replies[2].int("ttl_ms") == 61_000)
  }

  @Test(arguments: [Script.lock, .renew])
  func `without a TTL the one that was asked for last is started again`(script: Script) throws {
    for (grant, ms) in [("30s", 30_000), ("=7m", 420_000), ("90500", 90_500), ("1d", 86_400_000)] {
      let device = "d-\(ms)"
      try bench.run(.lock, device, "a", grant, "", "")
      let token = "\(try bench.held(device).token)"
      func renewed(_ ttl: String, _ key: String = "") throws -> Int {
        let shown = script == .lock && key.isEmpty ? "" : token
        return try bench.run(script, device, "a", ttl, shown, key).int("ttl_ms")
      }
      #expect(try renewed("=1h") == ms)
      #expect(try renewed("=1h", "r-\(ms) f") == ms)
      #expect(try bench.held(device).ttlMs == ms)
      // A later ttl= counts from then on, a shorter one too.
      for (asked, wanted) in [("2h", 7_200_000), ("70s", 70_000)] {
        let before = try bench.nowMs()
        #expect(try renewed(asked) == wanted)
        #expect(try renewed("=1h") == wanted)
        #expect(try bench.held(device).ttlMs == wanted)
        let endsAt = try bench.held(device).endsAt
        #expect((before + wanted...(try bench.nowMs()) + wanted).contains(endsAt))
      }
    }
  }

  @Test func `a record without a TTL fails its own request only`() throws {
    for device in ["d1", "d2", "d3"] { try bench.run(.lock, device, "a", "60000", "", "") }
    let record = try bench.redis.command("GET", bench.base + ":held:d2").string ?? ""
    try bench.redis.command("SET", bench.base + ":held:d2", record.replacing(" a ", with: " a x"))
    let replies = ["d1", "d2", "d3"].map { [$0, "a", "=1h", "", ""] }
    let words = try call(.lock, replies).map(\.word)
    #expect(words == ["OK", "ERR", "OK"])
  }

  @Test func `a renewal by another agent changes nothing, between those of holders`() throws {
    for device in ["d1", "d2", "d3"] { try bench.run(.lock, device, "a", "60000", "", "") }
    let token = "\(try bench.held("d2").token)"
    let before = try bench.held("d2")
    let replies = try call(
      .renew,
      [
        ["d1", "a", "70000", "\(try bench.held("d1").token)", ""],
        ["d2", "b", "70000", token, ""], ["d2", "a", "70000", "1", ""],
        ["unheld", "a", "70000", token, ""],
        ["d3", "a", "70000", "\(try bench.held("d3").token)", ""],
      ])
    #expect(replies.map(\.word) == ["OK", "HELD", "STALE", "NONE", "OK"])
    #expect(try bench.held("d2") == before)
    #expect(try bench.record("unheld") == nil)
  }

  @Test(arguments: [Script.lock, .renew])
  func `a renewal keeps the note and the time of acquisition`(script: Script) throws {
    try bench.run(.lock, "d", "a", "60000", "", "")
    try bench.run(.handoff, "d", "a", "b", "60000", "", #"{"why": "lunch break"}"#, "", "")
    let before = try bench.held("d")
    #expect(before.note == #"{"why": "lunch break"}"#)
    let reply = try bench.run(script, "d", "b", "90000", "\(before.token)", "")
    #expect(try reply.int("acquired_at") == before.acquiredAt)
    var after = try bench.held("d")
    #expect(after.endsAt >= before.endsAt + 30_000)
    #expect(after.ttlMs == 90_000)
    (after.endsAt, after.ttlMs) = (before.endsAt, before.ttlMs)
    #expect(after == before)
    // Without a token and an id it is the usual case, though the record is longer than most.
    let usual = try bench.run(.lock, "d", "b", "95000", "", "")
    #expect(try usual.int("acquired_at") == before.acquiredAt)
    #expect(try bench.held("d").note == before.note)
  }

  @Test func `a note is not in the replies to other agents`() throws {
    let note = "[\"" + String(repeating: "n", count: 1_000_000) + "\"]"
    try bench.run(.lock, "d", "a", "60000", "", "")
    try bench.run(.handoff, "d", "a", "b", "60000", "", note, "", "")
    #expect(try bench.redis.command("STRLEN", bench.base + ":held:d").int ?? .max < 128)
    #expect(try bench.run(.holder, "d").raw.utf8.count > 1_000_000)
    // It goes with its lock, in whatever way.
    try bench.run(.handoff, "d", "b", "c", "60000", "", "", "", "")
    #expect(try bench.held("d").note == nil)
    try bench.run(.handoff, "d", "c", "d", "60000", "", "[1]", "", "")
    try bench.run(.handoff, "d", "d", "e", "60000", "", "[2]", "", "")
    #expect(try bench.held("d").note == "[2]")
    try bench.run(.seize, "d", "f", "60000", "")
    #expect(try bench.held("d").note == nil)
    try bench.run(.handoff, "d", "f", "g", "60000", "", "[3]", "", "")
    try bench.run(.unlock, "d", "g", "", "")
    #expect(try bench.redis.command("EXISTS", bench.base + ":note:d").int == 0)
  }

  @Test func `a key that is no record fails its own request and no other`() throws {
    try bench.redis.command("HSET", bench.base + ":held:bad", "a", "1")
    try bench.run(.lock, "known", "a", "60000", "", "")
    let replies = try call(
      .lock,
      [
        ["new", "z", "60000", "", ""], ["bad", "z", "60000", "5", ""],
        ["bad", "z", "60000", "", ""], ["known", "a", "90000", "", ""],
        ["bad", "z", "60000", "", ""],
      ])
    #expect(replies.map(\.word) == ["OK", "ERR", "ERR", "OK", "ERR"])
    #expect(try bench.held("known").endsAt - bench.held("known").acquiredAt >= 90_000)
    #expect(try bench.held("new").agent == "z")
    #expect(try bench.redis.command("HGET", bench.base + ":held:bad", "a") == .text("1"))
  }

  @Test(arguments: [Script.lock, .renew])
  func `a token that is ahead of the clock does not date the lock's acquisition`(
    script: Script
  ) throws {
    try bench.redis.command("HSET", bench.base + ":ledger", "token", "8000000000000000")
    let grant = try bench.run(.lock, "d", "a", "60000", "", "")
    #expect(try grant.int("token") == 8_000_000_000_000_001)
    let acquiredAt = try grant.int("acquired_at")
    #expect(acquiredAt < 4_000_000_000_000)
    let reply = try bench.run(script, "d", "a", "90000", "8000000000000001", "")
    #expect(reply.body["renewed"] as? Bool == true)
    #expect(try reply.int("acquired_at") == acquiredAt)
    #expect(try bench.run(.holder, "d").int("acquired_at") == acquiredAt)
  }

  @Test func `an agent whose name is a prefix of another's is another agent`() throws {
    try bench.run(.lock, "d", "agent", "60000", "", "")
    #expect(try bench.run(.lock, "d", "agen", "60000", "", "").word == "HELD")
    #expect(try bench.run(.lock, "d", "agent2", "60000", "", "").word == "HELD")
    #expect(try bench.run(.lock, "d", "gent", "60000", "", "").word == "HELD")
    #expect(try bench.held("d").agent == "agent")
  }

  @Test func `a device whose id looks like a key is found again`() throws {
    for device in ["x:held:y", ":held:", "a:held:b:held:c"] {
      let reply = try bench.run(.lock, device, "a", "60000", "", "r")
      #expect(reply.word == "OK")
      #expect(try bench.due(device) == bench.held(device).endsAt)
      #expect(try bench.run(.unlock, device, "a", "", "").word == "OK")
      #expect(try bench.record(device) == nil)
    }
  }

  @Test func `in a full Redis without script flags each renewal of the call fails`()
    throws
  {
    let server = try BareRedis("--maxmemory-policy", "noeviction")
    let old = try ScriptBench(on: server, way: .scripts(redisMajor: 6))
    for device in ["d1", "d2"] { try old.run(.lock, device, "a", "60000", "", "") }
    let before = try [old.held("d1"), old.held("d2")]
    try old.redis.command("CONFIG", "SET", "maxmemory", "1")
    let requests = ["d1", "none", "d2"].flatMap { [$0, "a", "90000", "", ""] }
    let others = ["d1", "b", "60000", "", ""]
    let keys = [String](repeating: old.base, count: 4)
    let reply = try old.call(.lock, keys: keys, requests + others)
    let lines = reply.items.compactMap(\.string)
    #expect(lines.count == 4 && lines.prefix(3).allSatisfy { $0.contains("OOM ") }, "\(reply)")
    // No reply has a deadline that was not written.
    #expect(try ScriptReply(lines[3]).int("ttl_ms") <= 60_000)
    #expect(try [old.held("d1"), old.held("d2")] == before)
  }

  /// A reply in a form that can be compared between two Redis: tokens by their order of
  /// appearance, and times to the nearest 100 s, which all TTLs here are multiples of.
  private static func essence(_ reply: ScriptReply, _ tokens: inout [Int]) throws -> String {
    var words = [reply.word, reply.body["agent"] as? String ?? "-"]
    if let ttlMs = reply.body["ttl_ms"] as? Int { words.append("\((ttlMs + 50_000) / 100_000)") }
    if let renewed = reply.body["renewed"] as? Bool { words.append("\(renewed)") }
    if let token = reply.body["token"] as? Int {
      if !tokens.contains(token) { tokens.append(token) }
      words.append("token \(tokens.firstIndex(of: token) ?? -1)")
    }
    return words.joined(separator: " ")
  }

  @Test(arguments: 1...20)
  func `many requests in one call have the effects that they have one by one`(part: Int) throws {
    let (together, alone) = (try ScriptBench(), try ScriptBench())
    var random = Seeded("requests in one call, part \(part)")
    var (tokensTogether, tokensAlone): ([Int], [Int]) = ([], [])
    for round in 0..<12 {
      let script = [Script.lock, .lock, .renew].randomElement(using: &random) ?? .lock
      // By place, since the two do not have the same tokens; one more stands for an unknown token.
      let known = tokensTogether.indices.map { $0 } + [tokensTogether.count]
      let plans = (0..<Int.random(in: 1...40, using: &random)).map { index in
        let isFenced = script == .renew || Int.random(in: 0..<4, using: &random) == 0
        let hasID = Int.random(in: 0..<5, using: &random) == 0
        return (
          words: [
            "d\(Int.random(in: 0..<3, using: &random))",
            ["a", "ab"].randomElement(using: &random) ?? "",
            "\(Int.random(in: 1...5, using: &random) * 100_000)",
          ], token: isFenced ? known.randomElement(using: &random) : nil,
          req: hasID ? "r\(round)-\(index % 7)" : ""
        )
      }
      func requests(_ tokens: [Int]) -> [[String]] {
        plans.map { plan in
          let token = plan.token.map { $0 < tokens.count ? "\(tokens[$0])" : "1" } ?? ""
          return plan.words + [token, plan.req]
        }
      }
      let keys = [String](repeating: together.base, count: plans.count)
      let one = try together.call(script, keys: keys, requests(tokensTogether).flatMap(\.self))
      let replies = try one.items.map { try ScriptReply($0.string ?? "") }
      let others = try requests(tokensAlone).map { try alone.run(script, $0) }
      let shared = try replies.map { try Self.essence($0, &tokensTogether) }
      #expect(shared == (try others.map { try Self.essence($0, &tokensAlone) }))
      for device in ["d0", "d1", "d2"] {
        let (one, other) = (try together.record(device), try alone.record(device))
        #expect(one?.agent == other?.agent)
        guard let one, let other else { continue }
        #expect(abs((one.endsAt - one.acquiredAt) - (other.endsAt - other.acquiredAt)) < 50_000)
        #expect(try together.due(device) ?? .max <= one.endsAt)
        #expect(try together.due(device) == together.expiresAt(device))
      }
    }
  }
}
