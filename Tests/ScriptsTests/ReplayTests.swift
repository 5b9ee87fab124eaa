// Owns: the tests of idempotency keys: a change is made once, and a retry changes nothing.

import Scripts
import Testing
import TestSupport

struct ReplayTests {
  private static let byA = ["d", "a", "60000", "", ""]

  /// A request with the key `r`, after a lock by `a` or none.
  struct Case: Sendable, CustomTestStringConvertible {
    var script: Script
    var isHeld: Bool
    var request: [String]
    var word: String
    var testDescription: String { "\(script.name) -> \(word)" }
  }

  static let cases = [
    Case(script: .lock, isHeld: false, request: ["d", "a", "60000", "", "r f"], word: "OK"),
    Case(script: .lock, isHeld: true, request: ["d", "a", "60000", "", "r f"], word: "OK"),
    Case(script: .unlock, isHeld: true, request: ["d", "a", "", "r f"], word: "OK"),
    Case(
      script: .handoff, isHeld: true, request: ["d", "a", "b", "60000", "", "[ 1 ]", "", "r f"],
      word: "OK"),
    Case(script: .seize, isHeld: true, request: ["d", "b", "60000", "r f"], word: "OK"),
    Case(script: .clear, isHeld: true, request: ["d", "r f"], word: "OK"),
  ]

  static let refusals = [
    Case(script: .lock, isHeld: true, request: ["d", "b", "60000", "", "r f"], word: "HELD"),
    Case(script: .lock, isHeld: true, request: ["d", "a", "60000", "1", "r f"], word: "STALE"),
    Case(script: .renew, isHeld: false, request: ["d", "a", "60000", "1", "r f"], word: "NONE"),
    Case(script: .renew, isHeld: true, request: ["d", "b", "60000", "1", "r f"], word: "HELD"),
    Case(script: .unlock, isHeld: false, request: ["d", "a", "", "r f"], word: "NONE"),
    Case(script: .clear, isHeld: false, request: ["d", "r f"], word: "NONE"),
  ]

  @Test(arguments: cases)
  func `a repeated request gets the same bytes and changes nothing`(kept: Case) throws {
    let bench = try ScriptBench()
    if kept.isHeld { try bench.run(.lock, Self.byA) }
    let first = try bench.run(kept.script, kept.request)
    #expect(first.word == kept.word)
    let state = try bench.everything()
    for _ in 0..<3 { #expect(try bench.run(kept.script, kept.request).raw == first.raw) }
    // Another request under the same key is refused, whatever it is.
    let other = kept.request.dropLast() + ["r g"]
    let refused = try bench.run(kept.script, Array(other))
    #expect(refused.raw.hasPrefix("ERR conflict "), "\(refused)")
    #expect(try bench.run(.clear, "d", "r h").raw.hasPrefix("ERR conflict "))
    #expect(try bench.everything() == state)
    // Also when the world has moved on.
    try bench.run(.seize, "d", "z", "60000", "")
    #expect(try bench.run(kept.script, kept.request).raw == first.raw)
    #expect(try bench.held("d").agent == "z")
  }

  @Test(arguments: refusals)
  func `a reply without a change is not kept, and its key may be used again`(refused: Case) throws {
    let bench = try ScriptBench()
    if refused.isHeld { try bench.run(.lock, Self.byA) }
    let before = try bench.everything()
    #expect(try bench.run(refused.script, refused.request).word == refused.word)
    #expect(try bench.everything() == before)
    try bench.run(.clear, "d", "")
    #expect(try bench.run(.seize, "d", "b", "60000", "r g").word == "OK")
  }

  @Test func `a retry shows a session as it is now, and none if it is gone`() throws {
    let bench = try ScriptBench()
    let clocks = "1800000 86400000 604800000 86400000 2592000000 120000"
    let value = "\"" + String(repeating: "v", count: 200_000) + "\""
    let members = "5 f:\"a\"\(value.utf8.count) \(value)"
    let open = Opening(clocks: clocks, members: members, req: "o f").open
    #expect(try bench.run(.open, open).raw.contains(value))
    let recover = Opening(session: "T", clocks: clocks, req: "l f").recover()
    #expect(try bench.run(.recoverLatest, recover).string("how") == "latest")
    try bench.run(.chat, "d", "", "\"two\"", "", "", "", "c f")
    let costs = ["o", "l", "c"].map { "\(bench.base):req:d/\($0)" }
    for key in costs {
      #expect(try bench.redis.command("MEMORY", "USAGE", key).int ?? .max < 1_024)
    }
    try bench.run(.set, "d", "", "4 name5 \"new\"", "", "", "", "", "", "", "")
    let again = try bench.run(.open, open)
    #expect(try again.string("name") == "new" && again.int("rev") == 3 && again.int("chats") == 2)
    let found = try bench.run(.recoverLatest, recover)
    #expect(try found.string("how") == "latest" && found.int("rev") == 3)
    #expect(try bench.run(.chat, "d", "", "\"two\"", "", "", "", "c f").string("name") == "two")
    #expect(try bench.run(.get, "d", "").int("rev") == 3, "nothing was done again")
    try bench.run(.delete, "d", "", "", "")
    #expect(try bench.run(.open, open).raw == "NONE")
    #expect(try bench.run(.recoverLatest, recover).raw == "NONE")
    #expect(try bench.run(.chat, "d", "", "\"two\"", "", "", "", "c f").raw == "NONE")
    #expect(try bench.events().map(\.kind) == ["session.opened", "session.deleted"])
  }

  @Test func `without an id nothing is kept`() throws {
    let bench = try ScriptBench()
    try bench.run(.lock, Self.byA)
    try bench.run(.unlock, "d", "a", "", "")
    #expect(try bench.everything().keys.allSatisfy { !$0.contains(":req:") })
  }

  @Test func `an id belongs to its device and its partition`() throws {
    let bench = try ScriptBench()
    let keys = [bench.base, bench.base, bench.base + "-2", bench.base]
    let requests = ["d1", "d2", "d1", "d1"].flatMap { [$0, "a", "60000", "", "r"] }
    let replies = try bench.call(.lock, keys: keys, requests).items.compactMap(\.string)
    #expect(replies.count == 4 && replies.allSatisfy { $0.hasPrefix("OK ") })
    #expect(replies[0] == replies[3])
    for (base, count) in [(bench.base, 2), (bench.base + "-2", 1)] {
      #expect(try bench.recordCount(base) == count)
    }
  }

  @Test func `another id is another request`() throws {
    let bench = try ScriptBench()
    let first = try bench.run(.seize, "d", "a", "60000", "r1")
    let second = try bench.run(.seize, "d", "a", "60000", "r2")
    #expect(try second.int("token") > first.int("token"))
    #expect(try bench.run(.seize, "d", "a", "60000", "r1").raw == first.raw)
  }

  @Test func `two requests with one id in one call do the work once`() throws {
    let bench = try ScriptBench()
    let request = ["d", "a", "60000", "r"]
    let replies = try bench.call(.seize, keys: [bench.base, bench.base], request + request)
    #expect(replies.items.count == 2 && replies.items.first == replies.items.last)
    #expect(try bench.events().isEmpty)
  }

  @Test func `an answer is kept as long as it was set, and then the work is done again`() throws {
    let bench = try ScriptBench(ScriptConstants(reqKeepMs: 30, eventsMax: 100))
    let first = try bench.run(.seize, "d", "a", "60000", "r")
    let key = bench.base + ":req:d/r"
    let endsAt = try #require(try bench.redis.command("PEXPIRETIME", key).int)
    if endsAt > 0 { #expect(endsAt <= (try bench.nowMs()) + 30) }
    try eventually("the end of the kept reply") { try bench.redis.command("GET", key) == .null }
    #expect(try bench.run(.seize, "d", "a", "60000", "r").raw != first.raw)
  }

  @Test func `a failure is not kept`() throws {
    let bench = try ScriptBench()
    try bench.redis.command("SET", bench.base + ":held:d", "no record")
    #expect(try bench.run(.lock, "d", "a", "60000", "", "r").word == "ERR")
    try bench.redis.command("DEL", bench.base + ":held:d")
    #expect(try bench.run(.lock, "d", "a", "60000", "", "r").word == "OK")
  }

  // MARK: Requests that share a call

  @Test(arguments: [["", "", ""], ["r1", "r2", "r3"], ["", "r2", ""], ["r1", "", "r3"]])
  func `a request that meets a damaged key fails alone`(ids: [String]) throws {
    let bench = try ScriptBench()
    let bases = (0..<3).map { "\(bench.base)-\($0)" }
    try bench.redis.command("SET", bases[1] + ":held:d", "no record")
    let requests = ids.flatMap { ["d", "a", "60000", "", $0] }
    let replies = try bench.call(.lock, keys: bases, requests).items.compactMap(\.string)
    try #require(replies.count == 3)
    #expect(replies[0].hasPrefix("OK ") && replies[2].hasPrefix("OK "))
    #expect(replies[1].hasPrefix("ERR internal BADLOCK "), "\(replies[1])")
    #expect(replies[1].contains(bases[1] + ":held:d"), "\(replies[1])")
    #expect(!replies[1].contains("\n"))
    #expect(try bench.redis.command("EXISTS", bases[1] + ":ledger", bases[1] + ":due").int == 0)
  }

  // MARK: Notes

  static let notes = [
    "{}", "[]", "[ ]", #"{"a":1,"a":2}"#,
    #"{"b" : [1.0, 1e5, 0.10000000000000000001 ] , "a":null}"#,
    #"{"t":"%d %s %% %.0f","u":"ü \u00e9 é 日本 \"q\" \\ \/"}"#, #"[12345678901234567890,-0.0]"#,
    #"{"long":""# + String(repeating: "x", count: 100_000) + #""}"#,
  ]

  @Test(arguments: notes)
  func `a note is kept byte for byte, until the lock has a new holder`(note: String) throws {
    let bench = try ScriptBench()
    try bench.run(.lock, Self.byA)
    let grant = try bench.run(.handoff, "d", "a", "b", "60000", "", note, "", "")
    let token = "\(try grant.int("token"))"
    let ending = Array((#","note":"# + note).utf8)
    let event = try #require(try bench.events().first)
    #expect(Array(event.text.utf8.suffix(ending.count)) == ending)
    try bench.run(.renew, "d", "b", "70000", token, "")
    try bench.run(.lock, "d", "b", "50000", "", "")
    let shown = try bench.run(.holder, "d").raw
    let rest = ending + Array(#","waiting":0}"#.utf8)
    #expect(Array(shown.utf8.suffix(rest.count)) == rest)
    #expect(try bench.held("d").note.map { Array($0.utf8) } == Array(note.utf8))
    try bench.run(.handoff, "d", "b", "c", "60000", "", "", "", "")
    #expect(try bench.held("d").note == nil)
    #expect(!(try bench.run(.holder, "d").raw.contains("note")))
  }
}
