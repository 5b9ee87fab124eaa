// Owns: the tests of the rate of warnings about callers in the log.

import Testing
import Wire

@testable import Server

struct CallerWarningsTests {
  private typealias Line = CallerWarnings.Line
  private let whileMs = CallerWarnings.intervalMs

  @Test func `the first of a cause is logged at once, and the others are counted`() {
    var warnings = CallerWarnings()
    let first = warnings.happened(.wrongSecret, from: "a", nowMs: 5)
    #expect(first == Line(warning: .wrongSecret, peer: "a", count: 1))
    for at in Int64(6)..<100 {
      #expect(warnings.happened(.wrongSecret, from: "b", nowMs: at) == nil)
    }
    #expect(warnings.due(nowMs: 4 + whileMs).isEmpty)
    let counted = Line(warning: .wrongSecret, peer: "b", count: 94)
    #expect(warnings.due(nowMs: 5 + whileMs) == [counted])
    #expect(warnings.due(nowMs: 5 + 9 * whileMs).isEmpty)
  }

  @Test func `one that comes when it is time brings the count of those before`() {
    var warnings = CallerWarnings()
    #expect(warnings.happened(.otherProtocol(.http), from: "a", nowMs: 0)?.count == 1)
    #expect(warnings.happened(.otherProtocol(.http), from: "b", nowMs: 1) == nil)
    let line = warnings.happened(.otherProtocol(.http), from: "c", nowMs: whileMs)
    #expect(line == Line(warning: .otherProtocol(.http), peer: "c", count: 2))
    #expect(warnings.happened(.otherProtocol(.http), from: "d", nowMs: whileMs + 1) == nil)
  }

  @Test func `causes are silent each for itself`() {
    var warnings = CallerWarnings()
    for other in OtherProtocol.allCases {
      #expect(warnings.happened(.otherProtocol(other), from: "a", nowMs: 0) != nil)
      #expect(warnings.happened(.otherProtocol(other), from: "a", nowMs: 1) == nil)
    }
    #expect(warnings.happened(.wrongSecret, from: "a", nowMs: 2) != nil)
    #expect(warnings.due(nowMs: whileMs).count == OtherProtocol.allCases.count)
  }
}
