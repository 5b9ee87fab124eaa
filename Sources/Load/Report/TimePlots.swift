// Owns: the plots over the time of a run: rate, latency, errors, and the lateness of abandonments.
// Values; any thread.

/// A plot and its legend.
struct Plot {
  /// A mark and what it stands for.
  struct Key {
    let style: String
    let text: String
  }

  let title: String
  let explanation: String
  let keys: [Key]
  /// Nil if there is nothing to draw; the explanation says so.
  let drawing: Drawing?
}

/// The plots over time.
enum TimePlots {
  private static let height = 250.0
  private static let bottom = height - 28

  /// A last interval that is much shorter than the others would only show noise.
  private static func intervals(_ result: LoadResult) -> [Interval] {
    let usual = result.intervals.first?.seconds ?? 0
    return result.intervals.filter { $0.seconds > usual / 2 }
  }

  private static func timeScale(_ endS: Double) -> Scale {
    .exact(0, endS, from: Drawing.left, to: Drawing.right)
  }

  private static func middle(_ interval: Interval) -> Double {
    interval.startS + interval.seconds / 2
  }

  private static func hit(
    _ drawing: inout Drawing, _ interval: Interval, _ x: Scale, _ text: String
  ) {
    drawing.box(
      x(interval.startS), Drawing.top, x(interval.startS + interval.seconds) - x(interval.startS),
      bottom - Drawing.top, "hit",
      hint: "\(NumberText.decimal(interval.startS, 1)) s: \(text)")
  }

  // MARK: - Rate

  static func rate(_ result: LoadResult) -> Plot {
    let intervals = intervals(result)
    let rates = intervals.map { Double($0.requests) / max(0.001, $0.seconds) }
    var drawing = Drawing(height: height, label: "requests a second over time")
    let x = timeScale(result.seconds)
    let y = Scale.linear(upTo: rates.max() ?? 1, from: bottom, to: Drawing.top)
    drawing.frame(x: x, y: y, yLabel: Scale.count)
    let points = zip(intervals, rates).map { (x: x(middle($0)), y: y($1)) }
    drawing.path(points, "area one", floor: bottom)
    drawing.path(points, "curve one")
    drawing.moments(result.chaosAtS, x: x, bottom: bottom)
    for (interval, rate) in zip(intervals, rates) {
      hit(&drawing, interval, x, "\(NumberText.grouped(Int(rate))) requests/s")
    }
    return Plot(
      title: "Requests a second",
      explanation: "What was answered, errors not counted."
        + (result.chaosAtS.isEmpty ? "" : " Dashed: the chaos command was run."),
      keys: [], drawing: drawing)
  }

  // MARK: - Latency

  static func latency(_ result: LoadResult) -> Plot {
    let all = self.intervals(result)
    let intervals = all.filter { $0.requests > 0 }
    let ms = { (ns: Int64) in Double(ns) / 1e6 }
    var drawing = Drawing(height: height, label: "latency over time")
    let x = timeScale(result.seconds)
    let y = Scale.logarithmic(
      intervals.map { ms($0.p50Ns) }.min() ?? 0.1, intervals.map { ms($0.maxNs) }.max() ?? 1,
      from: bottom, to: Drawing.top)
    drawing.frame(x: x, y: y, yLabel: Scale.duration)
    let runs = all.split { $0.requests == 0 }
    let curves: [(String, (Interval) -> Int64)] = [
      ("three", \.maxNs), ("two", \.p99Ns), ("one", \.p50Ns),
    ]
    for (style, value) in curves {
      let points = runs.map { run in run.map { (x: x(middle($0)), y: y(ms(value($0)))) } }
      drawing.paths(points, "curve \(style)")
    }
    drawing.moments(result.chaosAtS, x: x, bottom: bottom)
    for interval in intervals {
      hit(
        &drawing, interval, x,
        "p50 \(NumberText.ms(interval.p50Ns)) ms, p99 \(NumberText.ms(interval.p99Ns)) ms, "
          + "max \(NumberText.ms(interval.maxNs)) ms")
    }
    return Plot(
      title: "Latency of requests",
      explanation: "All verbs together, logarithmic.",
      keys: [
        .init(style: "one", text: "p50"), .init(style: "two", text: "p99"),
        .init(style: "three", text: "max"),
      ], drawing: drawing)
  }

  // MARK: - Errors

  private static let errorStyles = ["e1", "e2", "e3", "e4", "e5"]

  static func errors(_ result: LoadResult) -> Plot {
    let codes = result.errorsByCode.prefix(4).map(\.code)
    guard !codes.isEmpty else {
      return Plot(title: "Errors", explanation: "There were none.", keys: [], drawing: nil)
    }
    let hasOthers = result.errorsByCode.count > codes.count
    let intervals = intervals(result)
    let totals = intervals.map { Double($0.errors.values.reduce(0, +)) / max(0.001, $0.seconds) }
    var drawing = Drawing(height: height, label: "errors a second over time")
    let x = timeScale(result.seconds)
    let y = Scale.linear(upTo: totals.max() ?? 1, from: bottom, to: Drawing.top)
    drawing.frame(x: x, y: y, yLabel: Scale.count)
    for interval in intervals where !interval.errors.isEmpty {
      bar(interval, codes, &drawing, x, y)
    }
    drawing.moments(result.chaosAtS, x: x, bottom: bottom)
    var keys = zip(codes, errorStyles).map { Plot.Key(style: $1, text: $0) }
    if hasOthers { keys.append(.init(style: "e5", text: "others")) }
    return Plot(
      title: "Errors a second",
      explanation: "By code. A caller tries again where the code allows it. 'no_reply' and "
        + "'timeout' are unknown outcomes; 'cannot_connect' is none.",
      keys: keys, drawing: drawing)
  }

  private static func bar(
    _ interval: Interval, _ codes: [String], _ drawing: inout Drawing, _ x: Scale, _ y: Scale
  ) {
    let left = x(interval.startS)
    let width = max(1.5, x(interval.startS + interval.seconds) - left - 1)
    var below = 0.0
    let others = interval.errors.filter { !codes.contains($0.key) }.values.reduce(0, +)
    let parts = codes.map { interval.errors[$0] ?? 0 } + [others]
    for (count, style) in zip(parts, errorStyles) where count > 0 {
      let rate = Double(count) / max(0.001, interval.seconds)
      drawing.box(left, y(below + rate), width, y(below) - y(below + rate), "bar \(style)")
      below += rate
    }
    let text = interval.errors.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    hit(&drawing, interval, x, text.joined(separator: ", "))
  }

  // MARK: - Abandonments

  static func lateness(_ result: LoadResult) -> Plot {
    guard let last = result.latePoints.map(\.atS).max() else {
      return Plot(
        title: "Lateness of abandonments",
        explanation: "No abandonment was reported while the harness watched: no caller vanished "
          + "for long enough.", keys: [], drawing: nil)
    }
    var drawing = Drawing(height: height, label: "lateness of abandonments over time")
    let x = timeScale(max(result.seconds, last))
    let points = result.latePoints.map { (atS: $0.atS, ms: max(0.1, Double($0.lateNs) / 1e6)) }
    let y = Scale.logarithmic(
      max(0.1, points.map(\.ms).min() ?? 1), points.map(\.ms).max() ?? 1, from: bottom,
      to: Drawing.top)
    drawing.frame(x: x, y: y, yLabel: Scale.duration)
    drawing.moments(result.chaosAtS, x: x, bottom: bottom)
    for point in points where point.atS >= 0 {
      drawing.circle(x(point.atS), y(point.ms), points.count > 400 ? 2 : 3, "dot")
    }
    let late = result.lateness
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
      let ns = late.percentileNs(share)
      let place = y(max(0.1, Double(ns) / 1e6))
      drawing.line(Drawing.left, place, Drawing.right, place, "mark")
      drawing.words(
        "\(name) \(NumberText.ms(ns)) ms", Drawing.right - 4, place - 5, "note", anchor: "end")
    }
    return Plot(
      title: "Lateness of abandonments",
      explanation: "From a lock's deadline, by the server's clock, to the moment at which a "
        + "subscription reports it. The clocks are compared to "
        + "± \(NumberText.ms(result.clockErrorNs)) ms. "
        + (last > result.seconds ? "Those after the end of the load belong to it too." : ""),
      keys: [], drawing: drawing)
  }
}
