// Owns: how a JSON text of several lines becomes one line. Pure; any thread.

/// What stands between the parts of JSON.
package enum JSONBlanks {
  /// Has spaces in place of line breaks and tabs outside of strings, where they mean the same; in
  /// a string they stay, and are refused as what they are.
  package static func makeSpaces(_ bytes: inout [UInt8], from start: Int) {
    guard let first = bytes[start...].firstIndex(where: { $0 < ASCII.space }) else { return }
    var (isString, isEscaped) = (false, false)
    for at in start..<bytes.count {
      let byte = bytes[at]
      if isString {
        if isEscaped {
          isEscaped = false
        } else if byte == ASCII.backslash {
          isEscaped = true
        } else if byte == ASCII.quote {
          isString = false
        }
      } else if byte == ASCII.quote {
        isString = true
      } else if at >= first,
        byte == ASCII.newline || byte == ASCII.carriageReturn
          || byte == ASCII.tab
      {
        bytes[at] = ASCII.space
      }
    }
  }

  /// Whether a text is one JSON string to its end.
  package static func isOneString(_ bytes: Span<UInt8>, from start: Int) -> Bool {
    let end = try? JSONValidator.endOfString(bytes, from: start, to: bytes.count)
    return end == bytes.count
  }
}

/// The names of options, as the grammar has them.
package enum OptionText {
  /// Whether a text is a name: letters, `_` and `-`, and behind a point the kind of a link.
  package static func isName(_ text: Span<UInt8>) -> Bool {
    var at = 0
    while at < text.count, ASCII.isKeyByte(text[at]) { at += 1 }
    guard at > 0 else { return false }
    guard at < text.count else { return true }
    guard text[at] == ASCII.point, at + 1 < text.count else { return false }
    return (at..<text.count).allSatisfy { IDText.isIDByte(text[$0]) }
  }
}
