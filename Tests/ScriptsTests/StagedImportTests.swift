// Owns: the tests of imports that are written aside in parts: they are put in place as a whole, or
// not at all.

import Scripts
import Testing
import TestSupport

struct StagedImportTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private static func parts(_ list: [String]) -> String {
    list.map { "\($0.utf8.count) \($0)" }.joined()
  }

  private static let members = parts([
    "state", "active", "rev", "3", "clocks", RareFunctionTests.clocks, "created", "1795233692477",
    "active", "1795233692477", "born", "1795233692477", "since", "1795233692477", "thread", "\"t\"",
    "chat", "1", "chats", "2", "fenced", "no", "fields", "1", "q:1", "2", "q:2", "1",
  ])

  @discardableResult private func stage(_ kind: String, _ list: [String]) throws -> String {
    let parts = Self.parts(list)
    return try bench.run(.importPart, "d", "x", kind, parts, "1 2", "60000").raw
  }

  private func put(_ stage: String, replacing: String = "") throws -> ScriptReply {
    try bench.run(.import, "d", "S", replacing, Self.members, "", "", stage, "", "", "", "")
  }

  private func keys(_ pattern: String) throws -> Int {
    try bench.redis.command("KEYS", bench.base + pattern).items.count
  }

  private func ttlMs(_ key: String) throws -> Int {
    try #require(Int(bench.redis.command("PTTL", key).string ?? ""))
  }

  @Test func `parts become a session in one step`() throws {
    #expect(try stage("fields", ["f:\"a\"", "2 {}"]) == "OK {\"parts\":1}")
    let messages = ["1", "1", "5", "{\"n\":1}", "1", "2", "5", "{\"n\":2}", "2", "1", "5", "{}"]
    #expect(try stage("messages", messages) == "OK {\"parts\":2}")
    #expect(try stage("documents", ["k", "2", "5", "9000000000000", "[]"]) == "OK {\"parts\":3}")
    #expect(try keys(":session:d/*") == 0)
    // Too few parts are no session, and what was there stays as it was.
    #expect(try put("x 4").raw.hasPrefix("ERR overloaded"))
    #expect(try keys(":session:d/*") == 0)
    let shown = try put("x 3")
    #expect(shown.word == "OK" && shown.raw.contains("\"fields\":{\"a\":{}}"), "\(shown.raw)")
    #expect(try keys(":import:*") == 0)
    #expect(try bench.run(.history, "d", "S", "1", "", "", "", "", "9").raw.contains("{\"n\":2}"))
    #expect(try bench.run(.take, "d", "S", "1 k", "", "").raw.contains("\"value\":[]"))
    let due = try bench.redis.command("ZSCORE", bench.base + ":due", "d:d/S")
    #expect(due.string == "9000000000000")
    // It goes by its own clocks, not by those of its parts.
    for key in ["", "/1", "/2", "/docs", "/ttl"] {
      let ttl = try ttlMs(bench.base + ":session:d/S" + key)
      #expect(ttl > 600_000 || ttl == -1, "\(key): \(ttl)")
    }
    #expect(try put("x 3", replacing: "yes").raw.hasPrefix("ERR overloaded"))
    #expect(try bench.run(.get, "d", "S", "").raw.contains("\"fields\":{\"a\":{}}"))
  }

  @Test func `parts that nothing follows go by themselves`() throws {
    try stage("fields", ["f:\"a\"", "2 {}"])
    try stage("messages", ["2", "1", "5", "{}"])
    for key in try bench.redis.command("KEYS", bench.base + ":import:*").items.compactMap(\.string)
    {
      #expect(1...60_000 ~= (try ttlMs(key)), "\(key)")
    }
    #expect(try stage("drop", []) == "OK")
    #expect(try keys(":import:*") == 0)
  }
}
