// Owns: one caller at work: a function that has been called, or a check of a conversation that is
// over. It takes its steps one after the other over one connection, tries again where that can
// help, and reports the outcome of each. Runs on the loop's thread.

internal import Loop
internal import Wire

/// The callbacks of a caller to its run.
protocol VisitOwner: AnyObject {
  var shop: CallerShop { get }
  var options: LoadOptions { get }
  var tally: Tally { get set }
  /// Whether no caller should go on trying for long.
  var isHurried: Bool { get }
  func nextTarget() -> WorkerTarget
  /// A call was answered, or given up.
  func concluded(_ visit: Visit, _ outcome: LoadOutcome, _ reply: ReplyLine, _ nowNs: Int64)
  /// A grant gave a time of the server's clock.
  func clockSeen(serverMs: Int64, invokedNs: Int64, returnedNs: Int64)
  /// A caller met an error that may keep an ending from being reported.
  func troubleSeen(_ nowNs: Int64)
  func broken(_ violation: Violation, in conversation: Conversation)
  func impossible(_ reason: String)
  /// All its steps are done.
  func ended(_ visit: Visit, _ nowNs: Int64)
  func started(_ visit: Visit)
  func stopped(_ visit: Visit)
}

/// A caller at work.
final class Visit: CallerOwner {
  enum Role {
    /// The caller of a message.
    case message
    /// The caller of a further message, while the first one is being handled.
    case second
    /// Another agent's, at the same time.
    case rival
    /// One that wakes up after its lock has expired.
    case sleeper
    /// One that checks what is left of a conversation.
    case check
  }

  /// The event that it waits for.
  private enum State {
    case idle
    case connecting
    case authenticating
    case reply
    /// The moment at which to try again.
    case retry
  }

  let role: Role
  private unowned let owner: any VisitOwner
  private var conversationOrNil: Conversation?
  private var connection: Caller?
  private var state = State.idle
  private var timer: LoopTimer?
  /// Its place among the active ones, kept by the run.
  var place = -1

  // MARK: The visit

  var steps: Steps = []
  private(set) var dueNs: Int64 = 0
  private var isFirst = false

  // MARK: The step

  private(set) var step: Steps = []
  private var call = LoadCall(.holder)
  private var callID = 0
  private var line: [UInt8] = []
  private var tries = 0
  private var hadUnknown = false
  /// Whether the next try is a call of its own.
  private var asksAnew = false
  private var beganNs: Int64 = 0
  private var triedNs: Int64 = 0
  private var connectNs: Int64 = 0
  /// The messages of pages that were read.
  private var pages: [Message] = []
  private var hasFailed = false

  init(_ role: Role, owner: any VisitOwner) {
    self.role = role
    self.owner = owner
  }

  var isActive: Bool { state != .idle }
  var conversation: Conversation {
    guard let conversationOrNil else { preconditionFailure("a visit of no conversation") }
    return conversationOrNil
  }
  /// Whether a step could not be done at all.
  var failed: Bool { hasFailed }
  private(set) var agent = 0
  /// The token of a rival.
  var ownToken: Int64 = 0
  /// How often it has asked for the lock or the turn, and then how often it has said DONE.
  var asked = 0
  /// Its turn; 0 while it has none.
  var turn: Int64 = 0
  /// The newest message that it has read since its turn began.
  var seen: Int64 = 0
  /// Whether its next DONE ends the turn whatever was joined to it.
  var isLastDone = false
  /// Whether the message was not handled to its end.
  var hasGivenUp = false
  var wasInterrupted = false

  /// Begins at once or a moment later; latency counts from when it was due.
  func start(
    _ conversation: Conversation, _ agent: Int, _ steps: Steps, dueNs: Int64, afterMs: Int64 = 0
  ) {
    precondition(state == .idle, "a visit began while another one was under way")
    conversationOrNil = conversation
    self.agent = agent
    ownToken = 0
    asked = 0
    turn = 0
    seen = 0
    isLastDone = false
    hasGivenUp = false
    wasInterrupted = false
    self.steps = steps
    self.dueNs = dueNs
    isFirst = true
    hasFailed = false
    owner.started(self)
    guard afterMs > 0 else {
      advance()
      return
    }
    asksAnew = true
    wait(afterMs)
  }

  /// Ends it at once, without a callback.
  func drop() {
    connection?.retire()
    connection = nil
    state = .idle
  }

  private func keepsConnection() -> Bool {
    role == .check || (role == .message && owner.options.connect == .keep)
  }

  // MARK: - Steps

  private func advance() {
    guard let next = steps.first else {
      finish()
      return
    }
    step = next
    tries = 0
    hadUnknown = false
    asksAnew = false
    pages = []
    beganNs = MonotonicTime.nowNs()
    callID = 0
    let conversation = conversation
    switch next {
    case .work:
      steps.remove(.work)
      asksAnew = true
      wait(conversation.workMs())
      return
    case .events: line = conversation.request.events(after: conversation.lastEventID)
    case .delete: line = conversation.request.delete
    default:
      let token = role == .message ? conversation.token : ownToken
      guard var call = conversation.call(next, by: agent, token: token) else {
        preconditionFailure("no call for step \(next.rawValue)")
      }
      if conversation.kind == .turns { conversation.complete(&call, for: self) }
      self.call = call
      line = next == .readAll ? conversation.request.messages(after: 0) : []
    }
    attempt()
  }

  /// Sends the request, or first makes the connection for it.
  private func attempt() {
    guard let connection, connection.isReady else {
      connect()
      return
    }
    triedNs = MonotonicTime.nowNs()
    tries += 1
    if callID == 0, step != .events, step != .delete {
      call.invokedNs = triedNs
      callID = conversation.check.began(call)
      if step != .readAll { line = conversation.request.line(call, callID) }
    }
    state = .reply
    connection.send(line)
  }

  private func connect() {
    let nowNs = MonotonicTime.nowNs()
    connectNs = isFirst ? dueNs : nowNs
    isFirst = false
    triedNs = nowNs
    state = .connecting
    do throws(SystemError) {
      connection = try Caller(owner.shop, owner.nextTarget(), owner: self)
    } catch {
      // Too few local ports or descriptors, most likely: it may be better in a moment.
      connectFailed(nowNs)
    }
  }

  private func finish() {
    let nowNs = MonotonicTime.nowNs()
    if !keepsConnection() {
      connection?.retire()
      connection = nil
    }
    state = .idle
    if role == .message, !hasFailed { owner.tally.answered(.message, nowNs - dueNs, nil) }
    owner.stopped(self)
    owner.ended(self, nowNs)
  }

  // MARK: - Events of the connection

  func connected(_ caller: Caller) {
    let nowNs = MonotonicTime.nowNs()
    if role != .check { owner.tally.answered(.connect, nowNs - connectNs, nil) }
    guard let secret = owner.options.secret else {
      attempt()
      return
    }
    state = .authenticating
    triedNs = nowNs
    caller.send(AuthText.line(secret))
  }

  func lineReceived(_ caller: Caller, _ line: Span<UInt8>) {
    let nowNs = MonotonicTime.nowNs()
    let reply = ReplyLine(line)
    switch state {
    case .authenticating:
      if role != .check { owner.tally.answered(.auth, nowNs - triedNs, reply.word) }
      guard reply.word == .ok else {
        owner.impossible(AuthText.refusal(ReplyLine.text(line, 0..<line.count)))
        return
      }
      attempt()
    case .reply: replied(reply, line, nowNs)
    // Nothing was asked: `ERR overloaded`, on a connection that was rejected.
    case .idle, .connecting, .retry: dropConnection()
    }
  }

  func broken(_ caller: Caller, _ reason: BreakReason) {
    let nowNs = MonotonicTime.nowNs()
    connection = nil
    switch (state, reason) {
    case (.idle, _), (.retry, _): return
    case (.connecting, _): connectFailed(nowNs)
    case (.authenticating, _): connectFailed(nowNs)
    case (.reply, _): unanswered("no_reply", nowNs)
    }
  }

  /// Checks, now and then, whether it has waited too long.
  func look(_ nowNs: Int64) {
    let limitNs = owner.options.timeoutMs * 1_000_000
    switch state {
    case .idle, .retry: return
    case .connecting, .authenticating:
      guard nowNs - triedNs > limitNs else { return }
      dropConnection()
      connectFailed(nowNs)
    case .reply:
      guard nowNs - triedNs > limitNs else { return }
      unanswered("timeout", nowNs)
    }
  }

  private func dropConnection() {
    connection?.retire()
    connection = nil
  }

  // MARK: - Replies

  private func replied(_ reply: ReplyLine, _ text: Span<UInt8>, _ nowNs: Int64) {
    if case .event = reply.word { return }
    if role != .check, step != .readAll {
      let fromNs = isFirst ? dueNs : triedNs
      if case .error(let code) = reply.word, !isExpected(code) {
        owner.tally.failed(call.verb, code)
      } else {
        owner.tally.answered(call.verb, nowNs - fromNs, reply.word)
      }
    }
    isFirst = false
    switch reply.word {
    case .error(let code): refused(code, ReplyLine.text(text, 0..<text.count), nowNs)
    case .garbage, .event:
      owner.impossible("this is no reply of Latchkey: \(ReplyLine.text(text, 0..<text.count))")
    case .ok, .held, .busy, .none, .stale: answered(reply, nowNs)
    }
  }

  private func answered(_ reply: ReplyLine, _ nowNs: Int64) {
    if step == .readAll, reply.word == .ok {
      pages += reply.messages
      if reply.hasMore, let last = pages.last {
        line = conversation.request.messages(after: last.seq)
        attempt()
        return
      }
    }
    conclude(outcome(of: reply), reply, nowNs)
  }

  private func outcome(of reply: ReplyLine) -> LoadOutcome {
    switch reply.word {
    case .held: return .held
    case .busy: return .busy(ahead: Int(reply.ahead))
    case .none: return .none
    case .stale: return .stale
    default: break
    }
    switch step {
    case .lock, .handoff:
      return .granted(
        token: reply.token, agent: reply.agent, acquiredAtMs: reply.acquiredAtMs,
        isRenewed: reply.isRenewed)
    case .unlock: return .released(heldMs: reply.heldMs)
    case .holder: return .holder(agent: reply.agent, acquiredAtMs: reply.acquiredAtMs)
    case .say, .stale: return .said(seq: reply.seq)
    case .turn:
      if reply.joined > 0 { return .joined(turn: reply.joined, seq: reply.seq) }
      return .began(
        TurnGrant(
          turn: reply.turn, session: reply.session ?? "", seq: reply.seq, messages: reply.messages))
    case .done:
      return reply.turn > 0
        ? .goesOn(seq: reply.seq, messages: reply.messages)
        : .ended(seq: reply.seq, left: Int(reply.joined))
    case .history: return .messages(reply.messages)
    case .readAll: return .messages(pages)
    case .recover, .pause, .resume:
      return .session(
        ShownSession(session: reply.session ?? "", activeAtMs: reply.activeAtMs))
    case .touch where conversation.kind == .sessions:
      return .touched(atMs: reply.idleAtMs - conversation.sessionClocks.idleMs)
    case .chat: return .chatAdded(Int(reply.chat))
    case .list, .listGone: return .listed(reply.sessions)
    default: return .done
    }
  }

  private func refused(_ code: String, _ text: String, _ nowNs: Int64) {
    switch code {
    case "unavailable": again(nowNs)
    case "overloaded", "draining":
      dropConnection()
      again(nowNs)
    case "unknown_outcome", "internal":
      hadUnknown = true
      again(nowNs)
    case "auth_required", "forbidden": owner.impossible(AuthText.refusal(text))
    case "bad_request", "unknown_verb":
      owner.impossible(
        "the worker does not take a request of this harness, so it may be older: \(text)")
    case "illegal_state" where isExpected(code): conclude(.wrongState, ReplyLine(), nowNs)
    case "quota" where isExpected(code):
      let quota = QuotaText(String(text.dropFirst("ERR quota ".count)))
      conclude(.overQuota(limit: quota?.most ?? 0), ReplyLine(), nowNs)
    default:
      conversation.isCutShort = true
      // An earlier try without an answer may have been done all the same.
      conclude(hadUnknown ? .unknown : .refused, ReplyLine(), nowNs)
    }
  }

  /// Whether an error is one of the replies that the conversation provokes.
  private func isExpected(_ code: String) -> Bool {
    code == "illegal_state" && conversation.kind == .sessions
      || code == "quota" && (step == .chat || step == .fill)
  }

  /// No reply came, so the outcome is unknown.
  private func unanswered(_ code: String, _ nowNs: Int64) {
    dropConnection()
    if role != .check { owner.tally.failed(call.verb, code) }
    hadUnknown = true
    again(nowNs)
  }

  private func connectFailed(_ nowNs: Int64) {
    connection = nil
    if role != .check { owner.tally.failed(.connect, "cannot_connect") }
    if tries == 0 { tries = 1 }
    again(nowNs)
  }

  /// Tries again after a pause, or gives up.
  private func again(_ nowNs: Int64) {
    owner.troubleSeen(nowNs)
    let limitNs: Int64 = owner.isHurried && role != .check ? 5_000_000_000 : 30_000_000_000
    guard nowNs - beganNs < limitNs else {
      giveUp(nowNs)
      return
    }
    let pauseMs = min(1_000, Int64(10) << Int64(min(tries, 7)))
    wait(conversation.jitterMs(pauseMs))
  }

  private func giveUp(_ nowNs: Int64) {
    hasFailed = true
    let changes = ![.holder, .history, .list, .readAll, .listGone].contains(step)
    let outcome: LoadOutcome = hadUnknown && changes ? .unknown : .refused
    if callID == 0 {
      // It never came to a call.
      steps = []
      finish()
    } else {
      conclude(outcome, ReplyLine(), nowNs)
    }
  }

  private func wait(_ ms: Int64) {
    state = .retry
    if timer == nil {
      timer = LoopTimer(owner.shop.loop) { [unowned self] in
        guard state == .retry else { return }
        if asksAnew { advance() } else { attempt() }
      }
    }
    timer?.set(afterMs: ms)
  }

  // MARK: - Conclusions

  private func conclude(_ outcome: LoadOutcome, _ reply: ReplyLine, _ nowNs: Int64) {
    steps.remove(step)
    if callID > 0 {
      let leavesLoose = hadUnknown && !call.isRepeatable && outcome != .unknown
      if let violation = conversation.check.ended(
        callID, outcome, triedNs: triedNs, nowNs: nowNs, leavesLoose: leavesLoose)
      {
        owner.broken(violation, in: conversation)
        return
      }
      if tries == 1, let serverMs = serverMs(of: outcome) {
        owner.clockSeen(serverMs: serverMs, invokedNs: triedNs, returnedNs: nowNs)
      }
    }
    owner.concluded(self, outcome, reply, nowNs)
    if step == .lock || step == .turn, steps.contains(step) {
      // The caller asks again in a moment, by a call of its own.
      asksAnew = true
      wait(conversation.jitterMs(40))
      return
    }
    advance()
  }

  /// When a call was done, by the server's clock; nil if its reply does not say.
  private func serverMs(of outcome: LoadOutcome) -> Int64? {
    switch outcome {
    case .granted(_, _, let serverMs, false): serverMs
    case .began(let grant):
      grant.messages.last { $0.number == call.message && $0.atMs > 0 }?.atMs
    default: nil
    }
  }
}

/// The errors about secrets.
enum AuthText {
  static func line(_ secret: String) -> [UInt8] { Array("AUTH \(secret)\n".utf8) }

  static func refusal(_ reply: String) -> String {
    let code = reply.split(separator: " ").dropFirst().first ?? ""
    return switch code {
    case "auth_required":
      "the worker asks for a secret: give it by --secret-file FILE or LATCHKEY_SECRET"
    case "forbidden": "the worker does not accept the secret, or its rights are too few: \(reply)"
    default: "the worker refuses AUTH: \(reply)"
    }
  }
}
