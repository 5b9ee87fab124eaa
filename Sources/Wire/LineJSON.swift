// The check that a value which was kept elsewhere may be copied into a reply line as it stands.

/// JSON values in reply lines.
package enum LineJSON {
  /// Whether the bytes are one JSON value without a byte that would end or corrupt the line.
  ///
  /// They need not be UTF-8: that is checked here. A value that nests deeper than `depthMax` is
  /// none.
  package static func isValue(_ bytes: Span<UInt8>, depthMax: Int) -> Bool {
    guard isText(bytes) else { return false }
    do throws(JSONFault) {
      try JSONValidator.validate(bytes, from: 0, to: bytes.count, depthMax: depthMax)
      return true
    } catch {
      return false
    }
  }

  /// Whether the bytes are one JSON string.
  package static func isString(_ bytes: Span<UInt8>) -> Bool {
    guard bytes.count >= 2, bytes[0] == ASCII.quote, isText(bytes) else { return false }
    do throws(JSONFault) {
      return try JSONValidator.endOfString(bytes, from: 0, to: bytes.count) == bytes.count
    } catch {
      return false
    }
  }

  /// Whether the bytes are UTF-8 without U+0000 to U+001F; most values are printable ASCII.
  static func isText(_ bytes: Span<UInt8>) -> Bool {
    guard ByteSearch.endOfPrintableASCII(in: bytes, from: 0) < bytes.count else { return true }
    for at in bytes.indices where bytes[at] < ASCII.space { return false }
    do {
      _ = try UTF8Span(validating: bytes)
      return true
    } catch {
      return false
    }
  }
}
