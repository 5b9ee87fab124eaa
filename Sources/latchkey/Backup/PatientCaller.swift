// Owns: requests that may be repeated, through failures that pass. Main thread.

import Glibc
import LatchkeyClient
import Loop

/// A caller that asks again: reads, and changes with an idempotency key.
final class PatientCaller {
  private let worker: WorkerFlags
  private let patienceMs: Int64
  private var connection: LatchkeyConnection?
  /// Errors after which the same request may succeed.
  private static let passing: Set = ["unavailable", "overloaded", "draining", "unknown_outcome"]

  init(_ worker: WorkerFlags, patienceMs: Int64) {
    self.worker = worker
    self.patienceMs = patienceMs
  }

  /// Asks until there is a reply, other than an error that passes; pauses grow up to 2 s.
  ///
  /// Without one in time the program ends with status 3, and the words of `done`.
  func ask(_ line: String, orEnd done: @autoclosure () -> String) -> LatchkeyReply {
    let untilMs = MonotonicTime.nowMs() + patienceMs
    var pauseMs: Int64 = 50
    while true {
      let trouble: String
      do throws(LatchkeyError) {
        let reply = try once(line)
        guard PatientCaller.passing.contains(String(reply.errorCode ?? "")) else { return reply }
        trouble = reply.line
      } catch {
        connection = nil
        trouble = "\(worker.place): \(error)"
      }
      guard MonotonicTime.nowMs() + pauseMs < untilMs else {
        Console.fail("\nlatchkey \(worker.command): \(trouble)\n\(done())\n", status: 3)
      }
      poll(nil, 0, Int32(pauseMs))
      pauseMs = min(2_000, pauseMs * 2)
    }
  }

  private func once(_ line: String) throws(LatchkeyError) -> LatchkeyReply {
    if let connection { return try connection.request(line, timeoutMs: worker.timeoutMs) }
    let fresh = try worker.connect()
    connection = fresh
    return try fresh.request(line, timeoutMs: worker.timeoutMs)
  }
}
