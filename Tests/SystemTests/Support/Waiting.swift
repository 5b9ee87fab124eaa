// Deadlines and threads, with which every test here waits.
// Nothing else in this target sleeps. Of TestSupport only the random numbers are imported here: the
// rest of it has these names for what the tests of modules need.

import Foundation
import Glibc
import Synchronization

/// A failure of a test, in a sentence.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A moment by which something must have happened.
struct Deadline {
  private let end: ContinuousClock.Instant

  init(within limit: Duration) { end = ContinuousClock.now + limit }

  var isOver: Bool { ContinuousClock.now >= end }

  /// The remaining time, as `poll` wants it; rounded up, so that it never spins.
  var pollMs: Int32 {
    let left = ContinuousClock.now.duration(to: end)
    return left <= .zero ? 0 : Int32(min(milliseconds(left).rounded(.up), 3_600_000))
  }
}

func milliseconds(_ duration: Duration) -> Double { duration / .milliseconds(1) }

func elapsedMs(since start: ContinuousClock.Instant) -> Double {
  milliseconds(start.duration(to: .now))
}

func nowUnixMs() -> Int { Int(Date().timeIntervalSince1970 * 1000) }

/// Asks again and again until there is a value.
///
/// The one place in these tests that sleeps.
func eventually<Value>(
  _ what: String, within limit: Duration = .seconds(5), every pauseMs: UInt32 = 5,
  _ condition: () throws -> Value?
) throws -> Value {
  let deadline = Deadline(within: limit)
  while true {
    if let value = try condition() { return value }
    guard !deadline.isOver else { throw Failure("not within \(limit): \(what)") }
    pause(ms: pauseMs)
  }
}

/// Lets time pass: between two looks, or where a client backs off.
func pause(ms: UInt32) { usleep(ms * 1000) }

/// Asks again and again until the answer is yes.
func eventually(
  _ what: String, within limit: Duration = .seconds(5), every pauseMs: UInt32 = 5,
  until condition: () throws -> Bool
) throws {
  let _: Bool = try eventually(what, within: limit, every: pauseMs) { try condition() ? true : nil }
}

/// A value that several threads share.
final class Shared<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  init(_ value: Value) { mutex = Mutex(value) }

  var value: Value {
    get { mutex.withLock { $0 } }
    set { mutex.withLock { $0 = newValue } }
  }

  func update<Result: Sendable>(_ change: @Sendable (inout Value) -> Result) -> Result {
    mutex.withLock { change(&$0) }
  }
}

/// The threads that tests start: each has to be over when its test is.
enum TestThreads {
  private static let count = Shared(0)

  static var running: Int { count.value }

  /// Runs `body` on a thread of its own.
  static func start(_ body: @escaping @Sendable () -> Void) {
    count.update { $0 += 1 }
    Thread.detachNewThread {
      body()
      count.update { $0 -= 1 }
    }
  }
}

/// Work on a thread of its own, so that a blocking call delays no other.
final class Background<Value: Sendable>: Sendable {
  private let outcome = Shared<Result<Value, any Error>?>(nil)

  init(_ body: @escaping @Sendable () throws -> Value) {
    let outcome = outcome
    TestThreads.start { outcome.value = Result { try body() } }
  }

  func join(within limit: Duration = .seconds(60)) throws -> Value {
    try eventually("a background thread's end", within: limit) { outcome.value }.get()
  }
}

/// Runs `body` on `count` threads at once and gives their results in order.
func inParallel<Value: Sendable>(
  _ count: Int, within limit: Duration = .seconds(60),
  _ body: @escaping @Sendable (Int) throws -> Value
) throws -> [Value] {
  let threads = (0..<count).map { index in Background { try body(index) } }
  return try threads.map { try $0.join(within: limit) }
}
