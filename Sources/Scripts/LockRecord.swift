// Owns: the parts of a lock's record (docs/keys.md), and the reply line that a worker makes of it.
// A value that points into what was read; any thread.

/// The parts of a lock's record that a renewal reads, as `lock_records.lua` writes it.
package struct LockRecord {
  package let token: Slice<UnsafeBufferPointer<UInt8>>
  package let agent: Slice<UnsafeBufferPointer<UInt8>>
  /// The length that was asked for last, and is the renewal's, in ms.
  package let ttlMs: Int64
  /// In Unix ms.
  package let acquiredAt: Slice<UnsafeBufferPointer<UInt8>>

  private static let timeBytes = 13
  private static let tokenBytes = 16

  /// Splits a record by position; nil if it is corrupt.
  ///
  /// Whose lock it is it does not look at.
  package init?(_ record: UnsafeBufferPointer<UInt8>) {
    let tokenStart = LockRecord.timeBytes + 1
    let agentStart = tokenStart + LockRecord.tokenBytes + 1
    guard record.count > agentStart else { return nil }
    token = record[tokenStart..<agentStart - 1]
    let space = UInt8(ascii: " ")
    guard let start = record.baseAddress, record[tokenStart - 1] == space,
      record[agentStart - 1] == space, LockRecord.isToken(UnsafeRawPointer(start) + tokenStart)
    else { return nil }
    guard let agentEnd = record[agentStart...].firstIndex(of: space) else { return nil }
    agent = record[agentStart..<agentEnd]
    let word = record[(agentEnd + 1)...].prefix { $0 != space }
    let ttl = word.prefix { $0 != UInt8(ascii: "/") }
    guard word.count != ttl.count + 1, let ttlMs = LockTTL.milliseconds(ttl) else { return nil }
    self.ttlMs = ttlMs
    guard word.endIndex < record.count else {
      acquiredAt = token.prefix(LockRecord.timeBytes)
      return
    }
    let acquiredEnd = word.endIndex + 1 + LockRecord.timeBytes
    guard acquiredEnd <= record.count else { return nil }
    acquiredAt = record[word.endIndex + 1..<acquiredEnd]
    guard LockRecord.isTime(acquiredAt) else { return nil }
  }

  /// Whether 16 bytes may stand in a line as a token: digits that are no more than 2^53 - 1, above
  /// which Lua does not count one by one.
  ///
  /// Eight digits at a time: one by one they took 220 instructions of each LOCK.
  private static func isToken(_ text: UnsafeRawPointer) -> Bool {
    let high = UInt64(bigEndian: text.loadUnaligned(as: UInt64.self))
    let low = UInt64(bigEndian: text.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    // "90071992" and "54740991": 2^53 - 1 as text, which sorts as its number does.
    let most: (UInt64, UInt64) = (0x3930_3037_3139_3932, 0x3534_3734_3039_3931)
    return areDigits(high) && areDigits(low) && high >> 56 != UInt64(UInt8(ascii: "0"))
      && (high, low) <= most
  }

  /// Whether eight bytes are digits: 3 in the upper half of each, and still 3 with 6 added to it.
  private static func areDigits(_ bytes: UInt64) -> Bool {
    let upper: UInt64 = 0xF0F0_F0F0_F0F0_F0F0
    let three: UInt64 = 0x3030_3030_3030_3030
    return bytes & upper == three && (bytes &+ 0x0606_0606_0606_0606) & upper == three
  }

  /// Whether bytes may stand in a line as a time.
  private static func isTime(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    text.first != UInt8(ascii: "0")
      && text.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
  }

  /// Lends the reply line of a renewal, its end included.
  package func withRenewal(_ body: (UnsafeBufferPointer<UInt8>) -> Void) {
    let textBytes = 96
    let room = textBytes + agent.count + token.count + acquiredAt.count + ByteCursor.digitsMax
    withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { line in
      guard let start = line.baseAddress else { preconditionFailure("no room for a line") }
      var out = ByteCursor(start)
      out.put("OK {\"agent\":\"")
      out.put(UnsafeBufferPointer(rebasing: agent))
      out.put("\",\"token\":")
      out.put(UnsafeBufferPointer(rebasing: token))
      out.put(",\"ttl_ms\":")
      out.put(ttlMs)
      out.put(",\"acquired_at\":")
      out.put(UnsafeBufferPointer(rebasing: acquiredAt))
      out.put(",\"renewed\":true}\n")
      let count = out.next - start
      assert(count <= room, "a line of \(count) bytes in room for \(room)")
      let bytes = UnsafeRawBufferPointer(start: start, count: count)
      body(bytes.assumingMemoryBound(to: UInt8.self))
    }
  }
}

/// How the TTL of a lock is written for scripts and in its record.
///
/// It is short, since a record of 44 bytes or less costs Redis less.
package enum LockTTL {
  private static let digitsMax = 13

  /// The longest unit that it is a whole number of, and of how many; ms without a unit.
  package static func parts(ofMs ms: Int64) -> (number: Int64, unit: UInt8?) {
    guard ms % 1_000 == 0 else { return (ms, nil) }
    if ms % 86_400_000 == 0 { return (ms / 86_400_000, UInt8(ascii: "d")) }
    if ms % 3_600_000 == 0 { return (ms / 3_600_000, UInt8(ascii: "h")) }
    if ms % 60_000 == 0 { return (ms / 60_000, UInt8(ascii: "m")) }
    return (ms / 1_000, UInt8(ascii: "s"))
  }

  /// The same as a text, such as `90s`.
  package static func text(ofMs ms: Int64) -> String {
    let (number, unit) = parts(ofMs: ms)
    return unit.map { "\(number)\(Unicode.Scalar($0))" } ?? "\(number)"
  }

  /// How many ms a unit has; nil if the letter is none.
  private static func ms(ofUnit letter: UInt8?) -> Int64? {
    switch letter {
    case UInt8(ascii: "d"): 86_400_000
    case UInt8(ascii: "h"): 3_600_000
    case UInt8(ascii: "m"): 60_000
    case UInt8(ascii: "s"): 1_000
    default: nil
    }
  }

  /// The same, taken apart; nil if it is none.
  package static func milliseconds(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int64? {
    let bytes = UnsafeBufferPointer(rebasing: text)
    let unitMs = ms(ofUnit: bytes.last)
    let digits = unitMs == nil ? bytes.count : bytes.count - 1
    guard 1...digitsMax ~= digits else { return nil }
    var number: Int64 = 0
    for at in 0..<digits {
      let digit = bytes[at] &- UInt8(ascii: "0")
      guard digit <= 9 else { return nil }
      number = 10 &* number &+ Int64(digit)
    }
    let (ms, isTooLarge) = number.multipliedReportingOverflow(by: unitMs ?? 1)
    return isTooLarge ? nil : ms
  }
}
