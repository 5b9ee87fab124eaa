// Owns: the tests that a script that is sent for EVALSHA makes its rare functions only when they
// are called, and that its usual requests call none.

import Scripts
import Testing
import TestSupport

struct RareFunctionTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  static let clocks = "1800000 86400000 604800000 86400000 2592000000 120000"

  /// The usual requests of scripts that are called most often.
  private static let usual: [(script: Script, arguments: [String])] = [
    (.lock, ["a", "=1d"]), (.touch, ["d", "", "", ""]), (.get, ["d", "", ""]),
    (.say, ["d", "", "", "4 user7 {\"a\":1}", "", "", "", "", "", "", "", ""]),
    (.history, ["d", "", "", "", "", "", "", "20"]),
    (.open, opening("T", members: "8 f:\"lang\"4 \"en\"").open),
    (.recoverLatest, opening("U").recover()),
    (.recover, ["d", "S", "", "", "", "", ""]),
    (.set, ["d", "S", "5 f:\"a\"1 1", "", "", "", "", "", "", ""]),
    (.put, ["d", "", "k", "", "", "", "1", "", ""]), (.take, ["d", "", "1 k", "", ""]),
    (.keys, ["d", "", "-", "+", "", "", "10"]),
    (
      .turn,
      [
        "d", "enqueue", "", "1d", "60000", "20", "4 user7 {\"a\":1}", "", "", "0", "0", "", "0",
      ] + opening("T").turn
    ),
    (.done, ["d", "", "TURN", "", "", "4 user7 {\"a\":1}", "", "", "", ""]),
  ]

  /// A session without a thread's name.
  private static func opening(_ session: String, members: String = "") -> Opening {
    Opening(session: session, thread: "\"\(session)\"", clocks: clocks, members: members)
  }

  @Test(arguments: usual.indices)
  func `a usual request makes no rare function`(index: Int) throws {
    let (script, arguments) = Self.usual[index]
    let head = "rarely = function()\n"
    let text = String(decoding: script.text(ScriptBench.constants, redisMajor: 7), as: UTF8.self)
    #expect(text.contains(head), "\(script.name) has no rare functions")
    // When a script attends to the log is drawn by the clock; here it never does.
    let failing = text.replacing(head, with: head + "error('a rare function was called')\n")
      .replacing("now_us % ATTEND_BYTES", with: "ATTEND_BYTES")
    try bench.run(.lock, "d", "a", "=1d", "", "")
    #expect(try bench.run(.open, Self.opening("S").open).word == "OK")
    let message = "4 user7 {\"a\":1}"
    for _ in 0..<2 { try bench.run(.say, "d", "", "", message, "", "", "", "", "", "", "", "") }
    try bench.run(.put, "d", "", "other", "", "", "", "1", "", "")
    var words = arguments
    if let place = words.firstIndex(of: "TURN") {
      let begin = try #require(Self.usual.first { $0.script == .turn }).arguments
      words[place] = try "\(bench.run(.turn, begin).int("turn"))"
    }
    let key = script.keysAreRecords ? bench.base + ":held:d" : bench.base
    let reply = try bench.redis.command(["EVAL", failing, "1", key] + words)
    #expect(!"\(reply)".contains("rare function"), "\(reply)")
    #expect(!"\(reply)".contains("ERR"), "\(reply)")
  }

  @Test func `when a script attends to the log is drawn in one place`() {
    let text = String(
      decoding: Script.say.text(ScriptBench.constants, redisMajor: 7), as: UTF8.self)
    #expect(text.split(separator: "now_us % ATTEND_BYTES").count == 2)
  }

  @Test func `a rare function is called for where its name stands, and nowhere else`() throws {
    let text = String(
      decoding: Script.touch.text(ScriptBench.constants, redisMajor: 7), as: UTF8.self)
    #expect(text.contains("rarely().open_live(base, device, own or session, token"))
    #expect(!text.contains(".rarely()") && !text.contains("local rarely()"))
    // Each that is called for is there.
    let made = try #require(text.firstMatch(of: /\nmade = \{([^}]*)\}/)).1.split(separator: ", ")
    let given = Set(made.map { String($0.prefix { $0 != " " }) })
    for match in text.matches(of: /rarely\(\)\.([a-z_]+)/) {
      #expect(given.contains(String(match.1)))
    }
  }
}
