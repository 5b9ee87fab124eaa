// Owns: the tests of the check of reply lines.

import Testing
import Wire

struct ReplyGrammarTests {
  @Test(arguments: [
    "OK", "OK {}", "OK {\"a\":[1,\"ü\"]}", "NONE", "HELD {\"agent\":\"a\"}", "STALE {\"rev\":1}",
    "BUSY {}", "ERR internal x",
  ])
  func `a reply by the grammar is one`(text: String) {
    #expect(ReplyGrammar.allows(Array(text.utf8).span))
  }

  @Test(arguments: [
    "", " ", "OK ", "OK {", "OK {}x", "OK 1", "OK {\"a\":\n1}", "OK\n", "OKAY {}", "ok", "NONE {}",
    "NONE ", "HELD", "HELD ", "HELD x", "STALE {\"rev\":x}", "BUSY", "ERR", "MORE x", "x",
    "WRONGTYPE Operation", "OK {\"a\":\"\u{0}\"}",
  ])
  func `a text of another form is none`(text: String) {
    #expect(!ReplyGrammar.allows(Array(text.utf8).span))
  }

  @Test func `a text that is not UTF-8 is none`() {
    #expect(!ReplyGrammar.allows((Array("OK {\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8)).span))
  }
}
