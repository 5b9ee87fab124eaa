// Owns: the texts of values: durations, byte counts, addresses, names; read and written.
// Must not know which setting a text belongs to. Any thread: pure functions.

/// Reads and writes the values of settings.
package enum SettingText {
  private static let durationUnits: [(name: String, ms: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
  ]

  /// Digits as a number that an Int64 can hold, or nil.
  package static func number(_ digits: Substring.UTF8View) -> Int64? {
    guard !digits.isEmpty else { return nil }
    var number: Int64 = 0
    for byte in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      let (tens, overflowed) = number.multipliedReportingOverflow(by: 10)
      let (sum, overflowedToo) = tens.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
      guard !overflowed, !overflowedToo else { return nil }
      number = sum
    }
    return number
  }

  /// A number with one of `units` behind it; `bare` is the factor of a number without a unit.
  private static func scaled(
    _ text: String, _ units: [(name: String, factor: Int64)], bare: Int64
  ) -> Int64? {
    let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    let suffix = String(text.dropFirst(digits.count))
    let factor = suffix.isEmpty ? bare : units.first { $0.name == suffix }?.factor
    guard let factor, let count = number(digits) else { return nil }
    let (product, overflowed) = count.multipliedReportingOverflow(by: factor)
    return overflowed ? nil : product
  }

  // MARK: Durations

  /// The milliseconds of a duration as the protocol writes it; bare digits are seconds.
  package static func durationMs(_ text: String) -> Int64? {
    scaled(text, durationUnits.map { ($0.name, $0.ms) }, bare: 1_000)
  }

  /// A duration in the largest unit that leaves no remainder.
  package static func duration(ms: Int64) -> String {
    guard ms != 0, let unit = durationUnits.first(where: { ms % $0.ms == 0 }) else { return "0" }
    return "\(ms / unit.ms)\(unit.name)"
  }

  // MARK: Bytes

  /// A number of bytes, bare or with KiB or MiB behind it.
  package static func bytes(_ text: String) -> Int? {
    scaled(text, [("KiB", 1_024), ("MiB", 1_048_576)], bare: 1).map { Int($0) }
  }

  /// A number of bytes in the largest unit that leaves no remainder.
  package static func bytes(_ count: Int) -> String {
    if count > 0, count.isMultiple(of: 1_048_576) { return "\(count / 1_048_576)MiB" }
    if count > 0, count.isMultiple(of: 1_024) { return "\(count / 1_024)KiB" }
    return "\(count)"
  }

  // MARK: Addresses

  /// `host:port` or `[IPv6]:port`.
  static func hostPort(_ text: String) -> HostPort? {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    var host = text[..<colon]
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = host.dropFirst().dropLast() }
    let allowed: (UInt8) -> Bool = { byte in
      isLetterOrDigit(byte) || (isBracketed ? ":.%-_" : ".-_").utf8.contains(byte)
    }
    guard !host.isEmpty, host.utf8.allSatisfy(allowed), !isBracketed || host.contains(":"),
      let port = number(text[text.index(after: colon)...].utf8), port <= Int64(UInt16.max)
    else { return nil }
    return HostPort(host: String(host), port: UInt16(port))
  }

  /// Whether this is an origin as a browser writes it: `null`, or scheme, host and port in small
  /// letters.
  static func isOrigin(_ text: String) -> Bool {
    if text == "null" { return true }
    guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
      return false
    }
    let (scheme, place) = (text[..<colon], text[colon...].dropFirst(3))
    let isSmall: (UInt8) -> Bool = { byte in
      isLetterOrDigit(byte) && !(UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte)
    }
    return !scheme.isEmpty && !place.isEmpty
      && scheme.utf8.allSatisfy { isSmall($0) || "+-.".utf8.contains($0) }
      && place.utf8.allSatisfy { isSmall($0) || ".-_:[]".utf8.contains($0) }
  }

  // MARK: Names

  /// Whether this may begin the keys in Redis: 1 to 32 of letters, digits, `_` and `-`.
  package static func isNamespace(_ text: String) -> Bool {
    (1...32).contains(text.utf8.count)
      && text.utf8.allSatisfy { isLetterOrDigit($0) || "_-".utf8.contains($0) }
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    default: false
    }
  }

  // MARK: Errors

  /// A value in quotes, as an error may repeat it: cut when long, hidden when it may be a URL.
  package static func shown(_ text: String) -> String {
    guard !text.isEmpty else { return "nothing" }
    guard !text.contains("://"), !text.contains("@") else { return "a text that is not shown" }
    return text.utf8.count > 64 ? "'\(text.prefix(60))...'" : "'\(text)'"
  }
}
