// Owns: the judgement over one device: a state machine that gets the observations of its callers
// and subscriptions, as they are made, and says at which of them a promise was broken. It knows
// neither clock nor socket. A value; any thread.
//
// Unknowns widen what is allowed: a call that is under way, or whose outcome is unknown, may have
// been done at any moment after it was sent. So nothing is called a violation that some order of
// the unknown calls would explain.

/// The check of one device, from its first call to its verdict.
package struct DeviceCheck: Sendable {
  /// A call under way, and what was known when it began.
  struct OpenCall: Sendable {
    let id: Int
    let call: LoadCall
    /// The highest token that had been reported.
    let tokenBefore: Int64
    /// The highest number of a message that had been acknowledged.
    let seqBefore: Int64
    /// The highest number of a turn that had been reported.
    let turnBefore: Int64
    /// The highest number of a chat that had been acknowledged.
    let chatBefore: Int
    /// Whether a LINK had been acknowledged.
    let hadLink: Bool
    /// When it was known that it waits for a turn; nil while that is not known.
    var waitsSinceNs: Int64?
  }

  /// A call with a try that may still be done, and when that try was sent.
  struct LooseCall: Sendable {
    let call: LoadCall
    let triedNs: Int64
  }

  /// In the order of their tokens.
  var leases: [Lease] = []
  var turns = TurnRegister()
  var chat = ChatCheck()
  var open: [OpenCall] = []
  /// Calls of which it will never be known whether, and when, they were done.
  var loose: [LooseCall] = []
  /// By id: the connection whose subscription reported it last; 0 if only the log has it.
  private(set) var seenEvents: [String: Int] = [:]
  /// When one was reported first.
  private(set) var latestEventNs: Int64 = 0
  var deliveries = GroupDeliveries()
  var pushes = ChatPushes()
  private var nextID = 0
  var hasSession = false
  /// The session of the turns; nil until one has begun.
  var session: String?
  /// The session that its own clocks end; nil if there is none.
  var track: SessionTrack?
  /// Events that came before the reply which names their session.
  var earlyEvents: [LockEvent] = []
  var chats = AddedChats()
  var users = UserSessions()
  private var isLinked = false
  /// When a TURN that waited was answered last.
  private(set) var waiterEndedNs: Int64 = .min
  /// Until when a place that its caller has given up may still be granted a turn.
  private(set) var strayGrantsUntilNs: Int64 = .min

  /// The observations, for a history that shows a violation.
  package internal(set) var history = CallHistory()
  /// Endings of which it can never be known whether they should have an event.
  package internal(set) var unverifiable = 0

  package init() {}

  /// How long a place of a caller that has gone may stay: it is passed over before that.
  private static let strayGrantsNs: Int64 = 10_000_000_000

  // MARK: Observations

  /// A call is sent for the first time; gives the number under which it ends.
  package mutating func began(_ call: LoadCall) -> Int {
    nextID += 1
    history.add(.began(nextID, call))
    open.append(
      OpenCall(
        id: nextID, call: call, tokenBefore: leases.last { $0.grantedNs != nil }?.token ?? 0,
        seqBefore: chat.highestSeq,
        turnBefore: turns.all.last { $0.lease.grantedNs != nil }?.number ?? 0,
        chatBefore: chats.highest, hadLink: isLinked))
    if call.message > 0 { chat.began(call.message) }
    turns.began(call)
    return nextID
  }

  /// A call has ended; `triedNs` is when its last try was sent, which is the one that was answered.
  ///
  /// `leavesLoose`: an earlier try was not answered, and nothing keeps it from being done later
  /// (no `req=`).
  package mutating func ended(
    _ id: Int, _ outcome: LoadOutcome, triedNs: Int64, nowNs: Int64, leavesLoose: Bool = false
  ) -> Violation? {
    guard let index = open.firstIndex(where: { $0.id == id }) else {
      preconditionFailure("call \(id) ended twice, or never began")
    }
    history.add(.ended(id, outcome, nowNs))
    let ended = open[index]
    let judgement = judge(ended, outcome, triedNs, nowNs)
    open.remove(at: index)
    if ended.call.waitMs > 0 {
      waiterEndedNs = nowNs
      if outcome == .unknown || triedNs != ended.call.invokedNs {
        strayGrantsUntilNs = nowNs + DeviceCheck.strayGrantsNs
      }
    }
    if outcome == .unknown || leavesLoose {
      loose.append(LooseCall(call: ended.call, triedNs: triedNs))
    }
    return judgement
  }

  /// An event was reported, by the log or by a subscription: the same one may come from both.
  ///
  /// `watch` is the number of the watching connection, from 1, and 0 for the log.
  package mutating func reported(_ event: LockEvent, nowNs: Int64, watch: Int) -> Violation? {
    let seenBy = seenEvents[event.id]
    seenEvents[event.id] = max(seenBy ?? 0, watch)
    if seenBy == nil {
      latestEventNs = nowNs
      history.add(.reported(event, nowNs, byWatch: watch > 0))
      return judge(event, nowNs)
    }
    guard watch > 0, seenBy == watch else { return nil }
    history.add(.reported(event, nowNs, byWatch: true))
    return Violation(.reportedTwice, "one watch was sent event \(event.id) twice", atNs: nowNs)
  }

  /// Returns what is missing, after all that can happen has happened and was seen.
  ///
  /// Call it after `overByNs`, and when the events up to then were given to `reported`.
  package mutating func verdict(nowNs: Int64) -> Violation? {
    history.add(.judged(nowNs))
    for lease in leases where !lease.isReleased && lease.event == nil {
      if !lease.isHandedOff, mayHaveEnded(lease) {
        unverifiable += 1
        continue
      }
      let how = lease.isHandedOff ? "was handed over" : "must have expired"
      return Violation(
        .notReported,
        "token \(lease.token) of \(Agents.name(lease.agent)) \(how), and has no event",
        atNs: nowNs)
    }
    return turnVerdict(nowNs) ?? sessionVerdict(nowNs)
  }

  // MARK: The driver's questions

  /// Whether the end of each token has been reported, by a reply or an event.
  package var allIsReported: Bool {
    !leases.contains { !$0.isReleased && $0.event == nil } && !turns.hasUnreported
      && sessionIsReported
  }

  /// The moment by which the last lock has expired, as far as can be known; nil if there is nothing
  /// to wait for.
  package var overByNs: Int64? {
    var latest: Int64?
    for lease in leases where !lease.isReleased && lease.event == nil {
      guard let endNs = lease.latestEndNs else { continue }
      latest = max(latest ?? endNs, endNs)
    }
    if let endNs = sessionOverByNs { latest = max(latest ?? endNs, endNs) }
    for endNs in turns.unreportedEndsNs { latest = max(latest ?? endNs, endNs) }
    for unknown in loose where [.lock, .handoff, .turn].contains(unknown.call.verb) {
      let endNs = unknown.triedNs + (unknown.call.ttlMs + 1_000) * 1_000_000
      latest = max(latest ?? endNs, endNs)
    }
    return latest
  }

  /// How many abandonments were reported.
  package var abandonments: Int {
    leases.count { $0.event?.kind == .abandoned } + turns.all.count { $0.lease.event != nil }
  }
}

// MARK: - Unseen effects

extension DeviceCheck {
  /// Whether a call that is under way or unknown may have ended a token.
  func mayHaveEnded(_ lease: Lease) -> Bool {
    anyUnseen { call in
      (call.verb == .unlock || call.verb == .handoff) && call.token == lease.token
    }
  }

  /// Whether one may have renewed it.
  func mayHaveRenewed(_ lease: Lease) -> Bool {
    anyUnseen { $0.verb == .lock && $0.agent == lease.agent }
  }

  /// Whether one may have made this agent the holder.
  func mayHaveGranted(to agent: Int) -> Bool {
    anyUnseen { call in
      call.verb == .lock && call.agent == agent || call.verb == .handoff && call.receiver == agent
    }
  }

  /// Whether a call that is under way or unknown is one of these; `besides` is not looked at.
  func anyUnseen(besides id: Int = 0, _ matches: (LoadCall) -> Bool) -> Bool {
    open.contains { $0.id != id && matches($0.call) } || loose.contains { matches($0.call) }
  }

  /// Whether any but this call may have taken the lock from a lease.
  private func mayHaveTaken(from lease: Lease, besides id: Int) -> Bool {
    let takes = { (call: LoadCall) in call.verb == .unlock || call.verb == .handoff }
    return open.contains { $0.id != id && takes($0.call) && $0.call.token == lease.token }
      || loose.contains { takes($0.call) && $0.call.token == lease.token }
  }

  func leaseIndex(of token: Int64) -> Int? { leases.lastIndex { $0.token == token } }

  /// The lease that must have been live from the call's beginning to now, if there is one.
  ///
  /// It is the newest, was granted before the call began, cannot have expired yet, and no other
  /// call can have ended it.
  func surelyHeld(during call: OpenCall, nowNs: Int64) -> Lease? {
    guard let lease = leases.last, lease.token == call.tokenBefore, !lease.isOver,
      let earliestEndNs = lease.earliestEndNs, nowNs < earliestEndNs,
      !mayHaveTaken(from: lease, besides: call.id)
    else { return nil }
    return lease
  }
}

// MARK: - The judgement of a call

extension DeviceCheck {
  private mutating func judge(
    _ open: OpenCall, _ outcome: LoadOutcome, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    switch outcome {
    case .granted(let token, let agent, let acquiredAtMs, let isRenewed):
      let reply = LeaseGrant(token: token, agent: agent, acquiredAtMs: acquiredAtMs)
      return isRenewed
        ? renewed(open, reply, triedNs, nowNs) : granted(open, reply, nowNs)
    case .released(let heldMs): return released(open, heldMs, nowNs)
    case .holder(let agent, let acquiredAtMs): return shown(open, agent, acquiredAtMs, nowNs)
    case .said(let seq):
      return staleAccepted(open, nowNs) ?? staleTurnAccepted(open, nowNs)
        ?? accepted(open, atMs: nil, triedNs, nowNs)
        ?? chat.said(call.message, seq, seqBefore: open.seqBefore, nowNs: nowNs)
    case .messages(let messages):
      if call.last == 0 { pushes.readAll(messages, nowNs: nowNs) }
      return read(messages, open, asOfNs: call.invokedNs, nowNs)
    case .began(let grant): return turnBegan(open, grant, triedNs, nowNs)
    case .joined(let turn, let seq): return joined(open, turn, seq, nowNs)
    case .ended(let seq, let left): return turnEnded(open, seq, left, nowNs)
    case .goesOn(let seq, let messages):
      return turnGoesOn(open, seq, messages, triedNs, nowNs)
    case .session(let shown):
      return call.verb == .recover
        ? recovered(open, shown, triedNs, nowNs)
        : accepted(open, atMs: shown.activeAtMs, triedNs, nowNs)
    case .touched(let atMs): return accepted(open, atMs: atMs, triedNs, nowNs)
    case .chatAdded(let number):
      return accepted(open, atMs: nil, triedNs, nowNs) ?? chatAdded(open, number, nowNs)
    case .listed(let sessions): return listed(open, sessions, nowNs)
    case .done:
      if call.isOfUser { return userOpened(open, nowNs) }
      if call.verb == .open { hasSession = true }
      if call.verb == .link { isLinked = true }
      if let violation = accepted(open, atMs: nil, triedNs, nowNs) { return violation }
      if call.turn > 0 { return turnTouched(open, triedNs, nowNs) }
      return call.token == 0 ? nil : staleAccepted(open, nowNs)
    case .held, .none, .stale, .busy: return rejected(open, outcome, triedNs, nowNs)
    case .wrongState, .overQuota, .refused:
      if call.message > 0 { chat.refused(call.message) }
      if case .overQuota(let limit) = outcome {
        return call.isOfUser
          ? userRefused(open, limit, nowNs) : chatRefused(open, limit, nowNs)
      }
      return outcome == .wrongState ? wrongState(open, nowNs) : nil
    case .unknown: return nil
    }
  }

  private static let aboutSession: Set<LoadVerb> = [
    .touch, .say, .set, .history, .close, .turn, .done, .recover, .pause, .resume, .chat, .link,
  ]

  private mutating func rejected(
    _ open: OpenCall, _ outcome: LoadOutcome, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    let aboutSession = DeviceCheck.aboutSession.contains(call.verb)
    if outcome == .none, aboutSession {
      return hasSession
        ? Violation(
          .sessionLost, "\(call.verb.name) finds no session, and one was opened", atNs: nowNs) : nil
    }
    if call.message > 0 { chat.refused(call.message) }
    if case .busy(let ahead) = outcome {
      noteWaiting(open, ahead, nowNs)
      return triedNs == call.invokedNs ? busyWithoutTurn(open, nowNs) : nil
    }
    if call.turn > 0 { return liveTurnRefused(open, nowNs) }
    guard let lease = surelyHeld(during: open, nowNs: nowNs) else { return nil }
    let concerns =
      switch call.verb {
      case .lock: call.agent == lease.agent
      case .holder: true
      default: call.token == lease.token
      }
    guard concerns else { return nil }
    return Violation(
      .liveTokenRefused,
      "\(call.verb.name) says that token \(lease.token) of \(Agents.name(lease.agent)) is over, "
        + "and its deadline has not come", atNs: nowNs)
  }

  /// Whether a call that was accepted used a token that was over when it began.
  func staleAccepted(_ open: OpenCall, _ nowNs: Int64) -> Violation? {
    let call = open.call
    let how: String
    if call.token < open.tokenBefore {
      how = "token \(open.tokenBefore) had been granted before"
    } else if let index = leaseIndex(of: call.token) {
      let lease = leases[index]
      if let overNs = lease.knownOverNs, overNs <= call.invokedNs {
        how = "it had ended before"
      } else if let endNs = lease.latestEndNs, endNs < call.invokedNs, !mayHaveRenewed(lease) {
        how = "its deadline had passed"
      } else {
        return nil
      }
    } else {
      return nil
    }
    return Violation(
      .staleWriteAccepted, "\(call.verb.name) with token \(call.token) was accepted, and \(how)",
      atNs: nowNs)
  }
}
