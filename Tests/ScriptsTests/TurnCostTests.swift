// Owns: the tests of what a turn reads and writes: few commands in the usual case, nothing where it
// cannot be done, and of a chat what it has once the message is said.

import Scripts
import TestSupport
import Testing

struct TurnCostTests {
  private static let clocks = "1800000 86400000 604800000 0 2592000000 120000"

  /// TURN in a new session of this id if there is none, with parts as its messages.
  private static func turn(
    _ session: String, _ messages: String, policy: String = "", last: Int = 20
  ) -> [String] {
    ["d", "enqueue", "", "1d", "60000", "\(last)", messages, "", "", "0", "0", "", "0"]
      + Opening(session: session, thread: "\"\(session)\"", clocks: clocks, policy: policy).turn
  }

  private static func done(_ turn: Int, _ messages: String) -> [String] {
    ["d", "", "\(turn)", "", "", messages, "", "", "", ""]
  }

  private static func said(_ texts: String...) -> String {
    texts.map { "4 user\($0.utf8.count + 8) {\"t\":\"\($0)\"}" }.joined()
  }

  /// How many commands Redis was sent since this was asked last, those of scripts among them.
  private static func commands(_ bench: ScriptBench) throws -> Int {
    let stats = try bench.redis.command("INFO", "commandstats").string ?? ""
    try bench.redis.command("CONFIG", "RESETSTAT")
    let own = ["fcall", "evalsha", "info", "config"].map { "cmdstat_\($0)" }
    return stats.split(whereSeparator: \.isNewline).reduce(0) { sum, line in
      guard let calls = line.firstMatch(of: /:calls=(\d+),/), !own.contains(where: line.hasPrefix)
      else { return sum }
      return sum + (Int(calls.1) ?? 0)
    }
  }

  @Test func `a message of a conversation takes few commands`() throws {
    let server = try BareRedis()
    let bench = try ScriptBench(on: server)
    var number = try bench.run(.turn, Self.turn("S", Self.said("a"))).int("turn")
    try bench.run(.done, Self.done(number, Self.said("b")))
    _ = try Self.commands(bench)
    number = try bench.run(.turn, Self.turn("T", Self.said("c"))).int("turn")
    // With the first activity of a minute there is one more.
    #expect(try 12...13 ~= Self.commands(bench))
    #expect(try bench.run(.done, Self.done(number, Self.said("d"))).raw == #"OK {"seq":4,"rev":1}"#)
    #expect(try 9...10 ~= Self.commands(bench))
  }

  @Test func `a turn in a chat that is of another type changes nothing`() throws {
    let bench = try ScriptBench()
    let number = try bench.run(.turn, Self.turn("S", Self.said("a"))).int("turn")
    try bench.run(.done, Self.done(number, ""))
    try bench.redis.command("SET", bench.base + ":session:d/S/1", "x")
    for last in [0, 20] {
      let before = try bench.everything()
      #expect(try bench.run(.turn, Self.turn("T", Self.said("b"), last: last)).word == "ERR")
      #expect(try bench.everything() == before)
    }
  }

  @Test func `a turn shows what its chat has once the messages are said`() throws {
    let bench = try ScriptBench()
    let policy = "p 0 0 0 3 trim refuse"
    /// The numbers of the messages that are shown, and whether there are more.
    func begin(_ messages: String, last: Int) throws -> ([Int?], Bool?) {
      let reply = try bench.run(.turn, Self.turn("S", messages, policy: policy, last: last))
      try bench.run(.done, Self.done(try reply.int("turn"), ""))
      let shown = reply.body["messages"] as? [[String: Any]] ?? []
      return (shown.map { $0["seq"] as? Int }, reply.body["more"] as? Bool)
    }
    #expect(try begin(Self.said("a", "b"), last: 20) == ([1, 2], false))
    #expect(try begin(Self.said("c", "d"), last: 20) == ([2, 3, 4], false))
    #expect(try begin(Self.said("e", "f"), last: 2) == ([5, 6], true))
    #expect(try begin(Self.said("g", "h", "i"), last: 2) == ([8, 9], true))
    #expect(try begin("", last: 2) == ([8, 9], true))
    #expect(try begin("", last: 3) == ([7, 8, 9], false))
    #expect(try begin("", last: 0) == ([], true))
    #expect(try begin(Self.said("k"), last: 0) == ([], true))
  }
}
