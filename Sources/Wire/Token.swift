// The pieces that a request line is cut into. They are offsets into the line, so that parsing
// copies nothing; reading the text needs the line.

/// A word of a request, or the value of an option.
package struct Token: Equatable, Sendable {
  /// The offset of the first byte; for a JSON string that is the one after the opening quote.
  package var start: Int
  /// The offset after the last byte; for a JSON string that is the closing quote's.
  package var end: Int
  /// Whether it is a JSON string, whose bytes are then still escaped.
  package var isQuoted: Bool

  /// Makes a token of known offsets.
  package init(start: Int, end: Int, isQuoted: Bool) {
    self.start = start
    self.end = end
    self.isQuoted = isQuoted
  }

  /// The bytes of the line that it covers, without quotes.
  package var range: Range<Int> { start..<end }
}

/// One `key=value` of a request.
package struct ParsedOption: Equatable, Sendable {
  /// The offset of the key's first byte.
  package var keyStart: Int
  /// The offset of the equals sign.
  package var keyEnd: Int
  /// The text after the equals sign.
  package var value: Token

  /// Makes an option of known offsets.
  package init(keyStart: Int, keyEnd: Int, value: Token) {
    self.keyStart = keyStart
    self.keyEnd = keyEnd
    self.value = value
  }

  /// The bytes of the line that hold the key.
  package var key: Range<Int> { keyStart..<keyEnd }
}
