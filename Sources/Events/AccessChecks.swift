// Owns: how it is checked whether a watch of a session may go on, and what is held until Redis has
// said so, where the session is shared. Values, without a clock; the shell in SharedWatches.swift
// performs it. Any thread.

package import Access
internal import Loop
package import Store

/// How it is checked whether a watch may go on.
package struct WatchAccess {
  /// A call of resolve.lua.
  let query: ScriptQuery
  /// The users as which its caller has asked.
  let users: UserScope?
  /// How long the right was to last when the watch was asked for; nil for no end.
  let leftMs: Int64?
  /// Whether the session is one of these users', and not one that is shared with them.
  package fileprivate(set) var isOwn: Bool

  package init(query: ScriptQuery, users: UserScope?, leftMs: Int64?, isOwn: Bool) {
    (self.query, self.users, self.leftMs, self.isOwn) = (query, users, leftMs, isOwn)
  }

  /// The same for a session that is shared with its users from now on.
  var lent: WatchAccess {
    var lent = self
    lent.isOwn = false
    return lent
  }

  /// For how long the caller may see the session, from `FOUND <session> <chat> <ms, - or own>`; nil
  /// if it may not.
  package static func left(
    _ line: UnsafeBufferPointer<UInt8>
  ) -> (isOwn: Bool, leftMs: Int64?)? {
    let words = line.split(separator: UInt8(ascii: " "))
    guard words.count == 4, words[0].elementsEqual("FOUND".utf8) else { return nil }
    let word = String(decoding: words[3], as: UTF8.self)
    return (word == "own", Int64(word))
  }
}

/// The checks of a loop's watches: a value, without a clock.
struct AccessChecks {
  private struct Check {
    /// When the right ends by the clock of the loop; nil for never.
    var endsAtMs: Int64?
    var isAsking = false
    /// Whether something has happened since Redis was asked.
    var asksAgain = false
    /// Whether Redis did not answer.
    var hasFailed = false
    /// What came before Redis was asked, and what has come since.
    var held: [[UInt8]] = []
    var heldLater: [[UInt8]] = []
  }

  private struct Deadline: Comparable {
    let atMs: Int64
    let number: UInt64

    static func < (left: Deadline, right: Deadline) -> Bool { left.atMs < right.atMs }
  }

  private var checks: [UInt64: Check] = [:]
  private var deadlines = Heap<Deadline>()
  /// More lines than these are not held: a line says that some are lost.
  private static let heldMax = 1_000

  var nextDeadlineMs: Int64? { deadlines.least?.atMs }
  var hasFailed: Bool { checks.values.contains { $0.hasFailed } }

  /// Forgets the watches that have ended.
  mutating func keep(_ isThere: (UInt64) -> Bool) {
    if !checks.isEmpty { checks = checks.filter { isThere($0.key) } }
  }

  mutating func begin(_ number: UInt64, endsAtMs: Int64?) {
    checks[number] = Check()
    set(number, endsAtMs)
  }

  private mutating func set(_ number: UInt64, _ endsAtMs: Int64?) {
    guard checks[number]?.endsAtMs != endsAtMs else { return }
    checks[number]?.endsAtMs = endsAtMs
    if let endsAtMs { deadlines.insert(Deadline(atMs: endsAtMs, number: number)) }
  }

  /// Whether Redis is to be asked now: not while it is.
  mutating func ask(_ number: UInt64) -> Bool {
    guard let check = checks[number] else { return false }
    checks[number]?.isAsking = true
    checks[number]?.asksAgain = check.isAsking
    return !check.isAsking
  }

  /// Holds a line while Redis is asked; false if it may be sent.
  mutating func hold(_ number: UInt64, _ line: [UInt8], lost: [UInt8]) -> Bool {
    guard let check = checks[number], check.isAsking else { return false }
    let count = check.held.count + check.heldLater.count
    if count < AccessChecks.heldMax {
      checks[number]?.heldLater.append(line)
    } else if count == AccessChecks.heldMax {
      checks[number]?.heldLater.append(lost)
    }
    return true
  }

  /// Redis has answered that the watch may go on; returns what is to be sent, and whether Redis is
  /// to be asked again.
  mutating func allowed(_ number: UInt64, endsAtMs: Int64?) -> (lines: [[UInt8]], again: Bool) {
    guard var check = checks[number] else { return ([], false) }
    var lines = check.held
    (check.held, check.heldLater) = (check.heldLater, [])
    if !check.asksAgain {
      lines += check.held
      check.held = []
    }
    let again = check.asksAgain
    (check.isAsking, check.asksAgain, check.hasFailed) = (false, false, false)
    checks[number] = check
    set(number, endsAtMs)
    return (lines, again)
  }

  mutating func failed(_ number: UInt64) { checks[number]?.hasFailed = true }

  /// The watches of which Redis did not say whether they may go on.
  mutating func takeFailed() -> [UInt64] {
    let numbers = checks.filter { $0.value.hasFailed }.map(\.key)
    for number in numbers { checks[number]?.hasFailed = false }
    return numbers
  }

  /// The watches whose right is over by now.
  mutating func takeDue(nowMs: Int64) -> [UInt64] {
    var due: [UInt64] = []
    while let least = deadlines.least, least.atMs <= nowMs {
      _ = deadlines.popLeast()
      if checks[least.number]?.endsAtMs == least.atMs { due.append(least.number) }
    }
    return due
  }
}
