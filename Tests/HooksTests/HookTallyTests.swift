// Owns: the tests of what is noted of a hook's figures: everything once, whatever becomes of a
// call.

import Testing

@testable import Hooks

struct HookTallyTests {
  private static func figures(
    _ delivered: Int, _ failed: Int = 0, underWay: Int = 0, fault: String? = nil
  ) -> HookTally.Figures {
    HookTally.Figures(delivered: delivered, failed: failed, underWay: underWay, fault: fault)
  }

  @Test func `each note has what is new since the one before`() throws {
    var tally = HookTally(after: 100)
    var taken = tally.take(Self.figures(0), nowMs: 0)
    #expect(taken == nil)
    let firstTaken = tally.take(Self.figures(3, 1, fault: "x"), nowMs: 0)
    let first = try #require(firstTaken)
    #expect(first.number == 101 && first.figures == Self.figures(3, 1, fault: "x") && first.isNew)
    taken = tally.take(Self.figures(5, 1), nowMs: 0)
    #expect(taken == nil, "one at a time")
    tally.ended(isAnswered: true)
    let secondTaken = tally.take(Self.figures(5, 1), nowMs: 0)
    let second = try #require(secondTaken)
    #expect(second.number == 102 && second.figures == Self.figures(2))
    tally.ended(isAnswered: true)
    taken = tally.take(Self.figures(5, 1), nowMs: 0)
    #expect(taken == nil)
  }

  @Test func `one without an answer is sent again as it was, and what came since follows`() throws {
    var tally = HookTally(after: 0)
    let firstTaken = tally.take(Self.figures(3, fault: "x"), nowMs: 0)
    let first = try #require(firstTaken)
    for _ in 0..<3 {
      tally.ended(isAnswered: false)
      let againTaken = tally.take(Self.figures(9, 2, fault: "y"), nowMs: 0)
      let again = try #require(againTaken)
      #expect(again.number == first.number && again.figures == first.figures && !again.isNew)
    }
    tally.ended(isAnswered: true)
    let nextTaken = tally.take(Self.figures(9, 2, fault: "y"), nowMs: 0)
    let next = try #require(nextTaken)
    #expect(next.number == 2 && next.figures == Self.figures(6, 2, fault: "y"))
  }

  @Test func `what is under way is noted again after a while`() {
    var tally = HookTally(after: 0)
    var taken = tally.take(Self.figures(0, underWay: 2), nowMs: 0)
    #expect(taken != nil)
    tally.ended(isAnswered: true)
    taken = tally.take(Self.figures(0, underWay: 2), nowMs: 1_999)
    #expect(taken == nil)
    taken = tally.take(Self.figures(0, underWay: 2), nowMs: 2_000)
    #expect(taken?.figures.underWay == 2)
  }
}
