// Owns: the tests of the rate of repeated log lines.

import Testing

@testable import Loop

struct RepeatedLinesTests {
  private typealias Line = RepeatedLines.Line
  private typealias Key = RepeatedLines.Key
  private let intervalMs = RepeatedLines.intervalMs
  private let key = Key(message: "it fails", cause: "A")

  private func fields(_ value: String) -> [LogField] { [LogField(name: "error", value: value)] }

  private func line(_ kind: Line.Kind, _ value: String, _ level: LogLevel = .warn) -> Line {
    Line(level: level, message: "it fails", fields: fields(value), kind: kind)
  }

  @Test func `the first of a cause is written at once, and the others are counted`() {
    var lines = RepeatedLines()
    let first = lines.occurred(key, .warn, fields("a"), count: 1, nowMs: 5)
    #expect(first == line(.occurred(1), "a"))
    for at in Int64(6)..<100 {
      #expect(lines.occurred(key, .warn, fields("b"), count: 2, nowMs: at) == nil)
    }
    #expect(lines.suppressed == 94)
    #expect(lines.due(nowMs: 4 + intervalMs).isEmpty)
    let counted = line(.repeated(188, withinMs: intervalMs), "b")
    #expect(lines.due(nowMs: 5 + intervalMs) == [counted])
    #expect(lines.due(nowMs: 6 + intervalMs).isEmpty)
  }

  @Test func `one that comes when it is time brings the count of those before`() {
    var lines = RepeatedLines()
    _ = lines.occurred(key, .warn, fields("a"), count: 1, nowMs: 0)
    #expect(lines.occurred(key, .warn, fields("b"), count: 1, nowMs: 1) == nil)
    let next = lines.occurred(key, .error, fields("c"), count: 1, nowMs: intervalMs)
    #expect(next == line(.repeated(2, withinMs: intervalMs), "c", .error))
    #expect(lines.occurred(key, .warn, fields("d"), count: 1, nowMs: intervalMs + 1) == nil)
  }

  @Test func `a cause that goes on has a line in each interval, however often it occurs`() {
    var lines = RepeatedLines()
    var written = 0
    for at in Int64(0)..<60_000 {
      if lines.occurred(key, .warn, [], count: 1, nowMs: at) != nil { written += 1 }
      written += lines.due(nowMs: at).count
    }
    #expect(written == 6)
  }

  @Test func `the end of a cause that was repeated is written once, with the total`() {
    var lines = RepeatedLines()
    _ = lines.occurred(key, .warn, fields("a"), count: 1, nowMs: 0)
    _ = lines.occurred(key, .warn, fields("b"), count: 4, nowMs: 3_000)
    #expect(lines.due(nowMs: intervalMs) == [line(.repeated(4, withinMs: intervalMs), "b")])
    let ended = line(.ended(total: 5, lastedMs: 3_000), "b", .info)
    #expect(lines.due(nowMs: intervalMs + 3_000) == [ended])
    #expect(lines.due(nowMs: 9 * intervalMs).isEmpty)
    // Then it begins anew.
    let again = lines.occurred(key, .warn, fields("c"), count: 1, nowMs: 9 * intervalMs)
    #expect(again == line(.occurred(1), "c"))
  }

  @Test func `a cause that occurred once has no end in the log`() {
    var lines = RepeatedLines()
    _ = lines.occurred(key, .warn, fields("a"), count: 7, nowMs: 0)
    #expect(lines.due(nowMs: 5 * intervalMs).isEmpty)
    #expect(lines.occurred(key, .warn, fields("b"), count: 1, nowMs: 5 * intervalMs) != nil)
  }

  @Test func `causes and messages are silent each for itself`() {
    var lines = RepeatedLines()
    let others = [key, Key(message: "it fails", cause: "B"), Key(message: "else", cause: "A")]
    for other in others {
      #expect(lines.occurred(other, .warn, [], count: 1, nowMs: 0) != nil)
      #expect(lines.occurred(other, .warn, [], count: 1, nowMs: 1) == nil)
    }
    #expect(lines.due(nowMs: intervalMs).map(\.message) == ["else", "it fails", "it fails"])
  }

  @Test(arguments: [0, 1, 1_000]) func `causes beyond the limit share a count`(more: Int) {
    var lines = RepeatedLines()
    let count = RepeatedLines.causesMax + more
    let written = (0..<count).count { number in
      let key = Key(message: "it fails", cause: "\(number)")
      return lines.occurred(key, .warn, [], count: 1, nowMs: 0) != nil
    }
    #expect(written == RepeatedLines.causesMax + min(1, more))
    #expect(lines.suppressed == max(0, more - 1))
  }

  @Test func `what is in no line yet is written at the end of a process`() {
    var lines = RepeatedLines()
    for at in Int64(0)..<10 { _ = lines.occurred(key, .warn, fields("a"), count: 1, nowMs: at) }
    #expect(lines.rest(nowMs: 90) == [line(.repeated(9, withinMs: 90), "a")])
    #expect(lines.rest(nowMs: 91).isEmpty)
  }
}
