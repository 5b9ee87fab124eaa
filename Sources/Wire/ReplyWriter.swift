// Composes reply lines in a buffer that its owner reuses. Nothing here makes a String, except
// that an error brings one.

extension [UInt8] {
  /// Appends text that is known when the program is built.
  package mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { append(contentsOf: $0) }
  }

  /// Appends a number in decimal digits.
  ///
  /// It gives way to `append(_: UInt8)` for a literal, which therefore stays one byte.
  @_disfavoredOverload
  package mutating func append(_ number: Int64) {
    if number < 0 { append(ASCII.minus) }
    var rest = number.magnitude
    let start = count
    repeat {
      append(ASCII.zero + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    self[start...].reverse()
  }

  /// Appends a part of other bytes.
  package mutating func append(span: Span<UInt8>, range: Range<Int>) {
    span.extracting(range).withUnsafeBufferPointer { append(contentsOf: $0) }
  }

  /// Appends text as a JSON string.
  package mutating func appendJSONString(_ text: Span<UInt8>) {
    JSONString.encode(text, into: &self)
  }

  /// Appends the end of a line.
  package mutating func appendLineEnd() {
    append(ASCII.newline)
  }

  /// Appends a whole `ERR` line, with a `?` for each control character in its text.
  package mutating func appendError(_ error: RequestError) {
    append("ERR ")
    append(contentsOf: error.code.rawValue.utf8)
    append(ASCII.space)
    for scalar in error.text.unicodeScalars {
      let isControl = scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value
      if isControl { append(UInt8(ascii: "?")) } else { append(contentsOf: scalar.utf8) }
    }
    appendLineEnd()
  }
}
