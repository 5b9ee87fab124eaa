// How a piece of the caller's line is shown in an error text.

/// Quotes a piece of a line, cut so that a reply stays short whatever was sent.
package enum EchoText {
  /// The most bytes of a caller's text that an error repeats.
  package static let bytesMax = 64

  /// The piece in single quotes; three dots follow the closing quote when it was cut.
  ///
  /// The cut falls between characters, because half of one would make the reply invalid UTF-8.
  package static func quoted(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    var end = range.upperBound
    if range.count > bytesMax {
      end = range.lowerBound + bytesMax
      while end > range.lowerBound, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    }
    let piece = bytes.extracting(range.lowerBound..<end).withUnsafeBufferPointer {
      visible(String(decoding: $0, as: UTF8.self))
    }
    return end == range.upperBound ? "'\(piece)'" : "'\(piece)'..."
  }

  /// The text with the usual names of characters that cannot be seen, such as a byte order mark.
  private static func visible(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isInvisible) else { return text }
    return text.unicodeScalars.reduce(into: "") { shown, scalar in
      shown += isInvisible(scalar) ? "<\(name(of: scalar.value))>" : String(scalar)
    }
  }

  private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x7F else { return scalar.value < 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .spaceSeparator, .lineSeparator, .paragraphSeparator: return true
    default: return false
    }
  }

  /// The character at an offset: in single quotes if it can be seen in any font, else as U+ and its
  /// number.
  package static func character(_ bytes: Span<UInt8>, _ at: Int, end: Int) -> String {
    let byte = bytes[at]
    if ASCII.space < byte, byte < ASCII.delete { return "'\(Unicode.Scalar(byte))'" }
    let piece = bytes.extracting(at..<min(at + 4, end)).withUnsafeBufferPointer {
      String(decoding: $0, as: UTF8.self)
    }
    guard let scalar = piece.unicodeScalars.first else { return "nothing" }
    return name(of: scalar.value)
  }

  /// The usual name of a code, such as `U+0009`.
  static func name(of code: UInt32) -> String {
    let hex = String(code, radix: 16, uppercase: true)
    return "U+" + String(repeating: "0", count: max(0, 4 - hex.utf8.count)) + hex
  }

  /// The text of a token in single quotes.
  package static func quoted(_ bytes: Span<UInt8>, _ token: Token) -> String {
    quoted(bytes, token.range)
  }
}
