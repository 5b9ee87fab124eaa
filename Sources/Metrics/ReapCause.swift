// Owns: the causes of reaps. A value; any thread.

/// The cause of a reap; counted by this name.
package enum ReapCause: Int, CaseIterable, Sendable {
  /// A deadline that was known came.
  case deadline
  /// Redis announced that a key of the partition has expired.
  case notification
  /// The partition's turn in the sweep.
  case sweep
  /// The connection to Redis, or the subscription, was away.
  case reconnect

  package var label: String { "\(self)" }
}
