// Owns: the progress of a backup on standard error. Main thread.

import Glibc
import Loop

/// A line that says how far a backup is: over and over in its place on a terminal, every 5 s
/// elsewhere.
struct BackupProgress {
  private let verb: String
  private let isTerminal = isatty(2) == 1
  private let startedMs = MonotonicTime.nowMs()
  private let first: Int
  private var shownMs: Int64

  /// `first`: the sessions that were done before.
  init(_ verb: String, first: Int = 0) {
    (self.verb, self.first) = (verb, first)
    shownMs = MonotonicTime.nowMs()
  }

  private var everyMs: Int64 { isTerminal ? 500 : 5_000 }

  mutating func note(sessions: Int, bytes: Int, of total: Int? = nil) {
    guard MonotonicTime.nowMs() - shownMs >= everyMs else { return }
    shownMs = MonotonicTime.nowMs()
    let line = text(sessions, bytes, total)
    _ = Console.write(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n", to: 2)
  }

  /// The last line; the cursor of a terminal is below it.
  func end(sessions: Int, bytes: Int, of total: Int? = nil) {
    _ = Console.write((isTerminal ? "\r\u{1B}[K" : "") + text(sessions, bytes, total) + "\n", to: 2)
  }

  private func text(_ sessions: Int, _ bytes: Int, _ total: Int?) -> String {
    let seconds = Double(max(1, MonotonicTime.nowMs() - startedMs)) / 1_000
    let rate = Int(Double(sessions - first) / seconds)
    let share = total.map { " of \($0)" } ?? ""
    return "\(verb) \(sessions)\(share) sessions, \(HumanText.bytes(bytes)), \(rate) a second"
  }
}
