// Owns: the plot of latency percentiles by verb. Values; any thread.

/// A row for each verb, on one logarithmic axis.
enum VerbPlot {
  private static let rowHeight = 27.0
  private static let left = 96.0
  private static let right = 760.0

  static func plot(_ result: LoadResult) -> Plot {
    // The whole message first, then its parts.
    let rows = result.rows.filter { $0.figures.latency.count > 0 }.sorted {
      ($0.verb == .message ? 0 : 1, $0.verb.rawValue)
        < ($1.verb == .message ? 0 : 1, $1.verb.rawValue)
    }
    let bottom = 26 + Double(rows.count) * rowHeight
    var drawing = Drawing(height: bottom + 26, label: "latency percentiles by verb")
    let ms = { (ns: Int64) in Double(ns) / 1e6 }
    let x = Scale.logarithmic(
      rows.map { ms($0.figures.latency.percentileNs(0.5)) }.min() ?? 0.1,
      rows.map { ms($0.figures.latency.maxNs) }.max() ?? 1, from: left, to: right)
    for tick in x.ticks(Scale.duration) {
      drawing.line(x(tick.value), 22, x(tick.value), bottom, "grid")
      drawing.words(tick.label, x(tick.value), bottom + 18, "tick", anchor: "middle")
    }
    for (index, name) in ["p50", "p99", "max"].enumerated() {
      drawing.words(name, column(index), 14, "tick", anchor: "end")
    }
    for (index, row) in rows.enumerated() {
      draw(row, at: 26 + (Double(index) + 0.5) * rowHeight, x, &drawing)
    }
    return Plot(
      title: "Latency by verb",
      explanation: "Percentiles on a logarithmic axis. 'message' is everything that the caller of "
        + "one message does, from when it was due; 'connect' is the making of a connection.",
      keys: [
        .init(style: "one", text: "p50"), .init(style: "dim", text: "p90"),
        .init(style: "two", text: "p99"), .init(style: "dim", text: "p99.9"),
        .init(style: "three", text: "max"),
      ], drawing: drawing)
  }

  private static func column(_ index: Int) -> Double { 812 + Double(index) * 66 }

  private static func draw(
    _ row: LoadResult.VerbRow, at y: Double, _ x: Scale, _ drawing: inout Drawing
  ) {
    let latency = row.figures.latency
    let place = { (ns: Int64) in x(Double(ns) / 1e6) }
    let shares = [0.5, 0.9, 0.99, 0.999].map { latency.percentileNs($0) }
    drawing.words(row.verb.name, left - 14, y + 4, "verb", anchor: "end")
    drawing.line(place(shares[0]), y, place(latency.maxNs), y, "thin")
    drawing.line(place(shares[0]), y, place(shares[2]), y, "thick")
    drawing.circle(place(latency.maxNs), y, 3.5, "point three")
    drawing.circle(place(shares[3]), y, 3, "point dim")
    drawing.circle(place(shares[1]), y, 3, "point dim")
    drawing.circle(place(shares[2]), y, 5, "point two")
    drawing.circle(place(shares[0]), y, 5, "point one")
    for (index, ns) in [shares[0], shares[2], latency.maxNs].enumerated() {
      drawing.words(NumberText.ms(ns), column(index), y + 4, "figure", anchor: "end")
    }
    let text = zip(["p50", "p90", "p99", "p99.9"], shares).map { "\($0) \(NumberText.ms($1)) ms" }
    drawing.box(
      0, y - rowHeight / 2, Drawing.width, rowHeight, "hit", radius: 4,
      hint: "\(row.verb.name): " + text.joined(separator: ", "))
  }
}
