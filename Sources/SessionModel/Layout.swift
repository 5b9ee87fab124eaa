// Owns: the layout of a namespace, on which all its users have to agree. Any thread.

/// The layout of the keys of a namespace: what docs/keys.md says.
///
/// A worker that took keys of another layout for its own would read records that it does not
/// understand as locks that are free.
package enum Layout {
  /// Grows with each change after which keys are not read as they were meant.
  private static let version = 1

  /// The value in Redis, written at first use: the number of partitions, and the version.
  package static let text = "\(Partition.count) \(version)"

  /// The same in words.
  package static let words = words(text)

  /// The value that was found in Redis, in words; any text.
  package static func words(_ text: String) -> String {
    let parts = text.split(separator: " ", maxSplits: 1)
    guard parts.count == 2 else { return "\(text) partitions in a layout without a version" }
    return "\(parts[0]) partitions in layout \(parts[1])"
  }
}
