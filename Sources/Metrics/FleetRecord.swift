// Owns: the fleet's figures as a worker knows them last. The control loop writes it, any thread
// reads.

internal import Loop
internal import Synchronization

/// The latest figures of the fleet.
package final class FleetRecord: Sendable {
  /// Figures, and when this worker had them.
  package struct Entry: Sendable {
    package let figures: FleetFigures
    package let atMs: Int64

    /// How old they are.
    package var ageMs: Int64 { max(0, MonotonicTime.nowMs() - atMs) }
  }

  private let entry = Mutex<Entry?>(nil)

  package init() {}

  /// Nil until there are some.
  package var latest: Entry? { entry.withLock { $0 } }

  package func set(_ figures: FleetFigures) {
    let new = Entry(figures: figures, atMs: MonotonicTime.nowMs())
    entry.withLock { $0 = new }
  }
}
