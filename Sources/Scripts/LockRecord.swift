// Owns: what stands in the record of a lock (docs/keys.md), and the reply line that a worker makes
// of it. A value that points into what was read; any thread.

/// The record of a lock, as `lock_records.lua` writes it.
package struct LockRecord {
  /// In Unix ms.
  package let deadline: Slice<UnsafeBufferPointer<UInt8>>
  package let token: Slice<UnsafeBufferPointer<UInt8>>
  package let agent: Slice<UnsafeBufferPointer<UInt8>>
  /// In Unix ms.
  package let acquiredAt: Slice<UnsafeBufferPointer<UInt8>>
  /// JSON; empty if there is none.
  package let note: Slice<UnsafeBufferPointer<UInt8>>

  private static let timeBytes = 13
  private static let tokenBytes = 16

  /// Takes a record apart, which is cut by place; nil if it is none.
  package init?(_ record: UnsafeBufferPointer<UInt8>) {
    let tokenStart = LockRecord.timeBytes + 1
    let agentStart = tokenStart + LockRecord.tokenBytes + 1
    guard record.count > agentStart else { return nil }
    deadline = record[..<LockRecord.timeBytes]
    token = record[tokenStart..<agentStart - 1]
    let space = UInt8(ascii: " ")
    guard let agentEnd = record[agentStart...].firstIndex(of: space) else {
      agent = record[agentStart...]
      acquiredAt = token.prefix(LockRecord.timeBytes)
      note = record[record.count...]
      return
    }
    agent = record[agentStart..<agentEnd]
    let acquiredEnd = agentEnd + 1 + LockRecord.timeBytes
    guard acquiredEnd <= record.count else { return nil }
    acquiredAt = record[agentEnd + 1..<acquiredEnd]
    note = record[min(acquiredEnd + 1, record.count)...]
  }

  /// Appends the reply of a renewal for so many ms, without a line end.
  package func appendRenewal(ttlMs: Int64, to line: inout [UInt8]) {
    func add(_ text: StaticString) { text.withUTF8Buffer { line.append(contentsOf: $0) } }
    add("OK {\"agent\":\"")
    line.append(contentsOf: UnsafeBufferPointer(rebasing: agent))
    add("\",\"token\":")
    line.append(contentsOf: UnsafeBufferPointer(rebasing: token))
    add(",\"ttl_ms\":")
    withDecimal(ttlMs) { line.append(contentsOf: $0) }
    add(",\"acquired_at\":")
    line.append(contentsOf: UnsafeBufferPointer(rebasing: acquiredAt))
    add(",\"renewed\":true}")
  }
}
