// Turns the inside of a JSON string into text and back.

/// Unescaping and escaping, both by appending to a buffer that the caller reuses.
package enum JSONString {
  /// The treatment of half of a surrogate pair, which is valid JSON but no character.
  package enum Halves: Sendable {
    /// It is refused: a text that is compared, shown and logged is UTF-8.
    case refused
    /// It becomes the three bytes that UTF-8 would have for it, of which `encode` makes the escape
    /// again: a name that a caller has stored comes back as it was.
    case kept
  }

  /// Appends the text of a token: unescaped for a JSON string, as it is for a bare word.
  ///
  /// Surrogate pairs are joined. Where a half is refused the buffer is as it was.
  package static func decode(
    _ bytes: Span<UInt8>, _ token: Token, halves: Halves = .refused, into out: inout [UInt8]
  ) throws(RequestError) {
    guard token.isQuoted else { return out.append(span: bytes, range: token.range) }
    let countBefore = out.count
    var at = token.start
    do {
      while at < token.end {
        at = try decodePiece(bytes, from: at, to: token.end, halves, into: &out)
      }
    } catch {
      out.removeLast(out.count - countBefore)
      throw error
    }
  }

  /// Appends the text in quotes, escaped where JSON asks for it and nowhere else: the bytes are
  /// those of `JSON.stringify`, so what was sent in its form comes back byte for byte.
  package static func encode(_ text: Span<UInt8>, into out: inout [UInt8]) {
    out.append(ASCII.quote)
    var plainStart = 0
    var at = 0
    while at < text.count {
      let length = escapedLength(text, at)
      if length > 0 {
        out.append(span: text, range: plainStart..<at)
        appendEscape(of: text, at, length, into: &out)
        plainStart = at + length
      }
      at += max(length, 1)
    }
    out.append(span: text, range: plainStart..<text.count)
    out.append(ASCII.quote)
  }

  // MARK: - Decoding

  /// Appends either all bytes up to the next escape or what one escape stands for.
  private static func decodePiece(
    _ bytes: Span<UInt8>, from start: Int, to end: Int, _ halves: Halves, into out: inout [UInt8]
  ) throws(RequestError) -> Int {
    var plainEnd = start
    while plainEnd < end, bytes[plainEnd] != ASCII.backslash { plainEnd += 1 }
    if plainEnd > start {
      out.append(span: bytes, range: start..<plainEnd)
      return plainEnd
    }
    guard start + 1 < end else { throw badEscape(at: start) }
    switch bytes[start + 1] {
    case ASCII.quote, ASCII.backslash, ASCII.slash: out.append(bytes[start + 1])
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0C)
    case UInt8(ascii: "n"): out.append(ASCII.newline)
    case UInt8(ascii: "r"): out.append(ASCII.carriageReturn)
    case UInt8(ascii: "t"): out.append(ASCII.tab)
    case UInt8(ascii: "u"):
      return try decodeUnicode(bytes, from: start, to: end, halves, into: &out)
    default: throw badEscape(at: start)
    }
    return start + 2
  }

  private static func decodeUnicode(
    _ bytes: Span<UInt8>, from start: Int, to end: Int, _ halves: Halves, into out: inout [UInt8]
  ) throws(RequestError) -> Int {
    guard let first = codeUnit(bytes, at: start, to: end) else { throw badEscape(at: start) }
    if let scalar = Unicode.Scalar(first) {
      out.append(contentsOf: scalar.utf8)
      return start + 6
    }
    guard first < 0xDC00, let second = codeUnit(bytes, at: start + 6, to: end),
      0xDC00...0xDFFF ~= second,
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else {
      guard halves == .kept else {
        throw RequestError(.badRequest, "half of a surrogate pair at byte \(start)")
      }
      out += [0xED, 0x80 | UInt8(first >> 6 & 0x3F), 0x80 | UInt8(first & 0x3F)]
      return start + 6
    }
    out.append(contentsOf: scalar.utf8)
    return start + 12
  }

  /// The value of the `\u` escape at an offset; nil if none is there.
  private static func codeUnit(_ bytes: Span<UInt8>, at start: Int, to end: Int) -> UInt32? {
    guard start + 6 <= end, bytes[start] == ASCII.backslash,
      bytes[start + 1] == UInt8(ascii: "u")
    else { return nil }
    var value: UInt32 = 0
    for at in (start + 2)..<(start + 6) {
      guard let digit = ASCII.hexValue(bytes[at]) else { return nil }
      value = value << 4 | UInt32(digit)
    }
    return value
  }

  private static func badEscape(at offset: Int) -> RequestError {
    RequestError(.badRequest, "broken escape in a JSON string at byte \(offset)")
  }

  // MARK: - Encoding

  /// How many bytes the character at an offset has if it must be escaped, else 0.
  private static func escapedLength(_ text: Span<UInt8>, _ at: Int) -> Int {
    switch text[at] {
    case 0..<ASCII.space, ASCII.quote, ASCII.backslash: 1
    // Half of a surrogate pair.
    case 0xED: at + 2 < text.count && text[at + 1] >= 0xA0 ? 3 : 0
    default: 0
    }
  }

  /// Appends the escape of the character at an offset, which has so many bytes.
  private static func appendEscape(
    of text: Span<UInt8>, _ at: Int, _ length: Int, into out: inout [UInt8]
  ) {
    let code = text[at]
    if length == 3 {
      out.append("\\ud")
      out.append(hexDigit(text[at + 1] >> 2 & 0x0F))
      out.append(hexDigit((text[at + 1] & 3) << 2 | text[at + 2] >> 4 & 3))
      out.append(hexDigit(text[at + 2] & 0x0F))
      return
    }
    switch code {
    case ASCII.quote: out.append("\\\"")
    case ASCII.backslash: out.append("\\\\")
    case 0x08: out.append("\\b")
    case ASCII.tab: out.append("\\t")
    case ASCII.newline: out.append("\\n")
    case 0x0C: out.append("\\f")
    case ASCII.carriageReturn: out.append("\\r")
    default:
      out.append("\\u00")
      out.append(hexDigit(code >> 4))
      out.append(hexDigit(code & 0x0F))
    }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? ASCII.zero + value : UInt8(ascii: "a") + value - 10
  }
}
