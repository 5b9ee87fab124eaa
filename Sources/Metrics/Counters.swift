// Owns: the figures of one loop: written by that loop alone, read by any thread.

package import Wire

/// The outcomes of a request, for counting.
package enum Outcome: Int, CaseIterable, Sendable {
  case ok, held, busy, none, stale
  case badRequest, unknownVerb, tooLarge, authRequired, forbidden, illegalState, conflict
  case quota
  case unavailable, unknownOutcome, overloaded, draining, `internal`

  package init(_ code: ErrorCode) {
    self =
      switch code {
      case .badRequest: .badRequest
      case .unknownVerb: .unknownVerb
      case .tooLarge: .tooLarge
      case .authRequired: .authRequired
      case .forbidden: .forbidden
      case .illegalState: .illegalState
      case .conflict: .conflict
      case .quota: .quota
      case .unavailable: .unavailable
      case .unknownOutcome: .unknownOutcome
      case .overloaded: .overloaded
      case .draining: .draining
      case .internal: .internal
      }
  }

  /// The outcome of a script's reply line, by its first word; nil if that is none for callers.
  package init?(line: UnsafeBufferPointer<UInt8>) {
    let (outcome, word): (Outcome, StaticString)
    switch line.first {
    case UInt8(ascii: "O"): (outcome, word) = (.ok, "OK")
    case UInt8(ascii: "H"): (outcome, word) = (.held, "HELD")
    case UInt8(ascii: "B"): (outcome, word) = (.busy, "BUSY")
    case UInt8(ascii: "N"): (outcome, word) = (.none, "NONE")
    case UInt8(ascii: "S"): (outcome, word) = (.stale, "STALE")
    case UInt8(ascii: "E"): (outcome, word) = (.internal, "ERR")
    default: return nil
    }
    let count = word.utf8CodeUnitCount
    guard line.count >= count, line.count == count || line[count] <= UInt8(ascii: " ") else {
      return nil
    }
    for at in 0..<count where line[at] != word.utf8Start[at] { return nil }
    self = outcome
  }

  /// Whether the request failed: its reply is `ERR`.
  package var isError: Bool {
    switch self {
    case .ok, .held, .busy, .none, .stale: false
    default: true
    }
  }

  /// The label in metrics.
  package var label: String {
    switch self {
    case .ok: "ok"
    case .held: "held"
    case .busy: "busy"
    case .none: "none"
    case .stale: "stale"
    case .badRequest: ErrorCode.badRequest.rawValue
    case .unknownVerb: ErrorCode.unknownVerb.rawValue
    case .tooLarge: ErrorCode.tooLarge.rawValue
    case .authRequired: ErrorCode.authRequired.rawValue
    case .forbidden: ErrorCode.forbidden.rawValue
    case .illegalState: ErrorCode.illegalState.rawValue
    case .conflict: ErrorCode.conflict.rawValue
    case .quota: ErrorCode.quota.rawValue
    case .unavailable: ErrorCode.unavailable.rawValue
    case .unknownOutcome: ErrorCode.unknownOutcome.rawValue
    case .overloaded: ErrorCode.overloaded.rawValue
    case .draining: ErrorCode.draining.rawValue
    case .internal: ErrorCode.internal.rawValue
    }
  }
}

/// Single figures of a loop.
package enum Figure: Int, CaseIterable, Sendable {
  case connectionsOpened, connectionsNow, acceptPauses, drainDismissals
  /// Those of the above that speak HTTP, and their requests.
  case httpOpened, httpNow, httpRequests
  case requestsInFlight, turnedAtMs
  case bufferedBytes, pressureRequests, pressureReplies, pressureReadPauses, pressureWatches
  case authFailures, tokensEnded, auditFailures
  case batches, batchedRequests, queueRefusals
  case corruptValues
  case redisConnectionFailures, redisReady, partitionsAway, scriptsReloaded
  case watches, waiters, deviceWaiters, changeWaiters, changesDropped
  case eventsPushed, eventsGiven, eventsReturned, lossesGiven
}

/// The figures of one serving loop.
///
/// A class, so that handing it on costs one reference: as a value its nine parts were copied twice
/// for each request.
package final class Counters: Sendable {
  /// Upper bounds of the latency histogram's buckets, in microseconds; the last has none.
  package static let bucketsUs = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
  ]

  private let requests: NumberRow
  private let latency: NumberRow
  private let figures = NumberRow(count: Figure.allCases.count)
  /// How many requests each script call carried.
  package let batchSizes = Histogram([1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
  /// How long the oldest request of each script call has waited for being sent.
  package let queueDelaysUs = Histogram(bucketsUs)
  /// How long Redis took to answer each script call.
  package let redisTimesUs = Histogram(bucketsUs)
  /// From a group's event to its being with a consumer's connection, where that is the first.
  package let groupLagMs = Histogram([
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 60_000, 600_000,
  ])
  private let closed = NumberRow(count: CloseReason.allCases.count)
  private let refused = NumberRow(count: Refusal.allCases.count)

  /// For so many verbs, and one more row for lines that named none.
  package init(verbs: Int) {
    requests = NumberRow(count: (verbs + 1) * Outcome.allCases.count)
    latency = NumberRow(count: (verbs + 1) * (Counters.bucketsUs.count + 2))
  }

  package func add(_ figure: Figure) { figures.add(1, at: figure.rawValue) }
  package func add(_ amount: Int, _ figure: Figure) { figures.add(amount, at: figure.rawValue) }
  package func set(_ value: Int, _ figure: Figure) { figures.set(value, at: figure.rawValue) }
  package subscript(figure: Figure) -> Int { figures[figure.rawValue] }

  package func addClosed(_ reason: CloseReason) { closed.add(1, at: Counters.index(reason)) }
  package func closedCount(_ reason: CloseReason) -> Int { closed[Counters.index(reason)] }

  private static func index(_ reason: CloseReason) -> Int {
    switch reason {
    case .ended: 0
    case .quit: 1
    case .broken: 2
    case .idle: 3
    case .drained: 4
    case .slow: 5
    case .stalled: 6
    case .refused: 7
    case .unauthenticated: 8
    case .revoked: 9
    case .otherProtocol: 10
    case .handshake: 11
    case .malformed: 12
    }
  }

  package func addRefused(_ refusal: Refusal) { refused.add(1, at: Counters.index(refusal)) }
  package func refusedCount(_ refusal: Refusal) -> Int { refused[Counters.index(refusal)] }

  private static func index(_ refusal: Refusal) -> Int {
    switch refusal {
    case .connections: 0
    case .address: 1
    case .header: 2
    case .plain: 3
    }
  }

  /// Counts an answered request.
  package func addRequest(verb: Int, _ outcome: Outcome, ns: Int64) {
    requests.add(1, at: verb * Outcome.allCases.count + outcome.rawValue)
    let us = Int(ns / 1_000)
    var bucket = 0
    while bucket < Counters.bucketsUs.count, us > Counters.bucketsUs[bucket] { bucket += 1 }
    let row = verb * (Counters.bucketsUs.count + 2)
    latency.add(1, at: row + bucket)
    latency.add(us, at: row + Counters.bucketsUs.count + 1)
  }

  package func requestCount(verb: Int, _ outcome: Outcome) -> Int {
    requests[verb * Outcome.allCases.count + outcome.rawValue]
  }

  /// How many requests fell into a bucket; the one after the last bound has the slowest.
  package func latencyCount(verb: Int, bucket: Int) -> Int {
    latency[verb * (Counters.bucketsUs.count + 2) + bucket]
  }

  /// The sum of all latencies of a verb, in microseconds.
  package func latencySumUs(verb: Int) -> Int {
    latency[verb * (Counters.bucketsUs.count + 2) + Counters.bucketsUs.count + 1]
  }
}
