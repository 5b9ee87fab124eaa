// Owns: the tests of what LOCK and RENEW do together in one call: reads and writes are shared, and
// yet each request sees what those before it have done.

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
  private func calls(_ command: String, on redis: RedisClient) throws -> Int {
    let info = try redis.command("INFO", "commandstats").string ?? ""
    guard
      let line = info.split(separator: "\r\n").first(where: { $0.hasPrefix("cmdstat_\(command):") }
      ),
      let calls = line.firstMatch(of: /calls=(\d+)/)
    else { return 0 }
    return Int(calls.1) ?? 0
  }

  @Test func `renewals of one call share one read and one write`() throws {
    let server = try RedisServer()
    let bench = try ScriptBench(on: server)
    let requests = (0..<50).flatMap { ["d\($0)", "a", "60000", "", ""] }
    let keys = [String](repeating: bench.base, count: 50)
    _ = try bench.call(.lock, keys: keys, requests)
    let names = ["mget", "mset", "get", "set", "zadd", "hset", "pexpireat"]
    let before = try names.map { try calls($0, on: bench.redis) }
    let replies = try bench.call(.lock, keys: keys, requests).items.compactMap(\.string)
    #expect(replies.count == 50 && replies.allSatisfy { $0.contains(#""renewed":true"#) })
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
    // The shortest of them is when it is looked at.
    #expect(try bench.due("d") == bench.expiresAt("d"))
    #expect(try (bench.due("d") ?? 0) <= first.endsAt - 50_000 + 1_000)
  }

  @Test func `a lock taken in a call is renewed by the next request of the call`() throws {
    let replies = try call(
      .lock,
      [["d", "a", "60000", "", ""], ["d", "a", "61000", "", ""], ["d", "b", "1000", "", ""]])
    #expect(replies.map(\.word) == ["OK", "OK", "HELD"])
    #expect(replies[0].body["renewed"] as? Bool == false)
    #expect(replies[1].body["renewed"] as? Bool == true)
    #expect(try replies[0].int("token") == replies[1].int("token"))
    #expect(try replies[2].int("ttl_ms") == 61_000)
  }

  @Test func `whoever does not hold a lock changes nothing, between those who do`() throws {
    for device in ["d1", "d2", "d3"] { try bench.run(.lock, device, "a", "60000", "", "") }
    let token = "\(try bench.held("d2").token)"
    let before = try bench.held("d2")
    let replies = try call(
      .renew,
      [
        ["d1", "a", "70000", "\(try bench.held("d1").token)", ""],
        ["d2", "b", "70000", token, ""], ["d2", "a", "70000", "1", ""],
        ["nobody", "a", "70000", token, ""],
        ["d3", "a", "70000", "\(try bench.held("d3").token)", ""],
      ])
    #expect(replies.map(\.word) == ["OK", "HELD", "STALE", "NONE", "OK"])
    #expect(try bench.held("d2") == before)
    #expect(try bench.record("nobody") == nil)
  }

  @Test(arguments: [Script.lock, .renew])
  func `a renewal keeps the note and the time of acquisition`(script: Script) throws {
    try bench.run(.lock, "d", "a", "60000", "", "")
    try bench.run(.handoff, "d", "a", "b", "60000", "", #"{"why": "lunch break"}"#, "")
    let before = try bench.held("d")
    #expect(before.note == #"{"why": "lunch break"}"#)
    let reply = try bench.run(script, "d", "b", "90000", "\(before.token)", "")
    #expect(try reply.int("acquired_at") == before.acquiredAt)
    var after = try bench.held("d")
    #expect(after.endsAt >= before.endsAt + 30_000)
    after.endsAt = before.endsAt
    #expect(after == before)
  }

  @Test(arguments: [Script.lock, .renew])
  func `a token that is ahead of the clock does not tell when the lock was acquired`(
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

  @Test func `an agent whose name another one's begins with is somebody else`() throws {
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

  @Test func `in a full Redis without script flags each renewal of the call hears that it failed`()
    throws
  {
    let server = try RedisServer("--maxmemory-policy", "noeviction")
    let old = try ScriptBench(on: server, redisMajor: 6)
    for device in ["d1", "d2"] { try old.run(.lock, device, "a", "60000", "", "") }
    let before = try [old.held("d1"), old.held("d2")]
    try old.redis.command("CONFIG", "SET", "maxmemory", "1")
    let requests = ["d1", "none", "d2"].flatMap { [$0, "a", "90000", "", ""] }
    let reply = try old.call(.lock, keys: [old.base, old.base, old.base], requests)
    let lines = reply.items.compactMap(\.string)
    #expect(lines.count == 3 && lines.allSatisfy { $0.contains("OOM ") }, "\(reply)")
    #expect(try [old.held("d1"), old.held("d2")] == before)
  }
}
