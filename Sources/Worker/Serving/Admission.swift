// Owns: why connections are not let in, and how many of those wait to read so. A value; the loop's
// thread.

/// The connections of a loop that are not let in, for as long as they take to hear so.
struct Admission {
  /// So many of them are waited for until they have read why.
  static let refusedMax = 256

  private(set) var refusedNow = 0

  /// One is not let in; returns whether there are too many now to wait for this one.
  mutating func refused() -> Bool {
    refusedNow += 1
    return refusedNow > Admission.refusedMax
  }

  /// One of them has gone.
  mutating func refusedLeft() { refusedNow -= 1 }
}
