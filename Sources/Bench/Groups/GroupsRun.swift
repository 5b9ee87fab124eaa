// Owns: the measurement of the event log under many events: what a group that keeps asking gets,
// what Redis takes while another one sleeps, and what that one learns when it wakes. Main thread.

import Loop

/// One run.
struct GroupsRun {
  private let options: GroupsOptions
  private let redis: PatientConnection
  private let writers: [PatientConnection]
  private var keeper: GroupReader
  private var sleeper: GroupReader
  /// How many events were asked for, and how many of the replies are still to come, by writer.
  private var sent = 0
  private var open: [Int]
  private var aheadMost = 0
  /// The most memory of Redis at any look, and when the next look is due, in events.
  private var bytesMost = 0
  private var nextLook = 0

  /// A writer sends so many requests in one write, and the next ones after their replies.
  private static let batch = 512

  init(_ options: GroupsOptions) throws(LoadFailure) {
    self.options = options
    redis = try PatientConnection(.unix(path: options.redis))
    var writers: [PatientConnection] = []
    for address in options.workers { writers.append(try PatientConnection(address)) }
    self.writers = writers
    open = writers.map { _ in 0 }
    keeper = GroupReader(try PatientConnection(options.workers[0]), "keeper")
    sleeper = GroupReader(try PatientConnection(options.workers[0]), "sleeper")
  }

  mutating func measure() throws(LoadFailure) -> String {
    try takeLocks()
    try sleeper.drain()
    let before = try redisBytes()
    let startMs = MonotonicTime.nowMs()
    try write()
    let elapsedMs = MonotonicTime.nowMs() - startMs
    try look()
    try sleeper.drain()
    return "{\"events\":\(sent),\"devices\":\(options.devices),\"elapsed_ms\":\(elapsedMs),"
      + "\"per_s\":\(sent * 1_000 / max(1, Int(elapsedMs))),"
      + "\"keeper_events\":\(keeper.taken),\"keeper_losses\":\(keeper.losses),"
      + "\"keeper_out_of_order\":\(keeper.outOfOrder),\"ahead_most\":\(aheadMost),"
      + "\"bytes_grown\":\(bytesMost - before),"
      + "\"sleeper_events\":\(sleeper.taken),\"sleeper_losses\":\(sleeper.losses),"
      + "\"sleeper_out_of_order\":\(sleeper.outOfOrder)}"
  }

  private func device(_ number: Int) -> String { "groups-\(number % options.devices)" }

  /// Takes a lock of each device: each seizure from its holder makes an event.
  private func takeLocks() throws(LoadFailure) {
    for first in stride(from: 0, to: options.devices, by: GroupsRun.batch) {
      let numbers = first..<min(first + GroupsRun.batch, options.devices)
      let text = numbers.reduce("") { $0 + "LOCK \(device($1)) holder ttl=24h\n" }
      for reply in try writers[0].exchange(text, lines: numbers.count)
      where !reply.hasPrefix("OK") {
        throw LoadFailure("LOCK: \(reply)")
      }
    }
  }

  /// Writes all events while the keeper reads, until it has them or gets no more.
  private mutating func write() throws(LoadFailure) {
    try keeper.ask()
    var emptyReplies = 0
    while keeper.taken < options.events, emptyReplies < 5 {
      for place in writers.indices where open[place] == 0 { try send(by: place) }
      let connections = writers + [keeper.connection]
      let untilMs = MonotonicTime.nowMs() + 60_000
      guard let (place, line) = try PatientConnection.firstLine(of: connections, untilMs: untilMs)
      else { throw LoadFailure("no reply came for a minute") }
      if place < writers.count {
        guard line.starts(with: "OK ".utf8) else {
          throw LoadFailure("SEIZE: \(String(decoding: line, as: UTF8.self))")
        }
        open[place] -= 1
      } else if let count = try keeper.take(line) {
        let isAllWritten = sent == options.events && open.allSatisfy { $0 == 0 }
        emptyReplies = count == 0 && isAllWritten ? emptyReplies + 1 : 0
        if keeper.taken < options.events { try keeper.ask() }
      }
      if keeper.taken >= nextLook { try look() }
    }
  }

  private mutating func send(by place: Int) throws(LoadFailure) {
    let ahead = sent - keeper.taken
    aheadMost = max(aheadMost, ahead)
    let count = min(GroupsRun.batch, options.events - sent, options.ahead - ahead)
    guard count > 0 else { return }
    let text = (sent..<sent + count).reduce("") { text, number in
      text + "SEIZE \(device(number)) agent-\(number / options.devices % 2) ttl=24h\n"
    }
    sent += count
    open[place] = count
    try writers[place].post(text)
  }

  /// Notes how much Redis has; a hundred times in a run.
  private mutating func look() throws(LoadFailure) {
    nextLook = keeper.taken + max(1, options.events / 100)
    bytesMost = max(bytesMost, try redisBytes())
  }

  private func redisBytes() throws(LoadFailure) -> Int {
    let lines = try redis.exchange(
      PatientConnection.command(["EVAL", GroupsRun.usedMemory, "0"]), lines: 1)
    guard lines[0].hasPrefix(":"), let bytes = Int(lines[0].dropFirst()) else {
      throw LoadFailure("INFO: \(lines[0])")
    }
    return bytes
  }

  private static let usedMemory = """
    return tonumber(string.match(redis.call('INFO', 'memory'), 'used_memory:(%d+)'))
    """
}
