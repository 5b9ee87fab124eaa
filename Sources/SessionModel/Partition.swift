// Owns: which of the 256 partitions a device, or a link, lies in. A value; any thread.

/// One of the 256 shards of the keyspace; all keys of a device lie in one, and so in one slot.
package struct Partition: Hashable, Sendable {
  /// How many partitions there are.
  ///
  /// Written to Redis at first use, because changing it would make every key unfindable.
  package static let count = 256

  /// All of them, in order.
  package static let all = (0..<count).map { Partition(index: $0) }

  /// 0 to 255.
  package let index: Int

  package init(index: Int) {
    precondition(0..<Partition.count ~= index, "partition \(index) of \(Partition.count)")
    self.index = index
  }

  /// The partition of an id: its 32-bit FNV-1a hash (Fowler, Noll, Vo), folded to eight bits.
  ///
  /// Folding, as the authors advise for sizes that are no full word, mixes in the upper bits.
  package init(of id: UnsafeBufferPointer<UInt8>) { self.init(mark: Partition.mark(of: id)) }

  /// The partition of the ids with this mark.
  package init(mark: UInt16) { index = Int((mark ^ (mark >> 8)) & 0xFF) }

  /// The hash of an id, folded to 16 bits.
  package static func mark(of id: UnsafeBufferPointer<UInt8>) -> UInt16 {
    var hash: UInt32 = 0x811C_9DC5
    for byte in id { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return UInt16(truncatingIfNeeded: hash ^ (hash >> 16))
  }

  /// The same for text.
  package init(of id: String) {
    var copy = id
    self = copy.withUTF8 { Partition(of: $0) }
  }

  /// Three hexadecimal digits, as in the key's hash tag and in event ids.
  package var tag: String {
    let hex = String(index, radix: 16)
    return String(repeating: "0", count: 3 - hex.count) + hex
  }

  /// The partition of a tag of three hexadecimal digits, if there is one.
  package init?(tag: some StringProtocol) {
    guard tag.utf8.count == 3, let index = Int(tag, radix: 16), 0..<Partition.count ~= index,
      tag.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "f") ~= $0 }),
      tag.utf8.allSatisfy({ $0 <= UInt8(ascii: "9") || $0 >= UInt8(ascii: "a") })
    else { return nil }
    self.index = index
  }
}
