// The check that a whole line is text before any of it is looked at: valid UTF-8 without the
// control characters that not even a JSON string may have.

/// The reason why a line is no text; the offset counts bytes of the line from 0.
package enum TextFault: Error, Equatable, Sendable {
  /// U+0000 to U+001F, which stand nowhere; or U+007F to U+009F outside of a JSON string.
  case controlCharacter(code: UInt8, at: Int)
  /// Bytes that are no well-formed UTF-8; the offset is that of the sequence's first byte.
  case invalidUTF8(at: Int)
}

/// The character rules of section 1 of the protocol.
package enum LineText {
  /// Checks that all bytes are UTF-8 as in table 3-7 of the Unicode standard, and no character is
  /// one of U+0000 to U+001F.
  ///
  /// - Returns: Whether there are characters of U+007F to U+009F: JSON allows them in strings, and
  ///   nothing allows them elsewhere.
  @discardableResult
  package static func check(_ bytes: Span<UInt8>) throws(TextFault) -> Bool {
    var hasHighControls = false
    var at = ByteSearch.endOfPrintableASCII(in: bytes, from: 0)
    while at < bytes.count {
      let byte = bytes[at]
      if byte < ASCII.space { throw .controlCharacter(code: byte, at: at) }
      if byte < 0x80 {
        hasHighControls = hasHighControls || byte == ASCII.delete
        at += byte == ASCII.delete ? 1 : 0
        at = ByteSearch.endOfPrintableASCII(in: bytes, from: at)
      } else {
        hasHighControls = hasHighControls || isHighControl(bytes, at)
        at = try endOfSequence(in: bytes, from: at)
      }
    }
    return hasHighControls
  }

  /// Refuses U+007F to U+009F in a part of a line that is no JSON string.
  static func refuseHighControls(
    _ bytes: Span<UInt8>, _ range: Range<Int>
  ) throws(RequestError) {
    for at in range where isHighControl(bytes, at) { throw error(control(bytes, at)) }
  }

  /// The fault of a control character at an offset, whichever it is.
  static func control(_ bytes: Span<UInt8>, _ at: Int) -> TextFault {
    .controlCharacter(code: bytes[at] == 0xC2 ? bytes[at + 1] : bytes[at], at: at)
  }

  /// Whether a character of U+007F to U+009F begins at an offset.
  static func isHighControl(_ bytes: Span<UInt8>, _ at: Int) -> Bool {
    if bytes[at] == ASCII.delete { return true }
    return bytes[at] == 0xC2 && at + 1 < bytes.count && bytes[at + 1] < 0xA0
  }

  /// Whether a byte order mark stands at an offset.
  static func isByteOrderMark(_ bytes: Span<UInt8>, _ at: Int) -> Bool {
    at + 3 <= bytes.count && bytes[at] == 0xEF && bytes[at + 1] == 0xBB && bytes[at + 2] == 0xBF
  }

  /// The error that names a byte order mark, which cannot be seen in an echo.
  static func byteOrderMark(at: Int) -> RequestError {
    RequestError(.badRequest, "byte order mark (U+FEFF) at byte \(at): send UTF-8 without one")
  }

  /// Refuses a line that begins with the byte order mark of UTF-8 or UTF-16.
  static func refuseByteOrderMark(_ bytes: Span<UInt8>) throws(RequestError) {
    // All of them begin with a byte that no verb begins with.
    guard let first = bytes.isEmpty ? nil : bytes[0], first >= 0xEF else { return }
    if isByteOrderMark(bytes, 0) { throw byteOrderMark(at: 0) }
    guard bytes.count >= 2, first ^ bytes[1] == 1, min(first, bytes[1]) == 0xFE else {
      return
    }
    throw RequestError(.badRequest, "byte order mark of UTF-16 at byte 0: send UTF-8 without one")
  }

  /// The caller's error for a fault.
  package static func error(_ fault: TextFault) -> RequestError {
    switch fault {
    case .controlCharacter(let code, let at):
      return RequestError(
        .badRequest,
        "control character \(EchoText.name(of: UInt32(code))) at byte \(at): escape it in JSON")
    case .invalidUTF8(let at):
      return RequestError(.badRequest, "invalid UTF-8 at byte \(at)")
    }
  }

  /// Checks one sequence of two to four bytes and returns where it ends.
  ///
  /// The second byte's range is what rules out overlong forms, surrogates and codes above
  /// U+10FFFF, so it depends on the first byte; all later bytes are plain continuations.
  private static func endOfSequence(
    in bytes: Span<UInt8>, from start: Int
  ) throws(TextFault) -> Int {
    let length: Int
    let second: ClosedRange<UInt8>
    switch bytes[start] {
    case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    default: throw .invalidUTF8(at: start)
    }
    let end = start + length
    guard end <= bytes.count, second.contains(bytes[start + 1]) else {
      throw .invalidUTF8(at: start)
    }
    for at in (start + 2)..<end where bytes[at] & 0xC0 != 0x80 { throw .invalidUTF8(at: start) }
    return end
  }
}
