// Whole numbers as callers write them: tokens, revisions, limits.

/// Plain decimal digits, without a sign.
package enum IntegerText {
  /// The most digits read, leading zeros included: any such number fits 64 bits without a sign.
  package static let digitsMax = 19

  /// The number that a token spells, which must be within `range`.
  package static func parse(
    _ bytes: Span<UInt8>, _ token: Token, in range: ClosedRange<Int64>
  ) throws(RequestError) -> Int64 {
    guard let number = digits(bytes, token.range) else {
      throw RequestError(
        .badRequest, "\(EchoText.quoted(bytes, token)) is not a number of 1 to 19 digits")
    }
    guard let value = Int64(exactly: number), range.contains(value) else {
      throw RequestError(
        .badRequest,
        "\(EchoText.quoted(bytes, token)) is not from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// The number that the bytes spell; nil if they are anything but 1 to 19 ASCII digits.
  static func digits(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
    guard 1...digitsMax ~= range.count else { return nil }
    var value: UInt64 = 0
    for at in range {
      guard ASCII.isDigit(bytes[at]) else { return nil }
      value = value * 10 + UInt64(bytes[at] - ASCII.zero)
    }
    return value
  }
}
