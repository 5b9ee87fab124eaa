// Owns: the division of the partitions among the live workers, without communication. A value.

package import SessionModel

/// For each partition, this worker's rank among the workers.
///
/// Rendezvous hashing (Thaler and Ravishankar, 1998): each worker's weight for a partition is a
/// hash of both names, and the heaviest acts. When a worker leaves, only its partitions move, to
/// the next in their ranks; the workers have to agree on nothing but the list of live workers.
package struct PartitionShare: Equatable {
  private let ranks: [Int]
  /// How many workers share the partitions.
  package let workers: Int

  package init(worker: String, living: [String]) {
    let others = living.filter { $0 != worker }
    workers = others.count + 1
    ranks = (0..<Partition.count).map { index in
      let own = PartitionShare.weight(worker, index)
      return others.reduce(0) { rank, other in
        let weight = PartitionShare.weight(other, index)
        return weight > own || (weight == own && other > worker) ? rank + 1 : rank
      }
    }
  }

  /// 0 for the partition's owner, 1 for the worker that acts if the owner does not, and so on.
  func rank(_ partition: Int) -> Int { ranks[partition] }

  /// How many partitions this worker owns.
  package var owned: Int { ranks.count { $0 == 0 } }

  /// Those that it owns.
  package var ownedPartitions: PartitionSet {
    PartitionSet(Partition.all.filter { ranks[$0.index] == 0 })
  }

  private static func weight(_ worker: String, _ partition: Int) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in worker.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    hash = (hash ^ UInt64(partition)) &* 0x0000_0100_0000_01B3
    // FNV alone leaves the last byte in the low bits; this finalizer (from SplitMix64) spreads it.
    hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
    hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
    return hash ^ (hash >> 31)
  }
}
