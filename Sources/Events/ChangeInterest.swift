// Owns: which sources of changes a loop's requests and watches want, each how often. A value; the
// loop's thread.

/// The changes that a loop wants.
struct ChangeInterest {
  private var counts: [ChangeSource: Int] = [:]

  /// Counts one more that wants a source.
  mutating func add(_ source: ChangeSource) { counts[source, default: 0] += 1 }

  /// Counts one less; returns whether none wants the source any more.
  mutating func remove(_ source: ChangeSource) -> Bool {
    guard let count = counts[source] else { return false }
    counts[source] = count > 1 ? count - 1 : nil
    return count <= 1
  }
}
