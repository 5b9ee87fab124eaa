// Owns: the figures of the event logs, as the latest upkeep found them: written by the control loop
// alone, read for /metrics, INFO and the page.

internal import Synchronization

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

  /// How far the groups of each partition are behind, by their names.
  private final class Lags: Sendable {
    let ofPartitions: Mutex<[[String: Int]]>

    init(partitions: Int) { ofPartitions = Mutex(Array(repeating: [:], count: partitions)) }
  }

  private let partitions: Int
  private let cells: NumberRow
  private let lags: Lags
  private static let width = 5

  package init(partitions: Int) {
    self.partitions = partitions
    cells = NumberRow(count: partitions * LogFigures.width)
    lags = Lags(partitions: partitions)
  }

  /// Sets how old the oldest event is, in ms, that each group in use has not acknowledged in a
  /// partition's log; 0 without one.
  package func set(lags: [(group: String, ms: Int)], at partition: Int) {
    let byName = Dictionary(lags.map { ($0.group, $0.ms) }) { first, _ in first }
    self.lags.ofPartitions.withLock { $0[partition] = byName }
  }

  /// The groups in use, each with the age of the oldest event that it has not acknowledged in any
  /// partition: those that are most behind first.
  package var groups: [(name: String, behindMs: Int)] {
    let all: [String: Int] = lags.ofPartitions.withLock { partitions in
      partitions.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: max) }
    }
    return all.map { (name: $0.key, behindMs: $0.value) }
      .sorted { ($1.behindMs, $0.name) < ($0.behindMs, $1.name) }
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
