// Owns: how values become places in a plot, and which values are written at its axes. Values; any
// thread.

internal import Glibc

/// The axis of a plot.
struct Scale {
  enum Kind { case linear, logarithmic }

  struct Tick {
    let value: Double
    let label: String
  }

  let kind: Kind
  let low: Double
  let high: Double
  /// Places in the drawing of the low and of the high value.
  let from: Double
  let to: Double

  /// From 0 to something round that is not less than `most`.
  static func linear(upTo most: Double, from: Double, to: Double) -> Scale {
    let step = niceStep(max(most, 1e-9) / 4)
    return Scale(
      kind: .linear, low: 0, high: max(step, (most / step).rounded(.up) * step), from: from, to: to)
  }

  /// Exactly the given range.
  static func exact(_ low: Double, _ high: Double, from: Double, to: Double) -> Scale {
    Scale(kind: .linear, low: low, high: max(high, low + 1e-9), from: from, to: to)
  }

  /// A little more than the given range.
  static func logarithmic(_ low: Double, _ high: Double, from: Double, to: Double) -> Scale {
    let bottom = max(low, 1e-6) / 1.25
    let top = max(high * 1.25, bottom * 4)
    return Scale(kind: .logarithmic, low: bottom, high: top, from: from, to: to)
  }

  func callAsFunction(_ value: Double) -> Double {
    let share =
      switch kind {
      case .linear: (value - low) / (high - low)
      case .logarithmic:
        log10(min(max(value, low), high) / low) / log10(high / low)
      }
    return from + share * (to - from)
  }

  /// Round values along the axis, written with `label`.
  func ticks(_ label: (Double) -> String) -> [Tick] {
    switch kind {
    case .linear:
      let step = Scale.niceStep((high - low) / 5)
      return (0...12).map { (low / step).rounded(.up) * step + Double($0) * step }
        .filter { $0 <= high * 1.000_001 }.map { Tick(value: $0, label: label($0)) }
    case .logarithmic:
      let powers = (Int(floor(log10(low)))...Int(ceil(log10(high)))).map { pow(10, Double($0)) }
      let inRange = { (value: Double) in value >= low && value <= high }
      // Where few powers of ten fit, their doubles and fivefolds are written too.
      let isNarrow = powers.filter(inRange).count < 3
      let values = isNarrow ? powers.flatMap { [$0, 2 * $0, 5 * $0] } : powers
      return values.filter(inRange).map { Tick(value: $0, label: label($0)) }
    }
  }

  /// 1, 2 or 5 times a power of ten, not less than `step`.
  private static func niceStep(_ step: Double) -> Double {
    let power = pow(10, floor(log10(max(step, 1e-12))))
    let factor = [1, 2, 5, 10].first { Double($0) * power >= step * 0.999_999 } ?? 10
    return Double(factor) * power
  }

  // MARK: - Labels

  static func count(_ value: Double) -> String {
    if value >= 10_000 { return NumberText.decimal(value / 1_000, 0) + "k" }
    if value >= 1 || value == 0 { return NumberText.grouped(Int(value.rounded())) }
    return NumberText.decimal(value, 1)
  }

  /// Of a number of milliseconds.
  static func duration(_ ms: Double) -> String {
    if ms == 0 { return "0" }
    if ms < 0.999 { return "\(NumberText.decimal(ms * 1_000, 0)) µs" }
    if ms < 999.9 { return "\(NumberText.decimal(ms, ms < 10 && ms != ms.rounded() ? 1 : 0)) ms" }
    let seconds = ms / 1_000
    return "\(NumberText.decimal(seconds, seconds < 10 && seconds != seconds.rounded() ? 1 : 0)) s"
  }

  static func seconds(_ value: Double) -> String {
    value < 180
      ? "\(NumberText.decimal(value, value == value.rounded() ? 0 : 1)) s"
      : "\(NumberText.decimal(value / 60, 0)) min"
  }
}
