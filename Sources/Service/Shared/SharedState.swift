// Owns: the state that a worker's threads share: constants, and a few flags. Any thread.

package import Access
package import Deadlines
package import Events
package import Hooks
package import Loop
package import Metrics
package import RedisConnection
package import Seal
internal import SessionModel
package import Settings
package import Synchronization

/// The state that all loops of a worker see.
package final class SharedState: Sendable {
  package let settings: Settings
  package let log: Log
  /// Names this process among all that share a Redis: host, process and start in one word.
  package let workerID: String
  package let startedAtMs = MonotonicTime.nowMs()
  /// The same by the wall clock, in ms since 1970.
  package let startTimeMs = WallTime.nowMs()
  package let threads: Int
  package let redisMode: String
  /// One per serving loop.
  package let counters: [Counters]
  /// The deadlines that serving loops report to the control loop.
  package let deadlines: UpcomingDeadlines
  let deadlineMailbox: Mailbox<Partition>
  package let deadlineFigures = DeadlineFigures()
  package let fleetFigures = FleetRecord()
  package let logFigures = LogFigures(partitions: Partition.count)
  package let hookGauges = HookGauges()
  /// Those of all connections to Redis.
  package let redisFigures: ConnectionFigures
  /// The serving loops' requests to the event tail.
  package let tailRequests: Mailbox<TailRequest>
  /// Their requests to the subscription to changes.
  package let changeRequests: Mailbox<ChangeRequest>
  /// Whose connections there are.
  package let addresses = AddressCounts()
  /// The bytes that are kept for callers.
  package let buffered = BufferedTotal()
  /// The descriptors of callers' connections.
  package let descriptors: DescriptorPool
  /// The connections to the admin port that were ended because of its limits.
  package let adminEnded = Atomic(0)
  /// The principals; nil without --auth and --jwt-keys.
  package let principals: Mutex<Principals?>
  /// What each of them uses.
  package let principalUses = PrincipalUses()
  /// Where refused and privileged requests are noted; nil without --audit.
  package let audit: AuditLog?
  /// The keys of tickets; nil before Redis has shown the fleet's.
  package let ticketKeys: Mutex<TicketKeys?>
  private let dataID = Mutex<String?>(nil)
  /// The live sessions in all, as they were counted last; that is done where --max-live is set.
  private let liveSessions = Atomic(0)
  /// By which callers speak TLS; nil if they do not.
  package let tls: Mutex<TLSContext?>
  /// By which values are sealed; nil without --seal-keys.
  package let seal: Seal?
  private let draining = Atomic(false)
  private let reloadFailed = Atomic(false)
  /// Whether the latest reload of the keys of tokens failed.
  package let jwtReloadFailed = Atomic(false)

  package init(
    _ settings: Settings, log: Log, workerID: String, threads: Int, redisMode: String,
    verbs: Int, descriptorsMax: Int = .max, principals: Principals? = nil,
    audit: AuditLog? = nil, ticketKeys: TicketKeys? = nil, tls: TLSContext? = nil,
    seal: Seal? = nil,
    redisFigures: ConnectionFigures = ConnectionFigures()
  ) throws(SystemError) {
    self.settings = settings
    self.log = log
    self.workerID = workerID
    self.threads = threads
    self.redisMode = redisMode
    self.redisFigures = redisFigures
    self.principals = Mutex(principals)
    self.audit = audit
    self.ticketKeys = Mutex(ticketKeys)
    self.tls = Mutex(tls)
    self.seal = seal
    descriptors = DescriptorPool(most: descriptorsMax)
    counters = (0..<threads).map { _ in Counters(verbs: verbs) }
    deadlineMailbox = try Mailbox()
    tailRequests = try Mailbox()
    changeRequests = try Mailbox()
    deadlines = UpcomingDeadlines(mailbox: deadlineMailbox, horizonMs: 3 * settings.sweepMs)
  }

  /// Whether the worker has been signalled to stop.
  package var isDraining: Bool { draining.load(ordering: .relaxed) }
  /// Whether the latest reload of the principals failed.
  package var hasReloadFailed: Bool { reloadFailed.load(ordering: .relaxed) }
  package func setReloadFailed(_ failed: Bool) { reloadFailed.store(failed, ordering: .relaxed) }
  package func startDraining() { draining.store(true, ordering: .relaxed) }

  /// The id of the data in Redis, 32 hexadecimal digits; nil before Redis has shown it.
  package var fleetID: String? { dataID.withLock { $0 } }
  package func setFleetID(_ text: String) { dataID.withLock { $0 = text } }

  package func setLiveSessions(_ count: Int) { liveSessions.store(count, ordering: .relaxed) }
  /// The numbers of live sessions in all and of those that there may be, for a script; nil where
  /// there is room.
  var fleet: String? {
    let live = liveSessions.load(ordering: .relaxed)
    guard settings.liveMax > 0, live >= settings.liveMax else { return nil }
    return "\(live) \(settings.liveMax)"
  }

  package func sum(_ figure: Figure) -> Int { counters.reduce(0) { $0 + $1[figure] } }

  /// The part of this state that the control loop's work on deadlines needs.
  package var deadlineContext: DeadlineContext {
    DeadlineContext(
      workerID: workerID, sweepMs: settings.sweepMs,
      requestTimeoutMs: settings.requestTimeoutMs, log: log, figures: deadlineFigures,
      upcoming: deadlines, mailbox: deadlineMailbox)
  }

  /// Open connections of all loops.
  package var connections: Int { sum(.connectionsNow) }
}
