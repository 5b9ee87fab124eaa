// Owns: the tests of the cleanup of a session, and of the keys that its device's other sessions
// keep.

import Scripts
import Testing
import TestSupport

struct SessionCleanupTests {
  /// A server of its own, since its commands are counted.
  private let server: BareRedis
  private let bench: ScriptBench

  init() throws {
    server = try BareRedis()
    bench = try ScriptBench(on: server)
  }

  private func open(_ session: String, of device: String) throws {
    let request = Opening(device: device, session: session).open
    #expect(try bench.run(.open, request).word == "OK")
  }

  private func line(of device: String) throws -> RedisAnswer {
    try bench.redis.command("HGET", bench.base + ":devices", device)
  }

  /// How often a command was called since this was asked last.
  private func calls(_ command: String) throws -> Int {
    let stats = try bench.redis.command("INFO", "commandstats").string ?? ""
    try bench.redis.command("CONFIG", "RESETSTAT")
    let line = stats.split(whereSeparator: \.isNewline).first {
      $0.hasPrefix("cmdstat_\(command):calls=")
    }
    return Int(line?.split(separator: ",").first?.split(separator: "=").last ?? "") ?? 0
  }

  @Test func `the live sessions are counted once, however many records went`() throws {
    for number in 100..<300 {
      try open("S\(number)", of: "d")
      let close = ["d", "S\(number)", "CLOSE", "completed", "", "", ""]
      #expect(try bench.run(.changeState, close).word == "OK")
    }
    func lose(_ sessions: Range<Int>) throws {
      for number in sessions {
        try bench.redis.command("DEL", bench.base + ":session:d/S\(number)")
        try bench.redis.command("ZADD", bench.base + ":due", "1", "c:d/S\(number)")
      }
    }
    // Nothing is counted that could be too much.
    try lose(100..<150)
    _ = try calls("hget")
    #expect(try bench.reap().due == 50)
    #expect(try calls("hget") < 300)
    #expect(try line(of: "d") == .text("0 S299"))
    for session in ["T1", "T2"] { try open(session, of: "d") }
    #expect(try line(of: "d") == .text("2 T2 T1"))
    try bench.redis.command("DEL", bench.base + ":session:d/T1")
    try bench.redis.command("ZADD", bench.base + ":due", "1", "a:d/T1")
    try lose(150..<200)
    _ = try calls("hget")
    #expect(try bench.reap().due == 51)
    // Each of the remaining ones is read once, not fifty times.
    #expect(try calls("hget") < 500)
    #expect(try line(of: "d") == .text("1 T2"))
  }

  @Test func `a state takes no less than no time, though the clock has gone back`() throws {
    try open("S", of: "d")
    try bench.redis.command("HSET", bench.base + ":session:d/S", "since", "9999999999000")
    #expect(try bench.run(.changeState, "d", "S", "PAUSE", "paused", "", "", "").word == "OK")
    let exported = try bench.run(.export, "d", "S", "99999", "")
    #expect(exported.raw.contains("\"spent\":{\"active\":0}"), "\(exported)")
  }

  @Test func `a device is removed with its last session, whatever others are named`() throws {
    let neighbours = ["d.", "d0", "d-", "dd", "D", "d:"]
    for device in neighbours { try open("N", of: device) }
    try open("S1", of: "d")
    try open("S2", of: "d")
    #expect(try line(of: "d") == .text("2 S2 S1"))
    #expect(try bench.run(.delete, "d", "S2", "", "").word == "OK")
    #expect(try line(of: "d") == .text("1 S1"))
    #expect(try bench.run(.delete, "d", "S1", "", "").word == "OK")
    #expect(try line(of: "d") == .null)
    for device in neighbours { #expect(try line(of: device) == .text("1 N")) }
  }
}
