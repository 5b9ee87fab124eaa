// Owns: the partition at which the next page of a group begins. A value; the loop's thread.

package import SessionModel

/// The places at which groups go on.
///
/// A page that is full ends before all partitions were looked at. The next one begins behind it, so
/// that the events of no partition wait for more than one round over all.
package struct GroupStarts {
  private var next: [String: Int] = [:]
  private var turn = 0
  /// Groups may be removed, and others made, for as long as a worker lives.
  private static let groupsMax = 128

  package init() {}

  /// The index of the partition to begin at.
  package mutating func start(of group: String) -> Int {
    turn = (turn + 1) % Partition.count
    return next[group] ?? turn
  }

  /// A page of the group has ended in this partition.
  package mutating func ended(_ group: String, in partition: Partition) {
    if next[group] == nil, next.count >= GroupStarts.groupsMax { next = [:] }
    next[group] = (partition.index + 1) % Partition.count
  }
}
