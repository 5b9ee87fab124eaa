// Owns: a Redis with workers that die and come back, the workload on them, and the judgement at its
// end.

import Foundation
import Testing

/// A Redis and the workers that share it.
final class TestCluster: Sendable {
  let redis: RedisServer
  private let workers = Shared<[WorkerProcess]>([])
  private let options: [String]
  /// Where the workers find Redis.
  private let url: String

  /// Sends expiry notifications and logs more events than a chaos workload makes.
  static let notifying = ["--notify-keyspace-events", "Ex"]

  init(
    workers count: Int = 3, appendOnly: Bool = false, redis extra: [String] = TestCluster.notifying,
    options: [String] = [], through url: ((RedisServer) throws -> String)? = nil
  ) throws {
    redis = try RedisServer(.init(appendOnly: appendOnly, extra: extra))
    self.url = try url?(redis) ?? redis.url
    self.options = ["--events-max", "100000"] + options
    for _ in 0..<count { try addWorker() }
    if count > 1 { try awaitWorkers(count) }
  }

  deinit { stop() }

  /// Ends every process of it.
  func stop() {
    workers.update { workers in
      workers.forEach { $0.kill() }
      workers = []
    }
    redis.stop()
  }

  subscript(index: Int) -> WorkerProcess { workers.value[index] }

  var all: [WorkerProcess] { workers.value }

  @discardableResult func addWorker(_ more: [String] = []) throws -> WorkerProcess {
    let worker = try WorkerProcess(["--redis", url] + options + more)
    workers.update { $0.append(worker) }
    return worker
  }

  /// Kills a worker and forgets it.
  func kill(_ index: Int) {
    let worker = workers.update { $0.remove(at: index) }
    worker.kill()
  }

  /// Asks a worker to stop, forgets it, and gives how it ended.
  func terminate(_ index: Int) throws -> Child.Ending {
    let worker = workers.update { $0.remove(at: index) }
    defer { worker.kill() }
    return try worker.terminate()
  }

  /// Waits until each worker knows that so many live.
  func awaitWorkers(_ count: Int) throws {
    try eventually("\(count) workers that know each other", within: .seconds(10)) {
      try all.allSatisfy { try $0.metric("latchkey_workers") == Double(count) }
    }
  }

  /// A connection to one of the workers that run now.
  func connect(_ choice: Int = 0) throws -> LineClient {
    let running = workers.value
    guard !running.isEmpty else { throw Failure("no worker runs") }
    return try running[choice % running.count].connect()
  }

  /// Clients that go to another worker each time they have lost one.
  func workload(_ plan: ChaosWorkload.Plan, _ purpose: String) -> ChaosWorkload {
    ChaosWorkload(plan, purpose) { [self] thread, times in try connect(thread + times) }
  }

  /// The sum over the workers that run.
  func metric(_ name: String, _ labels: String = "") throws -> Double {
    try all.map { try $0.metric(name, labels) }.reduce(0, +)
  }
}

// MARK: The end of a chaos workload

extension TestCluster {
  /// How many locks there are, expired ones that were not ended yet included.
  func lockCount() throws -> Int {
    let client = try RedisClient(path: redis.path)
    return try TestCluster.keys("held:*", client).count
  }

  /// How many locks have expired and are not ended yet.
  func overdueCount() throws -> Int {
    let client = try RedisClient(path: redis.path)
    return try TestCluster.keys("due", client).reduce(0) { count, key in
      let answer = try client.command("ZCOUNT", key, "-inf", "\(nowUnixMs())")
      guard case .integer(let more) = answer else { return count }
      return count + more
    }
  }

  /// The partitions' keys of one kind, a pattern.
  ///
  /// For tests only: it scans every key.
  static func keys(_ kind: String, _ client: RedisClient) throws -> [String] {
    guard case .array(let keys) = try client.command("KEYS", "lk:{*}:\(kind)") else { return [] }
    return keys.compactMap(\.string)
  }

  /// Waits until every lock has ended with an event; no client calls any more.
  func awaitSilence(within limit: Duration = .seconds(10)) throws {
    try eventually("the end of every lock", within: limit, every: 20) { try lockCount() == 0 }
  }

  /// Waits until all locks that were granted with these TTLs have expired.
  static func awaitDeadlines(_ ttlMs: Int) throws {
    let end = nowUnixMs() + ttlMs
    try eventually("the end of the longest TTL") { nowUnixMs() > end }
  }

  /// Ends a chaos workload and judges it; gives the events, by type.
  @discardableResult func judge(
    _ workload: ChaosWorkload, within limit: Duration = .seconds(10),
    at place: SourceLocation = #_sourceLocation
  ) throws -> [String: Int] {
    let calls = try workload.stop()
    try awaitSilence(within: limit)
    let events = try connect().eventLog(of: workload.plan.devices)
    return TestCluster.judge(calls, events, at: place)
  }

  @discardableResult static func judge(
    _ calls: [CallRecord], _ events: [EventRecord], at place: SourceLocation = #_sourceLocation
  ) -> [String: Int] {
    let violations = Checker.violations(calls, events)
    let rules = Dictionary(grouping: violations, by: \.rule.rawValue).mapValues(\.count)
    #expect(
      violations.isEmpty, "\(rules): \(violations.prefix(5).map(\.description))",
      sourceLocation: place)
    let types = Dictionary(grouping: events, by: \.type).mapValues(\.count)
    // A run in which nothing ran out has shown nothing.
    #expect(types["lock.abandoned", default: 0] > 0, "\(types)", sourceLocation: place)
    let bugs = calls.filter { $0.outcome == .unknown }.count
    print("judged \(calls.count) calls (\(bugs) unknown), events \(types)")
    return types
  }
}

extension WorkerProcess {
  /// A sample of /metrics; the sum over all labels unless one is named, such as `cause="sweep"`.
  func metric(_ name: String, _ label: String = "") throws -> Double {
    let lines = try get("/metrics").body.split(separator: "\n")
    let samples = lines.filter { line in
      line.hasPrefix(name + " ") || (line.hasPrefix(name + "{") && line.contains(label))
    }
    guard !samples.isEmpty else { throw Failure("no metric \(name) \(label)") }
    return samples.reduce(0) { $0 + (Double($1.split(separator: " ").last ?? "") ?? 0) }
  }
}
