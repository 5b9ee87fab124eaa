// The bytes that the grammar gives a meaning, and the classes it builds from them.

/// Names for the bytes that the line and JSON grammars care about.
enum ASCII {
  static let tab = UInt8(ascii: "\t")
  static let newline = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")
  static let space = UInt8(ascii: " ")
  static let quote = UInt8(ascii: "\"")
  static let plus = UInt8(ascii: "+")
  static let comma = UInt8(ascii: ",")
  static let minus = UInt8(ascii: "-")
  static let dot = UInt8(ascii: ".")
  static let slash = UInt8(ascii: "/")
  static let zero = UInt8(ascii: "0")
  static let nine = UInt8(ascii: "9")
  static let colon = UInt8(ascii: ":")
  static let equals = UInt8(ascii: "=")
  static let openBracket = UInt8(ascii: "[")
  static let backslash = UInt8(ascii: "\\")
  static let closeBracket = UInt8(ascii: "]")
  static let underscore = UInt8(ascii: "_")
  static let point = UInt8(ascii: ".")
  static let openBrace = UInt8(ascii: "{")
  static let closeBrace = UInt8(ascii: "}")
  static let delete: UInt8 = 0x7F

  static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }

  static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

  /// The bytes of an option's key, up to a point.
  static func isKeyByte(_ byte: UInt8) -> Bool {
    isLetter(byte) || byte == underscore || byte == UInt8(ascii: "-")
  }

  /// The bytes of a verb.
  static func isVerbByte(_ byte: UInt8) -> Bool {
    isLetter(byte) || byte == underscore || isDigit(byte)
  }

  static func lowercased(_ byte: UInt8) -> UInt8 { isLetter(byte) ? byte | 0x20 : byte }

  /// The value of a hexadecimal digit, or nil for any other byte.
  static func hexValue(_ byte: UInt8) -> UInt8? {
    if isDigit(byte) { return byte &- zero }
    let letter = (byte | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter + 10 : nil
  }
}

/// Comparison of words whose case does not matter: verbs and the names of options.
package enum CaseInsensitive {
  /// Whether the bytes of `range` spell `word`, which must be ASCII.
  package static func equal(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ word: StaticString
  ) -> Bool {
    guard range.count == word.utf8CodeUnitCount else { return false }
    return word.withUTF8Buffer { expected in
      for index in 0..<expected.count {
        let byte = bytes[range.lowerBound + index]
        if ASCII.lowercased(byte) != ASCII.lowercased(expected[index]) { return false }
      }
      return true
    }
  }

  /// Whether two ranges of the same line spell the same word.
  package static func equal(_ bytes: Span<UInt8>, _ one: Range<Int>, _ other: Range<Int>) -> Bool {
    guard one.count == other.count else { return false }
    for index in 0..<one.count {
      let left = ASCII.lowercased(bytes[one.lowerBound + index])
      if left != ASCII.lowercased(bytes[other.lowerBound + index]) { return false }
    }
    return true
  }
}
