// Owns: how numbers are written for people and for JSON; printf would need Foundation. Values; any
// thread.

/// Numbers as text.
enum NumberText {
  /// `value / unit` with so many digits behind the point.
  static func decimal(_ value: Int64, over unit: Double, _ digits: Int) -> String {
    decimal(Double(value) / unit, digits)
  }

  static func decimal(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "0" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int64((abs(value) * scale).rounded())
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(scaled)" }
    let power = Int64(scale)
    return "\(sign)\(scaled / power).\(String(power + scaled % power).dropFirst())"
  }

  /// With commas: `12,345`.
  static func grouped(_ value: Int) -> String {
    var text = String(abs(value))
    var at = text.count - 3
    while at > 0 {
      text.insert(",", at: text.index(text.startIndex, offsetBy: at))
      at -= 3
    }
    return value < 0 ? "-\(text)" : text
  }

  /// Milliseconds with as many digits as help: `0.213`, `4.31`, `125`, `2,919`.
  static func ms(_ ns: Int64) -> String {
    let ms = Double(ns) / 1e6
    if ms >= 1_000 { return grouped(Int(ms.rounded())) }
    return decimal(ms, ms < 1 ? 3 : ms < 100 ? 2 : 0)
  }

  /// With spaces before it up to a width.
  static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  /// With spaces behind it up to a width.
  static func filled(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
