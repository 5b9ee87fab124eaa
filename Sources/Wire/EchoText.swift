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
      String(decoding: $0, as: UTF8.self)
    }
    return end == range.upperBound ? "'\(piece)'" : "'\(piece)'..."
  }

  /// The text of a token in single quotes.
  package static func quoted(_ bytes: Span<UInt8>, _ token: Token) -> String {
    quoted(bytes, token.range)
  }
}
