// Owns: the figures of all connections of a process, those of serving loops and of the control loop
// together. Any thread.

internal import Synchronization

/// How often connections met the wrong server, and were reset.
package final class ConnectionFigures: Sendable {
  private let wrong = Atomic(0)
  private let reset = Atomic(0)
  private let sentinelCount = Atomic(0)
  private let answeringSentinelCount = Atomic(0)
  private let masterChangeCount = Atomic(0)
  private let unacknowledgedCount = Atomic(0)

  package init() {}

  /// How often a server turned out not to be the one for work, when it was connected to or later.
  package var wrongServers: Int { wrong.load(ordering: .relaxed) }
  /// How many connections were given up, and reset, with requests under way.
  package var resets: Int { reset.load(ordering: .relaxed) }

  /// The sentinels that the worker asks, and those of them that answer.
  package var sentinels: Int { sentinelCount.load(ordering: .relaxed) }
  package var answeringSentinels: Int { answeringSentinelCount.load(ordering: .relaxed) }
  /// How often the sentinels named another master than before.
  package var masterChanges: Int { masterChangeCount.load(ordering: .relaxed) }

  func setSentinels(_ count: Int, answering: Int) {
    sentinelCount.store(count, ordering: .relaxed)
    answeringSentinelCount.store(answering, ordering: .relaxed)
  }
  /// How many calls with changes too few replicas had in time.
  package var unacknowledgedCalls: Int { unacknowledgedCount.load(ordering: .relaxed) }

  func addUnacknowledged(_ count: Int) { unacknowledgedCount.add(count, ordering: .relaxed) }
  func addMasterChange() { masterChangeCount.add(1, ordering: .relaxed) }
  func addWrongServer() { wrong.add(1, ordering: .relaxed) }
  func addReset() { reset.add(1, ordering: .relaxed) }
}
