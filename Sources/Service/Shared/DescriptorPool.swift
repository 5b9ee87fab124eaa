// Owns: how many descriptors the connections of callers take, over all loops. Any thread: one
// atomic, touched when a connection is taken and when it ends.

internal import Synchronization

/// The descriptors for callers.
///
/// Those of Redis and of the admin port are not among them, so that however many callers come, a
/// worker can reach its Redis and be looked at.
package final class DescriptorPool: Sendable {
  package let most: Int
  private let taken = Atomic(0)

  package init(most: Int) { self.most = most }

  /// How many are taken.
  package var now: Int { taken.load(ordering: .relaxed) }

  /// Takes one, unless all are taken.
  package func take() -> Bool {
    guard taken.add(1, ordering: .relaxed).newValue > most else { return true }
    giveBack()
    return false
  }

  package func giveBack() { taken.subtract(1, ordering: .relaxed) }
}
