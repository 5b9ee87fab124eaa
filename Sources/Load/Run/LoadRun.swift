// Owns: one load from its first connection to its verdict: the phases, the conversations in their
// slots, who is at work. Runs on the main thread, which is the loop's.

internal import Glibc
internal import Loop

/// A load under way.
final class LoadRun: VisitOwner {
  private enum Phase {
    /// The watch is being set up; goes to running.
    case starting
    /// Goes to closing when its time is over, or on a signal.
    case running
    /// Each conversation is brought to its end; goes to checking.
    case closing
    /// Conversations that are over are checked; goes to over.
    case checking
    case over
  }

  let options: LoadOptions
  let shop: CallerShop
  let loop: EventLoop
  private let targets: [WorkerTarget]
  private var latestTarget = 0
  private var phase = Phase.starting

  var tally: Tally
  var clock = ServerClock()
  var counts = RunCounts()
  private var active: [Visit] = []
  private var ticker: LoopTimer?
  private var arrivalTimer: LoopTimer?
  private var arrivals: MessageArrivals?

  // MARK: Conversations

  private let devicePrefix: String
  private let filler: [UInt8]
  private let clocks: String
  private var slots: [Conversation?]
  private var thinkers: [LoopTimer?]
  private var idle: [Int] = []
  private var idleHead = 0
  private var made = 0
  private var occupied = 0
  private var dice: Dice

  // MARK: Helpers

  private(set) var watch: EventWatch?
  private var auditor: Auditor?
  private var readers: [GroupConsumer] = []
  private var monkey: ChaosMonkey?
  private let progress: ProgressLine
  private var signals: [SignalWatch] = []

  // MARK: The end

  private(set) var startNs: Int64 = 0
  private var runEndNs: Int64 = 0
  private var phaseNs: Int64 = 0
  private(set) var lastTroubleNs: Int64 = 0
  private(set) var finding: LoadFinding?
  private(set) var failure: String?
  private(set) var isComplete = true
  private var processor = ProcessorTime()

  init(
    _ options: LoadOptions, _ targets: [WorkerTarget], tls: TLSContext?, runName: String,
    progress: ProgressLine
  ) throws(SystemError) {
    self.options = options
    self.targets = targets
    self.progress = progress
    loop = try EventLoop()
    shop = CallerShop(loop, tls: tls)
    devicePrefix = "load-\(runName)-"
    filler = RequestText.filler(messageBytes: options.messageBytes)
    let perConversationMs = options.rate.map { Double(options.conversations) * 1_000 / $0 }
    clocks = RequestText.clocks(pauseMs: perConversationMs.map { Int64($0) } ?? options.thinkMs)
    slots = Array(repeating: nil, count: options.conversations)
    thinkers = Array(repeating: nil, count: options.conversations)
    dice = Dice(options.seed)
    tally = Tally(startNs: MonotonicTime.nowNs(), durationMs: options.durationMs)
  }

  // MARK: - Phases

  /// Runs the load to its end.
  func run() {
    startNs = MonotonicTime.nowNs()
    let watch = EventWatch(owner: self)
    self.watch = watch
    auditor = Auditor(owner: self)
    signals = [SIGINT, SIGTERM].map { number in
      SignalWatch(loop, number) { [unowned self] in interrupted() }
    }
    watch.connect()
    ticker = LoopTimer(loop) { [unowned self] in tick() }
    ticker?.set(afterMs: 20)
    loop.run()
    monkey?.stop()
    watch.stop()
    for reader in readers { reader.stop() }
    auditor?.stop()
    for visit in active { visit.drop() }
    progress.finish()
  }

  func watching() {
    guard phase == .starting else { return }
    enter(.running)
    let nowNs = phaseNs
    startNs = nowNs
    runEndNs = nowNs + (options.warmupMs + options.durationMs) * 1_000_000
    tally = Tally(
      startNs: nowNs + options.warmupMs * 1_000_000, durationMs: options.durationMs)
    processor.start()
    if let chaos = options.chaos { monkey = ChaosMonkey(chaos, nowNs: nowNs) }
    for slot in slots.indices {
      slots[slot] = newConversation(slot, nowNs)
      thinkers[slot] = LoopTimer(loop) { [unowned self] in messageDue(slot) }
    }
    occupied = slots.count
    if let group = options.group {
      readers = (0..<GroupConsumer.count).map { _ in GroupConsumer(group, owner: self) }
      for reader in readers { reader.connect() }
    }
    begin(nowNs)
  }

  private func begin(_ nowNs: Int64) {
    if let rate = options.rate {
      idle = Array(slots.indices)
      arrivals = MessageArrivals(rate: rate, seed: options.seed, nowNs: nowNs)
      arrivalTimer = LoopTimer(loop) { [unowned self] in messagesArrive() }
      arrivalTimer?.set(afterMs: 0)
    } else {
      // Spread over one pause, as if they had been going on for long.
      let spreadMs = max(options.thinkMs, Int64(options.conversations / 10))
      for slot in slots.indices {
        setDue(slot, nowNs, afterMs: Int64(dice.fraction() * Double(spreadMs)))
      }
    }
  }

  private func enter(_ next: Phase) {
    phase = next
    phaseNs = MonotonicTime.nowNs()
  }

  private func tick() {
    let nowNs = MonotonicTime.nowNs()
    for visit in active { visit.look(nowNs) }
    watch?.look(nowNs)
    for reader in readers { reader.look(nowNs) }
    tally.tick(nowNs)
    switch phase {
    case .starting:
      if nowNs - phaseStartNs > 10_000_000_000 { impossible("no worker lets it WATCH") }
    case .running:
      if counts.warmupRequests == nil, nowNs >= tally.startNs { warmupEnded() }
      if let line = monkey?.look(nowNs) { progress.say(line) }
      if nowNs >= runEndNs { close() }
    case .closing: closeOn(nowNs)
    case .checking: checkOn(nowNs)
    case .over: break
    }
    auditor?.look(nowNs)
    auditor?.sweep(nowNs)
    if phase != .over { progress.show(self, nowNs) }
    if phase != .over { ticker?.set(afterMs: 50) }
  }

  private var phaseStartNs: Int64 { phase == .starting ? startNs : phaseNs }

  private func warmupEnded() {
    counts.warmupRequests = tally.requests
    tally = Tally(startNs: MonotonicTime.nowNs(), durationMs: options.durationMs)
    processor.start()
  }

  /// No new messages; what is under way comes to its end.
  private func close() {
    guard phase == .running else { return }
    let nowNs = MonotonicTime.nowNs()
    processor.stop()
    tally.end(nowNs)
    counts.notBegun = arrivals?.waitingCount ?? 0
    arrivals = nil
    arrivalTimer?.cancel()
    enter(.closing)
    // Not all at once: a burst of connections would overflow what a listener holds.
    let spreadMs = Double(min(2_000, options.conversations / 4))
    for slot in slots.indices where slots[slot]?.caller?.isActive != true {
      setDue(slot, nowNs, afterMs: Int64(dice.fraction() * spreadMs))
    }
  }

  private func closeOn(_ nowNs: Int64) {
    if let line = monkey?.look(nowNs, mayStart: false) { progress.say(line) }
    if occupied == 0 { enter(.checking) }
    if nowNs - phaseNs > 60_000_000_000 { giveUp() }
  }

  private func checkOn(_ nowNs: Int64) {
    if let line = monkey?.look(nowNs, mayStart: false) { progress.say(line) }
    guard let auditor else { return }
    if auditor.isEmpty {
      finish()
    } else if nowNs - max(phaseNs, auditor.latestDeadlineNs) > giveUpNs {
      giveUp()
    }
  }

  private var giveUpNs: Int64 { (options.patienceMs + 45_000) * 1_000_000 }

  private func giveUp() {
    counts.unchecked = occupied + (auditor?.count ?? 0)
    isComplete = false
    finish()
  }

  private func finish() {
    let nowNs = MonotonicTime.nowNs()
    if phase == .running { processor.stop() }
    tally.end(nowNs)
    enter(.over)
    loop.stop()
  }

  private func interrupted() {
    switch phase {
    case .running:
      progress.say("stopping: conversations are closed and checked; once more to stop at once")
      counts.wasInterrupted = true
      close()
    case .starting, .closing, .checking: giveUp()
    case .over: break
    }
  }

  func broken(_ violation: Violation, in conversation: Conversation) {
    guard finding == nil, failure == nil else { return }
    finding = LoadFinding(
      violation: violation, device: conversation.request.device,
      history: conversation.check.history.lines(zeroNs: startNs))
    finish()
  }

  func impossible(_ reason: String) {
    guard finding == nil, failure == nil else { return }
    failure = reason
    finish()
  }

  // MARK: - Messages

  private func newConversation(_ slot: Int, _ nowNs: Int64) -> Conversation {
    made += 1
    counts.conversations += 1
    let conversation = Conversation(
      number: made, slot: slot, device: "\(devicePrefix)\(made)", filler: filler, clocks: clocks,
      nowNs: nowNs, options: options)
    auditor?.know(conversation)
    return conversation
  }

  /// When the next message of a slot is due; latency counts from then.
  private var dueNs: [Int: Int64] = [:]

  private func setDue(_ slot: Int, _ nowNs: Int64, afterMs: Int64) {
    dueNs[slot] = nowNs + afterMs * 1_000_000
    thinkers[slot]?.set(afterMs: afterMs)
  }

  private func messageDue(_ slot: Int) {
    let nowNs = MonotonicTime.nowNs()
    message(slot, dueNs: dueNs[slot] ?? nowNs)
  }

  private func messagesArrive() {
    guard var flow = arrivals else { return }
    let nowNs = MonotonicTime.nowNs()
    for due in flow.due(nowNs) {
      if let slot = takeIdle() { message(slot, dueNs: due) } else { flow.wait(due) }
    }
    // A message that could not even begin may have ended the run.
    guard phase == .running else { return }
    counts.waited = flow.waited
    arrivals = flow
    arrivalTimer?.set(afterMs: flow.msToNext(nowNs))
  }

  private func takeIdle() -> Int? {
    guard idleHead < idle.count else { return nil }
    let slot = idle[idleHead]
    idleHead += 1
    if idleHead > 4_096, idleHead * 2 > idle.count {
      idle.removeFirst(idleHead)
      idleHead = 0
    }
    return slot
  }

  private func message(_ slot: Int, dueNs: Int64) {
    guard let conversation = slots[slot], phase != .over else { return }
    let visit = conversation.caller ?? Visit(.message, owner: self)
    guard !visit.isActive else { return }
    counts.messages += 1
    conversation.caller = visit
    let isLast = phase == .closing
    let steps = conversation.plan(isLast: isLast)
    if !isLast, conversation.kind == .locks, conversation.rivalComes(),
      conversation.rival?.isActive != true
    {
      let rival = conversation.rival ?? Visit(.rival, owner: self)
      conversation.rival = rival
      counts.rivals += 1
      rival.start(
        conversation, conversation.otherAgent(than: conversation.agent), conversation.rivalSteps,
        dueNs: MonotonicTime.nowNs())
    }
    visit.start(conversation, conversation.agent, steps, dueNs: dueNs)
  }

  func ended(_ visit: Visit, _ nowNs: Int64) {
    let conversation = visit.conversation
    switch visit.role {
    case .check: auditor?.checked(visit, nowNs)
    case .sleeper: break
    case .rival: break
    case .second: count(visit)
    case .message:
      count(visit)
      if conversation.isCutShort { conversation.cutShort() }
      if conversation.ending != nil || (visit.failed && phase == .closing) {
        retire(conversation, nowNs)
      } else if phase == .closing {
        message(conversation.slot, dueNs: nowNs)
      } else {
        waitForNext(conversation.slot, nowNs)
      }
    }
  }

  private func count(_ visit: Visit) {
    counts.givenUp += visit.failed || visit.hasGivenUp ? 1 : 0
    counts.interrupted += visit.wasInterrupted ? 1 : 0
  }

  /// Further messages come while a turn is at work on one.
  private func startSeconds(_ conversation: Conversation) {
    var afterMs: Int64 = 0
    for index in 0..<conversation.doubles {
      afterMs += conversation.gapMs()
      if index == conversation.seconds.count {
        conversation.seconds.append(Visit(.second, owner: self))
      }
      let visit = conversation.seconds[index]
      guard !visit.isActive else { continue }
      counts.messages += 1
      visit.start(
        conversation, conversation.agent, conversation.secondSteps,
        dueNs: MonotonicTime.nowNs() + afterMs * 1_000_000, afterMs: afterMs)
    }
  }

  private func waitForNext(_ slot: Int, _ nowNs: Int64) {
    guard options.rate != nil else {
      setDue(slot, nowNs, afterMs: slots[slot]?.thinkMs() ?? 0)
      return
    }
    if let due = arrivals?.takeWaiting() {
      message(slot, dueNs: due)
    } else {
      idle.append(slot)
    }
  }

  /// A conversation is over: it is checked once its locks have expired, and another one begins.
  private func retire(_ conversation: Conversation, _ nowNs: Int64) {
    if conversation.ending == .vanished {
      counts.vanished += 1
      conversation.lost()
    }
    conversation.caller?.drop()
    auditor?.take(conversation, nowNs)
    if phase == .running {
      slots[conversation.slot] = newConversation(conversation.slot, nowNs)
      waitForNext(conversation.slot, nowNs)
    } else {
      slots[conversation.slot] = nil
      occupied -= 1
    }
  }

  // MARK: - Callbacks of callers

  var isHurried: Bool { phase == .closing || phase == .checking }

  func nextTarget() -> WorkerTarget {
    latestTarget = (latestTarget + 1) % targets.count
    return targets[latestTarget]
  }

  func started(_ visit: Visit) {
    visit.place = active.count
    active.append(visit)
  }

  func stopped(_ visit: Visit) {
    guard let last = active.popLast(), visit.place < active.count else { return }
    active[visit.place] = last
    last.place = visit.place
  }

  func clockSeen(serverMs: Int64, invokedNs: Int64, returnedNs: Int64) {
    clock.observe(serverMs: serverMs, invokedNs: invokedNs, returnedNs: returnedNs)
  }

  func troubleSeen(_ nowNs: Int64) { lastTroubleNs = nowNs }

  func concluded(_ visit: Visit, _ outcome: LoadOutcome, _ reply: ReplyLine, _ nowNs: Int64) {
    counts.count(visit.step, outcome)
    visit.learn(outcome, reply)
    if visit.role == .message, case .began = outcome { startSeconds(visit.conversation) }
    if visit.role == .check { auditor?.learned(visit, outcome, reply, nowNs) }
  }
}

// MARK: - Events and figures

extension LoadRun: EventWatchOwner, GroupConsumerOwner, AuditorOwner {
  func eventReported(_ event: LockEvent, watch: Int, nowNs: Int64) {
    guard let number = number(event.device) else { return }
    auditor?.reported(number, event, watch: watch, nowNs: nowNs)
  }

  func eventDelivered(_ event: LockEvent, askedNs: Int64, nowNs: Int64) {
    guard let number = number(event.device) else { return }
    counts.delivered += 1
    auditor?.delivered(
      number, event, askedNs: askedNs, isInOrder: counts.consumersLost == 0, nowNs: nowNs)
  }

  func eventAcknowledged(_ event: LockEvent, nowNs: Int64) {
    if let number = number(event.device) { auditor?.acknowledged(number, event.id, nowNs: nowNs) }
  }

  func consumerLost(_ nowNs: Int64) { counts.consumersLost += 1 }

  func chatChanged(_ device: String, _ change: PushedChange, nowNs: Int64) {
    guard let number = number(device) else { return }
    counts.changes += 1
    auditor?.pushed(number, change, nowNs: nowNs)
  }

  /// The number of the conversation of a device; nil if it is not one of this run.
  private func number(_ device: String) -> Int? {
    guard device.hasPrefix(devicePrefix) else { return nil }
    return Int(device.dropFirst(devicePrefix.count))
  }

  func abandonmentReported(_ event: LockEvent, nowNs: Int64) {
    if let lateNs = clock.lateNs(nowNs, after: event.atMs) {
      tally.abandonmentReported(lateNs, nowNs: nowNs)
    }
  }

  var inFlight: Int { active.count }
  var awaitingCheck: Int { auditor?.count ?? 0 }
  var phaseName: String {
    switch phase {
    case .starting: "starting"
    case .running: counts.warmupRequests == nil && options.warmupMs > 0 ? "warming up" : "running"
    case .closing: "closing"
    case .checking: "checking"
    case .over: "over"
    }
  }
  var chaosRunsNs: [Int64] { monkey?.runsNs ?? [] }
  var chaosFailures: Int { monkey?.failures ?? 0 }
  var processorUs: Double { processor.us }
}
