// Owns: the tests that the checker catches each broken promise about consumer groups by its name.

import Testing

@testable import Load

struct PlantedGroupBugTests {
  private static func event(_ token: Int64, at ms: Int64) -> LockEvent {
    var event = LockEvent.turnAbandoned(token, at: ms)
    event.id = "0a3-\(ms)-0"
    return event
  }

  private static let first = event(100, at: 10_002)
  private static let second = event(101, at: 20_102)

  /// Two turns whose callers vanish; the group gets both events.
  static let good: [Sight] = [
    /* 0 */ .call(.turn(1), 0, 4, .began(100, at: 2, (1, 1))),
    /* 1 */ .event(first, 10_010),
    /* 2 */ .delivery(first, 10_000, 10_011),
    /* 3 */ .acknowledged(first, 10_015),
    /* 4 */ .call(.turn(2), 10_100, 10_104, .began(101, at: 10_102, (1, 1), (2, 2))),
    /* 5 */ .event(second, 20_110),
    /* 6 */ .delivery(second, 20_000, 20_111),
    /* 7 */ .acknowledged(second, 20_115),
    /* 8 */ .groupVerdict(40_000),
    /* 9 */ .verdict(40_001),
  ]

  @Test func `a good history of a group is called good`() {
    let violation = Story(sights: Self.good).verdict()
    #expect(violation == nil, "\(String(describing: violation))")
  }

  static let bugs: [Planted] = [
    Planted("an acknowledged event comes again", .acknowledgedAgain) {
      $0.insert(.delivery(first, 10_020, 10_025), at: 4)
    },
    Planted("a later event comes first", .groupOutOfOrder) {
      $0[2] = .delivery(second, 10_000, 10_011)
      $0[6] = .delivery(first, 20_000, 20_111)
    },
    Planted("an event is not delivered", .notDelivered) { $0.remove(at: 6) },
  ]

  @Test(arguments: bugs) func `a bug is caught by its name`(bug: Planted) {
    var sights = Self.good
    bug.change(&sights)
    let violation = Story(sights: sights).verdict()
    #expect(violation?.rule == bug.rule, "\(String(describing: violation))")
  }

  @Test func `what was not acknowledged in time, or overlaps, is no violation`() {
    var again = Self.good
    again.insert(.delivery(Self.first, 10_012, 10_020), at: 4)
    #expect(Story(sights: again).verdict() == nil)
    var overlapping = Self.good
    overlapping[2] = .delivery(Self.second, 10_000, 20_200)
    overlapping[6] = .delivery(Self.first, 20_000, 20_201)
    #expect(Story(sights: overlapping).verdict() == nil)
  }
}
