// Owns: what the threads of a worker share: constants, and a few flags. Any thread.

internal import Loop
internal import SessionModel
internal import Synchronization

/// The program's version and the protocol's.
package enum Version {
  package static let text = "0.1.0"
  package static let wireProtocol = 1
}

/// What all loops of a worker can see.
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
  /// What serving loops know of deadlines, for the control loop.
  let deadlines: DeadlineBoard
  let deadlineNews: Mailbox<Partition>
  let deadlineFigures = DeadlineFigures()
  /// What serving loops ask of the event tail.
  let tailRequests: Mailbox<TailRequest>
  /// Whose connections there are.
  let addresses = AddressCounts()
  /// What is kept for callers.
  let buffered = BufferedTotal()
  /// Who may call; nil where everybody may.
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
    deadlineNews = try Mailbox()
    tailRequests = try Mailbox()
    deadlines = DeadlineBoard(news: deadlineNews, horizonMs: 3 * settings.sweepMs)
  }

  /// Whether the worker has been told to stop.
  var isDraining: Bool { draining.load(ordering: .relaxed) }
  /// Whether the file of principals was told to be read again and could not be.
  var hasReloadFailed: Bool { reloadFailed.load(ordering: .relaxed) }
  func setReloadFailed(_ failed: Bool) { reloadFailed.store(failed, ordering: .relaxed) }
  func startDraining() { draining.store(true, ordering: .relaxed) }

  func sum(_ figure: Figure) -> Int { counters.reduce(0) { $0 + $1[figure] } }

  /// What the control loop's work on deadlines needs of this.
  var deadlineContext: DeadlineContext {
    DeadlineContext(
      workerID: workerID, sweepMs: settings.sweepMs, eventsAgeMs: settings.eventsAgeMs,
      requestTimeoutMs: settings.requestTimeoutMs, log: log, figures: deadlineFigures,
      board: deadlines, news: deadlineNews)
  }

  /// Open connections of all loops.
  var connections: Int { sum(.connectionsNow) }
}
