// Owns: all figures of a run that is over. A value; any thread.

/// The result of a run.
package struct LoadResult: Sendable {
  /// How it ended.
  package enum Verdict: Sendable {
    /// All that was promised was kept.
    case kept
    case broken(LoadFinding)
    /// Something could not be checked; so many conversations were not.
    case incomplete(unchecked: Int)
    /// The run could not go on.
    case failed(String)

    package var word: String {
      switch self {
      case .kept: "kept"
      case .broken: "broken"
      case .incomplete: "incomplete"
      case .failed: "failed"
      }
    }
  }

  /// The figures of one verb.
  package struct VerbRow: Sendable {
    package let verb: LoadVerb
    package let figures: VerbFigures
  }

  package let options: LoadOptions
  package let verdict: Verdict
  /// The worker's description of itself.
  package let server: String
  package let startedAtMs: Int64
  package let seconds: Double
  package let rows: [VerbRow]
  package let requests: Int
  package let errors: Int
  /// Of all requests together.
  package let latency: LatencyHistogram
  package let intervals: [Interval]
  package let lateness: LatencyHistogram
  package let latePoints: [ReportedLate]
  package let clockErrorNs: Int64
  package let counts: RunCounts
  /// When the chaos command was run, from the beginning of the measured time.
  package let chaosAtS: [Double]
  package let chaosFailures: Int
  package let processorUs: Double

  package var exitStatus: Int32 {
    switch verdict {
    case .kept: 0
    case .broken: 1
    case .incomplete, .failed: 3
    }
  }

  package var requestsPerSecond: Double { seconds > 0 ? Double(requests) / seconds : 0 }

  /// The harness' own processor time for a request, in microseconds.
  package var ownUsPerRequest: Double { requests > 0 ? processorUs / Double(requests) : 0 }

  /// All errors by code, the most frequent first.
  package var errorsByCode: [(code: String, count: Int)] {
    var all: [String: Int] = [:]
    for row in rows { all.merge(row.figures.errors) { $0 + $1 } }
    return all.map { ($0.key, $0.value) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
  }

  init(_ run: LoadRun, server: String, startedAtMs: Int64) {
    options = run.options
    self.server = server
    self.startedAtMs = startedAtMs
    let tally = run.tally
    if let finding = run.finding {
      verdict = .broken(finding)
    } else if let failure = run.failure {
      verdict = .failed(failure)
    } else if !run.isComplete {
      verdict = .incomplete(unchecked: run.counts.unchecked)
    } else {
      verdict = .kept
    }
    seconds = Double(max(0, (tally.endNs ?? tally.startNs) - tally.startNs)) / 1e9
    rows = LoadVerb.allCases.compactMap { verb in
      let figures = tally[verb]
      return figures.latency.count + figures.errorCount == 0
        ? nil : VerbRow(verb: verb, figures: figures)
    }
    requests = tally.requests
    errors = tally.errorCount
    latency = tally.latency
    intervals = tally.intervals
    lateness = tally.lateness
    latePoints = tally.latePoints
    clockErrorNs = run.clock.errorNs
    counts = run.counts
    chaosAtS = run.chaosRunsNs.map { Double($0 - tally.startNs) / 1e9 }
    chaosFailures = run.chaosFailures
    processorUs = run.processorUs
  }
}
