// Owns: the measurement of how many bytes of Redis' memory one thing takes, all overheads of Redis
// included. It empties the Redis that it is given. Main thread.

import Loop

/// The options of the measurement.
struct MemoryOptions {
  /// The socket of a Redis that may be emptied.
  var redis = ""
  var worker = Address.tcp(host: "127.0.0.1", port: 0)
  /// How many of each.
  var count = 100_000
  var kinds = StoredThing.allCases

  /// Reads what follows `memory` on the command line.
  static func parse(_ words: [String]) throws(LoadFailure) -> MemoryOptions {
    guard words.count >= 2 else { throw LoadFailure("memory takes Redis' socket and HOST:PORT") }
    var options = MemoryOptions()
    options.redis = words[0]
    options.worker = try BenchOptions.address(words[1])
    var rest = words[2...]
    let named = rest.compactMap { StoredThing(rawValue: $0) }
    if !named.isEmpty { options.kinds = named }
    rest.removeAll { StoredThing(rawValue: $0) != nil }
    while let flag = rest.popFirst() {
      guard flag == "--count", let count = rest.popFirst().flatMap({ Int($0) }), count >= 100 else {
        let known = StoredThing.allCases.map(\.rawValue).joined(separator: ", ")
        throw LoadFailure("memory takes --count N, from 100 on, and any of \(known)")
      }
      options.count = count
    }
    return options
  }
}

/// One run: each kind of thing in an empty Redis of its own.
struct MemoryRun {
  private let options: MemoryOptions
  private let redis: PatientConnection
  private let worker: PatientConnection

  init(_ options: MemoryOptions) throws(LoadFailure) {
    self.options = options
    redis = try PatientConnection(.unix(path: options.redis))
    worker = try PatientConnection(options.worker)
  }

  /// A line of JSON: bytes for one of each.
  func measure() throws(LoadFailure) -> String {
    var parts = ["\"count\":\(options.count)"]
    for thing in options.kinds {
      let bytes = try bytes(of: thing)
      parts.append("\"\(thing.rawValue)_bytes\":\(Int(bytes.rounded()))")
    }
    return "{\(parts.joined(separator: ","))}"
  }

  private func bytes(of thing: StoredThing) throws(LoadFailure) -> Double {
    _ = try command("FLUSHALL")
    let devices = options.count / thing.perDevice
    // Keys that are made once are no part of the cost of one more.
    try ask("LOCK warm agent\nUNLOCK warm agent\nPING\n", lines: 3)
    if thing.needsSession { try fill(devices) { thing.preparation($0) } }
    let before = try usedBytes()
    if thing.isLatchkeys {
      try fill(devices) { thing.lines($0) }
      // Until the partitions have informed each other, in the sweep at the latest.
      if thing == .userSession { try Pause.wait(ms: 7_000) }
    } else {
      try fillSpring(devices, thing)
    }
    return Double(try usedBytes() - before) / Double(devices * thing.perDevice)
  }

  private func fill(_ count: Int, _ lines: (Int) -> String) throws(LoadFailure) {
    // Some hundred lines at once, of which a device may have many.
    let step = max(1, 200 / max(1, lines(0).count { $0 == "\n" }))
    for first in stride(from: 0, to: count, by: step) {
      let text = (first..<min(first + step, count)).map(lines).joined()
      try ask(text, lines: text.count { $0 == "\n" })
    }
  }

  private func fillSpring(_ count: Int, _ kind: StoredThing) throws(LoadFailure) {
    for first in stride(from: 0, to: count, by: 200) {
      let numbers = first..<min(first + 200, count)
      let text = numbers.reduce("") { $0 + SpringSession(number: $1, kind: kind).commands }
      let replies = numbers.count * SpringSession.replies
      for reply in try redis.exchange(text, lines: replies) where reply.hasPrefix("-") {
        throw LoadFailure("Redis: \(reply)")
      }
    }
  }

  private func ask(_ text: String, lines: Int) throws(LoadFailure) {
    for reply in try worker.exchange(text, lines: lines) where !reply.hasPrefix("OK") {
      throw LoadFailure("the worker: \(reply)")
    }
  }

  private func command(_ words: String...) throws(LoadFailure) -> String {
    let reply = try redis.exchange(PatientConnection.command(words), lines: 1)[0]
    guard !reply.hasPrefix("-") else { throw LoadFailure("Redis: \(words[0]): \(reply)") }
    return reply
  }

  /// The memory of Redis without the log of events, which is bounded, and on its own in the manual.
  private func usedBytes() throws(LoadFailure) -> Int {
    for tag in 0..<256 {
      let digits = String(String(0x1000 + tag, radix: 16).dropFirst())
      _ = try command("DEL", "lk:{\(digits)}:events")
    }
    // The reply is a bulk text: its length, its lines, and an empty one.
    let length = try command("INFO", "memory")
    var used: Int?
    var seen = 0
    let bytes = Int(length.dropFirst()) ?? 0
    while seen < bytes + 2 {
      guard let line = try redis.readLine(untilMs: MonotonicTime.nowMs() + 5_000) else {
        throw LoadFailure("INFO memory was cut")
      }
      seen += line.utf8.count + 2
      if line.hasPrefix("used_memory:") { used = Int(line.dropFirst("used_memory:".count)) }
    }
    guard let used else { throw LoadFailure("INFO memory has no used_memory") }
    return used
  }
}
