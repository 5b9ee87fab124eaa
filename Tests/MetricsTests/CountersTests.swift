// Owns: the tests of the counters of a loop.

import Testing
import Wire

@testable import Metrics

/// As many verbs as are counted here.
private let verbs = 12

struct CountersTests {
  @Test func `a request is counted by verb and outcome, once`() {
    let counters = Counters(verbs: verbs)
    for verb in 0..<verbs + 1 {
      for outcome in Outcome.allCases {
        for _ in 0...verb + outcome.rawValue { counters.addRequest(verb: verb, outcome, ns: 1) }
      }
    }
    for verb in 0..<verbs + 1 {
      for outcome in Outcome.allCases {
        #expect(counters.requestCount(verb: verb, outcome) == verb + outcome.rawValue + 1)
      }
    }
  }

  @Test func `there is a row for each verb and one for lines that name none`() {
    let counters = Counters(verbs: verbs)
    counters.addRequest(verb: verbs, .unknownVerb, ns: 1)
    #expect(counters.requestCount(verb: verbs, .unknownVerb) == 1)
  }

  @Test func `bounds of buckets grow`() {
    #expect(Counters.bucketsUs == Array(Set(Counters.bucketsUs)).sorted())
    #expect((Counters.bucketsUs.first ?? 0) > 0)
  }

  @Test func `a latency falls into the bucket that it just fits`() {
    for (bucket, bound) in Counters.bucketsUs.enumerated() {
      let counters = Counters(verbs: verbs)
      counters.addRequest(verb: 1, .ok, ns: Int64(bound) * 1_000)
      counters.addRequest(verb: 1, .held, ns: Int64(bound) * 1_000 + 999)
      counters.addRequest(verb: 1, .ok, ns: Int64(bound + 1) * 1_000)
      #expect(counters.latencyCount(verb: 1, bucket: bucket) == 2, "\(bound) us")
      #expect(counters.latencyCount(verb: 1, bucket: bucket + 1) == 1, "\(bound + 1) us")
      #expect(counters.latencySumUs(verb: 1) == 3 * bound + 1)
    }
  }

  @Test func `the fastest and the slowest have their buckets, and rows do not mix`() {
    let counters = Counters(verbs: verbs)
    let last = Counters.bucketsUs.count
    for verb in [0, verbs] {
      counters.addRequest(verb: verb, .ok, ns: 0)
      counters.addRequest(verb: verb, .ok, ns: 3_600_000_000_000)
      #expect(counters.latencyCount(verb: verb, bucket: 0) == 1)
      #expect(counters.latencyCount(verb: verb, bucket: last) == 1)
    }
    for verb in 1..<verbs {
      #expect((0...last).allSatisfy { counters.latencyCount(verb: verb, bucket: $0) == 0 })
      #expect(counters.latencySumUs(verb: verb) == 0)
    }
  }

  @Test func `figures are added to and set one by one`() {
    let counters = Counters(verbs: verbs)
    for figure in Figure.allCases {
      counters.add(figure)
      counters.add(figure.rawValue, figure)
    }
    for figure in Figure.allCases { #expect(counters[figure] == figure.rawValue + 1) }
    counters.set(7, .connectionsNow)
    #expect(counters[.connectionsNow] == 7)
    #expect(counters[.connectionsOpened] == Figure.connectionsOpened.rawValue + 1)
  }

  @Test func `a histogram counts each value up to and beyond its bounds`() {
    let histogram = Histogram([1, 10])
    for value in [0, 1, 2, 10, 11, 1_000] { histogram.add(value) }
    #expect((0...2).map { histogram.count(bucket: $0) } == [2, 2, 2])
    #expect(histogram.sum == 1_024)
  }

  @Test func `refused connections are counted by limit`() {
    let counters = Counters(verbs: verbs)
    for (index, refusal) in Refusal.allCases.enumerated() {
      for _ in 0...index { counters.addRefused(refusal) }
    }
    for (index, refusal) in Refusal.allCases.enumerated() {
      #expect(counters.refusedCount(refusal) == index + 1, "\(refusal)")
    }
  }

  @Test func `closed connections are counted by reason`() {
    let counters = Counters(verbs: verbs)
    for (index, reason) in CloseReason.allCases.enumerated() {
      for _ in 0...index { counters.addClosed(reason) }
    }
    for (index, reason) in CloseReason.allCases.enumerated() {
      #expect(counters.closedCount(reason) == index + 1, "\(reason)")
    }
  }

  @Test func `an outcome is read off the reply's first word`() {
    for (line, outcome) in [
      ("OK {}", Outcome.ok), ("OK", .ok), ("HELD {}", .held), ("NONE", .none), ("STALE {}", .stale),
      ("BUSY {}", .busy), ("NONE\n", .none), ("ERR internal x", .internal),
    ] {
      #expect(Array(line.utf8).withUnsafeBufferPointer { Outcome(line: $0) } == outcome, "\(line)")
    }
  }

  @Test(
    arguments: [
      "", "?", "SETTLE 498 01M8 1 20 17 ,\"session\":1", "MORE S live user/u", "FULL d/S", "WAIT",
      "MINE", "O", "OKAY", "STAL", "EVENT {}",
    ])
  func `what a script says to the worker alone is no outcome`(line: String) {
    #expect(Array(line.utf8).withUnsafeBufferPointer { Outcome(line: $0) } == nil)
  }

  @Test func `each error code has its outcome, and labels are unlike`() {
    for code in ErrorCode.allCases { #expect(Outcome(code).label == code.rawValue) }
    #expect(Set(Outcome.allCases.map(\.label)).count == Outcome.allCases.count)
    #expect(Outcome.allCases.count == ErrorCode.allCases.count + 5)
  }

  @Test func `a row beyond the last is a bug and traps`() async {
    await #expect(processExitsWith: .failure) {
      Counters(verbs: verbs).addRequest(
        verb: verbs + 1, .internal, ns: 0)
    }
  }
}
