// Owns: the tests of the scripts in a full Redis: nothing can be acquired, everything can be freed.

import Scripts
import Testing
import TestSupport

@Suite(.serialized) struct FullRedisTests {
  private let server: BareRedis
  private let bench: ScriptBench

  init() throws {
    server = try BareRedis("--maxmemory-policy", "noeviction")
    bench = try ScriptBench(on: server)
  }

  private func fill() throws { try bench.redis.command("CONFIG", "SET", "maxmemory", "1") }

  @Test(
    arguments: [
      (.lock, ["free", "a", "60000", "", "r"]), (.lock, ["d", "a", "60000", "", ""]),
      (.seize, ["d", "b", "60000", ""]), (.handoff, ["d", "a", "b", "60000", "", "", "", ""]),
      (.lock, ["over", "b", "60000", "", ""]),
    ] as [(Script, [String])])
  func `a script that acquires is rejected before it writes`(
    script: Script, request: [String]
  ) throws {
    try bench.run(.lock, "d", "a", "60000", "", "")
    try bench.run(.lock, "over", "a", "10", "", "")
    try eventually("the end of the TTL key") { try bench.expiresAt("over") == -2 }
    try fill()
    let before = try bench.everything()
    let reply = try bench.call(script, keys: [bench.base], request)
    guard case .error(let text) = reply else {
      Issue.record("\(script.name) is not refused: \(reply)")
      return
    }
    #expect(text.hasPrefix("OOM "), "\(text)")
    #expect(try bench.everything() == before)
  }

  @Test func `scripts that renew, free, reap or read work`() throws {
    let token = "\(try bench.run(.lock, "d", "a", "60000", "", "").int("token"))"
    for device in ["d2", "d3"] { try bench.run(.lock, device, "a", "60000", "", "") }
    try bench.run(.lock, "over", "a", "10", "", "")
    try bench.wait(until: try bench.held("over").endsAt)
    try fill()
    #expect(try bench.run(.renew, "d", "a", "90000", token, "r1").word == "OK")
    #expect(try bench.run(.holder, "d").word == "OK")
    #expect(try bench.run(.unlock, "d2", "a", "", "r2").word == "OK")
    #expect(try bench.run(.clear, "d3", "r3").word == "OK")
    #expect(try bench.reap().lateMs.count == 1)
    #expect(try bench.events().map(\.kind) == ["lock.cleared", "lock.abandoned"])
    let hello = try bench.call(.hello, keys: ["lk:partitions"], ["256 1"])
    #expect(hello.items.first == .text("256 1"))
    try bench.redis.command("CONFIG", "SET", "maxmemory", "0")
    #expect(try bench.run(.lock, "free", "a", "60000", "", "").word == "OK")
  }

  @Test func `a Redis without script flags refuses as one line of the call, and writes nothing`()
    throws
  {
    // As in Redis 6.2: the first write inside the script is rejected.
    let old = try ScriptBench(on: server, way: .scripts(redisMajor: 6))
    try old.run(.lock, "d", "a", "60000", "", "")
    try fill()
    let before = try old.everything()
    let reply = try old.call(.lock, keys: [old.base], ["free", "a", "60000", "", ""])
    #expect("\(reply)".contains("OOM "), "\(reply)")
    #expect(try old.everything() == before)
  }

  @Test func `a move that is refused in the middle of its script leaves its deadline in the index`()
    throws
  {
    let old = try ScriptBench(on: server, way: .scripts(redisMajor: 6))
    let request = Opening(session: "S1", clocks: "60000 0 0 60000 60000 0").open
    #expect(try old.run(.open, request).word == "OK")
    let before = try old.everything()
    try old.redis.command("CONFIG", "SET", "maxmemory", "1")
    let reply = try old.call(
      .changeState, keys: [old.base], ["d", "S1", "PAUSE", "paused", "", "", ""])
    #expect("\(reply)".contains("OOM "), "\(reply)")
    try old.redis.command("CONFIG", "SET", "maxmemory", "0")
    #expect(try old.everything() == before)
  }
}
