// Owns: the deadlines that serving loops report to the control loop, as set by their own clients.
// Any thread.

package import Loop
package import SessionModel
internal import Synchronization

/// The earliest deadline per partition that was not taken yet, in monotonic ms.
///
/// Unchecked because a pointer to atomics is not known to be Sendable.
package final class UpcomingDeadlines: @unchecked Sendable {
  private let earliest: UnsafeMutablePointer<Atomic<Int64>>
  private let mailbox: Mailbox<Partition>
  /// Deadlines farther ahead are left to the sweep, which comes several times before them.
  private let horizonMs: Int64

  package init(mailbox: Mailbox<Partition>, horizonMs: Int64) {
    self.mailbox = mailbox
    self.horizonMs = horizonMs
    earliest = .allocate(capacity: Partition.count)
    for index in 0..<Partition.count { (earliest + index).initialize(to: Atomic(Int64.max)) }
  }

  deinit {
    for index in 0..<Partition.count { (earliest + index).deinitialize(count: 1) }
    earliest.deallocate()
  }

  /// Notes that something in the partition may fall due so many ms from now.
  package func note(_ partition: Partition, inMs ms: Int64, nowMs: Int64) {
    guard ms <= horizonMs else { return }
    let atMs = nowMs + ms
    let cell = earliest + partition.index
    guard atMs < cell.pointee.load(ordering: .relaxed) else { return }
    let (before, _) = cell.pointee.min(atMs, ordering: .relaxed)
    if atMs < before { mailbox.post(partition) }
  }

  /// Takes the partition's earliest deadline; nil if there is none.
  package func take(_ partition: Partition) -> Int64? {
    let atMs = earliest[partition.index].exchange(.max, ordering: .relaxed)
    return atMs == .max ? nil : atMs
  }
}
