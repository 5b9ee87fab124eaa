// Owns: what waits because no node has its slot at the moment: it was not done, and is sent again
// within its time. A value without a clock; its loop's thread.

internal import SessionModel

/// Calls and requests that wait for a slot, in the order in which they are to be done.
///
/// A partition may also be barred: requests of it that were sent before are still with a node, and
/// may have to be done elsewhere. What is parked goes after them, or it would overtake them.
struct ParkedCalls {
  /// Where an entry comes from, in the order in which they are to be done.
  enum Origin: Int, CaseIterable {
    /// A node has answered that it is elsewhere.
    case returned
    /// It was to be sent behind something that has returned.
    case takenBack
    /// It came while its partition was held, or had no node that can be asked.
    case held
  }

  struct Entry {
    let partitions: [Partition]
    let untilMs: Int64
    /// Sends it again, at the node that has its slot now.
    let resend: () -> Void
    /// Ends it: there is no time left.
    let fail: () -> Void
  }

  private var entries = [[Entry]](repeating: [], count: Origin.allCases.count)
  /// How many entries and bars each partition has, and how many of them are bars.
  private var holds = [Int](repeating: 0, count: Partition.count)
  private var bars = [Int](repeating: 0, count: Partition.count)
  private var holdsInAll = 0

  var isEmpty: Bool { entries.allSatisfy(\.isEmpty) }

  /// Whether a further request of the partition has to wait behind others.
  func holds(_ partition: Int) -> Bool { holdsInAll > 0 && holds[partition] > 0 }

  /// Whether something of the partition is parked.
  func hasEntry(_ partition: Int) -> Bool { holds[partition] > bars[partition] }

  mutating func append(_ entry: Entry, _ origin: Origin) {
    entries[origin.rawValue].append(entry)
    for partition in entry.partitions { hold(partition, 1) }
  }

  private mutating func hold(_ partition: Partition, _ more: Int) {
    holds[partition.index] += more
    holdsInAll += more
  }

  /// Bars partitions, once more where they are barred already.
  mutating func bar(_ partitions: [Partition]) {
    for partition in partitions {
      bars[partition.index] += 1
      hold(partition, 1)
    }
  }

  mutating func unbar(_ partitions: [Partition]) {
    for partition in partitions {
      bars[partition.index] -= 1
      hold(partition, -1)
    }
  }

  /// Takes those that may go, and those whose time is over.
  ///
  /// Of a partition all or none: none goes before an earlier one, or waits behind a later one.
  mutating func take(nowMs: Int64) -> [Entry] {
    guard !isEmpty else { return [] }
    var isClosed = bars.map { $0 > 0 }
    let stays = { (entry: Entry) in
      nowMs < entry.untilMs && entry.partitions.contains { isClosed[$0.index] }
    }
    // One that stays for one of its partitions closes the others.
    var closed = -1
    while case let count = isClosed.count(where: \.self), count > closed {
      closed = count
      for entry in entries.joined() where stays(entry) {
        for partition in entry.partitions { isClosed[partition.index] = true }
      }
    }
    let taken = entries.joined().filter { !stays($0) }
    for origin in entries.indices { entries[origin].removeAll { !stays($0) } }
    for entry in taken { for partition in entry.partitions { hold(partition, -1) } }
    return taken
  }
}
