// Owns: the ids of sessions. A value; any thread.

/// Makes ULIDs: 48 bits of milliseconds and 80 random bits, in Crockford's base 32, so that ids
/// sort by their time.
package enum SessionID {
  private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
  /// How long one is, in characters.
  package static let length = 26

  /// A new id; of the random bits, 16 come from `high` and 64 from `low`.
  package static func make(ms: Int64, high: UInt16, low: UInt64) -> String {
    text(UInt128(UInt64(ms)) << 80 | UInt128(high) << 64 | UInt128(low))
  }

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
}

/// Makes ids of which each is greater than the one before it, as the ULID specification's monotonic
/// form has it: within a millisecond, and while the clock stands back, one is counted up from.
package struct SessionIDs: Sendable {
  private var last: UInt128 = 0

  package init() {}

  /// The next id; of the random bits, 16 come from `high` and 64 from `low`.
  package mutating func next(ms: Int64, high: UInt16, low: UInt64) -> String {
    let fresh = UInt128(UInt64(ms)) << 80 | UInt128(high) << 64 | UInt128(low)
    last = fresh >> 80 > last >> 80 ? fresh : last + 1
    return SessionID.text(last)
  }
}
