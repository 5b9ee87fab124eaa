// Owns: the tests of the bytes that a line may have.

import Testing
import Wire

@Suite struct LineTextTests {
  /// The fault of some bytes; nil if they are text.
  func fault(_ bytes: [UInt8]) -> TextFault? {
    do {
      try LineText.check(bytes.span)
      return nil
    } catch {
      return error
    }
  }

  /// The first and last sequence of each row of table 3-7 of the Unicode standard.
  static let wellFormed: [[UInt8]] = [
    [0x20], [0x7E], [0xC2, 0xA0], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xE0, 0xBF, 0xBF],
    [0xE1, 0x80, 0x80], [0xEC, 0xBF, 0xBF], [0xED, 0x80, 0x80], [0xED, 0x9F, 0xBF],
    [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBF], [0xEF, 0xBB, 0xBF], [0xEF, 0xBF, 0xBE],
    [0xF0, 0x90, 0x80, 0x80], [0xF0, 0xBF, 0xBF, 0xBF], [0xF1, 0x80, 0x80, 0x80],
    [0xF3, 0xBF, 0xBF, 0xBF], [0xF4, 0x80, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
  ]

  /// Each way to leave that table by one step.
  static let illFormed: [[UInt8]] = [
    [0x80], [0xBF], [0xC0, 0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xC2], [0xC2, 0x20], [0xC2, 0x7F],
    [0xC2, 0xC0], [0xDF, 0x7F], [0xDF, 0xC0], [0xE0], [0xE0, 0xA0], [0xE0, 0x80, 0x80],
    [0xE0, 0x9F, 0xBF], [0xE0, 0xC0, 0x80], [0xE0, 0xA0, 0x7F], [0xE0, 0xA0, 0xC0], [0xE1, 0x80],
    [0xE1, 0x7F, 0x80], [0xE1, 0x80, 0x41], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xED, 0xA0],
    [0xEF, 0xBF], [0xEF, 0xBF, 0x22], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
    [0xF0, 0x90], [0xF0, 0x90, 0x80], [0xF0, 0x90, 0x80, 0x7F], [0xF0, 0x90, 0xC0, 0x80],
    [0xF1, 0x7F, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF4, 0xBF, 0x80, 0x80],
    [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xFF, 0xFE],
    [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80],
  ]

  @Test(arguments: wellFormed)
  func `well-formed UTF-8 is text wherever it stands`(_ sequence: [UInt8]) {
    for before in 0...17 {
      for after in 0...9 {
        let line = Array(repeating: 0x61, count: before) + sequence
        #expect(fault(line + Array(repeating: 0x62, count: after)) == nil)
      }
    }
  }

  @Test(arguments: illFormed)
  func `ill-formed UTF-8 is found wherever it stands`(_ sequence: [UInt8]) {
    for before in 0...17 {
      for after in 0...9 {
        let line = Array(repeating: 0x61, count: before) + sequence
        let found = fault(line + Array(repeating: 0x62, count: after))
        #expect(found == .invalidUTF8(at: before), "after \(before) bytes")
      }
    }
  }

  @Test func `each control character that JSON refuses is found wherever it stands`() {
    for code in Array(0x00...0x1F) as [UInt8] {
      for before in 0...17 {
        let line = Array(repeating: 0x61, count: before) + [code, 0x62]
        #expect(fault(line) == .controlCharacter(code: code, at: before))
      }
    }
  }

  @Test func `each one that a JSON string may have is said to be there`() throws {
    for code in Array(0x7F...0x9F) as [UInt8] {
      let sequence = code < 0x80 ? [code] : [0xC2, code]
      for before in 0...17 {
        let line = Array(repeating: 0x61, count: before) + sequence + [0x62]
        #expect(try LineText.check(line.span), "U+\(code) after \(before)")
      }
    }
    for text in ["", "a", "é\u{A0}", "a{\"b\":\"~\"}"] {
      #expect(try !LineText.check(text.bytes.span), "\(text)")
    }
  }

  @Test func `U+007F to U+009F stand in JSON strings and nowhere else`() throws {
    for code in UInt32(0x7F)...0x9F {
      let one = String(Unicode.Scalar(code) ?? " ")
      for line in [
        "A {\"k\":\"\(one)\"}", "A {\"\(one)\":1}", "A [\"x\(one)y\"]", "A \"\(one)\" k=\"\(one)\"",
      ] {
        #expect(refusal(line.bytes) == nil, "\(line)")
      }
      let name = "U+00" + String(code, radix: 16, uppercase: true)
      for (line, at) in [
        ("A \(one)", 2), ("A b\(one)c", 3), ("A k=\(one)", 4), ("A {\(one)}", 3),
        ("A [1,\(one)2]", 5),
        ("A {\"k\"\(one):1}", 6), ("A {}\(one)", 4),
      ] {
        let text = "control character \(name) at byte \(at): escape it in JSON"
        #expect(refusal(line.bytes) == text, "\(line)")
      }
      // A verb is letters.
      #expect(refusal("\(one)A".bytes) != nil)
    }
  }

  @Test func `a byte order mark is named where it cannot be seen`() {
    let text = "byte order mark (U+FEFF) at byte"
    for (line, at) in [
      ("\u{FEFF}PING", 0), ("\u{FEFF}", 0), ("SAY d \u{FEFF}{\"a\":1}", 6), ("A \u{FEFF}b", 2),
      ("A [\u{FEFF}1]", 3), ("A {\"a\":1}\u{FEFF}", 9),
    ] {
      #expect(refusal(line.bytes) == "\(text) \(at): send UTF-8 without one", "\(line)")
    }
    for mark in [[0xFF, 0xFE], [0xFE, 0xFF]] as [[UInt8]] {
      let line = mark + [0x50, 0, 0x49, 0]
      #expect(refusal(line) == "byte order mark of UTF-16 at byte 0: send UTF-8 without one")
    }
    // As a character of a text it is one like others.
    #expect(refusal("A \"\u{FEFF}x\" k=\"\u{FEFF}\" {\"\u{FEFF}\":\"\u{FEFF}\"}".bytes) == nil)
  }

  @Test func `the check agrees with Swift on every sequence of two bytes`() {
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let text = String(validating: [first, second], as: UTF8.self)
        let isText = text?.unicodeScalars.allSatisfy { $0.value >= 0x20 }
        #expect((fault([first, second]) == nil) == (isText ?? false), "\(first) \(second)")
      }
    }
  }

  @Test func `the check agrees with Swift on every character`() {
    for code in UInt32(0)...0x10FFFF {
      guard let scalar = Unicode.Scalar(code) else { continue }
      if (fault(Array(scalar.utf8)) != nil) != (code < 0x20) { Issue.record("U+\(code)") }
      let isControl = scalar.properties.generalCategory == .control
      // Between words, where a space stands for one that parts words itself.
      if code != 0x20, code != 0xFEFF, (refusal("A 1\(scalar)".bytes) != nil) != isControl {
        Issue.record("U+\(code) in a bare word")
      }
    }
  }

  @Test func `a fault is described with its kind and place`() {
    for (line, name, at) in [
      ("GET a\0b", "U+0000", 5), ("GET a\tb", "U+0009", 5), ("GET a\u{7F}", "U+007F", 5),
      ("GET \u{9F}", "U+009F", 4),
    ] {
      let text = "control character \(name) at byte \(at): escape it in JSON"
      #expect(refusal(line.bytes) == text)
    }
    #expect(refusal([0x41, 0x20, 0xFF]) == "invalid UTF-8 at byte 2")
  }

  @Test func `the characters are checked before the grammar`() {
    let text = "control character U+0000 at byte 7: escape it in JSON"
    #expect(refusal(" GET  {".bytes + [0x00]) == text)
  }
}
