// Durations as callers write them: `250ms`, `30s`, `24h`, `30`.

/// Digits and an optional unit in lower case; bare digits are seconds.
package enum DurationText {
  /// The shortest duration other than zero: below it, a clock would end in flight.
  package static let msMin: Int64 = 10
  /// The longest duration, 3650 days.
  package static let msMax: Int64 = 3650 * 86_400_000

  /// The milliseconds that a token spells; 0 for zero of any unit, which the verb must judge.
  package static func parseMs(
    _ bytes: Span<UInt8>, _ token: Token
  ) throws(RequestError) -> Int64 {
    var digitsEnd = token.start
    while digitsEnd < token.end, ASCII.isDigit(bytes[digitsEnd]) { digitsEnd += 1 }
    guard let unitMs = unitMs(bytes, digitsEnd..<token.end), digitsEnd > token.start else {
      throw RequestError(
        .badRequest,
        "\(EchoText.quoted(bytes, token)) is not a duration: digits and ms, s, m, h or d")
    }
    guard let number = IntegerText.digits(bytes, token.start..<digitsEnd) else {
      throw outOfRange(bytes, token)
    }
    let (ms, overflow) = number.multipliedReportingOverflow(by: UInt64(unitMs))
    if ms == 0, !overflow { return 0 }
    guard !overflow, ms >= UInt64(msMin), ms <= UInt64(msMax) else {
      throw outOfRange(bytes, token)
    }
    return Int64(ms)
  }

  /// How long one of a unit is; nil for no unit of ours.
  private static func unitMs(_ bytes: Span<UInt8>, _ unit: Range<Int>) -> Int64? {
    if unit.isEmpty { return 1000 }
    let isMs = unit.count == 2 && bytes[unit.lowerBound + 1] == UInt8(ascii: "s")
    if isMs, bytes[unit.lowerBound] == UInt8(ascii: "m") { return 1 }
    guard unit.count == 1 else { return nil }
    return switch bytes[unit.lowerBound] {
    case UInt8(ascii: "s"): 1000
    case UInt8(ascii: "m"): 60_000
    case UInt8(ascii: "h"): 3_600_000
    case UInt8(ascii: "d"): 86_400_000
    default: nil
    }
  }

  private static func outOfRange(_ bytes: Span<UInt8>, _ token: Token) -> RequestError {
    RequestError(
      .badRequest, "duration \(EchoText.quoted(bytes, token)) is not from 10ms to 3650d")
  }
}
