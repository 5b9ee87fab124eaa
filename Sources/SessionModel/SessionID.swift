// Owns: the ids of sessions. A value; any thread.

/// Makes ULIDs: 48 bits of milliseconds and 80 random bits, in Crockford's base 32, so that ids
/// sort by their time.
package enum SessionID {
  private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
  /// How long one is, in characters.
  package static let length = 26

  /// A new id; of the random bits, 16 come from `high` and 64 from `low`.
  package static func make(ms: Int64, high: UInt16, low: UInt64) -> String {
    var text = [UInt8](repeating: 0, count: length)
    var value = UInt128(UInt64(ms)) << 80 | UInt128(high) << 64 | UInt128(low)
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
}
