// Owns: how numbers are shown to people. Pure functions; any thread.

/// Durations, sizes, counts and columns in words.
enum HumanText {
  /// Two units at most: `3d 4h`, `12m 5s`, `1.5s`, `20ms`.
  static func duration(ms: Int64) -> String {
    let ms = max(0, ms)
    if ms < 1_000 { return "\(ms)ms" }
    if ms < 10_000 { return "\(decimal(Double(ms) / 1_000))s" }
    let seconds = ms / 1_000
    let units: [(word: String, seconds: Int64)] = [
      ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1),
    ]
    let first = units.firstIndex { seconds >= $0.seconds } ?? units.count - 1
    let whole = "\(seconds / units[first].seconds)\(units[first].word)"
    guard first + 1 < units.count else { return whole }
    let rest = seconds % units[first].seconds / units[first + 1].seconds
    return rest > 0 ? "\(whole) \(rest)\(units[first + 1].word)" : whole
  }

  /// `512 B`, `1.5 KiB`, `3.2 GiB`.
  static func bytes(_ count: Int) -> String {
    guard count >= 1_024 else { return "\(count) B" }
    var (value, unit) = (Double(count), 0)
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1_024, unit + 1 < units.count {
      value /= 1_024
      unit += 1
    }
    return "\(decimal(value)) \(units[unit])"
  }

  /// With one digit after the point.
  static func decimal(_ value: Double) -> String {
    let tenths = Int64((value * 10).rounded())
    return "\(tenths / 10).\(abs(tenths % 10))"
  }

  /// At least so wide, by characters; a column ends with two spaces.
  static func column(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count)) + "  "
  }

  /// On the right of a column.
  static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
