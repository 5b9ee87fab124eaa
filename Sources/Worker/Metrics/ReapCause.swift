// Owns: why partitions are looked at. A value; any thread.

/// What made a reap run; counted by this name.
enum ReapCause: Int, CaseIterable, Sendable {
  /// A deadline that was known came.
  case deadline
  /// Redis announced that a key of the partition has expired.
  case notification
  /// The partition's turn in the sweep.
  case sweep
  /// The connection to Redis, or the subscription, was away.
  case reconnect

  var label: String { "\(self)" }
}
