// Owns: the tests of text that may be copied into a reply line.

import Testing
import Wire

struct LineJSONTests {
  private func isValue(_ bytes: [UInt8]) -> Bool { LineJSON.isValue(bytes.span, depthMax: 64) }

  private func isString(_ bytes: [UInt8]) -> Bool { LineJSON.isString(bytes.span) }

  @Test(arguments: [
    "1", "null", "\"\"", "{\"a\":[1,2.50,-0e1]}", " [ ] ", "\"ü \u{85} 日本 \u{1F600}\"",
    "\"\u{7F}\"", String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
  ])
  func `a JSON value goes as it is`(text: String) {
    #expect(isValue(Array(text.utf8)))
  }

  @Test(arguments: [
    "", " ", "{\"a\":", "1 2", "'a'", "[1,]", "\"a\nb\"", "[1,\n2]", "[\t]", "\r1", "\"\0\"", "nul",
    String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
  ])
  func `text that is not JSON, or would end the line, does not`(text: String) {
    #expect(!isValue(Array(text.utf8)))
  }

  @Test(
    arguments: [
      [0xFF], [0xC2], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82],
    ] as [[UInt8]])
  func `text that is not UTF-8 does not`(bytes: [UInt8]) {
    #expect(!isValue([0x22] + bytes + [0x22]))
    #expect(!isString([0x22] + bytes + [0x22]))
  }

  @Test func `a string is one from quote to quote`() {
    for text in ["\"\"", "\"a\"", "\"\\\"\"", "\"ü\""] {
      #expect(isString(Array(text.utf8)), "\(text)")
    }
    for text in ["", "\"", "a", "\"a\"b\"", "\"a\" ", " \"a\"", "\"\\\"", "1", "\"a\n\""] {
      #expect(!isString(Array(text.utf8)), "\(text)")
    }
  }
}
