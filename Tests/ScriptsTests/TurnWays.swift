// Owns: the ways in which the scripts of turns answer with each word that they list.

import Scripts

extension ReturnWordTests {
  private static let clocks = "1800000 86400000 604800000 86400000 2592000000 120000"

  /// The arguments of a TURN with a message; its session is S if it is new.
  private static func turn(
    _ policy: String = "enqueue", agent: String = "", token: String = "", links: String = "",
    members: String = "", req: String = "", ticket: String = "", waited: String = "0",
    settle: String = "0"
  ) -> [String] {
    let opening = Opening(
      thread: "\"S\"", links: links, clocks: clocks, members: members, token: token, req: req)
    return [
      "d", policy, agent, "1d", "60000", "20", "0 7 {\"a\":1}", "", ticket, "9000", waited, "",
      settle,
    ] + opening.turn
  }

  private static let begun = [Step(.turn, turn())]
  private static let joined = [Step(.turn, turn()), Step(.turn, turn("join"))]
  private static let shown: Set = [
    "turn", "ttl_ms", "session", "how", "chat", "seq", "messages", "more", "fields", "phase",
    "step",
    "waited_ms",
  ]
  private static let busy: Set = ["agent", "ttl_ms", "ahead"]
  /// More fields than a session may have.
  private static let tooMany = (0..<129).map { "8 f:\"m\(100 + $0)\"1 1" }.joined()

  static let turnWays: [Way] = beginning + retrying + settling + ending + drafting

  private static let beginning = [
    Way(script: .turn, request: turn(), word: "OK", names: shown),
    Way(script: .turn, request: turn(agent: "a"), word: "OK", names: shown.union(["token"])),
    Way(script: .turn, before: begun, request: turn("join"), word: "OK", names: ["joined", "seq"]),
    Way(script: .turn, before: begun, request: turn("interrupt"), word: "OK", names: shown),
    Way(script: .turn, before: begun, request: turn("rollback"), word: "OK", names: shown),
    Way(script: .turn, before: begun, request: turn(), word: "BUSY", names: busy),
    Way(script: .turn, before: begun, request: turn("reject"), word: "BUSY", names: busy),
    Way(script: .turn, before: begun, request: turn(ticket: "w 0.1 -"), word: "WAIT"),
    Way(
      script: .leaveTurn,
      before: begun + [Step(.turn, turn(ticket: "w 0.1 -")), Step(.done, done())],
      request: ["d", "w 0.1 -", ""], word: "MINE"),
    Way(
      script: .leaveTurn, before: begun, request: ["d", "w 0.1 -", ""], word: "BUSY", names: busy),
    Way(
      script: .turn, before: [Step(.lock, "d", "b", "3600000", "", "")],
      request: turn(agent: "a"), word: "HELD", names: ["agent", "ttl_ms"]),
    Way(script: .turn, request: turn(token: "7"), word: "STALE", names: ["agent"]),
    Way(script: .turn, request: turn(links: "user u\n"), word: "MORE"),
    Way(script: .turn, request: turn(members: tooMany), word: "ERR"),
    // A retry, whose session is gone.
    Way(
      script: .turn,
      before: [Step(.turn, turn(req: "r f")), Step(.delete, "d", "S", "", "")],
      request: turn(req: "r f"), word: "NONE"),
  ]

  /// A request that waits, its retry elsewhere, and another request under its id.
  private static let (first, retry, other) = ("w 0.1 r/aa", "v 0.1 r/aa", "v 0.2 r/bb")
  private static let waits = begun + [Step(.turn, turn(ticket: first))]
  private static let isGranted = waits + [Step(.done, done())]

  private static let retrying = [
    Way(script: .turn, before: waits, request: turn(ticket: retry), word: "WAIT"),
    Way(script: .turn, before: waits, request: turn(ticket: other), word: "ERR"),
    Way(script: .turn, before: isGranted, request: turn(ticket: other), word: "ERR"),
    // A retry has the grant of the first ask; a first ask that comes late has no place any more.
    Way(script: .turn, before: isGranted, request: turn(ticket: retry), word: "OK", names: shown),
    Way(
      script: .turn, before: waits + [Step(.turn, turn(ticket: retry))],
      request: turn(ticket: first, waited: "9"), word: "BUSY", names: busy),
  ]

  private static let settles = [Step(.turn, turn("join", settle: "60000"))]

  private static let settling = [
    Way(script: .turn, request: turn("join", settle: "60000"), word: "SETTLE"),
    Way(
      script: .turn, before: settles, request: turn("join", settle: "60000"), word: "OK",
      names: ["joined", "seq"]),
    Way(
      script: .settleTurn, before: settles, request: ["d", "BEGUN", "", "0", ""], word: "SETTLE"),
    Way(
      script: .settleTurn, before: settles, request: ["d", "BEGUN", "yes", "0", "r f"], word: "OK",
      names: shown),
    Way(
      script: .settleTurn, before: settles + [Step(.turn, turn("interrupt"))],
      request: ["d", "BEGUN", "", "0", ""], word: "STALE", names: ["interrupted"]),
    Way(
      script: .settleTurn, before: settles + [Step(.delete, "d", "S", "", "")],
      request: ["d", "BEGUN", "yes", "0", ""], word: "NONE"),
  ]

  private static let drafting = [
    Way(script: .part, before: begun, request: ["d", "", "TURN", "{}", ""], word: "OK"),
    Way(
      script: .part, before: begun, request: ["d", "", "7", "{}", ""], word: "STALE",
      names: ["interrupted"]),
    Way(
      script: .part, before: begun + [Step(.delete, "d", "S", "", "")],
      request: ["d", "", "TURN", "{}", ""], word: "NONE"),
    Way(
      script: .part,
      before: begun + [Step(.changeState, "d", "S", "CLOSE", "completed", "", "", "")],
      request: ["d", "", "TURN", "{}", ""], word: "ERR"),
  ]

  private static func done(
    _ turn: String = "TURN", seen: String = "", last: String = "", messages: String = "",
    members: String = ""
  ) -> [String] {
    ["d", "", turn, seen, last, messages, members, "", "", ""]
  }

  private static let ending = [
    Way(script: .done, before: begun, request: done(), word: "OK", names: ["seq", "rev"]),
    Way(
      script: .done, before: joined, request: done(messages: "0 7 {\"a\":2}"), word: "OK",
      names: ["seq", "rev", "turn", "messages"]),
    Way(
      script: .done, before: joined, request: done(seen: "2"), word: "OK", names: ["seq", "rev"]),
    Way(
      script: .done, before: joined, request: done(last: "yes"), word: "OK",
      names: ["seq", "rev", "joined"]),
    Way(script: .done, before: begun, request: done("7"), word: "STALE", names: ["interrupted"]),
    Way(script: .done, before: begun, request: done(seen: "2"), word: "STALE", names: ["seq"]),
    Way(script: .done, before: begun, request: done(members: tooMany), word: "ERR"),
    Way(
      script: .done, before: begun + [Step(.delete, "d", "S", "", "")],
      request: done(messages: "0 7 {\"a\":2}"), word: "NONE"),
  ]
}
