// Owns: the tests that the checker catches each broken promise by its name, and nothing else: a
// history without a bug, and the same one with one thing changed.

import Testing

@testable import Load

/// One thing that is changed in a good history.
struct Planted: Sendable, CustomTestStringConvertible {
  let name: String
  let rule: Violation.Rule
  let change: @Sendable (inout [Sight]) -> Void

  var testDescription: String { name }

  init(
    _ name: String, _ rule: Violation.Rule, _ change: @escaping @Sendable (inout [Sight]) -> Void
  ) {
    self.name = name
    self.rule = rule
    self.change = change
  }

  /// Puts something in place of a sight.
  init(_ name: String, _ rule: Violation.Rule, at index: Int, _ sight: @autoclosure () -> Sight) {
    let sight = sight()
    self.init(name, rule) { $0[index] = sight }
  }
}

struct PlantedBugTests {
  private static let a = 0
  private static let b = 1
  private static let c = 2

  /// Two agents, a handover, a rival, a renewal, an agent that vanishes, and a third agent.
  static let good: [Sight] = [
    /* 0 */ .call(.lock(a), 0, 4, .grant(100, a, at: 2)),
    /* 1 */ .call(.write(.open, a, 100), 5, 9, .done),
    /* 2 */ .call(.say(1, a, 100), 10, 14, .said(seq: 1)),
    /* 3 */ .call(.lock(b), 15, 18, .held),
    /* 4 */ .call(.say(2, a, 100), 20, 24, .said(seq: 2)),
    /* 5 */ .call(.history(last: 10), 25, 29, .read((1, 1), (2, 2))),
    /* 6 */ .call(LoadCall(.holder), 30, 33, .holder(agent: a, acquiredAtMs: Story.epochMs + 2)),
    /* 7 */ .call(.handoff(a, to: b, 100), 1_000, 1_004, .grant(101, b, at: 1_002)),
    /* 8 */ .event(.reported(.handedOff, 100, a, from: 2, at: 1_002), 1_006),
    /* 9 */ .call(.say(3, a, 100), 1_010, 1_014, .stale),
    /* 10 */ .call(.lock(b), 5_000, 5_004, .grant(101, b, at: 1_002, renewed: true)),
    /* 11 */ .call(.say(4, b, 101), 5_010, 5_014, .said(seq: 3)),
    /* 12 */ .event(.reported(.abandoned, 101, b, from: 1_002, at: 15_002), 15_030),
    /* 13 */ .call(.say(5, b, 101), 15_100, 15_104, .stale),
    /* 14 */ .call(.lock(c), 15_200, 15_204, .grant(105, c, at: 15_202)),
    /* 15 */ .call(.write(.touch, c, 105), 15_210, 15_214, .done),
    /* 16 */ .call(.history(last: 0), 15_220, 15_224, .read((1, 1), (2, 2), (3, 4))),
    /* 17 */ .call(.write(.unlock, c, 105), 15_300, 15_304, .released(heldMs: 100)),
    /* 18 */ .verdict(16_000),
  ]

  @Test func `a good history is called good`() {
    let violation = Story(sights: Self.good).verdict()
    #expect(violation == nil, "\(String(describing: violation))")
  }

  static let bugs: [Planted] = [
    Planted(
      "a rival is granted a lock that is held", .twoHolders, at: 3,
      .call(.lock(b), 15, 18, .grant(101, b, at: 16))),
    Planted(
      "a rival renews a lock that is held", .twoHolders, at: 3,
      .call(.lock(b), 15, 18, .grant(100, a, at: 2, renewed: true))),
    Planted(
      "HOLDER names another agent", .twoHolders, at: 6,
      .call(LoadCall(.holder), 30, 33, .holder(agent: b, acquiredAtMs: Story.epochMs + 2))),
    Planted(
      "the next grant is before the end of the one before", .twoHolders, at: 14,
      .call(.lock(c), 15_200, 15_204, .grant(105, c, at: 15_001))),
    Planted(
      "a token shrinks", .tokenNotGrowing, at: 14,
      .call(.lock(c), 15_200, 15_204, .grant(99, c, at: 15_202))),
    Planted(
      "a token comes again", .tokenNotGrowing, at: 14,
      .call(.lock(c), 15_200, 15_204, .grant(101, c, at: 15_202))),
    Planted(
      "a handover does not change the token", .tokenNotGrowing, at: 7,
      .call(.handoff(a, to: b, 100), 1_000, 1_004, .grant(100, b, at: 1_002))),
    Planted(
      "a write under the token before is accepted", .staleWriteAccepted, at: 9,
      .call(.say(3, a, 100), 1_010, 1_014, .said(seq: 3))),
    Planted(
      "a write after the abandonment is accepted", .staleWriteAccepted, at: 13,
      .call(.say(5, b, 101), 15_100, 15_104, .said(seq: 4))),
    Planted(
      "a renewal after the handover is accepted", .staleWriteAccepted, at: 9,
      .call(.lock(a), 1_010, 1_014, .grant(100, a, at: 2, renewed: true))),
    Planted(
      "a write that was refused is there", .staleWriteAccepted, at: 16,
      .call(.history(last: 0), 15_220, 15_224, .read((1, 1), (2, 2), (3, 4), (4, 3)))),
    Planted("a write after the deadline is accepted, and no event was written", .staleWriteAccepted)
    {
      $0.remove(at: 12)
      $0[12] = .call(.say(5, b, 101), 15_100, 15_104, .said(seq: 4))
    },
    Planted("a write after the release is accepted", .staleWriteAccepted) {
      $0.insert(.call(.write(.touch, c, 105), 15_310, 15_314, .done), at: 18)
    },
    Planted(
      "the holder of a live lock is refused", .liveTokenRefused, at: 4,
      .call(.say(2, a, 100), 20, 24, .stale)),
    Planted(
      "HOLDER knows nothing of a live lock", .liveTokenRefused, at: 6,
      .call(LoadCall(.holder), 30, 33, .none)),
    Planted(
      "a message is lost", .messageLost, at: 5,
      .call(.history(last: 10), 25, 29, .read((2, 2)))),
    Planted(
      "the last message is lost", .messageLost, at: 5,
      .call(.history(last: 10), 25, 29, .read((1, 1)))),
    Planted(
      "a message is lost in the end", .messageLost, at: 16,
      .call(.history(last: 0), 15_220, 15_224, .read((1, 1), (3, 4)))),
    Planted(
      "a message is doubled", .messageDoubled, at: 16,
      .call(.history(last: 0), 15_220, 15_224, .read((1, 1), (2, 2), (3, 4), (4, 4)))),
    Planted(
      "a message has moved", .messageDoubled, at: 5,
      .call(.history(last: 10), 25, 29, .read((1, 1), (3, 2)))),
    Planted(
      "messages are out of order", .messageOutOfOrder, at: 5,
      .call(.history(last: 10), 25, 29, .read((2, 2), (1, 1)))),
    Planted(
      "a later message gets a lower number", .messageOutOfOrder, at: 11,
      .call(.say(4, b, 101), 5_010, 5_014, .said(seq: 2))),
    Planted(
      "a message comes from nowhere", .unknownMessage, at: 5,
      .call(.history(last: 10), 25, 29, .read((1, 1), (2, 2), (3, 7)))),
    Planted(
      "the session is gone", .sessionLost, at: 4, .call(.say(2, a, 100), 20, 24, .none)),
    Planted("an abandonment has two events", .reportedTwice) {
      $0.insert(
        .event(.reported(.abandoned, 101, b, from: 1_002, at: 15_002, id: "again"), 15_031), at: 13)
    },
    Planted("one watch gets an event twice", .reportedTwice) { $0.insert($0[12], at: 13) },
    Planted("an abandonment has no event", .notReported) { $0.remove(at: 12) },
    Planted("a handover has no event", .notReported) { $0.remove(at: 8) },
    Planted(
      "an abandonment's event has the deadline before the renewal", .reportedTooEarly, at: 12,
      .event(.reported(.abandoned, 101, b, from: 1_002, at: 11_002), 15_030)),
    Planted(
      "an abandonment's event comes before the deadline", .reportedTooEarly, at: 12,
      .event(.reported(.abandoned, 101, b, from: 1_002, at: 15_002), 11_000)),
    Planted("what was given back is abandoned too", .abandonedAfterRelease) {
      $0.insert(.event(.reported(.abandoned, 105, c, from: 15_202, at: 25_202), 25_210), at: 18)
    },
    Planted("what was handed over is abandoned too", .abandonedAfterRelease) {
      $0[8] = .event(.reported(.abandoned, 100, a, from: 2, at: 10_002), 10_010)
    },
    Planted("an event names a token that was never granted", .unexplainedEvent) {
      $0.insert(.event(.reported(.abandoned, 103, b, from: 15_010, at: 15_100), 15_110), at: 13)
    },
    Planted(
      "an event names another agent", .unexplainedEvent, at: 12,
      .event(.reported(.abandoned, 101, c, from: 1_002, at: 15_002), 15_030)),
    Planted("an event reports a handover that no call made", .unexplainedEvent) {
      $0[12] = .event(.reported(.handedOff, 101, b, from: 1_002, at: 6_000), 15_030)
    },
  ]

  @Test(arguments: bugs) func `a bug is caught by its name`(bug: Planted) {
    var sights = Self.good
    bug.change(&sights)
    let violation = Story(sights: sights).verdict()
    #expect(violation?.rule == bug.rule, "\(String(describing: violation))")
  }

  @Test func `each promise has a bug that breaks it`() {
    let bugs =
      Self.bugs + PlantedTurnBugTests.bugs + PlantedSessionBugTests.bugs
      + PlantedGroupBugTests.bugs + PlantedChangeBugTests.bugs
    // The order of turns has a test of its own.
    let rules = Set(bugs.map(\.rule)).union([.turnOutOfOrder])
    #expect(rules == Set(Violation.Rule.allCases))
  }
}
