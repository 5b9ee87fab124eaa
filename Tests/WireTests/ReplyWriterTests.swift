// Owns: the tests of composing replies.

import Testing
import Wire

@Suite struct ReplyWriterTests {
  @Test func `a reply is composed of its parts`() {
    let agent = "a\"b".bytes
    var out: [UInt8] = []
    out.append("OK {\"agent\":")
    out.appendJSONString(agent.span)
    out.append(0x2C)
    out.append("\"token\":")
    out.append(Int64(42))
    out.append("}")
    out.appendLineEnd()
    #expect(out.text == "OK {\"agent\":\"a\\\"b\",\"token\":42}\n")
  }

  @Test func `numbers are written as Swift writes them`() {
    for number in [0, 1, 9, 10, -1, -10, 123_456_789, 1 << 53, Int64.max, Int64.min] as [Int64] {
      var out = "x".bytes
      out.append(number)
      #expect(out.text == "x\(number)")
    }
  }

  @Test func `a part of a span is appended alone`() {
    let line = "GET device".bytes
    var out: [UInt8] = []
    out.append(span: line.span, range: 4..<10)
    out.append(span: line.span, range: 4..<4)
    #expect(out.text == "device")
  }

  @Test func `an error is one line whatever its text holds`() {
    var out: [UInt8] = []
    out.appendError(RequestError(.tooLarge, "over 1 MiB: é 😀"))
    #expect(out.text == "ERR too_large over 1 MiB: é 😀\n")
    out = []
    out.appendError(RequestError(.internal, "a\nERR b\r\n\0\u{7F}\u{85}\u{9F}\u{A0}c"))
    #expect(out.text == "ERR internal a?ERR b??????\u{A0}c\n")
  }

  @Test func `the error words are those of the protocol`() {
    let words = ErrorCode.allCases.map(\.rawValue)
    #expect(
      words == [
        "bad_request", "unknown_verb", "too_large", "auth_required", "forbidden", "illegal_state",
        "conflict", "quota", "unavailable", "unknown_outcome", "overloaded", "draining", "internal",
      ])
  }
}
