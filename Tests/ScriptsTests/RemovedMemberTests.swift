// Owns: the tests of the tombstones of removed members: their revisions, up to a limit.

import Scripts
import Testing
import TestSupport

struct RemovedMemberTests {
  private let bench: ScriptBench
  /// Four times as many members as this may be there before those that were removed are forgotten.
  private static let fieldsMax = 8

  init() throws {
    var constants = ScriptConstants(reqKeepMs: 600_000, eventsMax: 1_000)
    constants.fieldsMax = Self.fieldsMax
    bench = try ScriptBench(constants)
  }

  private static func parts(_ words: [String]) -> String {
    words.map { "\($0.utf8.count) \($0)" }.joined()
  }

  private static func nulls(_ range: Range<Int>) -> [String] {
    range.flatMap { ["f:\"m\($0)\"", "null"] }
  }

  private func open(_ members: [String]) throws {
    #expect(try bench.run(.open, Opening(members: Self.parts(members)).open).word == "OK")
  }

  private func set(_ members: [String], seen rev: String = "") throws -> ScriptReply {
    try bench.run(.set, "d", "S", Self.parts(members), rev, "", "", "", "", "", "")
  }

  /// The names of members of which the record has a line.
  private func lines() throws -> Int {
    let flat = try bench.redis.command("HKEYS", bench.base + ":session:d/S").items
    return flat.count { $0.string?.hasPrefix("f:") == true }
  }

  @Test func `a write that saw a removed member conflicts, also after the tombstone is gone`()
    throws
  {
    try open(["f:\"a\"", "1"])
    #expect(try set(Self.nulls(0..<5)).int("rev") == 2)
    #expect(try lines() == 6)
    #expect(try set(["f:\"m1\"", "1"], seen: "1").word == "STALE")
    #expect(try set(["f:\"m9\"", "1"], seen: "1").word == "OK")
    #expect(try set(Self.nulls(10..<40)).word == "OK")
    #expect(try lines() == 2)
    // Now it might be any of them.
    #expect(try set(["f:\"m99\"", "1"], seen: "1").word == "STALE")
    #expect(try set(["f:\"m99\"", "1"], seen: "4").word == "OK")
  }

  @Test func `imported tombstones are dropped when there are many`() throws {
    let now = try bench.nowMs()
    var fields = [
      "state", "active", "rev", "7", "clocks", "0 0 0 60000 60000 0", "thread", "\"t\"",
      "f:\"a\"", "7 1", "fields", "1",
    ]
    for name in ["created", "active", "born", "since"] { fields += [name, "\(now)"] }
    fields += (0..<5_000).flatMap { ["f:\"m\($0)\"", "3"] }
    let reply = try bench.run(.import, "d", "S", "", Self.parts(fields), "", "", "", "", "", "", "")
    #expect(reply.word == "OK")
    #expect(try lines() == 1)
    #expect(try set(["f:\"m1\"", "1"], seen: "6").word == "STALE")
    #expect(try set(["f:\"m1\"", "1"], seen: "7").word == "OK")
  }
}
