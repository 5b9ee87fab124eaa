// Owns: the tests of a cluster's slots.

import Testing

@testable import SessionModel

struct HashSlotTests {
  /// The check value of the specification, and what CLUSTER KEYSLOT gives.
  @Test func `a key's slot is that of Redis Cluster`() {
    #expect(HashSlot.crc16("123456789".utf8) == 0x31C3)
    #expect(HashSlot.of(key: "foo") == 12_182)
    #expect(HashSlot.of(key: "{foo}.bar") == 12_182)
    #expect(HashSlot.of(key: "a{foo}{bar}") == 12_182)
    #expect(HashSlot.of(key: "{}foo") != HashSlot.of(key: "foo"))
    #expect(HashSlot.of(key: "foo{") != HashSlot.of(key: "foo"))
  }

  @Test func `partitions are spread over the slots`() {
    let slots = HashSlot.ofPartitions
    #expect(slots[0xA3] == HashSlot.of(key: "lk:{0a3}:held:d"))
    for third in 0..<3 {
      let count = slots.count { $0 * 3 / HashSlot.count == third }
      #expect((64...108).contains(count), "\(count) of 256 partitions in a third of the slots")
    }
  }
}
