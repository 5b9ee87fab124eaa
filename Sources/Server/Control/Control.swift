// Owns: the life of a worker process: signals, the admin port, the embedded Redis, the serving
// threads, and the order in which they start and stop. Runs on the main thread.

internal import Deadlines
internal import Events
internal import Glibc
package import Loop
internal import Metrics
package import RedisConnection
internal import Scripts
package import Service
internal import SessionModel
package import Settings
internal import Store

/// The control loop of a worker.
package final class Control {
  /// The reports of serving threads, and of the hooks' thread, to the control loop.
  enum Report: Sendable {
    /// A serving loop's connection to Redis is up for the first time.
    case serves
    /// A serving thread, or that of the hooks, has ended.
    case ended
  }

  // MARK: Constants
  package let loop: EventLoop
  package let settings: Settings
  package let log: Log
  package let shared: SharedState
  package internal(set) var setup: RedisSetup
  let reports: Mailbox<Report>

  // MARK: The main thread
  private var listeners: [Socket] = []
  private var listenPort: UInt16 = 0
  private var httpListeners: [Socket] = []
  private var httpPort: UInt16 = 0
  private var embedded: EmbeddedRedis?
  var sentinels: SentinelWatch?
  /// The sentinels' latest report, of which the log knows.
  var sentinelReport: SentinelReport?
  private var admin: HTTPServer?
  var page: PageServer?
  /// The workers that live, by name, this one included.
  var livingWorkers: [String] = []
  /// The serving loop that got the page's latest connection.
  var nextJoined = 0
  private(set) var store: ControlStore?
  var hooks = ControlHooks()
  /// How the process' descriptors are divided.
  let budget: DescriptorBudget
  var fitness: FitnessCheck?
  var policyCheck: LoopTimer?
  /// Why Redis is not fit any more, though it was at the start.
  var unfitness: String?
  /// The causes for which the worker waits, as last logged.
  var waitingFor: [String] = []
  private var heartbeat: Heartbeat?
  /// What goes on while Redis can be reached, the heartbeat first.
  private var followers: [any RedisFollower] = []
  private var reaper: Reaper?
  private var logUpkeep: LogUpkeep?
  private var subscription: NodeSubscriptions?
  private(set) var tail: EventTail?
  private var tailRequests: MailboxReader<TailRequest>?
  private var changes: ChangeSubscription?
  private var changeRequests: MailboxReader<ChangeRequest>?
  private var reader: MailboxReader<Report>?
  private var signals: [SignalWatch] = []
  var serving: [Mailbox<ServingOrder>] = []
  private var threadsThatServe = 0
  var threadsThatRun = 0
  private var hasStartedServing = false
  private var isStopping = false
  private var drainDelay: LoopTimer?
  var logCheck: LoopTimer?
  /// The sealed values that did not open, of which a line was written.
  var notedUnopened = 0
  var fileCheck, fleetCheck: LoopTimer?
  package var exitStatus: Int32 = 0
  private var redisWasUp = true
  /// Why the control loop has no connection to Redis.
  private(set) var outage: String?

  private init(_ loop: EventLoop, _ asked: Settings, log: Log) throws(StartError) {
    self.loop = loop
    self.log = log
    var settings = asked
    let cores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let threads = settings.threads == 0 ? min(cores, 64) : settings.threads
    let principals = try Control.principals(settings, log)
    let (audit, ticketKeys) = (try Control.audit(settings), try Control.ticketKeys(settings))
    let (tls, seal) = (try Control.tls(settings), try Control.seal(settings))
    listeners = try Control.bind(settings.listen, count: threads)
    if let http = settings.http { httpListeners = try Control.bind(http, count: threads) }
    settings.allowsLoopbackHooks = Control.isLoopback(settings.listen)
    budget = try Control.divideDescriptors(&settings, threads: threads, log)
    self.settings = settings
    embedded = settings.redisURL == nil ? try EmbeddedRedis(loop, settings, log: log) : nil
    let endpoint: RedisEndpoint
    if let embedded {
      endpoint = embedded.endpoint
    } else {
      endpoint = try Control.endpoint(settings.redisURL ?? "")
    }
    var setup = RedisSetup(
      endpoint: endpoint, keyspace: Keyspace(namespace: settings.namespace),
      constants: Control.constants(settings), requestTimeoutMs: settings.requestTimeoutMs,
      tls: TLSClient(settings.redisTLS))
    setup.passwordFile = settings.redisPasswordFile
    try Control.addSentinels(to: &setup, settings)
    try Control.checkFiles(of: setup, hookAuthorities: settings.hookAuthorities)
    setup.scriptWay = settings.scriptWay
    self.setup = setup
    do throws(SystemError) {
      shared = try SharedState(
        settings, log: log, workerID: Control.makeWorkerID(), threads: threads,
        redisMode: embedded == nil ? endpoint.topology.mode : "embedded",
        verbs: VerbTable.all.count,
        descriptorsMax: budget.callers, principals: principals, audit: audit,
        ticketKeys: ticketKeys, tls: tls, seal: seal, redisFigures: setup.figures)
      reports = try Mailbox()
      listenPort = try listeners[0].localPort()
      if let first = httpListeners.first { httpPort = try first.localPort() }
    } catch {
      throw StartError(text: error.description)
    }
  }

  /// Runs a worker until a signal stops it; returns the exit status.
  package static func run(_ settings: Settings) -> Int32 {
    let log = Log(level: settings.logLevel, format: settings.logFormat)
    signal(SIGPIPE, SIG_IGN)
    do throws(StartError) {
      let loop: EventLoop
      do throws(SystemError) { loop = try EventLoop() } catch {
        throw StartError(text: error.description)
      }
      let control = try Control(loop, settings, log: log)
      try control.start()
      loop.run()
      log.writeLastRepeats()
      return control.exitStatus
    } catch {
      log.error("cannot start", ["error": error.text])
      return 1
    }
  }
}

// MARK: Starting

extension Control {
  private func start() throws(StartError) {
    for name in settings.unknownEnvironment {
      let meant = Settings.nearestVariable(to: name) ?? ""
      log.warn(
        "an environment variable is not known and has no effect", ["name": name, "nearest": meant])
    }
    signals = [
      SignalWatch(loop, SIGTERM) { [unowned self] in stopAsked() },
      SignalWatch(loop, SIGINT) { [unowned self] in stopAsked() },
      SignalWatch(loop, SIGHUP) { [unowned self] in reload() },
      SignalWatch(loop, SIGCHLD) { [unowned self] in embedded?.childChanged() },
    ]
    embedded?.givenUp = { [unowned self] in
      exitStatus = 1
      stopServing()
    }
    reader = MailboxReader(loop, reports) { [unowned self] in received($0) }
    do throws(SystemError) {
      admin = try HTTPServer(
        loop, host: settings.admin.host, port: settings.admin.port,
        connectionsMax: settings.adminConnectionsMax, timeoutMs: settings.adminTimeoutMs,
        bodyBytesMax: PageVerbs.lineBytesMax, limited: { [unowned self] in adminLimited($0) }
      ) { [unowned self] in answerAdmin($0) }
      page = makePage()
    } catch {
      throw StartError(text: "the admin port \(settings.admin) cannot be used: \(error)")
    }
    log.info(
      "starting",
      [
        "version": Version.text, "worker": shared.workerID, "threads": "\(shared.threads)",
        "redis": setup.endpoint.publicText,
      ])
    logCheck = LoopTimer(loop) { [unowned self] in writeRepeats() }
    writeRepeats()
    watchSentinels()
    startChecking()
    watchFiles()
  }

  package var isConnected: Bool { store != nil }

  /// Sends a plain command to each node.
  func askRedis(_ words: [String], _ done: @escaping RedisConnection.Handler) {
    for node in store?.nodes ?? [] { store?.command(words, at: node, done) }
  }

  /// The control loop's own work with Redis: heartbeats, deadlines, notifications, the event tail.
  func connect() {
    let store = ControlStore(loop, setup) { [unowned self] in connectionChanged($0) }
    self.store = store
    store.nodesChanged = { [unowned self] in
      subscription?.nodesChanged()
      changes?.nodesChanged()
    }
    reaper = Reaper(loop, store, shared.deadlineContext)
    logUpkeep = LogUpkeep(
      loop, store, eventsAgeMs: settings.eventsAgeMs, log: log, figures: shared.logFigures)
    let census = FleetCensus(loop, store, record: shared.fleetFigures)
    let heartbeat = Heartbeat(loop, store, shared.deadlineContext) { [unowned self] living in
      livingWorkers = living
      let share = PartitionShare(worker: shared.workerID, living: living)
      shared.deadlineFigures.setWorkers(share.workers)
      shared.deadlineFigures.setPartitionsOwned(share.owned)
      reaper?.share(share)
      census.share(share)
      hookShare(share)
    }
    self.heartbeat = heartbeat
    followers = [
      heartbeat, QuotaCounts(loop, store, shared), LibraryCleaner(loop, store, log: log), census,
    ]
    store.start()
  }

  /// Starts what needs a Redis that has been reached.
  private func startFollowing() {
    guard subscription == nil, let store else { return }
    subscription = NodeSubscriptions(
      loop, store, shared.deadlineContext,
      expired: { [unowned self] in reaper?.notified($0) },
      informed: { [unowned self] text, node in
        guard let message = TicketMessage(text), serving.indices.contains(message.loop),
          self.store?.nodeName(of: Partition(of: message.device)) == node
        else { return }
        serving[message.loop].post(.ticket(message))
      },
      resumed: { [unowned self] in
        reaper?.catchUp()
        for orders in serving { orders.post(.askForTickets) }
      })
    tail = EventTail(
      loop, setup, store, log: log, seal: shared.seal,
      demand: { [unowned self] in
        if shared.sum(.watches) + shared.sum(.deviceWaiters) > 0 { return .events }
        return shared.sum(.waiters) > 0 || hooks.areAny ? .growth : .nothing
      },
      answer: { [unowned self] in
        if $0 != ControlHooks.tailIndex { serving[$0].post(.tailAnswer($1)) }
      },
      corrupt: { [unowned self] in serving[0].post(.corruptEvents($0)) },
      report: { [unowned self] report in
        for orders in serving { orders.post(.tailReport(report)) }
        reportToHooks(report)
      })
    tailRequests = MailboxReader(loop, shared.tailRequests) { [unowned self] in
      tail?.request($0)
    }
    changes = ChangeSubscription(loop, setup, store, log: log, seal: shared.seal) {
      [unowned self] in
      serving[$0].post(.changes($1))
    }
    changeRequests = MailboxReader(loop, shared.changeRequests) { [unowned self] in
      changes?.request($0)
    }
  }

  /// Takes the addresses before anything else is started, and listens only when it can serve.
  private static func bind(_ place: HostPort, count: Int) throws(StartError) -> [Socket] {
    do throws(SystemError) {
      // Sockets that share a port do so with those of any process: another worker on the same port
      // would get a part of the callers, without an error.
      if place.port != 0 {
        try SocketAddress.resolve(place.address).bind(sharingPort: false).close()
      }
      let first = try SocketAddress.resolve(place.address).bind(sharingPort: true)
      let port = try first.localPort()
      var sockets = [first]
      for _ in 1..<count {
        let address = Address.tcp(host: place.host, port: port)
        sockets.append(try SocketAddress.resolve(address).bind(sharingPort: true))
      }
      return sockets
    } catch {
      throw StartError(text: "cannot listen on \(place): \(error)")
    }
  }

  private static func endpoint(_ url: String) throws(StartError) -> RedisEndpoint {
    do throws(RedisURLError) { return try RedisEndpoint(url: url) } catch {
      throw StartError(text: "--redis: \(error.text)")
    }
  }

  private func connectionChanged(_ event: ControlStore.ConnectionEvent) {
    switch event {
    case .up:
      redisWasUp = true
      outage = nil
      embedded?.served()
      subscription?.serverMayHaveChanged()
      changes?.serverMayHaveChanged()
      if hasStartedServing { checkAgain() }
      configureRedis()
      noteScriptWay()
      watchPolicy()
      for follower in followers { follower.start() }
      reaper?.catchUp()
      startFollowing()
      followFleet { [unowned self] in
        startServing()
        followHooks()
      }
    case .nodeDown(let node, let reason):
      log.repeated(
        .warn, "a redis node does not answer", cause: node, ["redis": node, "error": reason])
    case .down(let reason):
      outage = reason
      for follower in followers { follower.pause() }
      policyCheck?.cancel()
      // Only the first of a row of failures is logged; and a Redis may have been started just now.
      let isStarting = MonotonicTime.nowMs() - shared.startedAtMs < 1_000
      if redisWasUp, !isStarting {
        log.repeated(.warn, "redis does not answer", ["error": reason])
      }
      if !isStarting { redisWasUp = false }
    case .refused(let reason):
      log.error("cannot serve from this redis", ["error": reason])
      exitStatus = 1
      stopServing()
    }
  }

  /// A Redis that could run functions and does not lets each call cost it more.
  private func noteScriptWay() {
    guard let remark = store?.scriptRemark else { return }
    log.repeated(
      .warn, "redis does not run functions: scripts are called by hash", ["error": remark])
  }

  private func startServing() {
    guard !hasStartedServing, !shared.isDraining else { return }
    hasStartedServing = true
    do throws(SystemError) {
      for index in listeners.indices { try startThread(index) }
    } catch {
      log.error("cannot start a serving thread", ["error": error.description])
      exitStatus = 1
      stopServing()
    }
  }

  private func startThread(_ index: Int) throws(SystemError) {
    let orders = try Mailbox<ServingOrder>()
    var bound = [CallerSocket(socket: listeners[index], wire: .line)]
    if httpListeners.indices.contains(index) {
      bound.append(CallerSocket(socket: httpListeners[index], wire: .http))
    }
    var ofCallers = self.setup
    ofCallers.replicaAcks = settings.replicaAcks
    let (sockets, shared, setup, reports) = (bound, shared, ofCallers, reports)
    threadsThatRun += 1
    serving.append(orders)
    try LoopThread(name: "serve-\(index)") {
      ServingThread.run(
        index: index, listeners: sockets, shared: shared, setup: setup, orders: orders,
        reports: reports)
    }.detach()
  }

  private func received(_ report: Report) {
    switch report {
    case .serves:
      threadsThatServe += 1
      if threadsThatServe == listeners.count { announceReady() }
    case .ended:
      threadsThatRun -= 1
      if threadsThatRun == 0 { stopRedis() }
    }
  }

  private func announceReady() {
    guard let admin, !shared.isDraining else { return }
    let listen = Address.tcp(host: settings.listen.host, port: listenPort)
    let adminAddress = Address.tcp(host: settings.admin.host, port: admin.port)
    let redis = embedded == nil ? setup.endpoint.publicText : "embedded"
    let http = settings.http.map { Address.tcp(host: $0.host, port: httpPort) }
    let httpText = http.map { " http=\($0)" } ?? ""
    var line = "ready listen=\(listen) admin=\(adminAddress)\(httpText) redis=\(redis)\n"
    _ = line.withUTF8 { write(1, $0.baseAddress, $0.count) }
    notify(.ready)
  }

  /// A service manager that gets no notice waits in vain, and then ends this worker: log why.
  private func notify(_ notice: ServiceNotice) {
    do throws(SystemError) { try notice.send() } catch {
      log.warn("cannot notify the service manager", ["of": "\(notice)", "error": "\(error)"])
    }
  }
}

// MARK: Running and stopping

extension Control {
  var isReady: Bool {
    !shared.isDraining && unfitness == nil && heartbeat?.isFresh == true
      && threadsThatServe == listeners.count && shared.sum(.redisReady) == listeners.count
  }

  /// Whether callers are accepted and answered, if only with the error that Redis is away.
  var isAccepting: Bool { !shared.isDraining && threadsThatServe == listeners.count }

  private func stopAsked() {
    guard !shared.isDraining else {
      log.warn("second stop signal: ending at once")
      _exit(1)
    }
    log.info("draining: finishing what is in flight")
    startDraining()
    guard settings.drainDelayMs > 0, threadsThatServe > 0 else { return stopServing() }
    // /readyz says 503 from now on; callers that still come are served.
    drainDelay = LoopTimer(loop) { [unowned self] in stopServing() }
    drainDelay?.set(afterMs: settings.drainDelayMs)
  }

  /// From now on the worker is draining, and reports it to balancers and the service manager.
  private func startDraining() {
    guard !shared.isDraining else { return }
    shared.startDraining()
    for orders in serving { orders.post(.stopping) }
    notify(.stopping)
  }

  func stopServing() {
    guard !isStopping else { return }
    isStopping = true
    startDraining()
    for orders in serving { orders.post(.drain) }
    drainHooks()
    if threadsThatRun == 0 { stopRedis() }
  }

  private func stopRedis() {
    fitness?.stop()
    policyCheck?.cancel()
    for follower in followers { follower.pause() }
    subscription?.stop()
    tail?.stop()
    changes?.stop()
    guard let heartbeat else { return closeRedis() }
    // Deregister first, so that the partitions change hands at once.
    heartbeat.deregister { [unowned self] in closeRedis() }
  }

  private func closeRedis() {
    store?.stop()
    sentinels?.stop()
    guard let embedded else { return loop.stop() }
    embedded.stop { [unowned self] in loop.stop() }
  }
}
