// Owns: the tests of the table of a session's clocks.

import Testing

@testable import SessionModel

struct SessionClockTests {
  @Test func `a clock has the default of its row until another length is set`() {
    var clocks = SessionClocks()
    #expect(clocks.text == "1800000 86400000 604800000 0 2592000000 120000")
    #expect(SessionClock.allCases.allSatisfy { clocks[$0] == $0.row.defaultMs })
    clocks[.life] = 5
    #expect(clocks.text == "1800000 86400000 604800000 5 2592000000 120000")
    #expect(clocks[.life] == 5)
  }

  @Test func `a default is written as a caller writes it`() {
    let texts = SessionClock.allCases.map(\.row.defaultText)
    #expect(texts == ["30m", "24h", "7d", "0", "30d", "2m"])
  }

  @Test(arguments: SessionClock.allCases)
  func `a clock takes its least and greatest length, and 0 where it can be off`(
    clock: SessionClock
  ) {
    let (least, most) = (SessionClock.allowedMs.lowerBound, SessionClock.allowedMs.upperBound)
    #expect(clock.allows(least) && clock.allows(most))
    #expect(!clock.allows(least - 1) && !clock.allows(most + 1) && !clock.allows(-1))
    #expect(clock.allows(0) == (clock != .keep))
    #expect(clock.allows(clock.row.defaultMs))
  }
}
