// Owns: the tests of /metrics, with a strict reader of Prometheus' text format.

import Loop
import Testing

@testable import Metrics
@testable import Server
@testable import Service
@testable import Settings

/// One sample of a page.
private struct Sample: Equatable {
  var name: String
  var labels: [String: String]
  var value: Double
}

/// A page of metrics, version 0.0.4 of the format; whatever it does not allow is thrown.
private struct MetricsReader {
  struct Oddity: Error, CustomStringConvertible { let description: String }

  private(set) var types: [String: String] = [:]
  private(set) var samples: [Sample] = []
  private var family = ""

  init(_ text: String) throws {
    guard text.hasSuffix("\n"), !text.contains("\n\n"), !text.contains("\r") else {
      throw Oddity(description: "lines end with one newline each")
    }
    var help: String?
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      if let match = line.wholeMatch(of: /# HELP ([a-z_]+) (.+[.])/) {
        help = String(match.1)
      } else if let match = line.wholeMatch(of: /# TYPE ([a-z_]+) (counter|gauge|histogram)/) {
        guard help == String(match.1) else { throw Oddity(description: "no HELP: \(line)") }
        family = String(match.1)
        guard types.updateValue(String(match.2), forKey: family) == nil else {
          throw Oddity(description: "a second TYPE: \(line)")
        }
        help = nil
      } else {
        try readSample(line)
      }
    }
    guard help == nil else { throw Oddity(description: "a HELP without a TYPE") }
  }

  private mutating func readSample(_ line: Substring) throws {
    guard let match = line.wholeMatch(of: /([a-z_]+)(?:\{([^}]*)\})? (-?[0-9][0-9.e+-]*)/),
      let value = Double(match.3), value.isFinite
    else { throw Oddity(description: "not a sample: \(line)") }
    let name = String(match.1)
    let endings = types[family] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
    guard endings.contains(where: { family + $0 == name }) else {
      throw Oddity(description: "a sample outside its family: \(line)")
    }
    var labels: [String: String] = [:]
    for pair in (match.2 ?? "").split(separator: ",", omittingEmptySubsequences: true) {
      guard let parts = pair.wholeMatch(of: /([a-z_]+)="([^"\\]*)"/),
        labels.updateValue(String(parts.2), forKey: String(parts.1)) == nil
      else { throw Oddity(description: "bad labels: \(line)") }
    }
    guard !samples.contains(where: { $0.name == name && $0.labels == labels }) else {
      throw Oddity(description: "twice: \(line)")
    }
    samples.append(Sample(name: name, labels: labels, value: value))
  }

  subscript(name: String, labels: [String: String]) -> Double? {
    samples.first { $0.name == name && $0.labels == labels }?.value
  }
}

struct MetricsPageTests {
  private let shared: SharedState

  init() throws {
    shared = try SharedState(
      Settings(), log: Log(level: .error), workerID: "w", threads: 2, redisMode: "embedded",
      verbs: VerbTable.all.count)
  }

  private func page(isReady: Bool = true) throws -> MetricsReader {
    try MetricsReader(MetricsPage.text(shared, isReady: isReady))
  }

  @Test func `a page of a worker that has done nothing is well-formed`() throws {
    let page = try page()
    #expect(page.types["latchkey_requests_total"] == "counter")
    #expect(page.types["latchkey_request_duration_seconds"] == "histogram")
    #expect(page["latchkey_build_info", ["version": Version.text]] == 1)
    #expect(page["latchkey_connections", [:]] == 0)
    #expect(page.samples.allSatisfy { $0.value >= 0 })
    #expect((page["process_resident_memory_bytes", [:]] ?? 0) > 1_000_000)
    #expect((page["process_cpu_seconds_total", [:]] ?? 0) > 0)
  }

  @Test func `counters are named as such`() throws {
    for (name, type) in try page().types {
      #expect(name.hasPrefix("latchkey_") || name.hasPrefix("process_"), "\(name)")
      #expect(name.hasSuffix("_total") == (type == "counter"), "\(name)")
    }
  }

  @Test func `readiness and draining are shown`() throws {
    #expect(try page(isReady: true)["latchkey_ready", [:]] == 1)
    #expect(try page(isReady: false)["latchkey_ready", [:]] == 0)
    #expect(try page()["latchkey_draining", [:]] == 0)
    shared.startDraining()
    #expect(try page()["latchkey_draining", [:]] == 1)
  }

  @Test func `requests of all loops are added up, by verb and outcome`() throws {
    let row = try #require(VerbTable.all.firstIndex { $0.name == "LOCK" })
    for counters in shared.counters { counters.addRequest(verb: row, .held, ns: 1_000) }
    shared.counters[0].addRequest(verb: row, .ok, ns: 1_000)
    shared.counters[1].addRequest(verb: VerbTable.all.count, .unknownVerb, ns: 1_000)
    let page = try page()
    let name = "latchkey_requests_total"
    #expect(page[name, ["verb": "LOCK", "outcome": "held"]] == 2)
    #expect(page[name, ["verb": "LOCK", "outcome": "ok"]] == 1)
    #expect(page[name, ["verb": "unknown", "outcome": "unknown_verb"]] == 1)
    #expect(page.samples.count { $0.name == name } == 3)
  }

  @Test func `a histogram grows up to the count, in seconds`() throws {
    let times: [Int64] = [50, 100, 101, 1_000, 700_000, 5_000_000]
    for (index, us) in times.enumerated() {
      shared.counters[index % 2].addRequest(verb: 0, .ok, ns: us * 1_000)
    }
    let page = try page()
    let (name, verb) = ("latchkey_request_duration_seconds", VerbTable.all[0].name)
    let buckets = page.samples.filter { $0.name == name + "_bucket" }
    #expect(buckets.count == Counters.bucketsUs.count + 1)
    #expect(buckets.map(\.value) == buckets.map(\.value).sorted())
    let bounds = buckets.compactMap { $0.labels["le"] }
    #expect(bounds.last == "+Inf")
    #expect(
      bounds.dropLast().compactMap { Double($0) } == Counters.bucketsUs.map { Double($0) / 1e6 })
    for (bound, count) in [("0.0001", 2), ("0.00025", 3), ("0.001", 4), ("1.0", 5), ("+Inf", 6)] {
      #expect(page[name + "_bucket", ["verb": verb, "le": bound]] == Double(count), "\(bound)")
    }
    #expect(page[name + "_count", ["verb": verb]] == 6)
    let sum = try #require(page[name + "_sum", ["verb": verb]])
    #expect(abs(sum - Double(times.reduce(0, +)) / 1e6) < 1e-9)
  }

  @Test func `a sum is a plain number however small or large it is`() throws {
    for ns in [1_000, 999, 86_400_000_000_000_000] as [Int64] {
      shared.counters[0].addRequest(verb: 0, .ok, ns: ns)
      let page = try page()
      #expect(page["latchkey_request_duration_seconds_sum", ["verb": VerbTable.all[0].name]] != nil)
    }
  }

  @Test func `connections and their ends are counted`() throws {
    for counters in shared.counters {
      counters.set(3, .connectionsNow)
      counters.add(.connectionsOpened)
      counters.addClosed(.idle)
    }
    let page = try page()
    #expect(page["latchkey_connections", [:]] == 6)
    #expect(page["latchkey_connections_opened_total", [:]] == 2)
    let closed = page.samples.filter { $0.name == "latchkey_connections_closed_total" }
    #expect(closed.count == CloseReason.allCases.count)
    for sample in closed { #expect(sample.value == (sample.labels["reason"] == "idle" ? 2 : 0)) }
  }

  @Test func `buffered bytes are shown, and the rejections under memory pressure`() throws {
    let refused: [Figure] = [
      .pressureRequests, .pressureReplies, .pressureReadPauses, .pressureWatches,
    ]
    for counters in shared.counters {
      counters.set(1_000, .bufferedBytes)
      for (count, figure) in refused.enumerated() { counters.add(count + 1, figure) }
    }
    let page = try page()
    #expect(page["latchkey_buffered_bytes", [:]] == 2_000)
    #expect(page["latchkey_buffered_bytes_limit", [:]] == 268_435_456)
    for (what, count) in [("request", 2), ("reply", 4), ("reading", 6), ("watch", 8)] {
      #expect(page["latchkey_buffer_refusals_total", ["what": what]] == Double(count))
    }
  }
}
