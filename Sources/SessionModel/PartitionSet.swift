// Owns: a set of partitions. A value; any thread.

/// Some of the partitions.
package struct PartitionSet: Equatable, Sendable {
  /// A bit for each partition.
  private var words = SIMD4<UInt64>()

  package init() {}

  package init(_ partitions: some Sequence<Partition>) {
    for partition in partitions { insert(partition) }
  }

  package static let all = PartitionSet(Partition.all)

  package var isEmpty: Bool { words == SIMD4<UInt64>() }

  package func contains(_ partition: Partition) -> Bool {
    words[partition.index / 64] >> UInt64(partition.index % 64) & 1 == 1
  }

  package mutating func insert(_ partition: Partition) {
    words[partition.index / 64] |= 1 << UInt64(partition.index % 64)
  }

  package mutating func remove(_ partition: Partition) {
    words[partition.index / 64] &= ~(1 << UInt64(partition.index % 64))
  }

  package mutating func formUnion(_ other: PartitionSet) { words |= other.words }
  package mutating func subtract(_ other: PartitionSet) { words &= ~other.words }

  package func intersection(_ other: PartitionSet) -> PartitionSet {
    var common = self
    common.words &= other.words
    return common
  }

  /// The first `most` of its partitions from one on, in a circle.
  package func members(from start: Int = 0, most: Int = Partition.count) -> [Partition] {
    var found: [Partition] = []
    for turn in 0..<Partition.count where found.count < most {
      let partition = Partition.all[(start + turn) % Partition.count]
      if contains(partition) { found.append(partition) }
    }
    return found
  }
}
