// Owns: one conversation: its messages, the steps of its callers, the holder of its device as far
// as they know. The dice decide; the replies are judged elsewhere. Runs on the loop's thread.

/// The steps of a caller, in the order in which they are taken.
struct Steps: OptionSet {
  let rawValue: UInt32

  static let holder = Steps(rawValue: 1 << 0)
  static let lock = Steps(rawValue: 1 << 1)
  static let turn = Steps(rawValue: 1 << 2)
  static let open = Steps(rawValue: 1 << 3)
  static let recover = Steps(rawValue: 1 << 4)
  static let touch = Steps(rawValue: 1 << 5)
  static let say = Steps(rawValue: 1 << 6)
  static let set = Steps(rawValue: 1 << 7)
  static let history = Steps(rawValue: 1 << 8)
  static let chat = Steps(rawValue: 1 << 9)
  /// One more session of a user, until the quota is used up.
  static let fill = Steps(rawValue: 1 << 10)
  static let link = Steps(rawValue: 1 << 11)
  static let list = Steps(rawValue: 1 << 12)
  static let pause = Steps(rawValue: 1 << 13)
  static let resume = Steps(rawValue: 1 << 14)
  /// A turn is at work for a moment.
  static let work = Steps(rawValue: 1 << 15)
  /// A SAY under a token that is over, or in a turn that is.
  static let stale = Steps(rawValue: 1 << 16)
  static let done = Steps(rawValue: 1 << 17)
  static let handoff = Steps(rawValue: 1 << 18)
  static let close = Steps(rawValue: 1 << 19)
  static let unlock = Steps(rawValue: 1 << 20)
  // The steps of the check when a conversation is over.
  static let events = Steps(rawValue: 1 << 21)
  static let readAll = Steps(rawValue: 1 << 22)
  static let delete = Steps(rawValue: 1 << 23)
  /// A LIST that must not show the deleted session.
  static let listGone = Steps(rawValue: 1 << 24)

  /// The first one, or nil if there are none.
  var first: Steps? {
    rawValue == 0 ? nil : Steps(rawValue: 1 << UInt32(rawValue.trailingZeroBitCount))
  }
}

/// A conversation about one device.
final class Conversation {
  /// How it ended.
  enum Ending { case closed, vanished }

  /// The way in which its messages are handled.
  enum Kind {
    /// The device's lock is held over many messages.
    case locks
    /// Each message is a turn.
    case turns
    /// A session without either, which its own clocks end.
    case sessions
  }

  let number: Int
  let slot: Int
  let beganNs: Int64
  var request: RequestText
  var check = DeviceCheck()
  private var dice: Dice
  private let options: LoadOptions

  // MARK: The callers' knowledge

  var agent: Int
  /// 0 while it is not held, as far as they know.
  var token: Int64 = 0
  /// A token that is over, and whose it was.
  var stale: (token: Int64, agent: Int)?
  let kind: Kind
  /// The clocks of a session that they end.
  let sessionClocks: ShortClocks
  /// Whether chats are added to it until the quota is used up.
  private(set) var fillsChats = false
  /// A turn that has ended, or whose caller never comes back; 0 if there is none.
  var overTurn: Int64 = 0
  /// How many further messages come while the current one is handled.
  private(set) var doubles = 0
  private(set) var messages = 0
  private(set) var saidCount = 0
  private(set) var ending: Ending?
  /// A caller met an answer after which there is no going on.
  var isCutShort = false

  // MARK: Its callers

  var caller: Visit?
  var rival: Visit?
  /// The callers of further messages.
  var seconds: [Visit] = []
  var isBusy: Bool {
    caller?.isActive ?? false || rival?.isActive ?? false || seconds.contains { $0.isActive }
  }

  // MARK: Its check, once it is over

  var wantsSleeper = false
  var isBeingChecked = false
  var isJudged = false
  /// Whether its messages were read once more and its session was deleted.
  var chatIsChecked = false
  var auditSteps: Steps = []
  var nextLookNs: Int64 = 0
  /// When the log was read last.
  var logReadNs: Int64?
  var lastEventID: String?

  init(
    number: Int, slot: Int, device: String, filler: [UInt8], clocks: String, nowNs: Int64,
    options: LoadOptions
  ) {
    self.number = number
    self.slot = slot
    self.options = options
    beganNs = nowNs
    dice = Dice(options.seed &+ UInt64(number) &* 0x2545_f491_4f6c_dd1d)
    agent = dice.below(Agents.names.count)
    let choice = dice.fraction() * 100
    kind =
      choice < options.mix.turns
      ? .turns : choice < options.mix.turns + options.mix.sessions ? .sessions : .locks
    sessionClocks = ShortClocks(
      idleMs: options.ttlMs / 2, abandonMs: options.ttlMs, archiveMs: options.ttlMs / 2)
    request = RequestText(
      device: device, clocks: kind == .sessions ? RequestText.clocks(sessionClocks) : clocks,
      filler: filler)
    // Further chats are added, and become the current one.
    if kind == .sessions { request.chat = "/1" }
  }

  /// The steps of the next message's caller; with `isLast` it ends the conversation.
  func plan(isLast: Bool) -> Steps {
    messages += 1
    switch kind {
    case .locks: return lockPlan(isLast: isLast)
    case .turns: return turnPlan(isLast: isLast)
    case .sessions: return sessionPlan(isLast: isLast)
    }
  }

  private func lockPlan(isLast: Bool) -> Steps {
    let mix = options.mix
    var steps: Steps = [.lock]
    if dice.happens(mix.holder) { steps.insert(.holder) }
    if request.session == nil { steps.insert(.open) }
    if dice.happens(mix.touch) { steps.insert(.touch) }
    if dice.happens(mix.say) { steps.insert(.say) }
    if dice.happens(mix.set) { steps.insert(.set) }
    if dice.happens(mix.history) { steps.insert(.history) }
    let triesStale = dice.happens(mix.stale)
    if triesStale, stale != nil { steps.insert(.stale) }
    let end = dice.fraction() * 100
    let handsOff = dice.happens(mix.handoff)
    if isLast || messages >= LoadOptions.messagesMax || end < mix.close {
      steps.formUnion([.close, .unlock])
      ending = .closed
    } else if end < mix.close + mix.vanish {
      ending = .vanished
      wantsSleeper = triesStale || dice.happens(50)
    } else if handsOff {
      steps.insert(.handoff)
    }
    return steps
  }

  private func turnPlan(isLast: Bool) -> Steps {
    let mix = options.mix
    var steps: Steps = [.turn, .done]
    if dice.happens(mix.touch) { steps.insert(.touch) }
    if dice.happens(mix.tool) { steps.insert(.say) }
    let triesStale = dice.happens(mix.stale)
    if triesStale, overTurn > 0 { steps.insert(.stale) }
    doubles = !isLast && dice.happens(mix.double) ? 1 + dice.below(Conversation.doublesMax) : 0
    if doubles > 0 { steps.insert(.work) }
    let end = dice.fraction() * 100
    if isLast || messages >= LoadOptions.messagesMax || end < mix.close {
      ending = .closed
    } else if end < mix.close + mix.vanish {
      // Only this caller, or all of them.
      steps.subtract([.done, .stale])
      if dice.happens(50) {
        ending = .vanished
        wantsSleeper = triesStale || dice.happens(50)
      }
    }
    return steps
  }

  private func sessionPlan(isLast: Bool) -> Steps {
    let mix = options.mix
    var steps: Steps = [.recover]
    if dice.happens(mix.touch) { steps.insert(.touch) }
    if dice.happens(mix.say) { steps.insert(.say) }
    if dice.happens(mix.set) { steps.insert(.set) }
    if dice.happens(mix.history) { steps.insert(.history) }
    if dice.happens(mix.chat) { steps.insert(.chat) }
    fillsChats = dice.happens(mix.quota)
    if dice.happens(mix.quota) { steps.insert(.fill) }
    if dice.happens(mix.link) { steps.insert(.link) }
    if dice.happens(mix.link) { steps.insert(.list) }
    if dice.happens(mix.pause) { steps.formUnion(dice.happens(50) ? .pause : [.pause, .resume]) }
    let end = dice.fraction() * 100
    if isLast || messages >= LoadOptions.messagesMax || end < mix.close {
      steps.insert(.close)
      ending = .closed
    } else if end < mix.close + mix.vanish {
      ending = .vanished
      wantsSleeper = dice.happens(50)
    }
    return steps
  }

  /// How many further messages come at once at most.
  private static let doublesMax = 4

  /// How long a turn is at work while further messages come.
  func workMs() -> Int64 { jitterMs(20) }

  /// When a further message comes after the one before.
  func gapMs() -> Int64 { Int64(dice.below(8)) }

  var secondSteps: Steps {
    dice.happens(options.mix.tool) ? [.turn, .say, .done] : [.turn, .done]
  }

  /// Whether a turn that learns of joined messages reads them before it answers.
  func readsJoined() -> Bool { dice.happens(50) }

  /// Adds what is said in a turn, and its policy.
  func complete(_ call: inout LoadCall, for visit: Visit) {
    switch call.verb {
    case .turn:
      call.policy = visit.role == .second ? secondPolicy() : firstPolicy(visit.asked)
      if call.policy == .enqueue { call.waitMs = min(1_000, options.timeoutMs / 2) }
    case .done:
      call.turn = visit.turn
      call.seen = visit.seen
      call.isLast = visit.isLastDone
    case .say where visit.step == .stale: call.turn = overTurn
    case .say, .touch: call.turn = visit.turn
    default: break
    }
  }

  private func secondPolicy() -> AskedPolicy {
    let mix = options.mix
    let choice = dice.fraction() * 100
    if choice < mix.join { return .join }
    if choice < mix.join + mix.interrupt { return .interrupt }
    if choice < mix.join + mix.interrupt + mix.rollback { return .rollback }
    return dice.happens(50) ? .enqueue : .reject
  }

  /// After some time the turn that is running is taken for dead.
  private func firstPolicy(_ asked: Int) -> AskedPolicy {
    asked > 4 ? .interrupt : dice.happens(50) ? .enqueue : .reject
  }

  /// Whether another agent comes at the same time.
  func rivalComes() -> Bool { dice.happens(options.mix.rival) }

  var rivalSteps: Steps { dice.happens(options.mix.holder) ? [.holder, .lock] : [.lock] }

  /// The end of a conversation that can not go on.
  func cutShort() {
    ending = ending ?? .vanished
    isCutShort = true
  }

  func otherAgent(than agent: Int) -> Int {
    (agent + 1 + dice.below(Agents.names.count - 1)) % Agents.names.count
  }

  func thinkMs() -> Int64 {
    // No pause is longer than five times the mean, or the end of a run would wait for it.
    let mean = Double(options.thinkMs)
    return Int64(min(dice.pause(mean: mean), 5 * mean))
  }

  func jitterMs(_ ms: Int64) -> Int64 { ms / 2 + Int64(dice.below(Int(ms) + 1)) }

  /// The call of a step, as far as the callers know what to say; nil if it can not be made.
  func call(_ step: Steps, by agent: Int, token: Int64) -> LoadCall? {
    var call: LoadCall
    switch step {
    case .holder: call = LoadCall(.holder)
    case .lock:
      call = LoadCall(.lock)
      call.ttlMs = options.ttlMs
      // Only a LOCK that may make a holder needs an id: renewing twice does no harm.
      call.isRepeatable = token == 0
    case .open: call = LoadCall(.open)
    case .turn:
      call = LoadCall(.turn)
      call.ttlMs = options.ttlMs
      call.last = 10
    case .done: call = LoadCall(.done)
    case .recover:
      call = LoadCall(.recover)
      call.clocks = sessionClocks
    case .fill:
      call = LoadCall(.open)
      call.isOfUser = true
      call.clocks = sessionClocks
    case .pause: call = LoadCall(.pause)
    case .resume: call = LoadCall(.resume)
    case .chat: call = LoadCall(.chat)
    case .link: call = LoadCall(.link)
    case .list, .listGone:
      call = LoadCall(.list)
      call.isDeleted = step == .listGone
    case .touch: call = LoadCall(.touch)
    case .say, .stale: call = LoadCall(.say)
    case .set: call = LoadCall(.set)
    case .history:
      call = LoadCall(.history)
      call.last = 10
    case .handoff:
      call = LoadCall(.handoff)
      call.receiver = otherAgent(than: agent)
      call.ttlMs = options.ttlMs
    case .close: call = LoadCall(.close)
    case .unlock: call = LoadCall(.unlock)
    case .readAll: call = LoadCall(.history)
    default: return nil
    }
    if [.say, .turn, .done].contains(call.verb) {
      saidCount += 1
      call.message = saidCount
    }
    call.agent = agent
    call.token = step == .stale ? stale?.token ?? 0 : token
    if [.holder, .lock, .history, .turn, .list].contains(call.verb) { call.token = 0 }
    if step == .stale { call.agent = stale?.agent ?? agent }
    return call
  }

  /// The agent and the step of a caller that wakes up too late; nil if it has nothing to do.
  var sleeper: (agent: Int, step: Steps)? {
    switch kind {
    case .locks: stale.map { ($0.agent, .stale) }
    case .turns: overTurn > 0 ? (agent, .stale) : nil
    case .sessions: (agent, .touch)
    }
  }

  /// Its callers learn that the lock is not theirs any more.
  func lost() {
    if token > 0 { stale = (token, agent) }
    token = 0
  }

  /// Its callers learn under which token they hold it.
  func held(_ newToken: Int64, by newAgent: Int) {
    if token > 0, newToken != token { stale = (token, agent) }
    token = newToken
    agent = newAgent
  }
}
