// Owns: what stands in the record of a lock (docs/keys.md), and the reply line that a worker makes
// of it. A value that points into what was read; any thread.

/// What a renewal tells of a lock's record, as `lock_records.lua` writes it.
package struct LockRecord {
  package let token: Slice<UnsafeBufferPointer<UInt8>>
  package let agent: Slice<UnsafeBufferPointer<UInt8>>
  /// In Unix ms.
  package let acquiredAt: Slice<UnsafeBufferPointer<UInt8>>

  private static let timeBytes = 13
  private static let tokenBytes = 16

  /// Takes a record apart, which is cut by place; nil if it is none.
  package init?(_ record: UnsafeBufferPointer<UInt8>) {
    let tokenStart = LockRecord.timeBytes + 1
    let agentStart = tokenStart + LockRecord.tokenBytes + 1
    guard record.count > agentStart else { return nil }
    token = record[tokenStart..<agentStart - 1]
    let space = UInt8(ascii: " ")
    guard let agentEnd = record[agentStart...].firstIndex(of: space) else {
      agent = record[agentStart...]
      acquiredAt = token.prefix(LockRecord.timeBytes)
      return
    }
    agent = record[agentStart..<agentEnd]
    let acquiredEnd = agentEnd + 1 + LockRecord.timeBytes
    guard acquiredEnd <= record.count else { return nil }
    acquiredAt = record[agentEnd + 1..<acquiredEnd]
  }

  /// Lends the reply line of a renewal for so many ms, its end included.
  package func withRenewal(ttlMs: Int64, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
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
