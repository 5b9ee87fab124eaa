// A strict reader of Prometheus' text format, version 0.0.4.

import Foundation

/// A family of metrics with its samples.
struct MetricFamily: Sendable {
  let name: String
  let type: String
  let help: String
  var samples: [(name: String, labels: [String: String], value: Double)] = []
}

/// Reads a whole page; whatever the format does not allow is thrown.
struct PrometheusPage {
  private(set) var families: [MetricFamily] = []
  private var seen: Set<String> = []
  private var help: (name: String, text: String)?

  init(_ text: String) throws {
    guard text.hasSuffix("\n") else { throw Failure("metrics: the last line has no end") }
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      do {
        try read(String(line))
      } catch {
        throw Failure("metrics: \(error): \(line)")
      }
    }
    for family in families { try Self.check(family) }
  }

  /// The sum over all samples of all counters.
  var counted: Double {
    families.filter { $0.type == "counter" }.flatMap(\.samples).map(\.value).reduce(0, +)
  }

  private mutating func read(_ line: String) throws {
    if line.hasPrefix("# HELP ") {
      let words = line.dropFirst(7).split(separator: " ", maxSplits: 1)
      guard words.count == 2, !words[1].isEmpty else { throw Failure("a HELP without a text") }
      help = (String(words[0]), String(words[1]))
    } else if line.hasPrefix("# TYPE ") {
      try open(line.dropFirst(7).split(separator: " ", omittingEmptySubsequences: false))
    } else if line.isEmpty || line.hasPrefix("# ") {
      return
    } else {
      try addSample(line)
    }
  }

  private mutating func open(_ words: [Substring]) throws {
    let types = ["counter", "gauge", "histogram", "summary", "untyped"]
    guard words.count == 2, types.contains(String(words[1])) else { throw Failure("a bad TYPE") }
    let name = String(words[0])
    guard let help, help.name == name else { throw Failure("no HELP right before the TYPE") }
    guard seen.insert(name).inserted else { throw Failure("a second TYPE of \(name)") }
    guard name.wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil else { throw Failure("bad name") }
    families.append(MetricFamily(name: name, type: String(words[1]), help: help.text))
  }

  private mutating func addSample(_ line: String) throws {
    let shape = /([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? ([^ ]+)( -?[0-9]+)?/
    guard let match = line.wholeMatch(of: shape) else { throw Failure("not a sample") }
    let (name, value) = (String(match.1), String(match.4))
    let numbers = ["+Inf": Double.infinity, "-Inf": -Double.infinity, "NaN": Double.nan]
    guard let number = numbers[value] ?? Double(value) else { throw Failure("not a number") }
    guard let family = families.last else { throw Failure("a sample before any TYPE") }
    let suffixes =
      family.type == "histogram"
      ? ["_bucket", "_sum", "_count"] : family.type == "summary" ? ["", "_sum", "_count"] : [""]
    guard suffixes.contains(where: { family.name + $0 == name }) else {
      throw Failure("a sample of another family than \(family.name)")
    }
    guard seen.insert("\(name){\(match.3 ?? "")}").inserted else { throw Failure("twice") }
    let labels = try Self.labels(match.3 ?? "")
    families[families.count - 1].samples.append((name, labels, number))
  }

  private static func labels(_ text: Substring) throws -> [String: String] {
    var labels: [String: String] = [:]
    var rest = text
    while !rest.isEmpty {
      let shape = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/
      guard let match = rest.prefixMatch(of: shape) else { throw Failure("bad labels") }
      guard labels.updateValue(String(match.2), forKey: String(match.1)) == nil else {
        throw Failure("a label twice")
      }
      rest = rest[match.range.upperBound...]
    }
    return labels
  }

  private static func check(_ family: MetricFamily) throws {
    if family.type == "counter", family.samples.contains(where: { !($0.value >= 0) }) {
      throw Failure("metrics: the counter \(family.name) is below zero")
    }
    guard family.type == "histogram" else { return }
    let buckets = family.samples.filter { $0.name.hasSuffix("_bucket") }
    let series = Dictionary(grouping: buckets) { $0.labels.filter { $0.key != "le" }.description }
    for samples in series.values {
      let counts = samples.map(\.value)
      guard samples.last?.labels["le"] == "+Inf", counts == counts.sorted() else {
        throw Failure("metrics: the buckets of \(family.name) do not grow up to +Inf")
      }
    }
  }
}
