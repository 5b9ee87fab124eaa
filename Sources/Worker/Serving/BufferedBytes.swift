// Owns: how many bytes a worker keeps for its callers, of one loop and of all, and whether that is
// too much. `BufferedBytes` is its loop's; `BufferedTotal` is shared by all threads.

internal import Synchronization

/// What all loops keep, as far as they have told.
final class BufferedTotal: Sendable {
  private let bytes = Atomic(0)

  var now: Int { bytes.load(ordering: .relaxed) }

  /// Adds a change, and returns what it comes to.
  func add(_ delta: Int) -> Int { bytes.add(delta, ordering: .relaxed).newValue }
}

/// One loop's account of what it keeps for callers: lines that have not ended, large requests that
/// are under way, replies that have not been read.
struct BufferedBytes {
  /// A loop tells the others of changes that come to so much: to tell of each would put a locked
  /// instruction on the way of every request.
  static let untoldMax = 1 << 16

  /// What this loop keeps.
  private(set) var own = 0
  private var told = 0
  /// What the others kept when it was last looked at.
  private var others = 0
  private let most: Int
  private let total: BufferedTotal

  init(most: Int, _ total: BufferedTotal) {
    self.most = most
    self.total = total
  }

  /// Whether all loops together keep more than they may.
  var isOver: Bool { own + others > most }

  mutating func add(_ delta: Int) {
    own += delta
    guard abs(own - told) >= BufferedBytes.untoldMax else { return }
    others = total.add(own - told) - own
    told = own
  }

  /// Takes up what the other loops have told, for which once a turn is often enough.
  ///
  /// Returns what this one keeps.
  @discardableResult mutating func look() -> Int {
    others = total.now - told
    return own
  }
}
