// Owns: the tests of the reply line that a worker makes of a lock's record.

import Scripts
import Testing

struct LockRecordTests {
  /// The line for a record, or nil if it is none.
  private func line(_ record: String) -> String? {
    Array(record.utf8).withUnsafeBufferPointer { bytes in
      var line: String?
      LockRecord(bytes)?.withRenewal { line = String(decoding: $0, as: UTF8.self) }
      return line
    }
  }

  @Test(arguments: ["a", "scheduling", "+", "a:b%20~", String(repeating: "~", count: 64)])
  func `a record becomes the line of a renewal`(agent: String) {
    let line = { (acquiredAt: String, ttlMs: Int64) in
      #"OK {"agent":"\#(agent)","token":1795233692477761,"ttl_ms":\#(ttlMs),"#
        + #""acquired_at":\#(acquiredAt),"renewed":true}"# + "\n"
    }
    for ttlMs in [10, 86_400_000, 315_360_000_000] as [Int64] {
      let head = "1795320092477 1795233692477761 \(agent) \(ttlMs)"
      #expect(self.line(head) == line("1795233692477", ttlMs))
      #expect(self.line("\(head) 1795233692500") == line("1795233692500", ttlMs))
      #expect(self.line("\(head) 1795233692500 +") == line("1795233692500", ttlMs))
      #expect(self.line("\(head)/Kx81aQ") == line("1795233692477", ttlMs))
      #expect(self.line("\(head)/Kx81aQ 1795233692500 +") == line("1795233692500", ttlMs))
    }
  }

  @Test(arguments: [
    (10, "10"), (1_000, "1s"), (1_500, "1500"), (30_000, "30s"), (60_000, "1m"), (90_000, "90s"),
    (5_400_000, "90m"), (86_400_000, "1d"), (90_000_000, "25h"), (315_360_000_000, "3650d"),
  ])
  func `a TTL is written in the longest unit that it is a whole number of`(ms: Int64, text: String)
  {
    #expect(LockTTL.text(ofMs: ms) == text)
    Array(text.utf8).withUnsafeBufferPointer { #expect(LockTTL.milliseconds($0[...]) == ms) }
    #expect(line("1795320092477 1795233692477761 a \(text)")?.contains("\"ttl_ms\":\(ms),") == true)
  }

  @Test(arguments: [
    "", "1", "1795320092477", "1795320092477 1795233692477761", "1795320092477 1795233692477761 ",
    "1795320092477 1795233692477761 a", "1795320092477 1795233692477761 a ",
    "1795320092477 1795233692477761 a 60000 ", "1795320092477 1795233692477761 a s",
    "1795320092477 1795233692477761 a -1", "1795320092477 1795233692477761 a 12345678901234",
    "1795320092477 1795233692477761 a 60000 179523369250",
    "1795320092477 179523\"692477761 a 60000", "1795320092477 0795233692477761 a 60000",
    "1795320092477 9007199254740992 a 60000",
    "1795320092477 1795233692477761 a 60000/", "1795320092477 1795233692477761 a /Kx81aQ",
    "1795320092477x1795233692477761 a 60000", "1795320092477 1795233692477761xa 60000",
    "1795320092477 1795233692477761 a 60000 17952336925\"0",
  ])
  func `a truncated or changed record is no record`(text: String) {
    #expect(line(text) == nil)
  }
}
