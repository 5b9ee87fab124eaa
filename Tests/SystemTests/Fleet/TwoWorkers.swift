// Owns: two workers on one Redis: one is asked for much, a caller of the other one for a lock. What
// each call does in Redis is counted, so that nothing here depends on how busy the machine is.

import Foundation
import Testing

final class TwoWorkers {
  let lab: Lab
  let work: RedisWork
  /// The caller who asks for much.
  let heavy: LineClient
  /// The caller of the other worker.
  let calm: LineClient

  /// Of each connection to Redis a call may be served before the calm caller's.
  private static let callsBeforeCalmMax = 16
  /// What workers do by themselves, for all partitions at a time.
  private static let upkeep: Set = ["reap", "trim", "tails", "read_logs", "heartbeat"]

  init(_ flags: [String] = [], connect: (WorkerProcess, String) throws -> LineClient) throws {
    // The counters are put around the library of functions.
    let arguments = ["--threads", "1", "--request-timeout", "20s", "--lua", "function"] + flags
    lab = try Lab(workers: [arguments, arguments])
    heavy = try connect(lab.workers[0], "heavy")
    calm = try connect(lab.workers[1], "calm")
    work = try RedisWork(lab.redis)
  }

  convenience init(_ flags: [String] = []) throws {
    try self.init(flags) { worker, _ in try worker.connect() }
  }

  deinit { lab.stop() }

  /// Has all of these done.
  func prepare(_ lines: [String]) throws {
    let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
    let replies = try heavy.exchange(bytes, lines: lines.count, within: .seconds(20))
    for (line, reply) in zip(lines, replies) where !reply.hasPrefix("OK") {
      throw Failure("\(line.prefix(60)): \(reply)")
    }
  }

  /// The calls since the last time; each of them has to be bounded.
  @discardableResult func takeCalls(_ what: String) throws -> [CallWork] {
    let calls = try work.take()
    SystemSuites.Fleet.CallBounds.expectBounded(calls, by: what)
    return calls
  }

  /// Has these lines at Redis, and behind them a LOCK of the other worker's caller, before Redis
  /// serves any of them.
  ///
  /// It may not wait for more than a call of each connection. With `leaving` the caller is gone by
  /// then. Returns the calls until it was served.
  @discardableResult func send(
    _ lines: [String], leaving: Bool = false, at place: SourceLocation = #_sourceLocation
  ) throws -> [CallWork] {
    let what = lines.first ?? ""
    _ = try work.take()
    try lab.redis.freeze()
    defer { lab.redis.thaw() }
    try heavy.send(Array(lines.map { $0 + "\n" }.joined().utf8))
    try awaitUnderWay(lab.workers[0])
    if leaving { heavy.socket.reset() }
    try calm.sendLine("LOCK \(Lab.device("calm")) a")
    try awaitUnderWay(lab.workers[1])
    lab.redis.thaw()
    expect(try calm.reply(within: .seconds(20)), "OK", at: place)
    let calls = try takeCalls(what)
    let before = calls.prefix { $0.name != "lock" }
    #expect(before.count < calls.count, "no LOCK among \(calls)", sourceLocation: place)
    let asked = before.map(\.name).filter { !Self.upkeep.contains($0) }
    #expect(
      asked.count <= Self.callsBeforeCalmMax, "\(asked) by \(lines.count) × \(what)",
      sourceLocation: place)
    return calls
  }

  private func awaitUnderWay(_ worker: WorkerProcess) throws {
    try eventually("a request that is under way") {
      try worker.metric("latchkey_requests_in_flight") > 0
    }
  }

  /// Writes events into the logs of partitions, as scripts do; with `group` they are given to it,
  /// which is there, and not acknowledged.
  func fillLogs(_ partitions: [Int], events: Int, givenTo group: String = "") throws {
    let script = """
      for item = 3, #ARGV do
        local log = string.format('lk:{%03x}:events', ARGV[item])
        for n = 1, tonumber(ARGV[1]) do
          redis.call('XADD', log, '*', 't', 'lock.cleared', 'd', 'filler', 'b', '"at":1')
        end
        if ARGV[2] ~= '' then
          redis.call('XREADGROUP', 'GROUP', ARGV[2], 'given', 'COUNT', ARGV[1], 'STREAMS', log, '>')
        end
      end
      """
    try evaluate(script, ["\(events)", group] + partitions.map { "\($0)" })
  }

  /// Runs a script of the test's own in Redis.
  @discardableResult func evaluate(
    _ script: String, _ arguments: [String] = []
  ) throws -> RedisValue {
    let client = try RedisClient(path: lab.redis.path)
    let reply = try client.command(["EVAL", script, "0"] + arguments, within: .seconds(20))
    if case .error(let text) = reply { throw Failure(text) }
    return reply
  }

  /// The partition of a device: its 32-bit FNV-1a hash, folded to 16 bits and then to eight.
  static func partition(of device: String) -> Int {
    let hash = device.utf8.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    let mark = UInt16(truncatingIfNeeded: hash ^ (hash >> 16))
    return Int((mark ^ (mark >> 8)) & 0xFF)
  }

  /// So many devices of one partition.
  static func devices(_ count: Int, in partition: Int) -> [String] {
    var found: [String] = []
    while found.count < count {
      let device = Lab.device("near")
      if self.partition(of: device) == partition { found.append(device) }
    }
    return found
  }
}
