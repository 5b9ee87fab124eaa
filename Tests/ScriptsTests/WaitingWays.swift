// Owns: the ways in which the scripts of locks answer with each word that they list, where callers
// wait.

import Scripts

extension ReturnWordTests {
  private static let hour = "3600000"
  private static let byA = [Step(.lock, "d", "a", hour, "", "")]
  private static let granted: Set = ["agent", "token", "ttl_ms", "acquired_at", "renewed"]
  private static let other: Set = ["agent", "ttl_ms"]

  /// The arguments of a LOCK that may wait.
  private static func lock(
    _ agent: String, fresh: String = "", ticket: String = ""
  ) -> [String] {
    ["d", agent, hour, "", fresh, ticket, "9000", "0", "", ""]
  }

  private static let (ofB, ofC) = ("w 0.1 - b -", "w 0.2 - c fresh")
  private static let waiting = byA + [Step(.awaitLock, lock("b", ticket: ofB))]
  /// B has a grant, and has not begun it.
  private static let grant = waiting + [Step(.unlock, "d", "a", "", "")]

  static let waitingWays: [Way] = acquiring + refused + leaving + others + returning

  private static let acquiring = [
    Way(script: .awaitLock, request: lock("a"), word: "OK", names: granted),
    Way(script: .awaitLock, before: byA, request: lock("a"), word: "OK", names: granted),
    Way(script: .awaitLock, before: byA, request: lock("b"), word: "HELD", names: other),
    Way(
      script: .awaitLock, before: byA, request: lock("a", fresh: "yes"), word: "HELD",
      names: other),
    Way(
      script: .awaitLock, before: byA, request: lock("c", fresh: "yes", ticket: ofC),
      word: "WAIT"),
    Way(
      script: .awaitLock, before: grant, request: lock("b", ticket: ofB), word: "OK",
      names: granted),
    Way(script: .awaitLock, before: grant, request: lock("b"), word: "OK", names: granted),
    Way(script: .awaitLock, before: grant, request: lock("c", ticket: ofC), word: "WAIT"),
  ]

  private static let refused = [
    Way(
      script: .awaitLock, before: [Step(.unlock, "d", "a", "", "")], request: lock("a"),
      word: "ERR",
      isLogFull: true),
    Way(
      script: .awaitLock,
      before: [
        Step(.awaitLock, lock("b", ticket: ofB)), Step(.unlock, "d", "a", "", ""),
      ], request: lock("b", ticket: ofB), word: "ERR", isLogFull: true),
  ]

  private static let leaving = [
    Way(
      script: .leaveLock, before: waiting, request: ["d", ofB, ""], word: "HELD", names: other),
    Way(script: .leaveLock, before: grant, request: ["d", ofB, ""], word: "MINE"),
    Way(script: .leaveLock, before: byA, request: ["d", "w 0.1 - a -", ""], word: "MINE"),
    Way(
      script: .leaveLock, before: byA, request: ["d", "w 0.1 - a fresh", ""], word: "HELD",
      names: other),
    Way(script: .leaveLock, before: grant, request: ["d", ofB, "yes"], word: "NONE"),
  ]

  /// The other verbs while a grant waits for its worker.
  private static let others = [
    Way(
      script: .lock, before: grant, request: ["d", "b", hour, "", ""], word: "OK", names: granted),
    Way(
      script: .lock, before: grant, request: ["d", "c", hour, "", ""], word: "HELD", names: other),
    Way(script: .renew, before: grant, request: ["d", "b", hour, "1", ""], word: "NONE"),
    Way(script: .unlock, before: grant, request: ["d", "b", "", ""], word: "NONE"),
    Way(
      script: .handoff, before: grant, request: ["d", "b", "c", hour, "", "", "", ""], word: "NONE"
    ),
    Way(
      script: .clear, before: grant, request: ["d", ""], word: "OK", names: ["agent", "held_ms"]),
    Way(
      script: .seize, before: grant, request: ["d", "c", hour, ""], word: "OK",
      names: granted.union(["seized_from"])),
    Way(
      script: .holder, before: grant, request: ["d"], word: "OK",
      names: ["agent", "ttl_ms", "acquired_at", "waiting"]),
  ]

  /// A has lent its lock to b.
  private static let lent = byA + [Step(.handoff, "d", "a", "b", hour, "", "", "10m", "")]

  private static let returning = [
    Way(
      script: .holder, before: lent, request: ["d"], word: "OK",
      names: ["agent", "ttl_ms", "acquired_at", "returns_to", "waiting"]),
    Way(
      script: .unlock, before: lent, request: ["d", "b", "", ""], word: "OK", names: ["held_ms"]),
    Way(
      script: .lock, before: lent + [Step(.unlock, "d", "b", "", "")],
      request: ["d", "b", hour, "", ""], word: "HELD", names: other),
    Way(
      script: .lock, before: lent + [Step(.clear, "d", "")],
      request: ["d", "b", hour, "", ""], word: "OK", names: granted),
  ]
}
