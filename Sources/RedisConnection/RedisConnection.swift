// Owns: one connection to Redis, for ever: connects, greets, sends, matches replies to requests,
// notices silence, and reconnects. Must not know what the requests mean. Runs on its loop's thread.

package import Loop
package import Scripts
internal import SessionModel

/// A connection to Redis that reconnects by itself.
package final class RedisConnection {
  /// A command outside of batches gets its reply, or an error if none will come.
  package typealias Handler = (Result<RedisReply, RedisFailure>) -> Void

  // MARK: Parts; the loop's thread
  let loop: EventLoop
  let setup: RedisSetup
  unowned let owner: any RedisConnectionOwner
  var machine = RedisConnectionMachine()
  var greeting: Greeting
  /// The loading of the scripts, while it lasts.
  var loading: ScriptLoading?
  /// The names by which the scripts are called.
  var scripts: ScriptNames?
  var reader = ReplyReader()
  var transport: Transport?
  var watch: FileWatch?
  var watchdog: LoopTimer?
  var retryTimer: LoopTimer?
  var roleTimer: LoopTimer?
  var resolver: AddressResolver?
  /// The address that the connection leads to, or is to lead to.
  var server: Address?
  /// Gets the address of each new master, where the sentinels name it.
  var masterNotices: (mailbox: Mailbox<Address>, reader: MailboxReader<Address>)?

  // MARK: Requests on their way; the loop's thread
  var outbox = CommandBuffer()
  var outboxSent = 0
  var pending = FIFO<PendingCall>()
  /// Calls that wait, in their order, until functions that Redis has forgotten are loaded again, or
  /// until the calls before them are answered.
  var waiting: [PendingCall] = []
  var order = CallOrder()
  /// The replies that wait until enough replicas have what they are about.
  var heldReplies = HeldReplies()
  /// When the forgotten functions were last loaded.
  var loadedMs: Int64?
  /// They are loaded again so often at most: meanwhile each call goes with its text.
  static let loadsEveryMs: Int64 = 100
  var setupDeadlineMs: Int64 = 0
  /// When the watchdog checks next; never later than the earliest deadline there is.
  var watchdogAtMs = Int64.max
  var batchesInFlight = 0
  /// When Redis has answered last, in monotonic ms.
  var answeredMs: Int64 = 0
  var isAskingRole = false
  /// Why the server is not the one for work, once that is known.
  var disowned: String?
  let readBuffer: UnsafeMutableRawBufferPointer

  /// Gets the messages that Redis sends unasked, on a connection that subscribes.
  ///
  /// Without it, an unexpected reply ends the connection: it would be taken for another request's.
  package var pushReceived: ((RedisReply) -> Void)?

  // MARK: Figures; the loop's thread
  /// How often a script was missing and the batch was sent again.
  package private(set) var scriptsReloaded = 0
  /// How often the connection was lost or could not be made.
  package internal(set) var failures = 0
  /// The version that Redis gave in the greeting.
  package var redisVersion: String { greeting.redisVersion }
  /// How scripts are called, `function` or `script`; empty until it is decided.
  package var scriptWay: String { scripts?.kind.rawValue ?? "" }
  /// The library of functions in use, and the prefix of the names of all libraries of the
  /// namespace.
  package var library: (name: String, prefix: String)? { scripts?.library }
  /// Why scripts are not called as functions, though they might be.
  package var scriptRemark: String? { scripts?.remark }

  package init(_ loop: EventLoop, _ setup: RedisSetup, owner: any RedisConnectionOwner) {
    self.loop = loop
    self.setup = setup
    self.owner = owner
    greeting = Greeting(setup)
    readBuffer = .allocate(byteCount: 1 << 16, alignment: 16)
    watchdog = LoopTimer(loop) { [unowned self] in watchdogFired() }
    retryTimer = LoopTimer(loop) { [unowned self] in perform(machine.retryTimerFired()) }
    roleTimer = LoopTimer(loop) { [unowned self] in askRole() }
  }

  deinit {
    if let masterNotices { setup.master?.unfollow(masterNotices.mailbox) }
    transport?.close()
    readBuffer.deallocate()
  }

  package var isReady: Bool { machine.isReady }
  /// Whether calls of several slots name one key only.
  private var isRouted: Bool { setup.isCluster && greeting.redisMajor >= 7 }
  /// Whether one call may have keys of several slots; else each has those of one partition.
  package var spansSlots: Bool { !setup.isCluster || isRouted }
  /// The state's name, for people.
  package var stateWord: String { machine.word }
  package var endpoint: RedisEndpoint { setup.endpoint }
  /// The place for the log: with the address of the server, where that had to be found.
  package var serverText: String {
    guard setup.endpoint.address == nil, let server else { return setup.endpoint.publicText }
    return "\(setup.endpoint.publicText) at \(server)"
  }

  /// How many batches are with Redis now.
  package var flight: Int { batchesInFlight }

  /// Begins to connect, and from then on never gives up until `stop`.
  package func start() { perform(machine.start()) }

  /// Closes for good; what is on its way is failed.
  package func stop() { perform(machine.stop()) }
}

// MARK: Asking

extension RedisConnection {
  /// Puts batches into the outbox; `flush` sends them.
  ///
  /// Only when ready.
  package func send(_ batches: [Batch]) {
    for batch in batches {
      ask(PendingCall(expectation: .batch(batch), deadlineMs: deadline(of: batch)))
      batchesInFlight += 1
    }
  }

  /// Puts a call into the outbox, or behind those that wait.
  private func ask(_ next: PendingCall) {
    guard waiting.isEmpty, let scripts, maySend(next) else {
      waiting.append(next)
      watch(untilMs: next.deadlineMs)
      return
    }
    put(next, scripts)
  }

  /// Whether a call may be sent now: not while the functions are loaded again, and by hash only
  /// after the answers to the calls before it.
  private func maySend(_ next: PendingCall) -> Bool {
    loading == nil && (scripts?.kind == .function || order.maySend(next))
  }

  /// Sends the waiting calls that may be sent.
  func sendWaiting() {
    guard let scripts, let first = waiting.first, maySend(first) else { return }
    var count = 0
    while count < waiting.count, maySend(waiting[count]) {
      put(waiting[count], scripts)
      count += 1
    }
    waiting.removeFirst(count)
    flush()
  }

  /// What waited to be sent, and is taken back.
  package enum Waiting {
    case batch(Batch)
    case call(Handler)
  }

  /// Takes back the batches and the calls of scripts that wait to be sent, in their order: an
  /// earlier one has to be done first, and elsewhere.
  package func takeWaiting() -> [Waiting] {
    var taken: [Waiting] = []
    waiting.removeAll { call in
      switch call.expectation {
      case .batch(let batch):
        batchesInFlight -= 1
        taken.append(.batch(batch))
      case .script(let call): taken.append(.call(call.handler))
      case .greeting, .identity, .call, .fence, .acks, .givenUp: return false
      }
      return true
    }
    return taken
  }

  private func put(_ next: PendingCall, _ scripts: ScriptNames) {
    order.sent(next)
    if next.isChange { heldReplies.changeSent(deadlineMs: next.deadlineMs) }
    next.encode(into: &outbox, isRouted: isRouted) { script, outbox in
      outbox.raw(scripts.command)
      outbox.word(scripts.names[script.rawValue])
    }
    expect(next)
  }

  /// Puts one command into the outbox; `flush` sends it.
  ///
  /// The handler is called exactly once.
  ///
  /// When the connection is not ready the handler is called at once.
  package func call(
    timeoutMs: Int64, _ write: (inout CommandBuffer) -> Void, _ handler: @escaping Handler
  ) {
    guard machine.isReady else {
      handler(.failure(.notSent("Redis is not connected")))
      return
    }
    write(&outbox)
    expect(.call(handler), deadlineMs: loop.nowMs + timeoutMs)
  }

  /// Puts a command into the outbox whose answer comes as a push: SUBSCRIBE and what follows it.
  package func post(_ write: (inout CommandBuffer) -> Void) {
    if machine.isReady { write(&outbox) }
  }

  /// Ends the connection as broken, and connects again.
  package func reconnect(reason: String) {
    if machine.isReady { lost(reason) }
  }

  /// Ends the connection since its server is not the one for work, once all that was sent there has
  /// its reply, and connects again.
  ///
  /// Nothing more is sent there. A reply that shows facts of that server is not passed on.
  package func leave(reason: String) {
    guard machine.isReady else { return }
    setup.figures.addWrongServer()
    setup.master?.askAgain()
    disowned = reason
    perform(machine.disowned())
  }

  /// Puts a call of a script into the outbox that is in no batch.
  package func call(
    _ script: Script, timeoutMs: Int64, keys: [String], arguments: CommandBuffer,
    _ handler: @escaping Handler
  ) {
    guard machine.isReady else {
      handler(.failure(.notSent("Redis is not connected")))
      return
    }
    let call = SingleCall(script: script, keys: keys, arguments: arguments, handler: handler)
    ask(PendingCall(expectation: .script(call), deadlineMs: loop.nowMs + timeoutMs))
  }

  /// Calls the handler once all that was asked until now has its answer or has failed.
  ///
  /// Only when ready. Returns false, and does not call it, if nothing is under way.
  package func fence(timeoutMs: Int64, _ handler: @escaping () -> Void) -> Bool {
    guard !pending.isEmpty || !waiting.isEmpty else { return false }
    // The replies to changes are held until WAIT has its answer, which takes its time where too few
    // replicas answer.
    if !heldReplies.isShort { askForAcks() }
    ask(PendingCall(expectation: .fence { _ in handler() }, deadlineMs: loop.nowMs + timeoutMs))
    return true
  }

  /// Writes what is in the outbox; once a turn is enough.
  package func flush() {
    guard let transport, !machine.isConnecting else { return }
    if machine.isReady { askForAcks() }
    while outboxSent < outbox.count {
      let outcome = outbox.withBytes { bytes in
        transport.write(UnsafeRawBufferPointer(rebasing: bytes[outboxSent...]))
      }
      switch outcome {
      case .moved(let count): outboxSent += count
      case .wouldBlock:
        watch?.want(transport.wants.or(.both))
        return
      case .ended, .broken:
        ended(outcome)
        return
      }
    }
    outbox.reset()
    outboxSent = 0
    watch?.want(transport.wants.or(.read))
    endIfLeft()
  }

  private func deadline(of batch: Batch) -> Int64 {
    let oldest = batch.tickets.first.map { $0.arrivedNs / 1_000_000 } ?? loop.nowMs
    return oldest + setup.requestTimeoutMs
  }

  func expect(_ expectation: PendingCall.Expectation, deadlineMs: Int64) {
    expect(PendingCall(expectation: expectation, deadlineMs: deadlineMs))
  }

  func expect(_ next: PendingCall) {
    var next = next
    next.sentMs = loop.nowMs
    pending.append(next)
    watch(untilMs: next.deadlineMs)
  }

  /// Makes sure that the watchdog checks by then.
  func watch(untilMs: Int64) {
    guard untilMs < watchdogAtMs else { return }
    watchdogAtMs = untilMs
    watchdog?.set(afterMs: untilMs - loop.nowMs)
  }
}

// MARK: Being answered

extension RedisConnection: FileWatchOwner {
  package func fileReady(_ readiness: Readiness) {
    if machine.isConnecting {
      connectFinished()
      return
    }
    // A readiness that the transport itself has asked for may let reading or writing go on.
    let wants = transport?.wants ?? .none
    if readiness.canRead || wants.canWrite {
      repeat { read() } while transport?.hasBufferedInput == true
    }
    if readiness.canWrite || wants.canRead { flush() }
  }

  private func read() {
    guard let transport else { return }
    let outcome = transport.read(into: readBuffer)
    switch outcome {
    case .moved(let count):
      guard reader.feed(UnsafeRawBufferPointer(rebasing: readBuffer[..<count])) else {
        lost("Redis sent what is not its protocol")
        return
      }
      deliverReplies()
    case .wouldBlock: return
    case .ended, .broken: ended(outcome)
    }
  }

  private func deliverReplies() {
    while transport != nil {
      // A reply may end the connection; the reader then belongs to the next one.
      var unexpected = false
      let outcome = reader.next { reply in
        guard let next = pending.popFirst() else {
          unexpected = pushReceived == nil
          pushReceived?(reply)
          return true
        }
        answeredMs = loop.nowMs
        if hold(reply, of: next) { return false }
        deliver(reply, to: next)
        return true
      }
      switch outcome {
      case .gave where unexpected: lost("Redis sent a reply without a request")
      case .gave: continue
      case .needMore: return
      case .garbage: lost("Redis sent what is not its protocol")
      }
    }
  }

  func deliver(_ reply: RedisReply, to next: PendingCall) {
    defer { endIfLeft() }
    if reply.kind == .error, isAboutServer(reply.text, next) { return }
    if let disowned, let failure = next.failure(ofServer: disowned) { return fail(next, failure) }
    switch next.expectation {
    case .greeting: greetingAnswered(reply)
    case .identity: identityAnswered(reply)
    case .acks: acksAnswered(reply)
    case .call(let handler), .fence(let handler): handler(.success(reply))
    case .script(let call): call.handler(.success(reply))
    case .batch(let batch):
      batchesInFlight -= 1
      order.answered(batch.sequence)
      owner.batchAnswered(self, batch, reply)
      sendWaiting()
    case .givenUp(let batch):
      guard let batch else { return }
      batchesInFlight -= 1
      order.answered(batch)
      sendWaiting()
    }
  }

  /// Acts on an error that is about the server and not about the request; true if the request needs
  /// nothing more.
  private func isAboutServer(_ message: String, _ next: PendingCall) -> Bool {
    switch StoreError(message) {
    case .scriptMissing where disowned == nil: return reload(next)
    case .scriptMissing: break
    case .wrongServer where setup.takesAnyServer: return false
    // Its owner finds the node that has the slot; this one has others.
    case .elsewhere where setup.isCluster || setup.takesAnyServer: return false
    case .elsewhere(let word) where machine.isReady:
      leave(reason: "\(UnfitServer.cluster) (\(word))")
    case .elsewhere where disowned != nil: break
    case .wrongServer(let reason) where machine.isReady: leave(reason: reason)
    case .wrongServer where disowned != nil: break
    case .wrongServer, .elsewhere, .refused, .corrupt, .corruptLock, .failed: return false
    }
    // Nothing was done.
    if let disowned { fail(next, .notSent(disowned)) }
    return true
  }

  /// The one place where a missing script is reloaded: EVAL runs it from its text, which cannot be
  /// missing.
  ///
  /// The requests that were pipelined around it have run and are not sent again. Where it was a
  /// function, all of them are loaded again, under new names: calls that were sent behind it under
  /// the old ones come back as missing too, whichever worker loads them, so that the order holds;
  /// later calls wait until the new names are known.
  private func reload(_ missed: PendingCall) -> Bool {
    // A Redis that misses a text too is not asked for ever.
    guard !missed.isReloaded else { return false }
    switch missed.expectation {
    case .greeting, .identity, .call, .fence, .acks, .givenUp: return false
    case .script, .batch: break
    }
    if missed.isChange { heldReplies.changeSent(deadlineMs: missed.deadlineMs) }
    let (constants, major) = (setup.constants, greeting.redisMajor)
    missed.encode(into: &outbox, isRouted: isRouted) { script, outbox in
      outbox.word("EVAL")
      outbox.word(script.text(constants, redisMajor: major))
    }
    scriptsReloaded += 1
    var again = missed
    again.isReloaded = true
    expect(again)
    let isDue = loadedMs.map { loop.nowMs - $0 >= RedisConnection.loadsEveryMs } ?? true
    if loading == nil, scripts?.kind == .function, isDue {
      loadedMs = loop.nowMs
      loadScripts(hadFunctions: true)
    }
    flush()
    return true
  }
}
