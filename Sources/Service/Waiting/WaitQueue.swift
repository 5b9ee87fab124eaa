// Owns: a loop's callers that wait for turns and locks: their requests until Redis grants them,
// their times, and their end when callers go away. The order is Redis'. Runs on the loop's thread.

internal import Events
package import Loop
internal import RedisConnection
internal import Scripts
package import SessionModel
package import Store
package import Wire

/// A request that may wait.
struct WaitingRequest {
  let connection: ConnectionID
  let kind: WaitKind
  let device: String
  /// The rest of its ticket: the idempotency key, which says whose place it is, `-` without one;
  /// and of a LOCK the agent, and `fresh` or `-`.
  let rest: String
  let waitMs: Int64
  /// Asks Redis, which puts the ticket into the queue if it is to wait; `waitedMs` is 0 when it is
  /// asked for the first time, and never again; `place` is what Redis has named then, or empty.
  let ask:
    (
      _ ticket: String, _ waitedMs: Int64, _ place: String,
      _ done: @escaping (ScriptOutcome) -> Void
    ) -> Void
  /// Asks Redis for the reply of a turn that settles, by what `SETTLE` said; with `isOver` without
  /// waiting for more.
  var finish:
    (
      (
        _ begun: String, _ isOver: Bool, _ waitedMs: Int64,
        _ done: @escaping (ScriptOutcome) -> Void
      )
        -> Void
    )?
  /// Answers its caller.
  let end: (ScriptOutcome) -> Void
}

/// What a script says of a turn that has begun and settles: `SETTLE <ms> <what its reply names>`.
struct SettlingTurn {
  /// How long it settles at least.
  let ms: Int64
  let begun: String

  /// Nil if a line is none.
  init?(_ line: UnsafeBufferPointer<UInt8>) {
    guard line.starts(with: "SETTLE ".utf8) else { return nil }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 2)
    guard words.count == 3, let ms = Int64(words[1]) else { return nil }
    (self.ms, begun) = (ms, String(words[2]))
  }
}

/// One loop's requests that may wait.
package final class WaitQueue {
  /// One of them.
  private struct Entry {
    let request: WaitingRequest
    let ticket: String
    let beganAtMs: Int64
    var wait = QueuedWait()
    var hasAsked = false
    /// Its place in Redis' queue, as Redis has named it; it is put there again if that has lost the
    /// queue, whichever worker is back first.
    var place = ""
    /// Of a turn that settles: what its reply names, and the moment at which it may be quiet.
    var begun = ""
    var quietAtMs: Int64?
    /// The error that it ends with where its caller may not wait any more.
    var refusal: RequestError?

    /// The moment of its next deadline; nil if it has none.
    var deadlineMs: Int64? { quietAtMs ?? (request.waitMs > 0 ? beganAtMs + request.waitMs : nil) }
  }

  /// When the time of a request is over.
  private struct Deadline: Comparable {
    let atMs: Int64
    let number: UInt64

    static func < (left: Deadline, right: Deadline) -> Bool {
      (left.atMs, left.number) < (right.atMs, right.number)
    }
  }

  private let loop: EventLoop
  private let store: Store
  private let workerID: String
  private let index: Int
  /// Notes that a partition has a deadline after so many ms.
  private let note: (Partition, Int64) -> Void
  private var entries: [UInt64: Entry] = [:]
  /// A connection has several where requests that did not ask to wait have to.
  private var numbers: [ConnectionID: Set<UInt64>] = [:]
  private var nextNumber: UInt64 = 0
  private var isDraining = false
  /// Tickets that could not leave the queue because Redis was away.
  private var unleft: [(kind: WaitKind, device: String, ticket: String)] = []
  /// Those of requests that have ended are passed over when their time has come.
  private var deadlines = Heap<Deadline>()
  private var timer: LoopTimer?
  private var timerAtMs = Int64.max

  /// The reply to a caller that has closed its side while its turn settles.
  private static let dropped = RequestError(
    .unknownOutcome, "the caller has closed its side; the turn expires unless a retry asks for it")

  /// A grant that is not begun within so long goes to the next one.
  static let grantMs: Int64 = 1_000
  /// A turn that settles waits so long for a retry when its caller is gone.
  private static let retryMs: Int64 = 5_000
  /// So many tickets are taken out when Redis is back; the others are declined when they are
  /// granted.
  private static let unleftMax = 10_000

  package init(
    _ loop: EventLoop, _ store: Store, workerID: String, index: Int,
    note: @escaping (Partition, Int64) -> Void
  ) {
    self.loop = loop
    self.store = store
    self.workerID = workerID
    self.index = index
    self.note = note
    timer = LoopTimer(loop) { [unowned self] in timerFired() }
  }

  /// Whether no ticket is on its way out of Redis' queue.
  package var isSettled: Bool { entries.isEmpty }

  /// Begins a request, which may have to wait.
  func begin(_ request: WaitingRequest) {
    let number = enter(request)
    setDeadline(number)
    ask(number)
    if isDraining { advance(number) { $0.cutShort() } }
  }

  /// Begins a request that was asked for already: its turn has begun, and settles.
  func settle(_ request: WaitingRequest, _ turn: SettlingTurn) {
    let number = enter(request)
    settles(number, turn)
    advance(number) { $0.answered(.settling) }
    if isDraining { advance(number) { $0.cutShort() } }
  }

  private func enter(_ request: WaitingRequest) -> UInt64 {
    nextNumber += 1
    let ticket = "\(workerID) \(index).\(nextNumber) \(request.rest)"
    entries[nextNumber] = Entry(request: request, ticket: ticket, beganAtMs: loop.nowMs)
    numbers[request.connection, default: []].insert(nextNumber)
    return nextNumber
  }

  // MARK: Events

  /// A script has said something about a ticket.
  package func informed(_ message: TicketMessage) {
    note(Partition(of: message.device), WaitQueue.grantMs)
    guard entries[message.number] != nil else { return decline(message) }
    switch message.word {
    case .granted, .passed: advance(message.number) { $0.mayBeGranted() }
    case .replaced: advance(message.number) { $0.cutShort() }
    case .ended: advance(message.number) { $0.turnEnded() }
    }
  }

  /// What was granted has no caller, whose request has failed or was cut off: the next one gets it.
  private func decline(_ message: TicketMessage) {
    guard message.word == .granted else { return }
    abandon(message.kind, message.device, "\(workerID) \(message.ticket)", dueInMs: 0)
  }

  /// Messages may have been lost, or Redis may have lost its queues: each caller that waits asks
  /// again, in the order in which they came.
  package func askAgain() {
    // Once more when the connection to Redis is back.
    guard store.isReady else { return }
    let left = unleft
    unleft = []
    for (kind, device, ticket) in left { abandon(kind, device, ticket, dueInMs: 0) }
    for number in entries.keys.sorted() { advance(number) { $0.mayBeGranted() } }
  }

  /// A caller has closed its side: it may be gone, and would do nothing with a grant.
  package func inputEnded(_ connection: ConnectionID) {
    for number in numbers[connection] ?? [] { advance(number) { $0.inputEnded() } }
  }

  /// The connection is gone.
  package func closed(_ connection: ConnectionID) {
    for number in numbers[connection] ?? [] { advance(number) { $0.closed() } }
  }

  /// A caller has lost its principal: what it waits for goes to the next one.
  ///
  /// A request that Redis is asked about just now is answered with what that says, unless it waits.
  package func accessEnded(_ connection: ConnectionID, _ error: RequestError) {
    for number in numbers[connection] ?? [] {
      entries[number]?.refusal = error
      advance(number) { $0.closed() }
    }
  }

  /// The worker is draining: no caller waits here any more.
  package func drain() {
    isDraining = true
    for number in Array(entries.keys) { advance(number) { $0.cutShort() } }
  }

  /// Ends the waits that keep much memory.
  package func endWaits(_ keepsMuch: (ConnectionID) -> Bool) {
    for (number, entry) in entries where keepsMuch(entry.request.connection) {
      advance(number) { $0.cutShort() }
    }
  }

  // MARK: Deadlines

  private func timerFired() {
    timerAtMs = .max
    while let first = deadlines.least, first.atMs <= loop.nowMs {
      _ = deadlines.popLeast()
      guard let entry = entries[first.number], entry.deadlineMs == first.atMs else { continue }
      advance(first.number) { entry.quietAtMs == nil ? $0.timeIsOver() : $0.mayBeQuiet() }
    }
    setTimer()
  }

  private func setDeadline(_ number: UInt64) {
    guard let atMs = entries[number]?.deadlineMs else { return }
    deadlines.insert(Deadline(atMs: atMs, number: number))
    setTimer()
  }

  /// Sets the timer for the first deadline.
  private func setTimer() {
    guard let atMs = deadlines.least?.atMs, atMs < timerAtMs else { return }
    timerAtMs = atMs
    timer?.set(afterMs: atMs - loop.nowMs)
  }

  /// Deadlines of requests that have ended take no more room than the others.
  private func dropPassedOver() {
    guard deadlines.count > 2 * entries.count + 64 else { return }
    deadlines = Heap(
      entries.compactMap { number, entry in
        entry.deadlineMs.map { Deadline(atMs: $0, number: number) }
      })
  }

  // MARK: Actions

  /// Settles a request's state after an event, then performs its action.
  private func advance(_ number: UInt64, _ event: (inout QueuedWait) -> QueuedWait.Action) {
    guard var entry = entries[number] else { return }
    let action = event(&entry.wait)
    entries[number] = entry
    switch action {
    case .nothing: break
    case .ask: ask(number)
    case .leave(let isGone): leave(number, isGone: isGone)
    case .settle: setDeadline(number)
    case .finish(let isOver): finish(number, isOver: isOver)
    case .drop: drop(number)
    case .answer: preconditionFailure("an answer without an outcome")
    }
  }

  /// Settles a request's state after an outcome of Redis, and answers if that is the end of it.
  private func settle(
    _ number: UInt64, _ outcome: ScriptOutcome, _ event: (inout QueuedWait) -> QueuedWait.Action
  ) {
    guard var entry = entries[number] else { return }
    let action = event(&entry.wait)
    entries[number] = entry
    if action == .answer { end(number, outcome) } else { advance(number) { _ in action } }
  }

  private func end(_ number: UInt64, _ outcome: ScriptOutcome) {
    guard let entry = entries.removeValue(forKey: number) else { return }
    numbers[entry.request.connection]?.remove(number)
    if numbers[entry.request.connection]?.isEmpty ?? false {
      numbers[entry.request.connection] = nil
    }
    dropPassedOver()
    entry.request.end(outcome)
  }

  private func ask(_ number: UInt64) {
    guard let entry = entries[number] else { return }
    entries[number]?.hasAsked = true
    let waitedMs = entry.hasAsked ? max(1, loop.nowMs - entry.beganAtMs) : 0
    entry.request.ask(entry.ticket, waitedMs, entry.place) { [unowned self] outcome in
      guard case .line(let line, _) = outcome else {
        return askFailed(number, entry, outcome)
      }
      guard !line.starts(with: "WAIT ".utf8) else {
        entries[number]?.place = String(decoding: line.dropFirst("WAIT ".count), as: UTF8.self)
        return settle(number, outcome) { $0.answered(.queued) }
      }
      received(number, line)
    }
  }

  /// A caller that waits already does so until Redis is back, if it was not asked.
  private func askFailed(_ number: UInt64, _ entry: Entry, _ outcome: ScriptOutcome) {
    if case .failed(let error) = outcome, error.code == .unavailable,
      !store.isReady(Partition(of: entry.request.device)), entry.hasAsked
    {
      return settle(number, outcome) { $0.answered(.queued) }
    }
    settle(number, outcome) { $0.failed() }
    // It may have a ticket or a grant, which are of no use now.
    guard entry.request.waitMs > 0 else { return }
    abandon(entry.request.kind, entry.request.device, entry.ticket, dueInMs: 0)
  }

  /// Redis has answered with the caller's reply, or with the time for which its turn settles.
  private func received(_ number: UInt64, _ line: UnsafeBufferPointer<UInt8>) {
    guard let turn = SettlingTurn(line) else {
      return settle(number, .line(line)) { $0.answered(.reply) }
    }
    settles(number, turn)
    advance(number) { $0.answered(.settling) }
  }

  private func settles(_ number: UInt64, _ turn: SettlingTurn) {
    entries[number]?.begun = turn.begun
    entries[number]?.quietAtMs = loop.nowMs + turn.ms
  }

  private func finish(_ number: UInt64, isOver: Bool) {
    guard let entry = entries[number], let finish = entry.request.finish else {
      preconditionFailure("a request that cannot settle")
    }
    finish(entry.begun, isOver, loop.nowMs - entry.beganAtMs) { [unowned self] outcome in
      guard case .line(let line, _) = outcome else {
        return settle(number, outcome) { $0.failed() }
      }
      received(number, line)
    }
  }

  private func leave(_ number: UInt64, isGone: Bool) {
    guard let entry = entries[number] else { return }
    store.call(leaving(entry, isGone: isGone)) { [unowned self] outcome in
      note(Partition(of: entry.request.device), WaitQueue.grantMs)
      guard case .line(let line, _) = outcome else {
        keepUnleft(entry.request.kind, entry.request.device, entry.ticket)
        return settle(number, outcome) { $0.failed() }
      }
      let answer = line.elementsEqual("MINE".utf8) ? WaitAnswer.granted : .left
      settle(number, entry.refusal.map { .failed($0) } ?? outcome) { $0.answered(answer) }
    }
  }

  /// The caller of a turn that settles is gone: its turn waits for a retry.
  private func drop(_ number: UInt64) {
    guard let entry = entries[number] else { return }
    abandon(
      entry.request.kind, entry.request.device, entry.ticket, dueInMs: WaitQueue.retryMs)
    end(number, .failed(entry.refusal ?? WaitQueue.dropped))
  }

  /// A ticket has no caller any more.
  private func abandon(_ kind: WaitKind, _ device: String, _ ticket: String, dueInMs: Int64) {
    store.call(leaving(kind, device, ticket, isGone: true)) { [unowned self] outcome in
      if case .failed = outcome { keepUnleft(kind, device, ticket) }
      if dueInMs > 0 { note(Partition(of: device), dueInMs) }
    }
  }

  private func keepUnleft(_ kind: WaitKind, _ device: String, _ ticket: String) {
    if unleft.count < WaitQueue.unleftMax { unleft.append((kind, device, ticket)) }
  }

  private func leaving(_ entry: Entry, isGone: Bool) -> ScriptQuery {
    leaving(entry.request.kind, entry.request.device, entry.ticket, isGone: isGone)
  }

  private func leaving(
    _ kind: WaitKind, _ device: String, _ ticket: String, isGone: Bool
  ) -> ScriptQuery {
    let (name, ticket) = (ArgumentText(device), ArgumentText(ticket))
    return switch kind {
    case .turn:
      ScriptQuery(
        LeaveTurnCall(device: name, ticket: ticket, isGone: isGone), at: Partition(of: device))
    case .lock:
      ScriptQuery(
        LeaveLockCall(device: name, ticket: ticket, isGone: isGone), at: Partition(of: device))
    }
  }
}

extension ArgumentText? {
  /// The request of a ticket: the id of the idempotency key, `/` and the fingerprint; `-` without
  /// one.
  var ticketRequest: String {
    // A retry may have another trace.
    guard let text = self?.string.prefix(while: { $0 != "\t" }), !text.isEmpty else { return "-" }
    return text.split(separator: " ").prefix(2).joined(separator: "/")
  }
}

/// A request for leave_turn.lua.
struct LeaveTurnCall: ScriptCall {
  static let script = Script.leaveTurn
  let device: ArgumentText
  let ticket: ArgumentText
  let isGone: Bool

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(ticket)
    words.word(isGone)
  }
}

/// A request for leave_lock.lua.
struct LeaveLockCall: ScriptCall {
  static let script = Script.leaveLock
  let device: ArgumentText
  let ticket: ArgumentText
  let isGone: Bool

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(ticket)
    words.word(isGone)
  }
}
