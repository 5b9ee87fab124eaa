// Owns: the input of a connection that was read and not parsed yet, and how much of it is read
// ahead while a request waits. A value; its loop's thread.

/// Input that came while the connection was parked, or had had its share of a turn.
struct Backlog {
  var bytes: [UInt8] = []
  /// Whether nothing follows: the caller has closed its side.
  var hasEnd = false
  /// Whether the latest request waits, and the next one until it is answered.
  var isWaiting = false

  /// So many bytes are read behind a request that waits, and one read more.
  private static let bytesMax = 1 << 16
  /// The same under memory pressure.
  static let littleBytes = 4_096

  /// Whether input is read, though it cannot be parsed yet, so that its end is noticed.
  func readsAhead(hasMemoryPressure: Bool) -> Bool {
    let most = hasMemoryPressure ? Backlog.littleBytes : Backlog.bytesMax
    return isWaiting && !hasEnd && bytes.count < most
  }
}
