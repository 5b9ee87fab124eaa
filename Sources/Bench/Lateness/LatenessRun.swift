// Owns: the measurement of lateness: many locks fall due among many other keys; how late is each
// event, how late is a group's consumer that waits for it, and how late is Redis' own announcement?
// Main thread.

import Glibc
import Loop

/// One run.
struct LatenessRun {
  private let options: LatenessOptions
  private let redis: PatientConnection
  private let subscriber: PatientConnection
  private let workers: [PatientConnection]
  /// The consumer of a group that waits for each event.
  private let consumer: PatientConnection
  /// When each lock expires, by Redis' clock.
  private var deadlines: [Int64] = []
  private var lockArrivals: [Int64] = []
  private var twinArrivals: [Int64] = []
  /// Locks and twins that have been announced; each is counted once.
  private var announced: Set<String> = []
  /// How late each event was, by the number of its lock: from its deadline to its place in the log.
  private var late: [Int: Int64] = [:]
  /// From an event's place in the log to its being with the consumer.
  private var lags: [Int64] = []

  init(_ options: LatenessOptions) throws(LoadFailure) {
    self.options = options
    redis = try PatientConnection(.unix(path: options.redis))
    subscriber = try PatientConnection(.unix(path: options.redis))
    var workers: [PatientConnection] = []
    for address in options.workers { workers.append(try PatientConnection(address)) }
    guard let last = options.workers.last else { throw LoadFailure("no worker is named") }
    self.workers = workers
    consumer = try PatientConnection(last)
  }

  mutating func measure() throws(LoadFailure) -> String {
    try fill()
    try subscribe()
    try takeLocks()
    try makeTwins()
    try listen()
    return "{\"keys\":\(options.keys),\"locks\":\(options.locks),\"over_ms\":\(options.overMs),"
      + "\"listen_ms\":\(options.listenMs),"
      + Spread(Array(late.values)).json("event") + "," + Spread(lags).json("group") + ","
      + Spread(lockArrivals).json("lock_received") + ","
      + Spread(twinArrivals).json("twin_received") + "}"
  }

  /// Other keys, with TTLs of one to two hours.
  private func fill() throws(LoadFailure) {
    let script = """
      for i = ARGV[1], ARGV[2] do
        local name = 'other:' .. string.format('%d', i)
        redis.call('SET', name, 'x', 'PX', math.random(3600000, 7200000))
      end
      return 1
      """
    let step = 20_000
    for first in stride(from: 0, to: options.keys, by: step) {
      let last = min(first + step, options.keys) - 1
      let reply = try redis.exchange(
        PatientConnection.command(["EVAL", script, "0", "\(first)", "\(last)"]), lines: 1)
      guard reply[0] == ":1" else { throw LoadFailure("filling: \(reply[0])") }
    }
  }

  private func subscribe() throws(LoadFailure) {
    let reply = try redis.exchange(
      PatientConnection.command(["CONFIG", "SET", "notify-keyspace-events", "Ex"]), lines: 1)
    guard reply[0] == "+OK" else { throw LoadFailure("CONFIG SET: \(reply[0])") }
    let channel = "__keyevent@0__:expired"
    // The answer: an array of the word, the channel and a number.
    _ = try subscriber.exchange(PatientConnection.command(["SUBSCRIBE", channel]), lines: 6)
  }

  /// Takes the locks by all workers, each with the TTL that lets it expire in its turn.
  private mutating func takeLocks() throws(LoadFailure) {
    // Time enough to take them all before the first expires.
    let leadMs = 3_000 + Int64(options.locks) / 4
    let beginMs = WallTime.nowMs() + leadMs
    let step = 100
    for first in stride(from: 0, to: options.locks, by: step) {
      let numbers = first..<min(first + step, options.locks)
      let nowMs = WallTime.nowMs()
      var text = ""
      for number in numbers {
        let atMs = beginMs + options.overMs * Int64(number) / Int64(options.locks)
        guard atMs - nowMs > 1_000 else { throw LoadFailure("taking the locks took too long") }
        text += "LOCK late-\(number) agent ttl=\(atMs - nowMs)ms\n"
      }
      let worker = workers[first / step % workers.count]
      for reply in try worker.exchange(text, lines: numbers.count) {
        guard let acquiredAt = ReplyFigure.number("acquired_at", in: reply[...]),
          let ttlMs = ReplyFigure.number("ttl_ms", in: reply[...]), reply.hasPrefix("OK")
        else { throw LoadFailure("LOCK: \(reply)") }
        deadlines.append(acquiredAt + ttlMs)
      }
    }
  }

  /// For each lock a plain key with the same deadline, which is not touched.
  ///
  /// A worker that ends a lock touches its key, and Redis announces a key that is touched. So the
  /// locks' own announcements show Latchkey at work, and those of the twins what there would be
  /// without it.
  private func makeTwins() throws(LoadFailure) {
    let step = 500
    for first in stride(from: 0, to: options.locks, by: step) {
      let numbers = first..<min(first + step, options.locks)
      let text = numbers.reduce("") { text, number in
        text
          + PatientConnection.command([
            "SET", "twin:\(number)", "x", "PXAT", "\(deadlines[number])",
          ])
      }
      for reply in try redis.exchange(text, lines: numbers.count) where reply != "+OK" {
        throw LoadFailure("SET: \(reply)")
      }
    }
    guard let soonest = deadlines.min(), soonest > WallTime.nowMs() + 200 else {
      throw LoadFailure("setting up took too long")
    }
  }

  /// Reads announcements until the last one that counts, and takes the events as they come.
  private mutating func listen() throws(LoadFailure) {
    let lastMs = (deadlines.max() ?? 0) + options.listenMs
    try consumer.post(LatenessRun.ask)
    while true {
      let leftMs = lastMs - WallTime.nowMs()
      guard leftMs > 0 else { return }
      let untilMs = MonotonicTime.nowMs() + min(leftMs, 1_000)
      guard
        let (place, line) = try PatientConnection.firstLine(
          of: [subscriber, consumer], untilMs: untilMs)
      else { continue }
      let text = String(decoding: line, as: UTF8.self)
      if place == 0 { note(text) } else { try take(text) }
    }
  }

  private static let ask = "EVENTS * group=lateness limit=1000 wait=1s types=lock.abandoned\n"

  /// A line of a message; only the key itself looks like one.
  private mutating func note(_ line: String) {
    let nowMs = WallTime.nowMs()
    let isTwin = line.hasPrefix("twin:")
    guard isTwin || line.contains(":lock:late-"),
      let digits = line.split(whereSeparator: { $0 == ":" || $0 == "-" }).last,
      let number = Int(digits), deadlines.indices.contains(number)
    else { return }
    let lateMs = nowMs - deadlines[number]
    guard lateMs <= options.listenMs, announced.insert(line).inserted else { return }
    if isTwin { twinArrivals.append(lateMs) } else { lockArrivals.append(lateMs) }
  }

  /// Takes the events in a reply to the consumer, acknowledges them and asks for the next ones.
  private mutating func take(_ reply: String) throws(LoadFailure) {
    guard !reply.hasPrefix("OK {\"acked\"") else { return }
    guard reply.hasPrefix("OK") else { throw LoadFailure("EVENTS: \(reply)") }
    let nowMs = WallTime.nowMs()
    var ids: [Substring] = []
    for event in reply.split(separator: "{") where event.contains("\"type\":\"lock.abandoned\"") {
      guard let id = ReplyFigure.text("id", in: event),
        let atMs = ReplyFigure.number("at", in: event),
        let writtenMs = Int64(id.split(separator: "-")[1]),
        let device = ReplyFigure.text("device", in: event), let number = Int(device.dropFirst(5))
      else { throw LoadFailure("not an event: \(event)") }
      guard late.updateValue(writtenMs - atMs, forKey: number) == nil else {
        throw LoadFailure("\(device) was reported twice")
      }
      guard atMs == deadlines[number] else { throw LoadFailure("\(device) ended at \(atMs)") }
      lags.append(nowMs - writtenMs)
      ids.append(id)
    }
    let ack = ids.isEmpty ? "" : "ACK lateness \(ids.joined(separator: " "))\n"
    try consumer.post(ack + LatenessRun.ask)
  }
}
