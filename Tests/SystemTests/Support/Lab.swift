// The servers that a suite shares: one Redis and the workers on it, for as long as the suite runs.

import Foundation
import Testing

/// The system tests of a process run one after another.
///
/// They time things and share a small machine; `scripts/test` runs them in two processes.
@Suite(.serialized, ThreadsEndTrait()) struct SystemSuites {}

/// Waits after each test for the threads that it started, which would go on into the next one.
struct ThreadsEndTrait: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    guard testCase != nil else { return try await body() }
    let before = TestThreads.running
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
    do {
      try eventually("the end of the threads that the test started", within: .seconds(20)) {
        TestThreads.running <= before
      }
    } catch {
      Issue.record(error)
    }
    try outcome.get()
  }
}

/// One Redis and some workers on it.
final class Lab: Sendable {
  let redis: RedisServer
  let workers: [WorkerProcess]

  /// Starts a worker for each list of arguments.
  init(_ redis: RedisServer.Options = .init(), workers arguments: [[String]] = [[]]) throws {
    let redis = try RedisServer(redis)
    self.redis = redis
    workers = try arguments.map { try WorkerProcess(on: redis, $0) }
  }

  deinit { stop() }

  var worker: WorkerProcess { workers[0] }

  func connect(_ index: Int = 0) throws -> LineClient { try workers[index].connect() }

  /// Ends every process of it.
  func stop() {
    workers.forEach { $0.kill() }
    redis.stop()
  }

  @TaskLocal static var shared: Lab?

  /// The lab of the running suite.
  static var current: Lab {
    get throws {
      guard let shared else { throw Failure("this suite has no .lab trait") }
      return shared
    }
  }

  private static let count = Shared(0)
  private static let run = String(UInt32.random(in: .min ... .max), radix: 36)

  /// A device that no other test uses, with a text that is found again in logs.
  static func device(_ name: String = "dev") -> String {
    let number = count.update { count in
      count += 1
      return count
    }
    return "\(name)-\(run)-\(number)"
  }
}

/// Rounds of a test: so many, and with LATCHKEY_TEST_SECONDS for at least as long.
struct Rounds {
  private let least: Int
  private let deadline: Deadline?
  private var done = 0

  init(_ least: Int) {
    self.least = least
    let seconds = ProcessInfo.processInfo.environment["LATCHKEY_TEST_SECONDS"].flatMap { Int($0) }
    deadline = seconds.map { Deadline(within: .seconds($0)) }
  }

  /// Whether there is another round.
  mutating func next() -> Bool {
    guard done >= least else {
      done += 1
      return true
    }
    return deadline.map { !$0.isOver } ?? false
  }
}

/// Starts a lab before the suite and ends it after, also when tests fail.
///
/// Its arguments are made when it starts: suites are discovered in each run, also of others alone.
struct LabTrait: SuiteTrait, TestScoping {
  let redis: RedisServer.Options
  let workers: @Sendable () -> [[String]]

  func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    let lab = try Lab(redis, workers: workers())
    defer { lab.stop() }
    try await Lab.$shared.withValue(lab) { try await body() }
  }
}

extension Trait where Self == LabTrait {
  static func lab(
    _ redis: RedisServer.Options = .init(),
    workers: @autoclosure @escaping @Sendable () -> [[String]] = [[]]
  ) -> Self {
    LabTrait(redis: redis, workers: workers)
  }
}
