// Owns: the measurement of what a request costs Redis, by how many requests share a script call:
// Redis' own count of the time in script calls, on several workers in turns. Main thread.

import Loop

/// A worker to be measured, and the Redis that it has for itself.
struct CallsSide {
  let name: String
  let redis: String
  let worker: Address

  /// Reads `NAME=SOCKET,HOST:PORT`.
  init(_ word: String) throws(LoadFailure) {
    let parts = word.split(separator: "=", maxSplits: 1)
    let places = parts.last?.split(separator: ",") ?? []
    guard parts.count == 2, places.count == 2 else {
      throw LoadFailure("calls takes NAME=SOCKET,HOST:PORT, not \(word)")
    }
    name = String(parts[0])
    redis = String(places[0])
    worker = try BenchOptions.address(String(places[1]))
  }
}

/// What is measured, and how often.
struct CallsOptions {
  var sides: [CallsSide] = []
  var rounds = 9
  /// Requests of a verb in each round, which are sent in one write.
  var requests = 256
  /// How many requests share a call, by the workers' `--batch`.
  var share = 1
  var verbs = CallsRun.Verb.allCases

  /// The number that a flag sets; nil if it is none.
  private static func number(_ flag: String) -> WritableKeyPath<CallsOptions, Int>? {
    switch flag {
    case "--rounds": \.rounds
    case "--requests": \.requests
    case "--share": \.share
    default: nil
    }
  }

  /// Reads what follows `calls` on the command line.
  static func parse(_ words: [String]) throws(LoadFailure) -> CallsOptions {
    var options = CallsOptions()
    var rest = words[...]
    var named: [CallsRun.Verb] = []
    while let word = rest.popFirst() {
      if let number = number(word) {
        guard let value = rest.popFirst().flatMap({ Int($0) }), value > 0 else {
          throw LoadFailure("\(word) takes a number from 1 on")
        }
        options[keyPath: number] = value
      } else if let verb = CallsRun.Verb(rawValue: word) {
        named.append(verb)
      } else {
        options.sides.append(try CallsSide(word))
      }
    }
    guard !options.sides.isEmpty else { throw LoadFailure("calls takes NAME=SOCKET,HOST:PORT...") }
    if !named.isEmpty { options.verbs = named }
    return options
  }
}

/// One run over all sides and verbs.
///
/// The requests of a round are pipelined in one write, and the worker makes calls of as many as its
/// `--batch` allows: calls follow each other closely, and any version of a worker can be measured.
final class CallsRun {
  enum Verb: String, CaseIterable {
    case lock, touch, get, say, history, open, recover
  }

  private struct Site {
    let side: CallsSide
    let redis: PatientConnection
    let worker: PatientConnection
  }

  /// The requests of a round are for so many devices in turn.
  private static let devices = 64
  private static let messages = 30

  private let options: CallsOptions
  private var sites: [Site] = []
  private var opened = 0

  init(_ options: CallsOptions) throws(LoadFailure) {
    self.options = options
    for side in options.sides {
      let site = Site(
        side: side, redis: try PatientConnection(.unix(path: side.redis)),
        worker: try PatientConnection(side.worker))
      try CallsRun.fill(site)
      sites.append(site)
    }
  }

  /// A line of JSON for each verb.
  func measure(_ print: (String) -> Void) throws(LoadFailure) {
    for verb in options.verbs {
      var figures = [[Double]](repeating: [], count: sites.count)
      var carried = [[Double]](repeating: [], count: sites.count)
      for _ in 0..<options.rounds {
        for index in sites.indices {
          let (us, perCall) = try round(sites[index], verb)
          figures[index].append(us)
          carried[index].append(perCall)
        }
      }
      let parts = sites.indices.map { index in
        "\"\(sites[index].side.name)_us\":\(CallsRun.median(figures[index])),"
          + "\"\(sites[index].side.name)_per_call\":\(CallsRun.median(carried[index]))"
      }
      let head = "\"verb\":\"\(verb.rawValue)\",\"requests\":\(options.share)"
      print("{\(head),\(parts.joined(separator: ","))}")
    }
  }

  private static func fill(_ site: Site) throws(LoadFailure) {
    let message = "{\"role\":\"other\",\"text\":\"How can I help you?\"}"
    let list = repeatElement(message, count: messages).joined(separator: ",")
    for index in 0..<devices {
      let device = "device-\(index)"
      for line in ["OPEN \(device) {\"lang\":\"en\",\"step\":7}", "SAY \(device) [\(list)]"] {
        try expectOK(site.worker.request(line), line)
      }
    }
  }

  private static func expectOK(_ reply: String, _ line: String) throws(LoadFailure) {
    guard reply.hasPrefix("OK") else { throw LoadFailure("\(line): \(reply)") }
  }

  /// Redis' time for each request, in us, and how many requests came in a call.
  private func round(_ site: Site, _ verb: Verb) throws(LoadFailure) -> (
    us: Double, perCall: Double
  ) {
    let before = try scriptTime(site)
    let lines = (0..<options.requests).map { line(verb, $0) }
    let replies = try site.worker.exchange(
      lines.map { $0 + "\n" }.joined(), lines: lines.count)
    for (reply, line) in zip(replies, lines) { try CallsRun.expectOK(reply, line) }
    let after = try scriptTime(site)
    let requests = Double(lines.count)
    return (
      Double(after.us - before.us) / requests, requests / Double(max(1, after.calls - before.calls))
    )
  }

  private func line(_ verb: Verb, _ index: Int) -> String {
    let device = "device-\(index % CallsRun.devices)"
    switch verb {
    case .lock: return "LOCK \(device) agent"
    case .touch: return "TOUCH \(device)"
    case .get: return "GET \(device)"
    case .say: return "SAY \(device) {\"role\":\"other\",\"text\":\"How can I help you?\"}"
    case .history: return "HISTORY \(device) last=20"
    case .open:
      opened += 1
      return "OPEN fresh-\(opened) {\"lang\":\"en\",\"step\":7}"
    case .recover: return "RECOVER \(device)"
    }
  }

  /// What Redis has spent in calls of scripts that the worker's requests may be in, in us.
  ///
  /// Its heartbeats and reaps are in there too: a few calls among hundreds.
  private func scriptTime(_ site: Site) throws(LoadFailure) -> (calls: Int, us: Int) {
    try site.redis.post(
      PatientConnection.command(["INFO", "commandstats"]) + PatientConnection.command(["PING"]))
    let untilMs = MonotonicTime.nowMs() + 10_000
    var (calls, us) = (0, 0)
    while let line = try site.redis.readLine(untilMs: untilMs) {
      if line == "+PONG" { return (calls, us) }
      let isScript = ["fcall", "evalsha", "eval"].contains { line.hasPrefix("cmdstat_\($0):") }
      guard isScript else { continue }
      calls += number("calls=", in: line)
      us += number("usec=", in: line)
    }
    throw LoadFailure("\(site.side.redis) does not answer")
  }

  private func number(_ name: String, in line: String) -> Int {
    guard let found = line.firstRange(of: name) else { return 0 }
    return Int(line[found.upperBound...].prefix { $0.isNumber }) ?? 0
  }

  private static func median(_ values: [Double]) -> Double {
    let middle = values.sorted()[values.count / 2]
    return (middle * 100).rounded() / 100
  }
}
