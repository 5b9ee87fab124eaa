// Owns: the tests of the reply line that a worker makes of a lock's record.

import Scripts
import Testing

struct LockRecordTests {
  /// The line for a record, or nil if it is none.
  private func line(_ record: String, ttlMs: Int64 = 60_000) -> String? {
    Array(record.utf8).withUnsafeBufferPointer { bytes in
      var line: String?
      LockRecord(bytes)?.withRenewal(ttlMs: ttlMs) { line = String(decoding: $0, as: UTF8.self) }
      return line
    }
  }

  @Test(arguments: ["a", "scheduling", "+", "a:b%20~", String(repeating: "~", count: 64)])
  func `a record becomes the line of a renewal`(agent: String) {
    let head = "1795320092477 1795233692477761 \(agent)"
    let line = { (acquiredAt: String, ttlMs: Int64) in
      #"OK {"agent":"\#(agent)","token":1795233692477761,"ttl_ms":\#(ttlMs),"#
        + #""acquired_at":\#(acquiredAt),"renewed":true}"# + "\n"
    }
    for ttlMs in [10, 86_400_000, 315_360_000_000] as [Int64] {
      #expect(self.line(head, ttlMs: ttlMs) == line("1795233692477", ttlMs))
      #expect(self.line("\(head) 1795233692500", ttlMs: ttlMs) == line("1795233692500", ttlMs))
      #expect(self.line("\(head) 1795233692500 +", ttlMs: ttlMs) == line("1795233692500", ttlMs))
    }
  }

  @Test(arguments: [
    "", "1", "1795320092477", "1795320092477 1795233692477761", "1795320092477 1795233692477761 ",
    "1795320092477 1795233692477761 a ", "1795320092477 1795233692477761 a 179523369250",
  ])
  func `what is cut short is no record`(text: String) {
    #expect(line(text) == nil)
  }
}
