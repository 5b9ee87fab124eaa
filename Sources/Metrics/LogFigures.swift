// Owns: the figures of the event logs, as the latest upkeep found them: written by the control loop
// alone, read for /metrics.

/// The state of each partition's event log.
package struct LogFigures: Sendable {
  /// The state of one log.
  package struct Status: Equatable, Sendable {
    /// Its memory in Redis; -1 if it is corrupt.
    package var bytes: Int
    /// Whether devices with more than their share of it are refused.
    package var isFull: Bool
    /// The age of the oldest event that a group in use has not acknowledged; 0 without one.
    package var behindMs: Int
    /// How many events were dropped, in all, that a group in use had not acknowledged.
    package var lost: Int

    package init(bytes: Int, isFull: Bool, behindMs: Int, lost: Int) {
      self.bytes = bytes
      self.isFull = isFull
      self.behindMs = behindMs
      self.lost = lost
    }

    package var isCorrupt: Bool { bytes < 0 }
  }

  private let partitions: Int
  private let cells: NumberRow
  private static let width = 5

  package init(partitions: Int) {
    self.partitions = partitions
    cells = NumberRow(count: partitions * LogFigures.width)
  }

  /// Sets the state of a partition's log; returns the one before, nil at the first time.
  @discardableResult
  package func set(_ status: Status, at partition: Int) -> Status? {
    let start = partition * LogFigures.width
    let before = cells[start + 4] == 1 ? self[partition] : nil
    cells.set(status.bytes, at: start)
    cells.set(status.isFull ? 1 : 0, at: start + 1)
    cells.set(status.behindMs, at: start + 2)
    // One that is corrupt does not say; a counter must not go down.
    if !status.isCorrupt { cells.set(status.lost, at: start + 3) }
    cells.set(1, at: start + 4)
    return before
  }

  package subscript(partition: Int) -> Status {
    let start = partition * LogFigures.width
    return Status(
      bytes: cells[start], isFull: cells[start + 1] == 1, behindMs: cells[start + 2],
      lost: cells[start + 3])
  }

  private var all: [Status] { (0..<partitions).map { self[$0] } }

  /// The memory of all logs, and of the largest.
  package var bytes: (sum: Int, most: Int) {
    let known = all.map { max(0, $0.bytes) }
    return (known.reduce(0, +), known.max() ?? 0)
  }
  package var full: Int { all.count { $0.isFull } }
  package var corrupt: Int { all.count { $0.isCorrupt } }
  package var lost: Int { all.reduce(0) { $0 + $1.lost } }
  package var behindMs: Int { all.map(\.behindMs).max() ?? 0 }
}
