// Owns: the life of a connection to Redis: how it is made, greeted and watched, and how it is left
// or lost. Runs on its loop's thread.

internal import Glibc
internal import Loop
package import Scripts

// MARK: Greeting

extension RedisConnection {
  func greetingAnswered(_ reply: RedisReply) {
    if var next = loading {
      let progress = next.answered(reply)
      loading = next
      return loadingWent(progress)
    }
    switch greeting.answered(reply) {
    case .awaitMore: return
    case .done where setup.loadsScripts: loadScripts(hadFunctions: false)
    case .done: perform(machine.greeted())
    case .refused(let refusal): refused(refusal)
    }
  }

  func loadScripts(hadFunctions: Bool) {
    var next = ScriptLoading(
      setup, redisVersion: greeting.redisVersion, hadFunctions: hadFunctions)
    let progress = next.begin()
    loading = next
    loadingWent(progress)
  }

  private func loadingWent(_ progress: ScriptLoading.Progress) {
    switch progress {
    case .awaitMore: return
    case .send(let commands, let replies):
      outbox.encoded(commands)
      let deadlineMs = machine.isReady ? loop.nowMs + setup.requestTimeoutMs : setupDeadlineMs
      for _ in 0..<replies { expect(.greeting, deadlineMs: deadlineMs) }
      flush()
    case .done(let names):
      loading = nil
      scripts = names
      guard machine.isReady else { return perform(machine.greeted()) }
      sendWaiting()
    case .refused(let refusal): refused(refusal)
    }
  }

  /// A message of Redis about a script, in which places are those of the Lua files.
  package func located(_ message: String, in script: Script) -> String {
    script.located(
      setup.library.located(message), setup.constants, redisMajor: greeting.redisMajor)
  }

  private func refused(_ refusal: GreetingRefusal) {
    switch refusal {
    case .passing(let reason): lost(reason)
    case .wrongServer(let reason):
      setup.figures.addWrongServer()
      setup.master?.askAgain()
      lost(reason)
    case .final(let reason):
      perform(machine.stop())
      owner.redisRefused(self, reason: reason)
    }
  }
}

// MARK: The server's role

extension RedisConnection {
  /// A master can become a replica without a connection's end, and go on answering what it knew.
  func askRole() {
    guard machine.isReady else { return }
    roleTimer?.set(afterMs: setup.roleCheckMs)
    // The reply stands behind those to all earlier commands, one of which may wait for events.
    guard !isAskingRole else { return }
    isAskingRole = true
    outbox.command("HELLO", "2")
    let behindMs = max(loop.nowMs, pending.last?.deadlineMs ?? 0)
    expect(.identity, deadlineMs: behindMs + setup.connectTimeoutMs)
    flush()
  }

  func identityAnswered(_ reply: RedisReply) {
    isAskingRole = false
    guard reply.kind != .error else { return }
    if let reason = UnfitServer.reason(ServerIdentity(reply), isCluster: setup.isCluster) {
      return leave(reason: reason)
    }
    perform(machine.confirmed())
  }

  /// Ends a connection to a server that is not the one for work, when all replies have come.
  func endIfLeft() {
    if machine.isLeaving, pending.isEmpty, let disowned { lost(disowned) }
  }
}

// MARK: Connecting and losing

extension RedisConnection {
  func perform(_ action: RedisConnectionMachine.Action) {
    switch action {
    case .connect: connect()
    case .greet: greet()
    case .serve:
      // A connection that subscribes takes no such question; its owner listens for a sign of life.
      if !setup.takesAnyServer, pushReceived == nil { roleTimer?.set(afterMs: setup.roleCheckMs) }
      owner.redisServes(self)
    case .leave:
      failWaiting(.notSent(disowned ?? ""))
      owner.redisFailed(self, reason: disowned ?? "")
    case .retry(let ms): retryTimer?.set(afterMs: ms)
    case .close: dropConnection("the worker is stopping")
    case .nothing: break
    }
  }

  private func connect() {
    setupDeadlineMs = loop.nowMs + setup.connectTimeoutMs
    watch(untilMs: setupDeadlineMs)
    // Names are resolved anew at each try: after a failover they may point elsewhere.
    do throws(SystemError) { try followMaster() } catch { return lost(error.description) }
    guard let address = setup.endpoint.address ?? setup.master?.address else {
      return lost(setup.master?.reason ?? "the address of the server is not known")
    }
    server = address
    resolver = AddressResolver(loop, address) { [unowned self] result in
      do throws(SystemError) {
        let socket = try result.get().connect()
        // Also a worker that is killed, or stopped, is not to have requests delivered later.
        socket.resetOnClose()
        // A packet that is lost once is none of these cases.
        socket.setUserTimeout(ms: max(1_000, 2 * setup.requestTimeoutMs))
        connect(over: socket)
      } catch {
        lost(error.description)
      }
    }
  }

  private func connect(over socket: Socket) {
    transport = Transport(plain: socket)
    if setup.endpoint.usesTLS, case .tcp(let host, _)? = server {
      do throws(TLSError) {
        transport = Transport(client: try setup.tls.context(), socket, host: host)
      } catch {
        return lost(error.description)
      }
    }
    watch = FileWatch(loop, socket.descriptor, owner: self)
    watch?.want(.write)
  }

  func connectFinished() {
    guard let transport else { return }
    let outcome = transport.socket.connectOutcome()
    guard outcome == 0 else { return lost(SystemError("connect", outcome).description) }
    switch transport.shakeHands() {
    case .done: perform(machine.connected())
    case .underWay: watch?.want(transport.wants)
    case .failed(let reason): lost(reason)
    case .plain: lost("Redis does not speak TLS")
    }
  }

  private func greet() {
    reader = ReplyReader()
    var setup = setup
    do throws(FileError) { try setup.readPassword() } catch { return lost(error.description) }
    greeting = Greeting(setup)
    (loading, scripts, loadedMs) = (nil, nil, nil)
    order.reset()
    outbox.reset()
    outboxSent = 0
    outbox.encoded(greeting.firstWords())
    let replies = setup.endpoint.database == 0 ? 1 : 2
    for _ in 0..<replies { expect(.greeting, deadlineMs: setupDeadlineMs) }
    watch?.want(.read)
    flush()
  }

  /// Redis has closed the connection, or the kernel, to which Redis' host has confirmed nothing.
  func ended(_ outcome: Transfer) {
    let reason =
      switch outcome {
      case .broken(ETIMEDOUT): "Redis did not answer in time"
      case .broken(EPROTO) where setup.endpoint.usesTLS:
        "Redis ended the TLS session: it may want a certificate, of an authority that it trusts"
      default: "Redis closed the connection"
      }
    lost(reason, byPeer: true)
  }

  /// The one way in which a connection ends that is to be made again.
  func lost(_ reason: String, byPeer: Bool = false) {
    guard !machine.isClosed else { return }
    failures += 1
    let isKnown = machine.isLeaving
    let action = machine.failed(random: Double.random(in: 0..<1))
    dropConnection(reason, byPeer: byPeer)
    perform(action)
    if !isKnown { owner.redisFailed(self, reason: reason) }
  }

  private func dropConnection(_ reason: String, byPeer: Bool = false) {
    resolver = nil
    retryTimer?.cancel()
    roleTimer?.cancel()
    watchdog?.cancel()
    watchdogAtMs = .max
    watch?.want(.none)
    watch = nil
    close(byPeer: byPeer)
    outbox.reset()
    outboxSent = 0
    batchesInFlight = 0
    isAskingRole = false
    disowned = nil
    failHeld(.noAnswer(reason))
    while let next = pending.popFirst() { fail(next, .noAnswer(reason)) }
    failWaiting(.notSent(reason))
  }

  /// Closes the connection: with a reset if requests are under way, so that the kernel forgets what
  /// it has not delivered.
  ///
  /// It would deliver that later, long after their callers were given up: a SEIZE was seen to be
  /// applied 54 s late.
  private func close(byPeer: Bool) {
    guard let transport else { return }
    let isGivenUp = !pending.isEmpty && !byPeer
    if isGivenUp { setup.figures.addReset() }
    transport.socket.resetOnClose(isGivenUp)
    transport.close()
    self.transport = nil
  }

  func failWaiting(_ failure: RedisFailure) {
    let calls = waiting
    waiting = []
    for call in calls { fail(call, failure) }
  }

  func fail(_ call: PendingCall, _ failure: RedisFailure) {
    switch call.expectation {
    case .greeting, .identity, .givenUp: return
    case .acks: failHeld(.noAnswer("it is not known how many replicas have it"))
    case .call(let handler), .fence(let handler): handler(.failure(failure))
    case .script(let call): call.handler(.failure(failure))
    case .batch(let batch): owner.batchFailed(self, batch, failure)
    }
  }
}
