// Owns: which of the 16,384 slots of a cluster a key lies in. A value; any thread.

/// A slot of Redis Cluster.
package enum HashSlot {
  package static let count = 16_384

  /// The slots of the partitions, in their order.
  ///
  /// The tags are fixed, so each is known before there is a cluster.
  package static let ofPartitions = Partition.all.map { of(key: "{\($0.tag)}") }

  /// The slot of a key: the CRC of its hash tag, or of all of it if it has none.
  package static func of(key: String) -> Int {
    let bytes = Array(key.utf8)
    guard let open = bytes.firstIndex(of: UInt8(ascii: "{")) else { return slot(bytes[...]) }
    let behind = bytes[(open + 1)...]
    guard let close = behind.firstIndex(of: UInt8(ascii: "}")), close > open + 1 else {
      return slot(bytes[...])
    }
    return slot(behind[..<close])
  }

  private static func slot(_ bytes: ArraySlice<UInt8>) -> Int { Int(crc16(bytes)) % count }

  /// CRC-16/XMODEM, which the specification of Redis Cluster names: polynomial 0x1021, from 0 on.
  static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
    bytes.reduce(UInt16(0)) { crc, byte in
      (0..<8).reduce(crc ^ UInt16(byte) << 8) { crc, _ in
        crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021
      }
    }
  }
}
