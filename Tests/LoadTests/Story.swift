// Owns: a notation for the calls and events of one device, in which tests can change one thing.
// Values.

@testable import Load

/// One thing that is seen.
enum Sight {
  /// A call, when it was sent and answered in ms, and what came of it.
  case call(LoadCall, Int64, Int64, LoadOutcome)
  /// A call that overlaps what follows: its begin, and its end by the same name.
  case begin(String, LoadCall, Int64)
  /// The end; `triedMs` is when its last try was sent, if that was not its first.
  case end(String, Int64, LoadOutcome, leavesLoose: Bool = false, triedMs: Int64? = nil)
  case event(LockEvent, Int64, watch: Int = 1)
  /// An event's delivery to the group, by a request that was sent and answered at these moments.
  case delivery(LockEvent, Int64, Int64)
  case acknowledged(LockEvent, Int64)
  case groupVerdict(Int64)
  case pushed(PushedChange, Int64)
  case changesVerdict(Int64)
  case verdict(Int64)
}

/// The calls and events of one device, in the order in which they are seen.
struct Story {
  var sights: [Sight]

  /// The server's clock at this machine's 0.
  static let epochMs: Int64 = 1_795_000_000_000
  static let ttlMs: Int64 = 10_000

  /// Checks it, and gives the first promise that was broken.
  func verdict() -> Violation? {
    var check = DeviceCheck()
    var open: [String: (id: Int, atMs: Int64)] = [:]
    for sight in sights {
      let violation: Violation?
      switch sight {
      case .call(var call, let from, let to, let outcome):
        call.invokedNs = from * 1_000_000
        let id = check.began(call)
        violation = check.ended(id, outcome, triedNs: call.invokedNs, nowNs: to * 1_000_000)
      case .begin(let name, var call, let atMs):
        call.invokedNs = atMs * 1_000_000
        open[name] = (check.began(call), atMs)
        violation = nil
      case .end(let name, let atMs, let outcome, let leavesLoose, let triedMs):
        guard let call = open[name] else { preconditionFailure("no call \(name)") }
        violation = check.ended(
          call.id, outcome, triedNs: (triedMs ?? call.atMs) * 1_000_000, nowNs: atMs * 1_000_000,
          leavesLoose: leavesLoose)
      case .event(let event, let atMs, let watch):
        violation = check.reported(event, nowNs: atMs * 1_000_000, watch: watch)
      case .delivery(let event, let from, let to):
        violation = check.delivered(
          event, askedNs: from * 1_000_000, isInOrder: true, nowNs: to * 1_000_000)
      case .acknowledged(let event, let atMs):
        check.acknowledged(event.id, nowNs: atMs * 1_000_000)
        violation = nil
      case .pushed(let change, let atMs):
        check.pushed(change, nowNs: atMs * 1_000_000)
        violation = nil
      case .changesVerdict(let atMs):
        violation = check.changesVerdict(nowNs: atMs * 1_000_000)
      case .groupVerdict(let atMs): violation = check.groupVerdict(nowNs: atMs * 1_000_000)
      case .verdict(let atMs): violation = check.verdict(nowNs: atMs * 1_000_000)
      }
      if let violation { return violation }
    }
    return nil
  }
}

// MARK: - Words of a story

extension LoadCall {
  static func lock(_ agent: Int) -> LoadCall {
    var call = LoadCall(.lock)
    call.agent = agent
    call.ttlMs = Story.ttlMs
    return call
  }

  static func handoff(_ agent: Int, to: Int, _ token: Int64) -> LoadCall {
    var call = LoadCall(.handoff)
    call.agent = agent
    call.receiver = to
    call.token = token
    call.ttlMs = Story.ttlMs
    return call
  }

  static func write(_ verb: LoadVerb, _ agent: Int, _ token: Int64) -> LoadCall {
    var call = LoadCall(verb)
    call.agent = agent
    call.token = token
    return call
  }

  static func say(_ number: Int, _ agent: Int, _ token: Int64) -> LoadCall {
    var call = write(.say, agent, token)
    call.message = number
    return call
  }

  static func turn(
    _ message: Int, _ policy: AskedPolicy = .reject, last: Int = 10, wait: Int64 = 0
  ) -> LoadCall {
    var call = LoadCall(.turn)
    call.message = message
    call.policy = policy
    call.ttlMs = Story.ttlMs
    call.last = last
    call.waitMs = wait
    return call
  }

  /// A request of a turn; `message` is the one that it says, 0 for none.
  static func inTurn(
    _ verb: LoadVerb, _ turn: Int64, _ message: Int = 0, seen: Int64 = 0, last: Bool = false
  ) -> LoadCall {
    var call = LoadCall(verb)
    call.turn = turn
    call.message = message
    call.seen = seen
    call.isLast = last
    return call
  }

  static func history(last: Int) -> LoadCall {
    var call = LoadCall(.history)
    call.last = last
    return call
  }
}

extension LoadOutcome {
  /// A grant at a moment of this machine's clock, as the server would report it.
  static func grant(_ token: Int64, _ agent: Int, at ms: Int64, renewed: Bool = false)
    -> LoadOutcome
  {
    .granted(
      token: token, agent: agent, acquiredAtMs: Story.epochMs + ms, isRenewed: renewed)
  }

  /// Messages by seq and number.
  static func read(_ pairs: (Int64, Int)...) -> LoadOutcome {
    .messages(pairs.map { Message(seq: $0.0, number: $0.1) })
  }

  /// A turn that began at a moment, with the messages by seq and number; the last is its own.
  static func began(
    _ turn: Int64, at ms: Int64, session: String = "S", _ pairs: (Int64, Int)...
  ) -> LoadOutcome {
    .began(
      TurnGrant(
        turn: turn, session: session, seq: pairs.last?.0 ?? 0,
        messages: pairs.map { Message(seq: $0.0, number: $0.1, atMs: Story.epochMs + ms) }))
  }

  static func goesOn(_ seq: Int64, _ pairs: (Int64, Int)...) -> LoadOutcome {
    .goesOn(seq: seq, messages: pairs.map { Message(seq: $0.0, number: $0.1) })
  }
}

extension LockEvent {
  static func reported(
    _ kind: Kind, _ token: Int64, _ agent: Int, from: Int64, at ms: Int64, id: String = "e"
  ) -> LockEvent {
    LockEvent(
      id: "\(id)\(token)", kind: kind, atMs: Story.epochMs + ms, agent: agent, token: token,
      heldMs: ms - from)
  }

  static func turnAbandoned(_ turn: Int64, at ms: Int64, id: String = "t") -> LockEvent {
    LockEvent(
      id: "\(id)\(turn)", kind: .turnAbandoned, atMs: Story.epochMs + ms, agent: -1, token: turn,
      heldMs: 0)
  }
}
