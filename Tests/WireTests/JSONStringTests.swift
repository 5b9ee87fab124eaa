// Owns: the tests of JSON strings, decoded and encoded.

import Testing
import Wire

@Suite struct JSONStringTests {
  func decode(_ inside: String, isQuoted: Bool = true) throws(RequestError) -> [UInt8] {
    var out = "kept".bytes
    try JSONString.decode(inside.bytes.span, whole(inside.bytes, isQuoted: isQuoted), into: &out)
    #expect(out.starts(with: "kept".bytes))
    return Array(out.dropFirst(4))
  }

  func encode(_ text: String) -> String {
    var out: [UInt8] = []
    JSONString.encode(text.bytes.span, into: &out)
    return out.text
  }

  static let decoded: [(inside: String, text: String)] = [
    ("", ""), ("plain", "plain"), ("a b", "a b"), (#"\"\\\/"#, "\"\\/"),
    (#"\b\f\n\r\t"#, "\u{8}\u{C}\n\r\t"), (#"\u0041"#, "A"), (#"\u0000"#, "\0"),
    (#"\u00e9\u00E9"#, "éé"), (#"\u20ac"#, "€"), (#"\uffff"#, "\u{FFFF}"),
    (#"\ud83d\ude00"#, "😀"), (#"\uD83D\uDE00x"#, "😀x"), (#"\ud800\udc00"#, "\u{10000}"),
    (#"\udbff\udfff"#, "\u{10FFFF}"), ("Größe 你好 😀", "Größe 你好 😀"), (#"\\u0041"#, "\\u0041"),
    (#"a\u0042c\n"#, "aBc\n"),
  ]

  @Test(arguments: decoded)
  func `a string is unescaped`(_ item: (inside: String, text: String)) throws {
    #expect(try decode(item.inside) == item.text.bytes)
  }

  @Test func `a bare word is copied as it is`() throws {
    #expect(try decode(#"a\u0041\"#, isQuoted: false) == #"a\u0041\"#.bytes)
  }

  @Test(arguments: [
    #"\ud800"#, #"\udc00"#, #"\ude00\ud83d"#, #"\ud800\ud800"#, #"\ud800x"#, #"\ud800\n"#,
    #"\udbff\ue000"#, #"\ud800\u00"#, #"\ud800\udc0"#,
  ])
  func `half of a surrogate pair is refused`(_ half: String) {
    let refusal = RequestError(.badRequest, "half of a surrogate pair at byte 2")
    #expect(throws: refusal) { try decode("ab\(half)") }
  }

  @Test(arguments: [
    #"\ud800"#, #"\udc00"#, #"\ude00\ud83d"#, #"\ud800\ud800"#, #"\ud800x"#, #"\ud800\n"#,
    #"\udbff\ue000"#, #"a\udfffb"#, #"\udabc\ud83d\ude00"#,
  ])
  func `in a name half of a surrogate pair is kept as JSON.stringify writes it`(
    _ inside: String
  ) throws {
    var name: [UInt8] = []
    try JSONString.decode(
      inside.bytes.span, whole(inside.bytes, isQuoted: true), halves: .kept, into: &name)
    var written: [UInt8] = []
    JSONString.encode(name.span, into: &written)
    let wanted = inside.replacing(#"\ud83d\ude00"#, with: "😀")
      .replacing(#"\ue000"#, with: "\u{E000}")
    #expect(written.text == "\"\(wanted)\"")
  }

  @Test(arguments: [#"\"#, #"\x"#, #"\u"#, #"\u12"#, #"\u12g4"#, #"\U0041"#])
  func `an escape that the parser would refuse does not trap`(_ escape: String) {
    let refusal = RequestError(.badRequest, "broken escape in a JSON string at byte 1")
    #expect(throws: refusal) { try decode("a\(escape)") }
  }

  @Test func `a refused string leaves the buffer as it was`() {
    var out = "before".bytes
    let inside = #"some text\ud800"#.bytes
    #expect(throws: RequestError.self) {
      try JSONString.decode(inside.span, whole(inside, isQuoted: true), into: &out)
    }
    #expect(out == "before".bytes)
  }

  @Test func `text is escaped where JSON and the line protocol ask for it`() {
    #expect(encode("") == #""""#)
    #expect(encode("plain é 😀 /") == #""plain é 😀 /""#)
    #expect(encode("a\"b\\c") == #""a\"b\\c""#)
    #expect(encode("\u{8}\t\n\u{C}\r") == #""\b\t\n\f\r""#)
    #expect(encode("\0\u{1F}") == #""\u0000\u001f""#)
    // As JSON.stringify has it: nothing else.
    for raw in [
      "\u{7F}", "\u{80}x\u{9F}\u{A0}", "\u{C2}\u{85}", "\u{2028}\u{2029}\u{FEFF}", "/<>&'",
    ] {
      #expect(encode(raw) == "\"\(raw)\"")
    }
  }

  @Test func `every character survives being encoded and decoded`() throws {
    for code in UInt32(0)...0x10FFFF {
      guard code < 0x3000 || code % 251 == 0, let scalar = Unicode.Scalar(code) else { continue }
      let text = "a" + String(scalar) + "b"
      let inside = String(encode(text).dropFirst().dropLast())
      if try decode(inside) != text.bytes { Issue.record("U+\(code)") }
      let written = encode(text).bytes
      #expect(throws: Never.self) { try LineText.check(written.span) }
      try JSONValidator.validate(written.span, from: 0, to: written.count, depthMax: 0)
    }
  }
}
