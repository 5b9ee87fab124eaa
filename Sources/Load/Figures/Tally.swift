// Owns: the counts of a run as it goes on: latencies by verb, errors, and both over time. Runs on
// the loop's thread.

/// The figures of one verb.
package struct VerbFigures: Sendable {
  package var latency = LatencyHistogram()
  /// Replies that are no errors, by their first word.
  package var held = 0
  package var none = 0
  package var stale = 0
  package var errors: [String: Int] = [:]

  package var errorCount: Int { errors.values.reduce(0, +) }
}

/// A stretch of time of a run.
package struct Interval: Sendable {
  /// From the beginning of the measured time.
  package var startS: Double
  package var seconds: Double
  package var requests = 0
  package var errors: [String: Int] = [:]
  package var p50Ns: Int64 = 0
  package var p99Ns: Int64 = 0
  package var maxNs: Int64 = 0
}

/// An abandonment that was reported.
package struct ReportedLate: Sendable {
  package var atS: Double
  package var lateNs: Int64
}

/// The counts of a run.
struct Tally {
  /// Of the abandonments so many are kept as points at most, spread evenly; the histogram has all.
  static let pointsMax = 2_000

  private(set) var verbs = LoadVerb.allCases.map { _ in VerbFigures() }
  /// Of all requests together.
  private(set) var latency = LatencyHistogram()
  private(set) var intervals: [Interval] = []
  private(set) var lateness = LatencyHistogram()
  private(set) var latePoints: [ReportedLate] = []
  /// One abandonment in so many becomes a point.
  private var pointEvery = 1

  private var current = LatencyHistogram()
  private var currentRequests = 0
  private var currentErrors: [String: Int] = [:]
  private var intervalStartNs: Int64
  private let intervalNs: Int64
  private(set) var startNs: Int64
  private(set) var endNs: Int64?
  /// Since the last look of the live line.
  var recent = LatencyHistogram()
  var recentErrors = 0

  init(startNs: Int64, durationMs: Int64) {
    self.startNs = startNs
    intervalStartNs = startNs
    // Some 240 points make a plot; more would only be thicker.
    intervalNs = max(250_000_000, durationMs * 1_000_000 / 240)
  }

  subscript(verb: LoadVerb) -> VerbFigures { verbs[Int(verb.rawValue)] }

  /// Requests that were answered; connections and whole messages are none.
  var requests: Int {
    LoadVerb.allCases.reduce(0) { sum, verb in
      verb == .connect || verb == .message ? sum : sum + self[verb].latency.count
    }
  }

  var errorCount: Int { verbs.reduce(0) { $0 + $1.errorCount } }

  mutating func answered(_ verb: LoadVerb, _ latencyNs: Int64, _ word: ReplyLine.Word?) {
    guard endNs == nil else { return }
    let index = Int(verb.rawValue)
    verbs[index].latency.add(latencyNs)
    switch word {
    case .held: verbs[index].held += 1
    case .some(.none): verbs[index].none += 1
    case .stale: verbs[index].stale += 1
    default: break
    }
    guard verb != .connect, verb != .message else { return }
    latency.add(latencyNs)
    current.add(latencyNs)
    recent.add(latencyNs)
    currentRequests += 1
  }

  mutating func failed(_ verb: LoadVerb, _ code: String) {
    guard endNs == nil else { return }
    verbs[Int(verb.rawValue)].errors[code, default: 0] += 1
    currentErrors[code, default: 0] += 1
    recentErrors += 1
  }

  mutating func abandonmentReported(_ lateNs: Int64, nowNs: Int64) {
    lateness.add(lateNs)
    guard lateness.count % pointEvery == 0 else { return }
    if latePoints.count == Tally.pointsMax {
      latePoints = latePoints.indices.filter { $0 % 2 == 1 }.map { latePoints[$0] }
      pointEvery *= 2
    }
    latePoints.append(ReportedLate(atS: Double(nowNs - startNs) / 1e9, lateNs: lateNs))
  }

  /// Closes intervals that are over; call it often.
  mutating func tick(_ nowNs: Int64) {
    guard endNs == nil, nowNs >= intervalStartNs + intervalNs else { return }
    closeInterval(nowNs)
  }

  private mutating func closeInterval(_ nowNs: Int64) {
    intervals.append(
      Interval(
        startS: Double(intervalStartNs - startNs) / 1e9,
        seconds: Double(nowNs - intervalStartNs) / 1e9, requests: currentRequests,
        errors: currentErrors, p50Ns: current.percentileNs(0.5), p99Ns: current.percentileNs(0.99),
        maxNs: current.maxNs))
    current.clear()
    currentRequests = 0
    currentErrors = [:]
    intervalStartNs = nowNs
  }

  /// Ends the measured time: requests are not counted from here on, abandonments are.
  mutating func end(_ nowNs: Int64) {
    guard endNs == nil else { return }
    if nowNs > intervalStartNs { closeInterval(nowNs) }
    endNs = nowNs
  }
}
