// Owns: the tests of the checks whether watches of shared sessions may go on.

import Testing

@testable import Events

struct AccessCheckTests {
  private let lost = Array("lost".utf8)

  private func hold(_ checks: inout AccessChecks, _ text: String) -> Bool {
    checks.hold(1, Array(text.utf8), lost: lost)
  }

  private func texts(_ lines: [[UInt8]]) -> [String] {
    lines.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func `what comes while Redis is asked is held until it has answered`() {
    var checks = AccessChecks()
    checks.begin(1, endsAtMs: nil)
    let isFree = !hold(&checks, "a")
    #expect(isFree)
    let isAsked = checks.ask(1)
    #expect(isAsked)
    let isHeld = hold(&checks, "b") && hold(&checks, "c")
    #expect(isHeld)
    let said = checks.allowed(1, endsAtMs: nil)
    #expect(texts(said.lines) == ["b", "c"] && !said.again)
    let isFreeAgain = !hold(&checks, "d")
    #expect(isFreeAgain)
  }

  @Test func `what has happened since Redis was asked waits for another answer`() {
    var checks = AccessChecks()
    checks.begin(1, endsAtMs: nil)
    let first = checks.ask(1)
    _ = hold(&checks, "a")
    let second = checks.ask(1)
    #expect(first && !second)
    _ = hold(&checks, "b")
    var said = checks.allowed(1, endsAtMs: nil)
    #expect(said.lines.isEmpty && said.again)
    let third = checks.ask(1)
    _ = hold(&checks, "c")
    said = checks.allowed(1, endsAtMs: nil)
    #expect(third && texts(said.lines) == ["a", "b", "c"] && !said.again)
  }

  @Test func `no more is held than a number of lines, and one line says so`() {
    var checks = AccessChecks()
    checks.begin(1, endsAtMs: nil)
    _ = checks.ask(1)
    for number in 0..<1_500 { _ = hold(&checks, "\(number)") }
    let lines = texts(checks.allowed(1, endsAtMs: nil).lines)
    #expect(lines.count == 1_001 && lines[999] == "999" && lines[1_000] == "lost")
  }

  @Test func `a right that is over by the clock is due once, and a moved end counts`() {
    var checks = AccessChecks()
    checks.begin(1, endsAtMs: 50)
    checks.begin(2, endsAtMs: 40)
    checks.begin(3, endsAtMs: nil)
    #expect(checks.nextDeadlineMs == 40)
    _ = checks.ask(1)
    _ = checks.allowed(1, endsAtMs: 90)
    let due = checks.takeDue(nowMs: 60)
    #expect(due == [2])
    checks.keep { $0 != 1 }
    let later = checks.takeDue(nowMs: 100)
    #expect(later.isEmpty && checks.nextDeadlineMs == nil)
  }

  @Test func `a check without an answer is made again, and one of no watch is none`() {
    var checks = AccessChecks()
    checks.begin(1, endsAtMs: nil)
    _ = checks.ask(1)
    checks.failed(1)
    #expect(checks.hasFailed)
    let failed = checks.takeFailed()
    #expect(failed == [1] && !checks.hasFailed)
    let isHeld = hold(&checks, "a")
    #expect(isHeld, "Redis has not answered")
    let isAsked = checks.ask(7)
    #expect(!isAsked)
  }

  @Test func `an answer says for how long a session may be seen`() {
    func left(_ text: String) -> String? {
      Array(text.utf8).withUnsafeBufferPointer { WatchAccess.left($0) }.map { "\($0)" }
    }
    #expect(left("FOUND S - own") == "(isOwn: true, leftMs: nil)")
    #expect(left("FOUND S 1 500") == "(isOwn: false, leftMs: Optional(500))")
    #expect(left("FOUND S 1 -") == "(isOwn: false, leftMs: nil)")
    #expect(left("NONE") == nil && left("FOUND S 1") == nil)
  }
}
