// Searches that look at eight bytes at a time. Everything that must touch each byte of a request
// (framing, the character check, the insides of JSON strings) skips its dull parts here.

/// Finds the first byte of a kind.
///
/// Each search loads an unaligned word of eight bytes and marks the bytes of interest in their
/// high bits. The marks may be wrong above the lowest one, because a subtraction borrows, but the
/// lowest one is always right, and it is the only one used.
enum ByteSearch {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// The index of the first newline at or after `start`, or nil.
  static func newline(in bytes: Span<UInt8>, from start: Int) -> Int? {
    var at = start
    let raw = bytes.bytes
    while at &+ 8 <= bytes.count {
      let marks = equal(load(raw, at), to: ASCII.newline)
      if marks != 0 { return at &+ marks.trailingZeroBitCount / 8 }
      at &+= 8
    }
    while at < bytes.count {
      if bytes[at] == ASCII.newline { return at }
      at &+= 1
    }
    return nil
  }

  /// The index of the first byte at or after `start` that is not printable ASCII, or the count.
  static func endOfPrintableASCII(in bytes: Span<UInt8>, from start: Int) -> Int {
    var at = start
    let raw = bytes.bytes
    while at &+ 8 <= bytes.count {
      let word = load(raw, at)
      let marks = (word & highs) | belowSpace(word) | equal(word, to: ASCII.delete)
      if marks != 0 { return at &+ marks.trailingZeroBitCount / 8 }
      at &+= 8
    }
    while at < bytes.count, bytes[at] &- ASCII.space < ASCII.delete - ASCII.space { at &+= 1 }
    return at
  }

  /// The index of the first quote, backslash or control byte in `start..<end`, or `end`.
  static func endOfPlainString(in bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    var at = start
    let raw = bytes.bytes
    while at &+ 8 <= end {
      let word = load(raw, at)
      let marks =
        belowSpace(word) | equal(word, to: ASCII.quote) | equal(word, to: ASCII.backslash)
      if marks != 0 { return at &+ marks.trailingZeroBitCount / 8 }
      at &+= 8
    }
    while at < end {
      let byte = bytes[at]
      if byte < ASCII.space || byte == ASCII.quote || byte == ASCII.backslash { break }
      at &+= 1
    }
    return at
  }

  /// Loads eight bytes so that the first one is the lowest; the span checks its bounds.
  private static func load(_ raw: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  private static func equal(_ word: UInt64, to byte: UInt8) -> UInt64 {
    let difference = word ^ (ones &* UInt64(byte))
    return (difference &- ones) & ~difference & highs
  }

  private static func belowSpace(_ word: UInt64) -> UInt64 {
    (word &- (ones &* UInt64(ASCII.space))) & ~word & highs
  }
}
