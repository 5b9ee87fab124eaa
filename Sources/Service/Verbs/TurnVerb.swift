// TURN: begins a turn, with its message.

internal import Events
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum TurnVerb {
  fileprivate static let ttlMsDefault: Int64 = 60_000
  fileprivate static let lastDefault: Int64 = 20
  fileprivate static let settleMsMax: Int64 = 3_600_000

  static let verb = Verb(
    name: "TURN", rights: .write, words: [.device],
    options: [
      .agent, .token, .user, .policy, .wait, .settle, .ttl, .last, .name, .thread, .phase, .step,
      .sessionPolicy,
    ]
      + OptionName.clocks + [.expiresAt, .fenced, .chat, .req, .asUser],
    linkOption: "link", payload: .optionalAny, limits: JSONLimits(elements: Messages.limit),
    summary: "Begins a turn: one function at a time works on the device's messages.",
    replies: ["OK", "HELD", "BUSY", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in
    let turn = try TurnCall(call)
    let (device, waitMs) = (call.text(0), call.number(.wait) ?? 0)
    guard waitMs > 0 || turn.settleMs > 0 else {
      let request = try HeldRequest(call, batchedFor: device)
      let connection = call.caller.id
      LinkedChange(request, turn, device, dueInMs: turn.ttlMs, isSearch: true) { outcome in
        // A retry may come while the turn of its first call settles.
        guard case .line(let line, _) = outcome, let settling = SettlingTurn(line) else {
          return request.end(outcome)
        }
        request.context.waits.settle(waiting(request, turn, connection, device, 0), settling)
      }
      return
    }
    let request = try HeldRequest(call, waits: true)
    request.context.waits.begin(waiting(request, turn, call.caller.id, device, waitMs))
  }

  /// The request as one that may wait, for so long.
  private static func waiting(
    _ request: HeldRequest, _ turn: TurnCall, _ connection: ConnectionID, _ device: String,
    _ waitMs: Int64
  ) -> WaitingRequest {
    WaitingRequest(
      connection: connection, kind: .turn, device: device, rest: turn.req.ticketRequest,
      waitMs: waitMs,
      ask: { ticket, waitedMs, place, done in
        var ask = turn
        (ask.ticket, ask.waitMs, ask.waitedMs) = (ArgumentText(ticket), waitMs, waitedMs)
        ask.place = ArgumentText(place)
        LinkedChange(
          request.afterWait(), ask, device, dueInMs: 0, isSearch: true, end: done)
      },
      finish: { begun, isOver, waitedMs, done in
        let finish = SettleTurnCall(
          device: ArgumentText(device), begun: ArgumentText(begun), isOver: isOver,
          waitedMs: waitedMs, keptAs: turn.req)
        request.store.call(ScriptQuery(finish, at: Partition(of: device))) { outcome in
          request.context.note(Partition(of: device), dueInMs: 0)
          done(outcome)
        }
      }, end: { request.end($0) })
  }

  /// Refuses what has no effect, or could have none later.
  fileprivate static func check(
    _ call: borrowing Call, _ policy: TurnPolicy
  ) throws(RequestError) {
    try call.refuseLinkedUsers()
    if policy == .join, call.payload == nil {
      throw RequestError(.badRequest, "policy=join needs a message to join: \(verb.usage)")
    }
    if policy == .reject, call.option(.wait) != nil {
      throw RequestError(.badRequest, "wait= does not go with policy=reject: \(verb.usage)")
    }
    if call.number(.settle) ?? 0 > settleMsMax {
      throw RequestError(.badRequest, "settle= is 1h at most: \(verb.usage)")
    }
    if call.text(.chat) == "none" {
      throw RequestError(.badRequest, "chat=none: a turn needs a chat to say its messages in")
    }
    if call.text(.fenced) == "yes", call.option(.agent) == nil, call.option(.token) == nil {
      throw RequestError(.badRequest, "a fenced session takes a turn with agent= or token= only")
    }
  }
}

/// A request for turn.lua.
struct TurnCall: LinkingCall {
  static let script = Script.turn
  let device: ArgumentText
  let policy: ArgumentText
  let agent: ArgumentText?
  /// For how long the agent holds the lock, if it does not hold it already.
  let lockTtl: LockLength
  let ttlMs: Int64
  /// How many messages it shows.
  let last: Int64
  /// Parts, each message after whose it is.
  let messages: ArgumentText?
  let ignored: ArgumentText?
  /// The name under which it waits or settles; nil if it does neither.
  var ticket: ArgumentText?
  var waitMs: Int64 = 0
  /// How long it has waited so far.
  var waitedMs: Int64 = 0
  /// Its place in the queue, as Redis has named it; nil before that.
  var place: ArgumentText?
  /// For how long nothing is joined before its reply.
  let settleMs: Int64
  let fleet: ArgumentText?
  var reserved: ArgumentText?
  let token: Int64?
  let new: NewSession
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(policy)
    words.word(agent)
    words.word(lockTtl)
    words.word(ttlMs)
    words.word(last)
    words.word(messages)
    words.word(ignored)
    words.word(ticket)
    words.word(waitMs)
    words.word(waitedMs)
    words.word(place)
    words.word(settleMs)
    words.word(fleet)
    words.word(reserved)
    words.word(token)
    new.write(to: &words)
    words.word(req)
  }
}

/// A request for settle_turn.lua.
struct SettleTurnCall: ScriptCall {
  static let script = Script.settleTurn
  let device: ArgumentText
  /// What the reply of the turn names.
  let begun: ArgumentText
  let isOver: Bool
  let waitedMs: Int64
  let keptAs: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(begun)
    words.word(isOver)
    words.word(waitedMs)
    words.word(keptAs)
  }
}

extension TurnCall {
  /// From the words and options of TURN; all its texts are its own.
  fileprivate init(_ call: borrowing Call) throws(RequestError) {
    let policy = TurnPolicy(rawValue: call.text(.policy)) ?? .enqueue
    try TurnVerb.check(call, policy)
    let messages = try call.payload.map { (payload) throws(RequestError) in
      try Messages.parts(payload, call.sealer, bytesMax: call.shared.settings.valueBytesMax).bytes
    }
    let ttlMs = call.number(.ttl) ?? TurnVerb.ttlMsDefault
    let settleMs = call.number(.settle) ?? 0
    let settleMsMax = settleMs > 0 ? 4 * settleMs + 5_000 : 0
    let lockMs = call.option(.agent).map { call.lockTTLms(of: $0) } ?? 0
    let user = try call.userOfSession()
    self.init(
      device: call[0].kept, policy: ArgumentText(policy.rawValue), agent: call[.agent]?.kept,
      lockTtl: call.lockLength(ms: max(ttlMs, settleMsMax, lockMs)), ttlMs: ttlMs,
      last: call.number(.last) ?? TurnVerb.lastDefault, messages: messages.map { .owned($0) },
      ignored: NewSession.ignored(call), settleMs: settleMs,
      fleet: call.fleet, token: call.number(.token),
      new: try NewSession(call, user: user, Members(options: call)), req: call.req)
  }
}
