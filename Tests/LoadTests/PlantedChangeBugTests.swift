// Owns: the tests that the checker catches it when the changes that were pushed do not add up to
// what is read.

import Testing

@testable import Load

struct PlantedChangeBugTests {
  private static func said(_ pairs: (Int64, Int)...) -> PushedChange {
    .said(pairs.map { Message(seq: $0.0, number: $0.1) }, isCut: false)
  }

  /// A turn with a message that joins it, which is rolled back, and the next one.
  static let good: [Sight] = [
    /* 0 */ .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
    /* 1 */ .pushed(said((1, 1)), 5),
    /* 2 */ .call(.turn(2, .join), 10, 14, .joined(turn: 100, seq: 2)),
    /* 3 */ .pushed(said((2, 2)), 15),
    /* 4 */ .call(.turn(3, .rollback), 20, 24, .began(101, at: 22, (2, 2), (3, 3))),
    /* 5 */ .pushed(.unsaid(1...1), 25),
    /* 6 */ .pushed(said((3, 3)), 26),
    /* 7 */ .call(.inTurn(.done, 101, 4), 30, 34, .ended(seq: 4, left: 0)),
    /* 8 */ .call(.history(last: 0), 40, 44, .read((2, 2), (3, 3), (4, 4))),
    /* 9 */ .pushed(said((4, 4)), 45),
    /* 10 */ .changesVerdict(20_000),
  ]

  @Test func `changes that add up are called good`() {
    let violation = Story(sights: Self.good).verdict()
    #expect(violation == nil, "\(String(describing: violation))")
  }

  static let bugs: [Planted] = [
    Planted("a message is not pushed", .changesWrong) { $0.remove(at: 3) },
    Planted("a rollback is not pushed", .changesWrong) { $0.remove(at: 5) },
    Planted("a message is pushed with another number", .changesWrong) {
      $0[9] = .pushed(said((5, 4)), 45)
    },
  ]

  @Test(arguments: bugs) func `a bug is caught by its name`(bug: Planted) {
    var sights = Self.good
    bug.change(&sights)
    let violation = Story(sights: sights).verdict()
    #expect(violation?.rule == bug.rule, "\(String(describing: violation))")
  }

  @Test func `after a message whose outcome is unknown nothing is concluded`() {
    var sights = Self.good
    sights.insert(.call(.turn(5, .join), 35, 38, .unknown), at: 8)
    sights.insert(.pushed(Self.said((5, 5)), 46), at: 11)
    #expect(Story(sights: sights).verdict() == nil)
  }
}
