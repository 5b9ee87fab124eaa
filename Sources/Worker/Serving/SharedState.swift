// Owns: the state that a worker's threads share: constants, and a few flags. Any thread.

internal import Loop
internal import SessionModel
internal import Synchronization

/// The program's version and the protocol's.
package enum Version {
  package static let text = "0.1.0"
  package static let wireProtocol = 1
}

/// The state that all loops of a worker see.
final class SharedState: Sendable {
  let settings: Settings
  let log: Log
  /// Names this process among all that share a Redis: host, process and start in one word.
  let workerID: String
  let startedAtMs = MonotonicTime.nowMs()
  let threads: Int
  let redisMode: String
  /// One per serving loop.
  let counters: [Counters]
  /// The deadlines that serving loops report to the control loop.
  let deadlines: UpcomingDeadlines
  let deadlineMailbox: Mailbox<Partition>
  let deadlineFigures = DeadlineFigures()
  /// The serving loops' requests to the event tail.
  let tailRequests: Mailbox<TailRequest>
  /// Whose connections there are.
  let addresses = AddressCounts()
  /// The bytes that are kept for callers.
  let buffered = BufferedTotal()
  /// The principals; nil without --auth.
  let principals: Mutex<Principals?>
  private let draining = Atomic(false)
  private let reloadFailed = Atomic(false)

  init(
    _ settings: Settings, log: Log, workerID: String, threads: Int, redisMode: String,
    verbs: Int, principals: Principals? = nil
  ) throws(SystemError) {
    self.settings = settings
    self.log = log
    self.workerID = workerID
    self.threads = threads
    self.redisMode = redisMode
    self.principals = Mutex(principals)
    counters = (0..<threads).map { _ in Counters(verbs: verbs) }
    deadlineMailbox = try Mailbox()
    tailRequests = try Mailbox()
    deadlines = UpcomingDeadlines(mailbox: deadlineMailbox, horizonMs: 3 * settings.sweepMs)
  }

  /// Whether the worker has been signalled to stop.
  var isDraining: Bool { draining.load(ordering: .relaxed) }
  /// Whether the latest reload of the principals failed.
  var hasReloadFailed: Bool { reloadFailed.load(ordering: .relaxed) }
  func setReloadFailed(_ failed: Bool) { reloadFailed.store(failed, ordering: .relaxed) }
  func startDraining() { draining.store(true, ordering: .relaxed) }

  func sum(_ figure: Figure) -> Int { counters.reduce(0) { $0 + $1[figure] } }

  /// The part of this state that the control loop's work on deadlines needs.
  var deadlineContext: DeadlineContext {
    DeadlineContext(
      workerID: workerID, sweepMs: settings.sweepMs, eventsAgeMs: settings.eventsAgeMs,
      requestTimeoutMs: settings.requestTimeoutMs, log: log, figures: deadlineFigures,
      upcoming: deadlines, mailbox: deadlineMailbox)
  }

  /// Open connections of all loops.
  var connections: Int { sum(.connectionsNow) }
}
