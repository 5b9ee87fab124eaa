// Owns: the test that each script answers with each of the words that its header lists, in each
// way that leads there, and with nothing else; and the shapes of those answers.

import Foundation
import Scripts
import SessionModel
import TestSupport
import Testing

struct ReturnWordTests {
  /// One way to an answer: the state before it, the request, the word and the names in its body.
  struct Way: Sendable, CustomTestStringConvertible {
    var script: Script
    var before: [Step] = []
    /// Other requests of the same call, before this one.
    var ahead: [[String]] = []
    var request: [String]
    var word: String
    var names: Set<String> = []
    /// Whether a group keeps the event log at its bound, with more than its share from the device
    /// `d`, which the agent `a` holds.
    var isLogFull = false

    var testDescription: String { "\(script.name) \(request) -> \(word)" }
  }

  /// A step of the preparation; `TOKEN` stands for the token of the latest grant, `TURN` for the
  /// number of the latest turn, `BEGUN` for what the latest SETTLE names.
  struct Step: Sendable {
    var script: Script
    var arguments: [String]
    init(_ script: Script, _ arguments: String...) { self.init(script, arguments) }

    init(_ script: Script, _ arguments: [String]) {
      self.script = script
      self.arguments = arguments
    }
  }

  private static let hour = "3600000"
  private static let byA = [Step(.lock, "d", "a", hour, "", "")]
  private static let granted: Set = ["agent", "token", "ttl_ms", "acquired_at", "renewed"]
  private static let other: Set = ["agent", "ttl_ms"]

  private static let lock = [
    Way(script: .lock, request: ["d", "a", hour, "", ""], word: "OK", names: granted),
    Way(script: .lock, before: byA, request: ["d", "a", hour, "", ""], word: "OK", names: granted),
    Way(
      script: .lock, before: byA, request: ["d", "a", hour, "TOKEN", ""], word: "OK",
      names: granted),
    Way(script: .lock, before: byA, request: ["d", "b", hour, "", ""], word: "HELD", names: other),
    Way(
      script: .lock, before: byA, request: ["d", "b", hour, "TOKEN", ""], word: "HELD",
      names: other),
    Way(
      script: .lock, before: byA, request: ["d", "a", hour, "1", ""], word: "STALE", names: other),
    Way(script: .lock, request: ["d", "a", hour, "1", ""], word: "STALE", names: ["agent"]),
    Way(
      script: .lock, before: [Step(.unlock, "d", "a", "", "")],
      request: ["d", "a", hour, "", ""], word: "ERR", isLogFull: true),
  ]

  private static let renew = [
    Way(
      script: .renew, before: byA, request: ["d", "a", hour, "TOKEN", ""], word: "OK",
      names: granted),
    Way(script: .renew, request: ["d", "a", hour, "1", ""], word: "NONE"),
    Way(
      script: .renew, before: byA, request: ["d", "b", hour, "TOKEN", ""], word: "HELD",
      names: other),
    Way(
      script: .renew, before: byA, request: ["d", "a", hour, "1", ""], word: "STALE", names: other),
    Way(
      script: .renew, before: byA, request: ["d", "a", hour, "", ""], word: "STALE", names: other),
  ]

  private static let unlock = [
    Way(script: .unlock, before: byA, request: ["d", "a", "", ""], word: "OK", names: ["held_ms"]),
    Way(
      script: .unlock, before: byA, request: ["d", "a", "TOKEN", ""], word: "OK",
      names: ["held_ms"]),
    Way(script: .unlock, request: ["d", "a", "", ""], word: "NONE"),
    Way(script: .unlock, before: byA, request: ["d", "b", "", ""], word: "HELD", names: other),
    Way(script: .unlock, before: byA, request: ["d", "a", "1", ""], word: "STALE", names: other),
  ]

  private static let handoff = [
    Way(
      script: .handoff, before: byA, request: ["d", "a", "b", hour, "", "", "", ""], word: "OK",
      names: granted),
    Way(
      script: .handoff, before: byA, request: ["d", "a", "a", hour, "TOKEN", "[1]", "", ""],
      word: "OK", names: granted),
    Way(script: .handoff, request: ["d", "a", "b", hour, "", "", "", ""], word: "NONE"),
    Way(
      script: .handoff, before: byA, request: ["d", "b", "c", hour, "", "", "", ""], word: "HELD",
      names: other),
    Way(
      script: .handoff, before: byA, request: ["d", "a", "b", hour, "1", "", "", ""], word: "STALE",
      names: other),
    Way(
      script: .handoff, request: ["d", "a", "b", hour, "", "", "", ""], word: "ERR",
      isLogFull: true),
  ]

  private static let rest = [
    Way(
      script: .seize, request: ["d", "a", hour, ""], word: "OK",
      names: granted.union(["seized_from"])),
    Way(
      script: .seize, before: byA, request: ["d", "b", hour, ""], word: "OK",
      names: granted.union(["seized_from"])),
    Way(script: .seize, request: ["d", "b", hour, ""], word: "ERR", isLogFull: true),
    Way(script: .clear, before: byA, request: ["d", ""], word: "OK", names: ["agent", "held_ms"]),
    Way(script: .clear, request: ["d", ""], word: "NONE"),
    Way(
      script: .holder, before: byA, request: ["d"], word: "OK",
      names: ["agent", "ttl_ms", "acquired_at", "waiting"]),
    Way(
      script: .holder, before: byA + [Step(.handoff, "d", "a", "b", hour, "", "{}", "", "")],
      request: ["d"], word: "OK", names: ["agent", "ttl_ms", "acquired_at", "note", "waiting"]),
    Way(script: .holder, request: ["d"], word: "NONE"),
    Way(script: .locksPage, before: byA, request: ["", "", "5"], word: "OK"),
    Way(script: .watchChanges, request: ["d", "60000"], word: "NEW"),
    Way(
      script: .watchChanges, before: [Step(.watchChanges, "*", "60000")], request: ["*", "60000"],
      word: "OK"),
    Way(script: .events, request: ["d", "", "0-0", "10"], word: "OK", names: ["events"]),
    Way(
      script: .events, before: byA + [Step(.seize, "d", "b", hour, "")],
      request: ["d", "", "9999999999999-0", "10"], word: "STALE", names: ["id"]),
  ]

  static let ways = lock + renew + unlock + handoff + rest + waitingWays + turnWays + sessionWays

  @Test(arguments: ways)
  func `a request is answered with its word`(way: Way) throws {
    let bench = try way.isLogFull ? LogBench.full(by: "d", holder: "a") : ScriptBench()
    var (token, turn, begun) = ("0", "0", "0")
    for step in way.before {
      let reply = try bench.run(
        step.script, step.arguments.map { ["TURN": turn, "BEGUN": begun][$0] ?? $0 })
      try #require(["OK", "WAIT", "SETTLE", "NEW"].contains(reply.word), "\(reply)")
      if reply.word == "SETTLE" {
        begun = String(reply.raw.split(separator: " ", maxSplits: 2)[2])
      }
      if reply.names.contains("token") { token = "\(try reply.int("token"))" }
      if reply.names.contains("turn") { turn = "\(try reply.int("turn"))" }
    }
    let request = way.request.map { ["TOKEN": token, "TURN": turn, "BEGUN": begun][$0] ?? $0 }
    let reply =
      try way.ahead.isEmpty
      ? bench.run(way.script, request) : run(request, of: way.script, behind: way.ahead, bench)
    #expect(reply.word == way.word, "\(reply)")
    #expect(reply.names == way.names, "\(reply)")
    // S3: an agent that does not hold the lock never learns its token.
    if reply.word != "OK" { #expect(token == "0" || !reply.raw.contains(token)) }
  }

  /// The reply to the last one of a call's requests.
  private func run(
    _ request: [String], of script: Script, behind ahead: [[String]], _ bench: ScriptBench
  ) throws -> ScriptReply {
    let keys = Array(repeating: bench.base, count: ahead.count + 1)
    let replies = try bench.call(script, keys: keys, ahead.flatMap { $0 } + request).items
    guard replies.count == keys.count, let text = replies.last?.string else {
      throw TestFailure("\(script.name): \(replies.count) replies")
    }
    return try ScriptReply(text)
  }

  @Test(arguments: Script.allCases.filter { $0.argumentsPerRequest > 0 })
  func `each word of the header has a way to it, and no other word`(script: Script) throws {
    let listed = Set(try LuaFile.of(script).list("RETURNS"))
    #expect(Set(Self.ways.filter { $0.script == script }.map(\.word)) == listed)
  }

  /// An expired lock counts as none, for every agent.
  @Test(
    arguments: [
      (.lock, ["d", "b", hour, "", ""], "OK"), (.renew, ["d", "a", hour, "TOKEN", ""], "NONE"),
      (.unlock, ["d", "a", "TOKEN", ""], "NONE"),
      (.handoff, ["d", "a", "b", hour, "TOKEN", "", "", ""], "NONE"),
      (.seize, ["d", "b", hour, ""], "OK"), (.clear, ["d", ""], "NONE"), (.holder, ["d"], "NONE"),
      (.lock, ["d", "a", hour, "TOKEN", ""], "STALE"),
    ] as [(Script, [String], String)])
  func `an expired lock is no lock`(
    script: Script, request: [String], word: String
  ) throws {
    let bench = try ScriptBench()
    let grant = try bench.run(.lock, "d", "a", "10", "", "")
    try bench.wait(until: try bench.held("d").endsAt)
    let token = "\(try grant.int("token"))"
    let reply = try bench.run(script, request.map { $0 == "TOKEN" ? token : $0 })
    #expect(reply.word == word, "\(reply)")
    if script == .seize { #expect(reply.body["seized_from"] is NSNull) }
  }

  @Test func `hello gives the layout in force`() throws {
    let bench = try ScriptBench()
    let key = bench.base + ":partitions"
    func hello(_ layout: String) throws -> RedisAnswer? {
      try bench.call(.hello, keys: [key], [layout]).items.first
    }
    #expect(try hello("256 1") == .text("256 1"))
    #expect(try hello("256 2") == .text("256 1"))
    #expect(try bench.redis.command("GET", key) == .text("256 1"))
  }

  @Test func `a call for several requests answers each of them in order`() throws {
    let bench = try ScriptBench()
    let bases = (0..<3).map { "\(bench.base)-\($0)" }
    let keys = [bases[0], bases[1], bases[0], bases[2], bases[0]]
    let agents = ["a", "b", "c", "d", "a"]
    let arguments = agents.flatMap { ["d", $0, Self.hour, "", ""] }
    let replies = try bench.call(.lock, keys: keys, arguments).items.compactMap(\.string)
    #expect(replies.map { $0.prefix { $0 != " " } } == ["OK", "OK", "HELD", "OK", "OK"])
    for (reply, agent) in zip(replies, ["a", "b", "a", "d", "a"]) {
      #expect(try ScriptReply(reply).string("agent") == agent)
    }
    #expect(replies[4].contains(#""renewed":true"#))
  }
}
