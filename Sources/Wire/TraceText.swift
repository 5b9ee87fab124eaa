// Owns: the form of a trace's parent, as W3C Trace Context has it. Pure; any thread.

/// Checks of `trace=` and of the header traceparent.
package enum TraceText {
  /// Whether a text is a version, a trace, a span and flags: 2, 32, 16 and 2 hexadecimal digits in
  /// small letters, with `-` between them.
  package static func isParent(_ text: Span<UInt8>) -> Bool {
    guard text.count == 55 else { return false }
    for at in text.indices {
      switch at {
      case 2, 35, 52: if text[at] != ASCII.minus { return false }
      default:
        let isSmall = UInt8(ascii: "a")...UInt8(ascii: "f") ~= text[at]
        if !isSmall, !ASCII.isDigit(text[at]) { return false }
      }
    }
    func isZero(_ range: Range<Int>) -> Bool { range.allSatisfy { text[$0] == ASCII.zero } }
    let isLastVersion = text[0] == UInt8(ascii: "f") && text[1] == UInt8(ascii: "f")
    return !isLastVersion && !isZero(3..<35) && !isZero(36..<52)
  }
}
