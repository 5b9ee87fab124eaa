// Owns: the ids of sessions. A value; any thread.

/// ULIDs: 48 bits of milliseconds, 64 random bits and 16 bits of a hash of the device, in
/// Crockford's base 32.
///
/// So ids sort by their time, and show whether they were made for a device.
package enum SessionID {
  private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
  /// How long one is, in characters.
  package static let length = 26

  fileprivate static func text(_ number: UInt128) -> String {
    var text = [UInt8](repeating: 0, count: length)
    var value = number
    for at in stride(from: length - 1, through: 0, by: -1) {
      text[at] = digits[Int(value & 31)]
      value >>= 5
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Whether the bytes are a ULID in capitals, as workers make them.
  package static func isOne(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    text.count == length && text[0] <= UInt8(ascii: "7") && text.allSatisfy { digits.contains($0) }
  }

  /// The time at which an id was made, by the clock of its worker; nil if it is no id.
  package static func madeAtMs(_ id: some StringProtocol) -> Int64? {
    let text = Array(id.utf8)
    guard text.withUnsafeBufferPointer({ isOne($0) }) else { return nil }
    return text.prefix(10).reduce(0) { $0 << 5 | Int64(digits.firstIndex(of: $1) ?? 0) }
  }
}

extension SessionID {
  /// The bits of a device that stand at the end of its sessions' ids.
  package static func mark(ofDevice device: UnsafeBufferPointer<UInt8>) -> UInt16 {
    Partition.mark(of: device)
  }

  /// The bits of the device that an id was made for; nil if it is no id.
  package static func mark(of id: UnsafeBufferPointer<UInt8>) -> UInt16? {
    guard isOne(id) else { return nil }
    var bits: UInt64 = 0
    for byte in id.suffix(4) {
      guard let digit = digits.firstIndex(of: byte) else { return nil }
      bits = bits << 5 | UInt64(digit)
    }
    return UInt16(truncatingIfNeeded: bits)
  }
}

/// Makes ids of which each is greater than the one before it, as the ULID specification's monotonic
/// form has it: within a millisecond, and while the clock stands back, one is counted up from.
package struct SessionIDs: Sendable {
  private var last: UInt128 = 0

  package init() {}

  /// The next id, with so many random bits and the mark of its device.
  package mutating func next(ms: Int64, random: UInt64, mark: UInt16) -> String {
    let fresh = UInt128(UInt64(ms)) << 64 | UInt128(random)
    last = fresh >> 64 > last >> 64 ? fresh : last + 1
    return SessionID.text(last << 16 | UInt128(mark))
  }
}
