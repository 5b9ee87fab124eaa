// Owns: what waits because no node has its slot at the moment: it was not done, and is sent again
// within its time. A value without a clock; its loop's thread.

internal import SessionModel

/// Calls and requests that wait for a slot, in their order.
struct ParkedCalls {
  struct Entry {
    let partition: Partition
    let untilMs: Int64
    /// Sends it again, at the node that has its slot now.
    let resend: () -> Void
    /// Ends it: there is no time left.
    let fail: () -> Void
  }

  private var entries: [Entry] = []
  private var counts = [Int](repeating: 0, count: Partition.count)

  var isEmpty: Bool { entries.isEmpty }

  /// Whether a further request of the partition has to wait behind others.
  func holds(_ partition: Int) -> Bool { counts[partition] > 0 }

  mutating func append(_ entry: Entry) {
    entries.append(entry)
    counts[entry.partition.index] += 1
  }

  /// Takes all of them.
  mutating func takeAll() -> [Entry] {
    defer {
      entries = []
      for index in counts.indices { counts[index] = 0 }
    }
    return entries
  }
}
