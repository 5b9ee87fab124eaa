// Owns: the tests of the check of reply lines.

import Testing
import Wire

struct ReplyGrammarTests {
  private func isReply(_ bytes: [UInt8]) -> Bool { ReplyGrammar.allows(bytes.span) }

  @Test(arguments: [
    "OK", "OK {}", "OK {\"a\":[1,\"ü\"]}", "NONE", "HELD {\"agent\":\"a\"}", "STALE {\"rev\":1}",
    "BUSY {}", "ERR internal x",
  ])
  func `a reply by the grammar is one`(text: String) {
    #expect(isReply(Array(text.utf8)))
  }

  @Test(arguments: [
    "", " ", "OK ", "OK {", "OK {}x", "OK 1", "OK {\"a\":\n1}", "OK\n", "OKAY {}", "ok", "NONE {}",
    "NONE ", "HELD", "HELD ", "HELD x", "STALE {\"rev\":x}", "BUSY", "ERR", "MORE x", "x",
    "WRONGTYPE Operation", "OK {\"a\":\"\u{0}\"}",
  ])
  func `a text of another form is none`(text: String) {
    #expect(!isReply(Array(text.utf8)))
  }

  @Test func `a text that is not UTF-8 is none`() {
    #expect(!isReply(Array("OK {\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8)))
  }
}
