// Owns: the tests of which bytes a line may have.

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

  @Test func `each control character is found wherever it stands`() {
    for code in Array(0x00...0x1F) + Array(0x7F...0x9F) as [UInt8] {
      let sequence = code < 0x80 ? [code] : [0xC2, code]
      for before in 0...17 {
        let line = Array(repeating: 0x61, count: before) + sequence + [0x62]
        #expect(fault(line) == .controlCharacter(code: code, at: before))
      }
    }
  }

  @Test func `the check agrees with Swift on every sequence of two bytes`() {
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let text = String(validating: [first, second], as: UTF8.self)
        let isText = text?.unicodeScalars.allSatisfy {
          $0.properties.generalCategory != .control
        }
        #expect((fault([first, second]) == nil) == (isText ?? false), "\(first) \(second)")
      }
    }
  }

  @Test func `the check agrees with Swift on every character`() {
    for code in UInt32(0)...0x10FFFF {
      guard let scalar = Unicode.Scalar(code) else { continue }
      let isControl = scalar.properties.generalCategory == .control
      if (fault(Array(scalar.utf8)) != nil) != isControl { Issue.record("U+\(code)") }
    }
  }

  @Test func `a fault is told with its kind and place`() {
    #expect(refusal("GET a\0b".bytes) == "control character U+0000 at byte 5")
    #expect(refusal("GET a\tb".bytes) == "control character U+0009 at byte 5")
    #expect(refusal("GET a\u{7F}".bytes) == "control character U+007F at byte 5")
    #expect(refusal("GET \u{9F}".bytes) == "control character U+009F at byte 4")
    #expect(refusal([0x41, 0x20, 0xFF]) == "invalid UTF-8 at byte 2")
  }

  @Test func `the characters are checked before the grammar`() {
    #expect(refusal(" GET  {".bytes + [0x00]) == "control character U+0000 at byte 7")
  }
}
