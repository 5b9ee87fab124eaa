// Owns: the measurement of what a request costs Redis, by how many requests share a script call:
// Redis' own count of the time in script calls, and its processor time, on several workers in
// turns. Main thread.

import Loop

/// A worker to be measured, and the Redis that it has for itself.
struct CallsSide {
  let name: String
  let redis: String
  let worker: Address
  /// Whether its requests have `as=`, with the user of each device's session.
  let isAs: Bool

  /// Reads `NAME=SOCKET,HOST:PORT`, and `,as` behind it.
  init(_ word: String) throws(LoadFailure) {
    let parts = word.split(separator: "=", maxSplits: 1)
    let places = parts.last?.split(separator: ",") ?? []
    guard parts.count == 2, places.count == 2 || places.count == 3 && places[2] == "as" else {
      throw LoadFailure("calls takes NAME=SOCKET,HOST:PORT, not \(word)")
    }
    name = String(parts[0])
    isAs = places.count == 3
    redis = String(places[0])
    worker = try BenchOptions.address(String(places[1]))
  }
}

/// What is measured, and how often.
struct CallsOptions {
  var sides: [CallsSide] = []
  var rounds = 41
  /// Requests of a verb in each round, which are sent in one write.
  var requests = 256
  /// How many requests share a call, by the workers' `--batch`.
  var share = 1
  var verbs = CallsRun.Verb.compared

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
  enum Verb: String {
    case lock, touch, get, say, history, open, recover, turn, done

    /// Those that every revision knows which this one is compared with.
    static let compared: [Verb] = [.lock, .touch, .get, .say, .history, .open, .recover]

    var isOfTurns: Bool { self == .turn || self == .done }
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
      try CallsRun.fill(site, hasUsers: options.sides.contains { $0.isAs })
      sites.append(site)
    }
  }

  /// A line of JSON for each verb: of each side the least and the median of Redis' own count, and
  /// the least processor time.
  ///
  /// Other programs on the machine only add to a round's time, so that the least of many rounds is
  /// what repeats.
  func measure(_ print: (String) -> Void) throws(LoadFailure) {
    for verb in options.verbs {
      var rounds = [[Round]](repeating: [], count: sites.count)
      for _ in 0..<options.rounds {
        for index in sites.indices { rounds[index].append(try round(sites[index], verb)) }
      }
      let parts = sites.indices.map { index in
        let (name, own) = (sites[index].side.name, rounds[index])
        return "\"\(name)_us\":\(CallsRun.least(own.map(\.us))),"
          + "\"\(name)_median_us\":\(CallsRun.median(own.map(\.us))),"
          + "\"\(name)_cpu_us\":\(CallsRun.least(own.map(\.cpuUs))),"
          + "\"\(name)_per_call\":\(CallsRun.median(own.map(\.perCall)))"
      }
      let head = "\"verb\":\"\(verb.rawValue)\",\"requests\":\(options.share)"
      print("{\(head),\(parts.joined(separator: ","))}")
    }
  }

  private static func fill(_ site: Site, hasUsers: Bool) throws(LoadFailure) {
    let message = "{\"role\":\"other\",\"text\":\"How can I help you?\"}"
    let list = repeatElement(message, count: messages).joined(separator: ",")
    for index in 0..<devices {
      let device = "device-\(index)"
      let user = hasUsers ? " user=user-\(index)" : ""
      for line in [
        "OPEN \(device)\(user) {\"lang\":\"en\",\"step\":7}", "SAY \(device) [\(list)]",
      ] {
        try expectOK(site.worker.request(line), line)
      }
    }
  }

  private static func expectOK(_ reply: String, _ line: String) throws(LoadFailure) {
    guard reply.hasPrefix("OK") else { throw LoadFailure("\(line): \(reply)") }
  }

  /// The figures of a round, for each request.
  private struct Round {
    /// The time in script calls, in us.
    let us: Double
    /// The processor time of Redis, for all that it does, in us.
    let cpuUs: Double
    /// How many requests came in a call.
    let perCall: Double
  }

  private func round(_ site: Site, _ verb: Verb) throws(LoadFailure) -> Round {
    if verb.isOfTurns { return try roundOfTurns(site, verb) }
    return try figures(
      site,
      (0..<options.requests).map { index in
        site.side.isAs ? of(user: index % CallsRun.devices, line(verb, index)) : line(verb, index)
      }
    ).round
  }

  /// A TURN and a DONE for each device, of which one is measured.
  private func roundOfTurns(_ site: Site, _ verb: Verb) throws(LoadFailure) -> Round {
    let count = min(options.requests, CallsRun.devices)
    let begun = try figures(
      site, (0..<count).map { MessageWay.turn.requests("device-\($0)")[0] })
    let turns = begun.replies.map { ReplyFigure.number("turn", in: $0[...]) ?? 0 }
    let ended = try figures(
      site,
      turns.enumerated().map { index, turn in
        MessageWay.turn.requests("device-\(index)")[1].replacing("#", with: "\(turn)")
      })
    return verb == .turn ? begun.round : ended.round
  }

  /// What these requests cost, and their replies.
  private func figures(
    _ site: Site, _ lines: [String]
  ) throws(LoadFailure) -> (round: Round, replies: [String]) {
    let before = try spent(site)
    let replies = try site.worker.exchange(
      lines.map { $0 + "\n" }.joined(), lines: lines.count)
    for (reply, line) in zip(replies, lines) { try CallsRun.expectOK(reply, line) }
    let after = try spent(site)
    let requests = Double(lines.count)
    let round = Round(
      us: Double(after.us - before.us) / requests,
      cpuUs: (after.cpuSeconds - before.cpuSeconds) * 1e6 / requests,
      perCall: requests / Double(max(1, after.calls - before.calls)))
    return (round, replies)
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
    case .turn, .done: return MessageWay.turn.requests(device)[0]
    }
  }

  /// The same request as a user: the option stands before a payload.
  private func of(user: Int, _ line: String) -> String {
    let payload = line.firstIndex(of: "{") ?? line.endIndex
    let words = line[..<payload]
    return words.hasSuffix(" ")
      ? "\(words)as=user-\(user) \(line[payload...])" : "\(words) as=user-\(user)"
  }

  private struct Spent {
    var (calls, us) = (0, 0)
    var cpuSeconds = 0.0
  }

  /// What Redis has spent in calls of scripts that the worker's requests may be in, and in all.
  ///
  /// Its heartbeats and reaps are in there too: a few calls among hundreds.
  private func spent(_ site: Site) throws(LoadFailure) -> Spent {
    let words = [["INFO", "commandstats"], ["INFO", "cpu"], ["PING"]]
    try site.redis.post(words.map(PatientConnection.command).joined())
    let untilMs = MonotonicTime.nowMs() + 10_000
    var spent = Spent()
    while let line = try site.redis.readLine(untilMs: untilMs) {
      if line == "+PONG" { return spent }
      let isProcess = ["used_cpu_sys:", "used_cpu_user:"].contains { line.hasPrefix($0) }
      if isProcess, let seconds = line.split(separator: ":").last.flatMap({ Double($0) }) {
        spent.cpuSeconds += seconds
      }
      let isScript = ["fcall", "evalsha", "eval"].contains { line.hasPrefix("cmdstat_\($0):") }
      guard isScript else { continue }
      spent.calls += number("calls=", in: line)
      spent.us += number("usec=", in: line)
    }
    throw LoadFailure("\(site.side.redis) does not answer")
  }

  private func number(_ name: String, in line: String) -> Int {
    guard let found = line.firstRange(of: name) else { return 0 }
    return Int(line[found.upperBound...].prefix { $0.isNumber }) ?? 0
  }

  private static func least(_ values: [Double]) -> Double { rounded(values.min() ?? 0) }

  private static func median(_ values: [Double]) -> Double {
    rounded(values.sorted()[values.count / 2])
  }

  private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
