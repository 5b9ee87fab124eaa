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
  package init?(_ record: UnsafeBufferPointer<UInt8>) {
    let tokenStart = LockRecord.timeBytes + 1
    let agentStart = tokenStart + LockRecord.tokenBytes + 1
    guard record.count > agentStart else { return nil }
    token = record[tokenStart..<agentStart - 1]
    let space = UInt8(ascii: " ")
    guard record[tokenStart - 1] == space, record[agentStart - 1] == space,
      LockRecord.isNumber(token)
    else { return nil }
    guard let agentEnd = record[agentStart...].firstIndex(of: space) else { return nil }
    agent = record[agentStart..<agentEnd]
    let ttl = record[(agentEnd + 1)...].prefix { $0 != space }
    guard let ttlMs = LockTTL.milliseconds(ttl) else { return nil }
    self.ttlMs = ttlMs
    guard ttl.endIndex < record.count else {
      acquiredAt = token.prefix(LockRecord.timeBytes)
      return
    }
    let acquiredEnd = ttl.endIndex + 1 + LockRecord.timeBytes
    guard acquiredEnd <= record.count else { return nil }
    acquiredAt = record[ttl.endIndex + 1..<acquiredEnd]
    guard LockRecord.isNumber(acquiredAt) else { return nil }
  }

  /// Above this Lua does not count one by one; no token is greater.
  private static let numberMax: Int64 = (1 << 53) - 1

  /// Whether up to 16 bytes may stand in a line as a number.
  private static func isNumber(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    let zero = UInt8(ascii: "0")
    var number: Int64 = 0
    for byte in text {
      guard zero...UInt8(ascii: "9") ~= byte else { return false }
      number = 10 * number + Int64(byte - zero)
    }
    return text.first != zero && number <= numberMax
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
  /// The longest unit first.
  private static let units: [(letter: UInt8, ms: Int64)] = [
    (UInt8(ascii: "d"), 86_400_000), (UInt8(ascii: "h"), 3_600_000), (UInt8(ascii: "m"), 60_000),
    (UInt8(ascii: "s"), 1_000),
  ]
  private static let digitsMax = 13

  /// In the longest unit that it is a whole number of, such as `90s`; ms without a unit.
  package static func text(ofMs ms: Int64) -> String {
    guard let unit = units.first(where: { ms.isMultiple(of: $0.ms) }) else { return "\(ms)" }
    return "\(ms / unit.ms)\(Unicode.Scalar(unit.letter))"
  }

  /// The same, taken apart; nil if it is none.
  package static func milliseconds(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int64? {
    let unit = units.first { $0.letter == text.last }
    let digits = unit == nil ? text : text.dropLast()
    guard 1...digitsMax ~= digits.count else { return nil }
    var number: Int64 = 0
    for digit in digits {
      guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit else { return nil }
      number = 10 * number + Int64(digit - UInt8(ascii: "0"))
    }
    let (ms, isTooLarge) = number.multipliedReportingOverflow(by: unit?.ms ?? 1)
    return isTooLarge ? nil : ms
  }
}
