// Owns: the figures of all connections of a process, those of serving loops and of the control loop
// together. Any thread.

internal import Synchronization

/// How often connections met the wrong server, and were reset.
package final class ConnectionFigures: Sendable {
  private let wrong = Atomic(0)
  private let reset = Atomic(0)

  package init() {}

  /// How often a server turned out not to be the one for work, when it was connected to or later.
  package var wrongServers: Int { wrong.load(ordering: .relaxed) }
  /// How many connections were given up, and reset, with requests under way.
  package var resets: Int { reset.load(ordering: .relaxed) }

  func addWrongServer() { wrong.add(1, ordering: .relaxed) }
  func addReset() { reset.add(1, ordering: .relaxed) }
}
