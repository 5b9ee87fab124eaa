// Owns: the tests that the checker catches each broken promise about turns by its name, and accepts
// each history of turns that unknown outcomes can explain.

import Testing

@testable import Load

struct PlantedTurnBugTests {
  /// A turn that a message joins, a rejected message, an interrupted turn, one that is rolled back,
  /// one whose caller vanishes, and the next one.
  static let good: [Sight] = [
    /* 0 */ .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
    /* 1 */ .call(.turn(2), 5, 8, .busy(ahead: 0)),
    /* 2 */ .call(.turn(3, .join), 10, 14, .joined(turn: 100, seq: 2)),
    /* 3 */ .call(.inTurn(.touch, 100), 15, 18, .done),
    /* 4 */ .call(.inTurn(.done, 100, 4), 20, 24, .goesOn(3, (2, 3))),
    /* 5 */ .call(.inTurn(.done, 100, 5), 30, 34, .ended(seq: 4, left: 0)),
    /* 6 */ .call(.turn(6), 40, 44, .began(110, at: 42, (1, 1), (2, 3), (3, 4), (4, 5), (5, 6))),
    /* 7 */ .call(.inTurn(.say, 110, 7), 45, 48, .said(seq: 6)),
    /* 8 */ .call(
      .turn(8, .interrupt, last: 3), 50, 54, .began(111, at: 52, (5, 6), (6, 7), (7, 8))),
    /* 9 */ .call(.inTurn(.done, 110, 9), 55, 58, .stale),
    /* 10 */ .call(.inTurn(.say, 111, 10), 60, 64, .said(seq: 8)),
    /* 11 */ .call(
      .turn(11, .rollback, last: 3), 70, 74, .began(112, at: 72, (5, 6), (6, 7), (9, 11))),
    /* 12 */ .call(.history(last: 3), 75, 78, .read((5, 6), (6, 7), (9, 11))),
    /* 13 */ .event(.turnAbandoned(112, at: 10_072), 10_080),
    /* 14 */ .call(.inTurn(.done, 112, 12), 10_200, 10_204, .stale),
    /* 15 */ .call(.turn(13, last: 1), 10_300, 10_304, .began(120, at: 10_302, (10, 13))),
    /* 16 */ .call(.inTurn(.done, 120, 14), 10_310, 10_314, .ended(seq: 11, left: 0)),
    /* 17 */ .call(
      .history(last: 0), 10_400, 10_404,
      .read((1, 1), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (9, 11), (10, 13), (11, 14))),
    /* 18 */ .verdict(30_000),
  ]

  @Test func `a good history of turns is called good`() {
    let violation = Story(sights: Self.good).verdict()
    #expect(violation == nil, "\(String(describing: violation))")
  }

  static let bugs: [Planted] = [
    Planted(
      "a turn begins while another is running", .twoTurns, at: 1,
      .call(.turn(2), 5, 8, .began(101, at: 7, (1, 1), (2, 2)))),
    Planted(
      "a turn begins before the one before has expired", .twoTurns, at: 15,
      .call(.turn(13, last: 1), 10_300, 10_304, .began(120, at: 10_070, (10, 13)))),
    Planted(
      "a turn's number comes again", .tokenNotGrowing, at: 6,
      .call(.turn(6), 40, 44, .began(100, at: 42, (5, 6)))),
    Planted(
      "a turn's number shrinks", .tokenNotGrowing, at: 8,
      .call(.turn(8, .interrupt), 50, 54, .began(109, at: 52, (7, 8)))),
    Planted(
      "a turn is of another session", .sessionLost, at: 6,
      .call(.turn(6), 40, 44, .began(110, at: 42, session: "T", (1, 6)))),
    Planted(
      "the session of a turn is gone", .sessionLost, at: 7,
      .call(.inTurn(.say, 110, 7), 45, 48, .none)),
    Planted(
      "a turn that was done is BUSY still", .busyWithoutTurn, at: 6,
      .call(.turn(6), 40, 44, .busy(ahead: 0))),
    Planted(
      "a turn that has expired is BUSY still", .busyWithoutTurn, at: 15,
      .call(.turn(13), 10_300, 10_304, .busy(ahead: 0))),
    Planted(
      "DONE of an interrupted turn is accepted", .staleWriteAccepted, at: 9,
      .call(.inTurn(.done, 110, 9), 55, 58, .ended(seq: 8, left: 0))),
    Planted(
      "a write of a turn that has expired is accepted", .staleWriteAccepted, at: 14,
      .call(.inTurn(.done, 112, 12), 10_200, 10_204, .ended(seq: 10, left: 0))),
    Planted(
      "a turn is done twice", .staleWriteAccepted, at: 6,
      .call(.inTurn(.done, 100, 6), 40, 44, .ended(seq: 5, left: 0))),
    Planted(
      "a BUSY message is there", .staleWriteAccepted, at: 6,
      .call(.turn(6, last: 3), 40, 44, .began(110, at: 42, (4, 5), (5, 2), (6, 6)))),
    Planted(
      "a running turn is refused", .liveTokenRefused, at: 3,
      .call(.inTurn(.touch, 100), 15, 18, .stale)),
    Planted(
      "a message of an interrupted turn is lost", .messageLost, at: 8,
      .call(.turn(8, .interrupt, last: 2), 50, 54, .began(111, at: 52, (5, 6), (7, 8)))),
    Planted(
      "a rollback removes a joined message", .messageLost, at: 17,
      .call(
        .history(last: 0), 10_400, 10_404,
        .read((1, 1), (3, 4), (4, 5), (5, 6), (6, 7), (9, 11), (10, 13), (11, 14)))),
    Planted(
      "a rollback removes a message of another turn", .messageLost, at: 11,
      .call(.turn(11, .rollback, last: 2), 70, 74, .began(112, at: 72, (5, 6), (9, 11)))),
    Planted("an answer stands behind the next turn's message", .answerOutOfTurn) {
      $0[9] = $0[8]
      $0[8] = .begin("done", .inTurn(.done, 110, 9), 49)
      $0[10] = .end("done", 64, .ended(seq: 8, left: 0))
      $0[11] = .call(.history(last: 3), 66, 70, .read((6, 7), (7, 8), (8, 9)))
    },
    Planted(
      "a joined message is not given", .joinedUnanswered, at: 4,
      .call(.inTurn(.done, 100, 4), 20, 24, .ended(seq: 3, left: 0))),
    Planted(
      "a joined message is not counted as left", .joinedUnanswered, at: 4,
      .call(.inTurn(.done, 100, 4, last: true), 20, 24, .ended(seq: 3, left: 0))),
    Planted(
      "a message joins a turn that is over", .joinedUnanswered, at: 6,
      .call(.turn(6, .join), 40, 44, .joined(turn: 100, seq: 5))),
    Planted("a message joins a turn while that ends", .joinedUnanswered) {
      $0[2] = .begin("join", .turn(3, .join), 10)
      $0[4] = .call(.inTurn(.done, 100, 4), 20, 24, .ended(seq: 2, left: 0))
      $0[5] = .end("join", 30, .joined(turn: 100, seq: 3))
    },
    Planted(
      "a joined message is given twice", .messageDoubled, at: 5,
      .call(.inTurn(.done, 100, 5), 30, 34, .goesOn(4, (2, 3)))),
    Planted(
      "a rolled back message is there still", .rolledBackThere, at: 11,
      .call(.turn(11, .rollback, last: 3), 70, 74, .began(112, at: 72, (6, 7), (7, 8), (9, 11)))),
    Planted(
      "a rolled back message is there again", .rolledBackThere, at: 12,
      .call(.history(last: 3), 75, 78, .read((6, 7), (8, 10), (9, 11)))),
    Planted("a turn that was done is abandoned too", .abandonedAfterRelease) {
      $0.insert(.event(.turnAbandoned(100, at: 10_018), 10_030), at: 13)
    },
    Planted("a turn that was interrupted is abandoned too", .abandonedAfterRelease) {
      $0.insert(.event(.turnAbandoned(110, at: 10_042), 10_050), at: 13)
    },
    Planted("a turn's abandonment has no event", .notReported) { $0.remove(at: 13) },
    Planted("a turn's abandonment has two events", .reportedTwice) {
      $0.insert(.event(.turnAbandoned(112, at: 10_072, id: "again"), 10_081), at: 14)
    },
    Planted(
      "a turn is abandoned before its deadline", .reportedTooEarly, at: 13,
      .event(.turnAbandoned(112, at: 9_000), 10_080)),
    Planted("a turn is abandoned that never began", .unexplainedEvent) {
      $0.insert(.event(.turnAbandoned(115, at: 10_072), 10_081), at: 14)
    },
  ]

  @Test(arguments: bugs) func `a bug is caught by its name`(bug: Planted) {
    var sights = Self.good
    bug.change(&sights)
    let violation = Story(sights: sights).verdict()
    #expect(violation?.rule == bug.rule, "\(String(describing: violation))")
  }

  /// A turn, two callers that wait, one that is rejected and sees them, one more that waits, and
  /// the turns of all in the order in which they asked.
  static let waiting: [Sight] = [
    /* 0 */ .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
    /* 1 */ .begin("a", .turn(2, .enqueue, wait: 1_000), 5),
    /* 2 */ .begin("b", .turn(3, .enqueue, wait: 1_000), 6),
    /* 3 */ .call(.turn(4), 10, 14, .busy(ahead: 2)),
    /* 4 */ .begin("c", .turn(5, .enqueue, wait: 1_000), 15),
    /* 5 */ .call(.inTurn(.done, 100, 6), 20, 24, .ended(seq: 2, left: 0)),
    /* 6 */ .end("b", 30, .began(101, at: 25, (1, 1), (2, 6), (3, 3))),
    /* 7 */ .call(.inTurn(.done, 101, 7), 31, 34, .ended(seq: 4, left: 0)),
    /* 8 */ .end("a", 40, .began(102, at: 35, (1, 1), (2, 6), (3, 3), (4, 7), (5, 2))),
    /* 9 */ .call(.inTurn(.done, 102, 8), 41, 44, .ended(seq: 6, left: 0)),
    /* 10 */ .end(
      "c", 50, .began(103, at: 45, (1, 1), (2, 6), (3, 3), (4, 7), (5, 2), (6, 8), (7, 5))),
    /* 11 */ .call(.inTurn(.done, 103, 9), 51, 54, .ended(seq: 8, left: 0)),
    /* 12 */ .verdict(30_000),
  ]

  @Test func `turns are granted in the order in which callers asked, as far as it can be known`() {
    #expect(Story(sights: Self.waiting).verdict() == nil)
    // The third caller is granted its turn before the first one.
    var late = Self.waiting
    late[8] = .end("c", 40, .began(102, at: 35, (1, 1), (2, 6), (3, 3), (4, 7), (5, 5)))
    late[10] = .end(
      "a", 50, .began(103, at: 45, (1, 1), (2, 6), (3, 3), (4, 7), (5, 5), (6, 8), (7, 2)))
    #expect(Story(sights: late).verdict()?.rule == .turnOutOfOrder)
    // Nothing is known if the reply to the rejected one does not show both.
    var unseen = late
    unseen[3] = .call(.turn(4), 10, 14, .busy(ahead: 1))
    #expect(Story(sights: unseen).verdict() == nil)
    // Nor if the grant may have been passed on because it was not begun.
    var slow = late
    slow[8] = .end("c", 1_200, .began(102, at: 1_190, (1, 1), (2, 6), (3, 3), (4, 7), (5, 5)))
    slow[9] = .call(.inTurn(.done, 102, 8), 1_201, 1_204, .ended(seq: 6, left: 0))
    slow[10] = .end(
      "a", 1_300, .began(103, at: 1_210, (1, 1), (2, 6), (3, 3), (4, 7), (5, 5), (6, 8), (7, 2)))
    slow[11] = .call(.inTurn(.done, 103, 9), 1_301, 1_304, .ended(seq: 8, left: 0))
    #expect(Story(sights: slow).verdict() == nil)
  }

  private static let explained: [(String, [Sight])] = [
    (
      "a TURN whose answer is lost, which was done after all",
      [
        .call(.turn(1), 0, 10, .unknown), .call(.turn(2), 20, 24, .busy(ahead: 0)),
        .event(.turnAbandoned(100, at: 10_005), 10_010), .verdict(30_000),
      ]
    ),
    (
      "a rollback whose answer is lost has removed the turn's messages, or not",
      [
        .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
        .call(.turn(2, .rollback), 10, 20, .unknown),
        .call(.history(last: 0), 21, 24, .read((1, 1))),
        .call(.history(last: 0), 25, 28, .read((2, 2))),
        .call(.inTurn(.done, 100, 3), 30, 34, .stale),
        .event(.turnAbandoned(101, at: 10_012), 10_020), .verdict(30_000),
      ]
    ),
    (
      "a rollback and a DONE at the same time, and the DONE was first",
      [
        .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
        .begin("done", .inTurn(.done, 100, 2), 10),
        .call(.turn(3, .rollback), 11, 15, .began(101, at: 13, (1, 1), (2, 2), (3, 3))),
        .end("done", 16, .ended(seq: 2, left: 0)),
        .call(.inTurn(.done, 101, 4), 20, 24, .ended(seq: 4, left: 0)), .verdict(30_000),
      ]
    ),
    (
      "a message of a turn is acknowledged after the rollback that has removed it",
      [
        .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
        .begin("say", .inTurn(.say, 100, 2), 10),
        .call(.turn(3, .rollback, last: 1), 11, 15, .began(101, at: 13, (3, 3))),
        .end("say", 16, .said(seq: 2)),
        .call(.history(last: 0), 20, 24, .read((3, 3))),
        .call(.inTurn(.done, 101, 4), 25, 29, .ended(seq: 4, left: 0)), .verdict(30_000),
      ]
    ),
    (
      "a message joins a turn whose own reply comes later, and is answered as one that was seen",
      [
        .begin("turn", .turn(1), 0),
        .call(.turn(2, .join), 2, 4, .joined(turn: 100, seq: 2)),
        .end("turn", 6, .began(100, at: 1, (1, 1))),
        .call(.history(last: 10), 7, 9, .read((1, 1), (2, 2))),
        .call(.inTurn(.done, 100, 3, seen: 2), 10, 14, .ended(seq: 3, left: 0)),
        .verdict(30_000),
      ]
    ),
    (
      "a place of a caller that has asked again is granted a turn, which keeps others waiting",
      [
        .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
        .begin("a", .turn(2, .enqueue, wait: 1_000), 5),
        .call(.inTurn(.done, 100, 3), 10, 14, .ended(seq: 2, left: 0)),
        .end("a", 900, .busy(ahead: 0), triedMs: 800),
        .call(.turn(4), 1_000, 1_004, .busy(ahead: 0)), .verdict(30_000),
      ]
    ),
    (
      "a turn that was interrupted near its deadline has an event, or none",
      [
        .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
        .call(.turn(2, .interrupt), 10_000, 10_006, .began(101, at: 10_003, (1, 1), (2, 2))),
        .call(.inTurn(.done, 101, 3), 10_010, 10_014, .ended(seq: 3, left: 0)),
        .verdict(30_000),
      ]
    ),
  ]

  @Test(arguments: explained.indices) func `an explicable history is no violation`(index: Int) {
    let (name, sights) = Self.explained[index]
    let violation = Story(sights: sights).verdict()
    #expect(violation == nil, "\(name): \(String(describing: violation))")
  }
}
