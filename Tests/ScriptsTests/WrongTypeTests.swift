// Owns: the tests of keys that partitions or the fleet share and that are of another type: what a
// change says is so, and nothing of others is harmed.

import Foundation
import Scripts
import TestSupport
import Testing

struct WrongTypeTests {
  private static let shared = ["ledger", "devices", "due", "sessions", "events", "users"]

  /// The first way of each script that writes to an answer of OK.
  private static let ways: [ReturnWordTests.Way] = {
    var seen: Set<Script> = []
    return ReturnWordTests.ways.filter { way in
      !way.script.isReadOnly && way.word == "OK"
        && !way.request.contains { ["TOKEN", "TURN", "BEGUN"].contains($0) }
        && seen.insert(way.script).inserted
    }
  }()

  @Test(arguments: ways)
  func `a change is done as a whole or not at all, whichever key is of another type`(
    way: ReturnWordTests.Way
  ) throws {
    for name in Self.shared {
      let bench = try ScriptBench()
      for step in way.before { try bench.run(step.script, step.arguments) }
      let key = "\(bench.base):\(name)"
      _ = try bench.redis.command("DEL", key)
      _ = try bench.redis.command("SET", key, "x")
      let before = try bench.everything()
      let reply = try bench.run(way.script, way.request)
      guard reply.word == "ERR" else {
        #expect(reply.word == "OK", "\(name): \(reply)")
        continue
      }
      #expect(try bench.everything() == before, "\(name): \(reply)")
    }
  }

  @Test func `a list of workers that is of another type is made anew`() throws {
    let bench = try ScriptBench()
    let keys = ["w", "c", "libraries"].map { "\(bench.base):\($0)" }
    func beat() throws -> [RedisAnswer] {
      try bench.call(.heartbeat, keys: keys, ["w1", "3000", "250", "library"]).items
    }
    #expect(try beat() == [.integer(0), .text("w1")])
    for key in keys { _ = try bench.redis.command("DEL", key) }
    for key in keys { _ = try bench.redis.command("HSET", key, "a", "b") }
    #expect(try beat() == [.integer(2), .text("w1")])
    #expect(try beat() == [.integer(0), .text("w1")])
  }

  @Test func `a deadline index that is of another type is made anew from the sessions`() throws {
    let bench = try ScriptBench()
    let clocks = "20 0 0 0 60000 0"
    for session in ["S", "T"] {
      #expect(try bench.run(.open, Opening(session: session, clocks: clocks).open).word == "OK")
    }
    #expect(try bench.run(.lock, "d", "a", "20", "", "").word == "OK")
    let endsAt = try bench.held("d").endsAt
    _ = try bench.redis.command("SET", bench.base + ":due", "x")
    let failures = try bench.call(.reap, keys: [bench.base], ["128", "1000"]).items[3]
    #expect("\(failures)".contains(":due was of another type, and was made anew"))
    try bench.wait(until: endsAt)
    try bench.reap()
    for session in ["S", "T"] {
      #expect(try bench.run(.get, "d", session).string("state") == "paused")
    }
    #expect(try bench.events().count { $0.kind == "lock.abandoned" } == 1)
  }
}
