// The check that a whole line is text before any of it is looked at: valid UTF-8 without control
// characters. What passes may be echoed, stored and logged as one line.

/// What keeps a line from being text; the offset counts bytes of the line from 0.
package enum TextFault: Error, Equatable, Sendable {
  /// A character of Unicode's category Cc: U+0000 to U+001F and U+007F to U+009F.
  case controlCharacter(code: UInt8, at: Int)
  /// Bytes that are no well-formed UTF-8; the offset is that of the sequence's first byte.
  case invalidUTF8(at: Int)
}

/// The character rules of section 1 of the protocol.
package enum LineText {
  /// Checks that all bytes are UTF-8 as in table 3-7 of the Unicode standard, and no controls.
  package static func check(_ bytes: Span<UInt8>) throws(TextFault) {
    var at = ByteSearch.endOfPrintableASCII(in: bytes, from: 0)
    while at < bytes.count {
      let byte = bytes[at]
      if byte < 0x80 {
        if byte < ASCII.space || byte == ASCII.delete {
          throw .controlCharacter(code: byte, at: at)
        }
        at = ByteSearch.endOfPrintableASCII(in: bytes, from: at)
      } else {
        at = try endOfSequence(in: bytes, from: at)
      }
    }
  }

  /// The error that tells the caller about a fault.
  package static func error(_ fault: TextFault) -> RequestError {
    switch fault {
    case .controlCharacter(let code, let at):
      let hex = String(code, radix: 16, uppercase: true)
      let name = String(repeating: "0", count: 4 - hex.utf8.count) + hex
      return RequestError(.badRequest, "control character U+\(name) at byte \(at)")
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
    if bytes[start] == 0xC2, bytes[start + 1] < 0xA0 {
      throw .controlCharacter(code: bytes[start + 1], at: start)
    }
    return end
  }
}
