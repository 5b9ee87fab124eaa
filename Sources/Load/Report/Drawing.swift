// Owns: how SVG is written: elements, attributes, escapes, and the frame that all plots have. A
// value; any thread.

/// A drawing that is being made; it is as wide as its card, whatever that is.
struct Drawing {
  static let width = 960.0

  let height: Double
  let label: String
  private var body = ""

  init(height: Double, label: String) {
    self.height = height
    self.label = label
  }

  var svg: String {
    "<svg viewBox=\"0 0 \(Drawing.text(Drawing.width)) \(Drawing.text(height))\" role=\"img\" "
      + "aria-label=\"\(Drawing.escaped(label))\">\(body)</svg>"
  }

  static func text(_ value: Double) -> String {
    value == value.rounded() ? NumberText.decimal(value, 0) : NumberText.decimal(value, 1)
  }

  static func escaped(_ text: String) -> String {
    var out = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      default: out.unicodeScalars.append(character)
      }
    }
    return out
  }

  // MARK: - Shapes

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
    body += "<line x1=\"\(Drawing.text(x1))\" y1=\"\(Drawing.text(y1))\" "
    body += "x2=\"\(Drawing.text(x2))\" y2=\"\(Drawing.text(y2))\" class=\"\(style)\"/>"
  }

  mutating func circle(_ x: Double, _ y: Double, _ radius: Double, _ style: String) {
    body += "<circle cx=\"\(Drawing.text(x))\" cy=\"\(Drawing.text(y))\" "
    body += "r=\"\(Drawing.text(radius))\" class=\"\(style)\"/>"
  }

  /// With a text that shows when the pointer rests on it, if there is one.
  mutating func box(
    _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String,
    radius: Double = 0, hint: String = ""
  ) {
    body += "<rect x=\"\(Drawing.text(x))\" y=\"\(Drawing.text(y))\" "
    body += "width=\"\(Drawing.text(max(0, width)))\" height=\"\(Drawing.text(max(0, height)))\" "
    body += radius > 0 ? "rx=\"\(Drawing.text(radius))\" " : ""
    body += "class=\"\(style)\""
    body += hint.isEmpty ? "/>" : "><title>\(Drawing.escaped(hint))</title></rect>"
  }

  /// Lines through runs of points: nothing is drawn over a gap.
  mutating func paths(_ runs: [[(x: Double, y: Double)]], _ style: String) {
    for run in runs {
      if let only = run.first, run.count == 1 {
        path([(only.x - 1, only.y), (only.x + 1, only.y)], style)
      } else {
        path(run, style)
      }
    }
  }

  /// A line through points; closed down to `floor` if that is given.
  mutating func path(_ points: [(x: Double, y: Double)], _ style: String, floor: Double? = nil) {
    guard let first = points.first, let last = points.last else { return }
    var way = "M\(Drawing.text(first.x)) \(Drawing.text(first.y))"
    for point in points.dropFirst() { way += "L\(Drawing.text(point.x)) \(Drawing.text(point.y))" }
    if let floor {
      way += "L\(Drawing.text(last.x)) \(Drawing.text(floor))"
      way += "L\(Drawing.text(first.x)) \(Drawing.text(floor))Z"
    }
    body += "<path d=\"\(way)\" class=\"\(style)\"/>"
  }

  mutating func words(
    _ text: String, _ x: Double, _ y: Double, _ style: String, anchor: String = "start"
  ) {
    body += "<text x=\"\(Drawing.text(x))\" y=\"\(Drawing.text(y))\" class=\"\(style)\" "
    body += "text-anchor=\"\(anchor)\">\(Drawing.escaped(text))</text>"
  }

  // MARK: - The frame of a plot over time

  static let left = 64.0
  static let right = 944.0
  static let top = 14.0

  /// Lines across for the values, and the seconds below.
  mutating func frame(x: Scale, y: Scale, yLabel: (Double) -> String) {
    for tick in y.ticks(yLabel) {
      line(Drawing.left, y(tick.value), Drawing.right, y(tick.value), "grid")
      words(tick.label, Drawing.left - 10, y(tick.value) + 4, "tick", anchor: "end")
    }
    for tick in x.ticks(Scale.seconds) {
      let place = x(tick.value)
      let anchor = place > Drawing.right - 12 ? "end" : "middle"
      words(tick.label, place, height - 8, "tick", anchor: anchor)
    }
  }

  /// Marks the moments at which the chaos command was run.
  mutating func moments(_ seconds: [Double], x: Scale, bottom: Double) {
    for second in seconds where second >= x.low && second <= x.high {
      line(x(second), Drawing.top, x(second), bottom, "chaos")
      box(x(second) - 4, Drawing.top, 8, bottom - Drawing.top, "hit", hint: "chaos command")
    }
  }
}
