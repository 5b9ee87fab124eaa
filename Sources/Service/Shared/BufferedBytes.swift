// Owns: how many bytes a worker keeps for its callers, per loop and in all, and whether the limit
// is reached. `BufferedBytes` is its loop's; `BufferedTotal` is shared by all threads.

internal import Synchronization

/// The bytes that all loops keep, as last published.
package final class BufferedTotal: Sendable {
  private let bytes = Atomic(0)

  package var now: Int { bytes.load(ordering: .relaxed) }

  /// Adds a change, and returns what it comes to.
  package func add(_ delta: Int) -> Int { bytes.add(delta, ordering: .relaxed).newValue }
}

/// One loop's account of what it keeps for callers: lines that have not ended, large requests that
/// are under way, replies that have not been read.
///
/// A class: as a value it was copied for each look at it, some 100 instructions for a request.
package final class BufferedBytes {
  /// A loop publishes its changes once they come to so much: publishing each would put a locked
  /// instruction on the path of every request.
  static let unpublishedMax = 1 << 16

  /// The bytes that this loop keeps.
  package private(set) var own = 0
  private var published = 0
  /// The bytes that the others kept when last read.
  private var others = 0
  private let most: Int
  private let total: BufferedTotal

  package init(most: Int, _ total: BufferedTotal) {
    self.most = most
    self.total = total
  }

  /// Whether all loops together are over the limit.
  package var isOver: Bool { own + others > most }

  package func add(_ delta: Int) {
    own += delta
    guard abs(own - published) >= BufferedBytes.unpublishedMax else { return }
    others = total.add(own - published) - own
    published = own
  }

  /// Reads the other loops' bytes, for which once a turn is often enough.
  ///
  /// Returns what this one keeps.
  @discardableResult package func look() -> Int {
    others = total.now - published
    return own
  }
}
