// Owns: which connections are rejected, and how many of those wait until their callers have read
// so. A value; the loop's thread.

/// The rejected connections of a loop, until their callers have read the error.
struct Admission {
  /// So many of them may wait until they have read the error.
  static let refusedMax = 256

  private(set) var refusedNow = 0

  /// A connection is rejected; returns whether there are too many now to wait for this one.
  mutating func refused() -> Bool {
    refusedNow += 1
    return refusedNow > Admission.refusedMax
  }

  /// A rejected connection was closed.
  mutating func refusedLeft() { refusedNow -= 1 }
}
