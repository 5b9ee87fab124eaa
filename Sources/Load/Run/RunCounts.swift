// Owns: the counts of a run beside requests: the course of its conversations, and how much was
// checked. A value; the loop's thread.

/// Counts of a run.
///
/// Rare things that stay at zero show what a run has not tried.
package struct RunCounts: Sendable {
  package var conversations = 0
  package var messages = 0
  /// Messages whose caller gave up: they were never said, or never handled to their end.
  package var givenUp = 0
  package var rivals = 0
  package var vanished = 0
  package var sleepers = 0
  package var grants = 0
  package var renewals = 0
  package var heldReplies = 0
  package var handoffs = 0
  package var said = 0
  package var staleRefused = 0
  package var unknownOutcomes = 0
  package var historiesRead = 0

  // MARK: Turns

  package var turns = 0
  package var busyReplies = 0
  /// Turns that began after their callers had waited.
  package var waitedTurns = 0
  package var joined = 0
  /// Replies to DONE with messages that were joined meanwhile.
  package var goneOn = 0
  /// Turns that another message has interrupted, or rolled back.
  package var interrupted = 0

  // MARK: Sessions

  package var recovered = 0
  package var paused = 0
  package var chats = 0
  package var listed = 0
  package var overQuota = 0

  /// Changes of chats that were pushed.
  package var changes = 0

  // MARK: The group

  package var delivered = 0
  package var consumersLost = 0

  // MARK: The check

  package var checked = 0
  package var unchecked = 0
  package var unverifiable = 0
  package var abandonments = 0
  /// Reported while the watch was away: the log has it, but its lateness is not known.
  package var onlyInLog = 0
  package var logsRead = 0

  // MARK: The flow

  /// Messages that were due while every conversation was busy.
  package var waited = 0
  package var notBegun = 0
  package var warmupRequests: Int?
  package var wasInterrupted = false

  package init() {}

  mutating func count(_ step: Steps, _ outcome: LoadOutcome) {
    switch outcome {
    case .granted(_, _, _, let isRenewed):
      if isRenewed {
        renewals += 1
      } else if step == .handoff {
        handoffs += 1
      } else {
        grants += 1
      }
    case .held: heldReplies += 1
    case .began: turns += 1
    case .busy: busyReplies += 1
    case .joined: joined += 1
    case .goesOn: goneOn += 1
    case .session: if step == .recover { recovered += 1 } else if step == .pause { paused += 1 }
    case .chatAdded: chats += 1
    case .listed: listed += 1
    case .overQuota: overQuota += 1
    case .said: said += 1
    case .stale: staleRefused += 1
    case .messages: historiesRead += 1
    case .unknown: unknownOutcomes += 1
    case .released, .holder, .ended, .touched, .done, .none, .wrongState, .refused: break
    }
  }
}

/// A violation, and the history of its device.
package struct LoadFinding: Sendable {
  package var violation: Violation
  package var device: String
  package var history: [String]
}
