// Owns: the tests of fencing tokens: for one device, each new holder's is greater than all before.

import Scripts
import Testing
import TestSupport

struct TokenTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private func lock(_ device: String = "d", _ agent: String = "a", ttl: Int = 3_600_000) throws
    -> Int
  {
    let reply = try bench.run(.lock, device, agent, "\(ttl)", "", "")
    guard reply.word == "OK" else { throw TestFailure("\(reply)") }
    return try reply.int("token")
  }

  @Test func `tokens grow over all the ways in which a lock changes hands`() throws {
    var tokens = [try lock()]
    try bench.run(.unlock, "d", "a", "", "")
    tokens.append(try lock("d", "b"))
    tokens.append(try bench.run(.handoff, "d", "b", "c", "3600000", "", "", "", "").int("token"))
    tokens.append(try bench.run(.handoff, "d", "c", "c", "3600000", "", "", "", "").int("token"))
    tokens.append(try bench.run(.seize, "d", "a", "3600000", "").int("token"))
    tokens.append(try bench.run(.seize, "d", "a", "20", "").int("token"))
    try bench.wait(until: try bench.held("d").endsAt)
    tokens.append(try lock())
    try bench.run(.clear, "d", "")
    tokens.append(try lock("d", "a", ttl: 20))
    try bench.wait(until: try bench.held("d").endsAt)
    #expect(try bench.reap().lateMs.count == 1)
    tokens.append(try lock())
    // State that a failover or an old copy can lose.
    try bench.run(.unlock, "d", "a", "", "")
    try bench.redis.command("DEL", bench.base + ":ledger")
    tokens.append(try lock())
    try bench.redis.command("DEL", bench.base + ":ledger", bench.base + ":held:d")
    tokens.append(try lock())
    #expect(tokens == Array(Set(tokens)).sorted(), "\(tokens)")
    #expect(tokens.allSatisfy { $0 > 0 && $0 < 1 << 53 }, "\(tokens)")
  }

  @Test func `a renewal keeps the token`() throws {
    let token = try lock()
    #expect(try lock() == token)
    let renewed = try bench.run(.renew, "d", "a", "1000", "\(token)", "")
    #expect(try renewed.int("token") == token)
  }

  @Test func `tokens grow within one call of many requests`() throws {
    let requests = (0..<100).flatMap { ["d\($0)", "a", "3600000", "", ""] }
    let keys = [String](repeating: bench.base, count: 100)
    let tokens = try bench.call(.lock, keys: keys, requests).items.map {
      try ScriptReply($0.string ?? "").int("token")
    }
    #expect(tokens.count == 100)
    #expect(tokens == Array(Set(tokens)).sorted())
  }

  @Test func `a token is at least the time, so that lost writes do not bring one back`() throws {
    let before = try bench.nowMs() * 1_000
    let token = try lock()
    #expect(token >= before && token < before + 60_000_000)
  }

  @Test func `tokens grow where the last one is far ahead of the clock`() throws {
    let ahead = 8_000_000_000_000_000
    try bench.redis.command("HSET", bench.base + ":ledger", "token", "\(ahead)")
    #expect(try lock() == ahead + 1)
    #expect(try bench.run(.seize, "d", "b", "3600000", "").int("token") == ahead + 2)
    #expect(try bench.ledger()["token"] == "\(ahead + 2)")
    #expect(try bench.held("d").token == ahead + 2)
  }

  @Test func `an old holder's token is rejected once another agent has had the lock`() throws {
    let first = "\(try lock())"
    try bench.run(.unlock, "d", "a", "", "")
    let second = "\(try lock())"
    #expect(first != second)
    #expect(try bench.run(.renew, "d", "a", "1000", first, "").word == "STALE")
    #expect(try bench.run(.unlock, "d", "a", first, "").word == "STALE")
    #expect(try bench.run(.lock, "d", "a", "1000", first, "").word == "STALE")
    #expect(try bench.run(.handoff, "d", "a", "b", "1000", first, "", "", "").word == "STALE")
    #expect(try bench.held("d").token == Int(second))
  }
}
