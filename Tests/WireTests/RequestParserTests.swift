// Owns: the tests of the grammar of a request line.

import Testing
import Wire

@Suite struct RequestParserTests {
  static let good: [(line: String, parts: RequestParts)] = [
    ("PING", RequestParts(verb: "PING")),
    ("ping_2", RequestParts(verb: "ping_2")),
    ("GET d1", RequestParts(verb: "GET", words: ["d1"])),
    ("GET d1/current/current", RequestParts(verb: "GET", words: ["d1/current/current"])),
    ("LIST *", RequestParts(verb: "LIST", words: ["*"])),
    (
      "LOCK device-123 scheduling ttl=30s",
      RequestParts(verb: "LOCK", words: ["device-123", "scheduling"], options: ["ttl=30s"])
    ),
    (
      "LIST kind=ref state=active limit=50",
      RequestParts(verb: "LIST", options: ["kind=ref", "state=active", "limit=50"])
    ),
    ("LIST my.kind=ref", RequestParts(verb: "LIST", options: ["my.kind=ref"])),
    ("A user=u b c k=v", RequestParts(verb: "A", words: ["b", "c"], options: ["user=u", "k=v"])),
    ("A USER=\"u\" \"b c\"", RequestParts(verb: "A", words: ["\"b c\""], options: ["USER=\"u\""])),
    ("REPORT user=u1", RequestParts(verb: "REPORT", options: ["user=u1"])),
    ("A =x a1=x é=x", RequestParts(verb: "A", words: ["=x", "a1=x", "é=x"])),
    ("A _a_B=x", RequestParts(verb: "A", options: ["_a_B=x"])),
    ("A and.k1:x=b", RequestParts(verb: "A", options: ["and.k1:x=b"])),
    ("A and.k1/x=b", RequestParts(verb: "A", words: ["and.k1/x=b"])),
    ("A .k=b", RequestParts(verb: "A", words: [".k=b"])),
    ("A k=a=b", RequestParts(verb: "A", options: ["k=a=b"])),
    ("A k==", RequestParts(verb: "A", options: ["k=="])),
    ("A k=\"\"", RequestParts(verb: "A", options: ["k=\"\""])),
    (
      "A k=\"two words\" l=x",
      RequestParts(verb: "A", options: ["k=\"two words\"", "l=x"])
    ),
    ("A \"b c\" \"\" d", RequestParts(verb: "A", words: ["\"b c\"", "\"\"", "d"])),
    ("A \"a=b\"", RequestParts(verb: "A", words: ["\"a=b\""])),
    ("A \"q\\\"q\\u0041\"", RequestParts(verb: "A", words: ["\"q\\\"q\\u0041\""])),
    ("A \"\\ud800\"", RequestParts(verb: "A", words: ["\"\\ud800\""])),
    ("A b\"c d{e f[g", RequestParts(verb: "A", words: ["b\"c", "d{e", "f[g"])),
    ("A k=b\"c", RequestParts(verb: "A", options: ["k=b\"c"])),
    ("A }x ]y", RequestParts(verb: "A", words: ["}x", "]y"])),
    ("A Größe 你好", RequestParts(verb: "A", words: ["Größe", "你好"])),
    ("A {}", RequestParts(verb: "A", payload: "{}")),
    ("A []", RequestParts(verb: "A", payload: "[]")),
    (
      "A b k=v { \"a\" : [ 1 , 2 ] }",
      RequestParts(verb: "A", words: ["b"], options: ["k=v"], payload: "{ \"a\" : [ 1 , 2 ] }")
    ),
    (
      "A b [{\"c\": \"d e\"}]", RequestParts(verb: "A", words: ["b"], payload: "[{\"c\": \"d e\"}]")
    ),
  ]

  @Test(arguments: good)
  func `a line that follows the grammar gives its parts`(
    _ item: (line: String, parts: RequestParts)
  ) throws {
    #expect(try parse(item.line.bytes) == item.parts)
  }

  static let bad: [(line: String, text: String)] = [
    ("", "the line is empty"),
    (" ", "the line begins with a space: it begins with the verb"),
    (" PING", "the line begins with a space: it begins with the verb"),
    ("PING ", "the line ends with a space: nothing follows the last part"),
    ("A {} ", "the line ends with a space: nothing follows the last part"),
    ("GET  d1", "two spaces in a row at byte 3: one parts two words"),
    ("GET d1  d2", "two spaces in a row at byte 6: one parts two words"),
    ("A k=v  {}", "two spaces in a row at byte 5: one parts two words"),
    ("GET/ d1", "verb 'GET/' is not letters, digits and _ only"),
    ("a=b", "verb 'a=b' is not letters, digits and _ only"),
    ("{}", "verb '{}' is not letters, digits and _ only"),
    ("\"A\"", "verb '\"A\"' is not letters, digits and _ only"),
    ("é", "verb 'é' is not letters, digits and _ only"),
    ("A k=", "option 'k' has no value behind its ="),
    ("A ttl= 5", "option 'ttl' has no value behind its ="),
    ("A k={}", "option 'k' has a value that begins with { or [: quote it"),
    ("A k=[1]", "option 'k' has a value that begins with { or [: quote it"),
    ("A b user=u c", "word 'c' comes after an option: quote a text that has spaces"),
    ("A user=u b k=v c", "word 'c' comes after an option: quote a text that has spaces"),
    ("A k=v b", "word 'b' comes after an option: quote a text that has spaces"),
    ("A k=v \"b c\"", "word 'b c' comes after an option: quote a text that has spaces"),
    ("A k=v b1=c", "word 'b1=c' comes after an option: quote a text that has spaces"),
    ("A ttl=1 ttl=1", "option 'ttl' is repeated: give it once"),
    ("A ttl=1 x=2 TtL=1", "option 'TtL' is repeated: give it once"),
    ("A \"b\"c", "JSON string without a space after it at byte 5: escape a quote in it"),
    ("A \"b\"\"c\"", "JSON string without a space after it at byte 5: escape a quote in it"),
    ("A k=\"b\"{}", "JSON string without a space after it at byte 7: escape a quote in it"),
    ("A \"b", "JSON string is not valid JSON: expected the end of the string at byte 4"),
    ("A \"b\\", "JSON string is not valid JSON: expected a known escape at byte 5"),
    ("A \"b\\x\"", "JSON string is not valid JSON: expected a known escape at byte 5"),
    ("A k=\"\\u12g4\"", "JSON string is not valid JSON: expected a hexadecimal digit at byte 9"),
    ("A {", "payload is not valid JSON: expected a name in quotes or '}' at byte 3"),
    ("A [", "payload is not valid JSON: expected a value or ']' at byte 3"),
    ("A {} b", "payload is not valid JSON: expected nothing more at byte 5"),
    ("A {} {}", "payload is not valid JSON: expected nothing more at byte 5"),
    ("A [1 2]", "payload is not valid JSON: expected ',' or ']' at byte 5"),
    ("A {\"a\" 1}", "payload is not valid JSON: expected ':' at byte 7"),
    ("A {\"a\":1,}", "payload is not valid JSON: expected a name in quotes at byte 9"),
    ("A [1,]", "payload is not valid JSON: expected a value at byte 5"),
    ("A {\"a\":[1}", "payload is not valid JSON: expected ',' or ']' at byte 9"),
    ("A {\"a\":1]", "payload is not valid JSON: expected ',' or '}' at byte 8"),
    ("A [-]", "payload is not valid JSON: expected a digit at byte 4"),
    ("A [tru]", "payload is not valid JSON: expected a value at byte 3"),
  ]

  @Test(arguments: bad)
  func `a line that breaks the grammar is refused with a text that says where`(
    _ item: (line: String, text: String)
  ) {
    #expect(refusal(item.line.bytes) == item.text)
  }

  @Test func `eight words are accepted and nine are not`() throws {
    #expect(try parse("A 1 2 3 4 5 6 7 8 k=v {}".bytes).words.count == 8)
    #expect(
      refusal("A 1 2 3 4 5 6 7 8 9".bytes)
        == "word '9' is one more than 8: quote a text that has spaces")
  }

  @Test func `a parser made for more words takes them`() throws {
    var parser = RequestParser(wordsMax: 1001)
    let line = ("ACK g" + String(repeating: " 1-1", count: 1000)).bytes
    try parser.parse(line.span)
    #expect(parser.words.count == 1001)
  }

  @Test func `twenty-four options are accepted and one more is not`() throws {
    let keys = (0..<25).map { "k" + String(repeating: "x", count: $0) + "=1" }
    #expect(try parse(("A " + keys.prefix(24).joined(separator: " ")).bytes).options.count == 24)
    #expect(
      refusal(("A " + keys.joined(separator: " ")).bytes)
        == "option 'kxxxxxxxxxxxxxxxxxxxxxxxx' is one more than 24")
  }

  @Test func `a payload nests sixty-four deep and no deeper`() throws {
    func nested(_ depth: Int) -> [UInt8] {
      ("A " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).bytes
    }
    let deepest = JSONLimits(depthMax: 72)
    var parser = RequestParser(wordsMax: 8) { line, verb, _ in
      CaseInsensitive.equal(line, verb, "DEEP") ? deepest : .usual
    }
    try parser.parse(nested(64).span)
    for count in [65, 70, 100_000] {
      let text = "payload is nested deeper than 64 levels at byte 66"
      #expect(throws: RequestError(.badRequest, text)) { try parser.parse(nested(count).span) }
    }
    #expect(refusal(nested(65)) == "payload is nested deeper than 64 levels at byte 66")
    func deep(_ verb: String, _ depth: Int) -> [UInt8] { verb.bytes + nested(depth).dropFirst() }
    for verb in ["DEEP", "deep", "dEEp"] { try parser.parse(deep(verb, 72).span) }
    let text = "payload is nested deeper than 72 levels at byte 77"
    #expect(throws: RequestError(.badRequest, text)) { try parser.parse(deep("DEEP", 73).span) }
    #expect(throws: RequestError.self) { try parser.parse(deep("DEEPER", 65).span) }
  }

  @Test func `a parser that failed parses the next line as a new one would`() throws {
    var parser = RequestParser()
    let first = "LOCK a b ttl=1 req=2 {\"a\":1}".bytes
    let failing = "LOCK a b ttl=1 ttl=2".bytes
    let last = "GET c".bytes
    try parser.parse(first.span)
    #expect(throws: RequestError.self) { try parser.parse(failing.span) }
    try parser.parse(last.span)
    #expect(parts(parser, of: last) == RequestParts(verb: "GET", words: ["c"]))
  }

  @Test func `the quoted text in an error is cut to sixty-four bytes between characters`() {
    let ascii = String(repeating: "x", count: 64)
    #expect(
      refusal("A k=v \(ascii)".bytes)
        == "word '\(ascii)' comes after an option: quote a text that has spaces")
    #expect(
      refusal("A k=v \(ascii)y".bytes)
        == "word '\(ascii)'... comes after an option: quote a text that has spaces")
    let euros = String(repeating: "€", count: 22)
    let kept = String(repeating: "€", count: 21)
    #expect(
      refusal("A k=v \(euros)".bytes)
        == "word '\(kept)'... comes after an option: quote a text that has spaces")
    let smile = String(repeating: "x", count: 61) + "😀"
    #expect(
      refusal("A k=v \(smile)".bytes)
        == "word '\(String(repeating: "x", count: 61))'... comes after an option: "
        + "quote a text that has spaces"
    )
  }

  @Test func `words are compared without their case only where the protocol says so`() {
    func equal(_ text: String, _ word: StaticString) -> Bool {
      CaseInsensitive.equal(text.bytes.span, 0..<text.utf8.count, word)
    }
    func equal(_ text: String, _ one: Range<Int>, _ other: Range<Int>) -> Bool {
      CaseInsensitive.equal(text.bytes.span, one, other)
    }
    #expect(equal("LoCk", "LOCK"))
    #expect(equal("LoCk", "lock"))
    #expect(!equal("LoCk", "lock2"))
    #expect(!equal("LoCk", "loch"))
    #expect(equal("ttl TTL", 0..<3, 4..<7))
    #expect(!equal("ttl TTL", 0..<3, 4..<6))
    #expect(!equal("@`", 0..<1, 1..<2))
    #expect(!equal("[{", 0..<1, 1..<2))
  }
}
