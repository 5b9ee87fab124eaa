// Owns: the tests of records that versions with other clocks have written, as in a rolling update.

import Records
import Scripts
import Testing
import TestSupport

struct ClockCountTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private var key: String { bench.base + ":session:d/S" }
  private static let known = "1800000 86400000 604800000 0 2592000000 120000"
  private static let shorter = "1800000 86400000 604800000 0 2592000000"

  private func open(_ clocks: String) throws {
    try bench.show(.open, Opening(clocks: Self.known).open)
    try bench.redis.command("HSET", key, "clocks", clocks)
  }

  private func shown() throws -> String {
    String(decoding: try bench.show(.get, "d", "S").bytes, as: UTF8.self)
  }

  /// SET with the lengths of clocks alone.
  private func set(_ lengths: String) throws -> ScriptReply {
    try bench.run(.set, "d", "S", "", "", "", "", lengths, "", "", "")
  }

  @Test(arguments: [
    (shorter, "\"warn_ms\":0}", ""), (known + " 7", "\"warn_ms\":120000}", " 7"),
    (known + " 7 0", "\"warn_ms\":120000}", " 7 0"),
  ])
  func `a clock less is off, and those of a newer version stay`(
    line: String, last: String, surplus: String
  ) throws {
    try open(line)
    let record = try shown()
    #expect(record.contains("\"idle_ms\":1800000,") && record.contains(last), "\(record)")
    #expect(!record.contains("damaged"), "\(record)")
    #expect(try bench.run(.touch, "d", "S", "", "").word == "OK")
    #expect(try bench.run(.changeState, "d", "S", "PAUSE", "paused", "", "", "").word == "OK")
    #expect(try bench.run(.changeState, "d", "S", "RESUME", "active", "", "", "").word == "OK")
    #expect(try set("60000 - - - - -").word == "OK")
    let warn = last.contains("\"warn_ms\":0}") ? "0" : "120000"
    let kept = try bench.redis.command("HGET", key, "clocks").string
    #expect(kept == "60000 86400000 604800000 0 2592000000 \(warn)\(surplus)")
    #expect(try shown().contains("\"idle_ms\":60000,"))
  }

  @Test(arguments: ["", "1800000", "1800000 86400000 604800000 0", known + " ", known + " x", "x"])
  func `a line that no version writes is corrupt`(line: String) throws {
    try open(line)
    #expect(try set("60000 - - - - -").raw.contains("CORRUPT"))
    #expect(try shown().contains("\"damaged\":["))
  }
}
