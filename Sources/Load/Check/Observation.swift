// Owns: the observations of a device: the calls of its callers, their outcomes, and its events.
// Knows nothing of sockets. Values; any thread.

/// The kind of a call, as the figures name it.
package enum LoadVerb: UInt8, Sendable, CaseIterable {
  /// The making of a connection, as if it were a request.
  case connect
  case auth
  case holder
  case lock
  case open
  case touch
  case say
  case set
  case history
  case handoff
  case close
  case unlock
  case turn
  case done
  case recover
  case pause
  case resume
  case chat
  case link
  case list
  /// A whole message: all requests of one call of a function, from when it was due to its end.
  case message

  /// The verb as the protocol writes it; what is no verb is in lower case.
  package var name: String {
    switch self {
    case .connect: "connect"
    case .auth: "AUTH"
    case .holder: "HOLDER"
    case .lock: "LOCK"
    case .open: "OPEN"
    case .touch: "TOUCH"
    case .say: "SAY"
    case .set: "SET"
    case .history: "HISTORY"
    case .handoff: "HANDOFF"
    case .close: "CLOSE"
    case .unlock: "UNLOCK"
    case .turn: "TURN"
    case .done: "DONE"
    case .recover: "RECOVER"
    case .pause: "PAUSE"
    case .resume: "RESUME"
    case .chat: "CHAT"
    case .link: "LINK"
    case .list: "LIST"
    case .message: "message"
    }
  }
}

/// The agents of callers.
///
/// An agent is a number here; its name is looked up where it is written.
package enum Agents {
  /// The names under which the harness' callers act.
  package static let names = ["scheduling", "billing", "support", "research", "triage"]

  /// The name of an agent; those that are not of this run share one.
  package static func name(_ agent: Int) -> String {
    names.indices.contains(agent) ? names[agent] : "another agent"
  }
}

/// The policy of a TURN: its effect while another turn is running.
package enum AskedPolicy: String, Sendable, CaseIterable {
  case enqueue, reject, join, interrupt, rollback

  /// Whether it ends the turn that is running.
  package var ends: Bool { self == .interrupt || self == .rollback }
}

/// One call of a caller, with all the tries that it takes.
package struct LoadCall: Sendable {
  package var verb: LoadVerb
  package var agent = 0
  /// The receiver of a HANDOFF.
  package var receiver = 0
  /// The token that was sent; 0 if none was.
  package var token: Int64 = 0
  /// The turn that was sent; 0 if none was.
  package var turn: Int64 = 0
  /// TURN's.
  package var policy = AskedPolicy.enqueue
  /// TURN: how long it waits while another turn is running.
  package var waitMs: Int64 = 0
  /// DONE: the newest message that the caller has read itself, and whether this ends the turn
  /// whatever was joined to it.
  package var seen: Int64 = 0
  package var isLast = false
  /// The TTL of LOCK, HANDOFF and TURN.
  package var ttlMs: Int64 = 0
  /// The number of the message that SAY, TURN or DONE says, from 1.
  package var message = 0
  /// RECOVER: the clocks of the session that it makes.
  package var clocks: ShortClocks?
  /// OPEN: the session is one more of the conversation's user, with these clocks.
  package var isOfUser = false
  /// LIST: the session was deleted before.
  package var isDeleted = false
  /// How many messages HISTORY asks for; 0 asks for all of them.
  package var last = 0
  /// Whether it carries an idempotency key, so that it is done once only, however often it is sent.
  package var isRepeatable: Bool
  /// When its first try was sent.
  package var invokedNs: Int64 = 0

  package init(_ verb: LoadVerb) {
    self.verb = verb
    isRepeatable = LoadCall.repeatable.contains(verb)
  }
}

extension LoadCall {
  fileprivate static let repeatable: Set<LoadVerb> = [
    .open, .say, .handoff, .close, .unlock, .turn, .done, .recover, .pause, .resume, .chat, .link,
  ]
}

/// The outcome of a call, when its last try was answered.
package enum LoadOutcome: Sendable, Equatable {
  /// LOCK or HANDOFF: the lock is held under this token.
  case granted(token: Int64, agent: Int, acquiredAtMs: Int64, isRenewed: Bool)
  /// UNLOCK: it was held for so long.
  case released(heldMs: Int64)
  /// HOLDER: the lock is held by this agent.
  case holder(agent: Int, acquiredAtMs: Int64)
  /// SAY: the message has this number now.
  case said(seq: Int64)
  /// HISTORY: these are the messages.
  case messages([Message])
  /// TURN: a turn has begun.
  case began(TurnGrant)
  /// TURN: the message was joined to this turn, and has this number now.
  case joined(turn: Int64, seq: Int64)
  /// DONE: the turn has ended; `seq` is the newest message, 0 if there is no chat any more, and
  /// `left` how many joined messages have no answer.
  case ended(seq: Int64, left: Int)
  /// DONE: the turn goes on with these messages, which were joined to it.
  case goesOn(seq: Int64, messages: [Message])
  /// RECOVER, PAUSE or RESUME: this is the session.
  case session(ShownSession)
  /// TOUCH of a session that its clocks end: the moment of activity, by the server's clock.
  case touched(atMs: Int64)
  /// CHAT: the number of the new chat.
  case chatAdded(Int)
  /// LIST: the ids of sessions.
  case listed([String])
  /// Any other OK.
  case done
  case held
  /// TURN: another one is running; so many wait.
  case busy(ahead: Int)
  case none
  case stale
  /// `ERR illegal_state`: the session's state does not allow it.
  case wrongState
  /// `ERR quota`: there are so many already as there may be.
  case overQuota(limit: Int)
  /// An error that says that nothing was done.
  case refused
  /// The caller has given up: it may have been done, may still be done, or never.
  case unknown
}

/// A message of a chat.
package struct Message: Sendable, Equatable {
  package var seq: Int64
  /// The number that its sender gave it; 0 if there is none in it.
  package var number: Int
  /// When it was said, by the server's clock; 0 if that was not shown.
  package var atMs: Int64

  package init(seq: Int64, number: Int, atMs: Int64 = 0) {
    self.seq = seq
    self.number = number
    self.atMs = atMs
  }
}

/// The content of the reply to TURN when a turn has begun.
package struct TurnGrant: Sendable, Equatable {
  package var turn: Int64
  package var session: String
  /// The number of the message that the turn began with.
  package var seq: Int64
  package var messages: [Message]

  package init(turn: Int64, session: String, seq: Int64, messages: [Message]) {
    self.turn = turn
    self.session = session
    self.seq = seq
    self.messages = messages
  }
}

/// The clocks of a session, in ms.
package struct ShortClocks: Sendable, Equatable {
  package var idleMs: Int64
  package var abandonMs: Int64
  package var archiveMs: Int64

  package init(idleMs: Int64, abandonMs: Int64, archiveMs: Int64) {
    self.idleMs = idleMs
    self.abandonMs = abandonMs
    self.archiveMs = archiveMs
  }
}

/// A session, as far as the harness looks at its record.
package struct ShownSession: Sendable, Equatable {
  package var session: String
  /// Its latest activity by the server's clock.
  package var activeAtMs: Int64

  package init(session: String, activeAtMs: Int64) {
    self.session = session
    self.activeAtMs = activeAtMs
  }
}

/// A change of a chat that was pushed to a subscriber.
package enum PushedChange: Sendable, Equatable {
  /// Messages were appended; of long ones the first are shown.
  case said([Message], isCut: Bool)
  /// The messages with these numbers were removed.
  case unsaid(ClosedRange<Int64>)
}

/// An event about a lock, a turn or the state of a session.
package struct LockEvent: Sendable, Equatable {
  package enum Kind: String, Sendable, CaseIterable {
    case abandoned = "lock.abandoned"
    case handedOff = "lock.handed_off"
    case seized = "lock.seized"
    case cleared = "lock.cleared"
    case turnAbandoned = "turn.abandoned"
    case sessionPaused = "session.paused"
    case sessionResumed = "session.resumed"
    case sessionRecovered = "session.recovered"
    case sessionExpired = "session.expired"
    case sessionAbandoned = "session.abandoned"
    case sessionArchived = "session.archived"

    /// Whether it is about a session.
    package var isOfSession: Bool { rawValue.hasPrefix("session.") }
  }

  package var id: String
  package var kind: Kind
  /// Empty where the device is known otherwise.
  package var device: String
  /// By the server's clock.
  package var atMs: Int64
  package var agent: Int
  /// The lock's token, or the turn's number.
  package var token: Int64
  package var heldMs: Int64
  /// The session that it is about; empty if it is about a lock.
  package var session: String
  /// Whether the session's `idle` clock is the reason.
  package var isIdle: Bool

  package init(
    id: String, kind: Kind, atMs: Int64, agent: Int = -1, token: Int64 = 0, heldMs: Int64 = 0,
    session: String = "", isIdle: Bool = false, device: String = ""
  ) {
    self.device = device
    self.session = session
    self.isIdle = isIdle
    self.id = id
    self.kind = kind
    self.atMs = atMs
    self.agent = agent
    self.token = token
    self.heldMs = heldMs
  }
}
