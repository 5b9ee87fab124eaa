// Owns: a change that adds links, step by step through several partitions. Runs on a loop's thread.
//
// The session's script says which reservations are needed; they are made in the links' partitions,
// which have the users' quotas and the names of threads; then the session changes, and in the same
// step writes an outbox entry for each link's partition. A worker that dies in between leaves
// reservations without a session, which the reconciler removes, or a session whose outbox entries
// are still there.

internal import RedisConnection
internal import Loop
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// A call of a session's script that asks for reservations, and is made again with them.
protocol LinkingCall: ScriptCall {
  /// Those that were made, each between spaces.
  var reserved: ArgumentText? { get set }
  /// The idempotency key, under which the reply to the same request may be kept.
  var req: ArgumentText? { get }
  /// Takes the session that the script has named, and the reservations.
  mutating func take(_ reservations: Reservations)
}

extension LinkingCall {
  mutating func take(_ reservations: Reservations) { reserved = ArgumentText(reservations.text) }
}

/// The reservations of one change.
struct Reservations {
  /// All that were made, for whichever session the script has named.
  private(set) var all: [LinkEntry] = []
  /// The session that the script has named last.
  private var entry: SessionEntry?

  /// The session that is to be changed; nil before the script has named it.
  var session: String? { entry?.session }

  /// Those of this session, as the scripts take them: each between spaces; empty without any.
  var text: String {
    let links = all.filter { $0.session == entry }.map(\.link.text)
    return links.isEmpty ? "" : " \(links.joined(separator: " ")) "
  }

  /// Those of an ask that are still to be made.
  fileprivate mutating func missing(_ ask: ReservationAsk) -> [LinkEntry] {
    entry = ask.entry
    return ask.links.map { LinkEntry($0, ask.entry) }.filter { !all.contains($0) }
  }

  fileprivate mutating func add(_ made: [LinkEntry]) { all += made }
}

/// A script's reply that asks for reservations.
private struct ReservationAsk {
  let entry: SessionEntry
  /// Whether the session is live once it is changed.
  let isLive: Bool
  /// How many live sessions a user may have by its policy; 0 for the server's number.
  let userQuota: Int64
  /// Whether its policy closes another session at that quota.
  let evicts: Bool
  let links: [LinkName]

  /// From `MORE <session> live,<quota>[,evict]|kept <kind>/<ref>…`; nil if a line is none.
  init?(_ line: String, device: String) {
    let words = line.split(separator: " ")
    guard words.count > 3, words[0] == "MORE" else { return nil }
    entry = SessionEntry(device: device, session: String(words[1]))
    let status = words[2].split(separator: ",")
    isLive = status[0] == "live"
    userQuota = status.count > 1 ? Int64(status[1]) ?? 0 : 0
    evicts = status.last == "evict"
    links = words[3...].compactMap { LinkName(text: $0) }
    guard links.count == words.count - 3 else { return nil }
  }
}

/// One request that adds links, or makes live a session that has some.
final class LinkedChange {
  private let request: HeldRequest
  private let device: String
  private let dueInMs: Int64?
  /// Whether the script looks for a session first, and may find one that was made meanwhile.
  private let isSearch: Bool
  /// The session's script, with the reservations that were made so far.
  private let query: (Reservations) -> ScriptQuery
  /// Gets the outcome.
  private let end: (ScriptOutcome) -> Void
  private var reservations = Reservations()
  private var asksLeft = 3
  /// Whether the same request may have been answered already, and be what keeps a reservation from
  /// being made.
  private var mayBeRetry: Bool
  /// What the script has asked for last.
  private var ask: ReservationAsk?
  /// How often sessions of a user may be closed to make room.
  private var evictionsLeft = 3

  /// Until the entries that keep a reservation from being made are checked again.
  private var pause: LoopTimer?

  /// How often entries that keep a reservation from being made are checked against their sessions.
  ///
  /// At once, then after 5, 10, 20, 40 and 80 ms. A request that has answered gives back what it
  /// did not need a moment later.
  private static let checksMax = 7

  /// Does the first step; the caller's next request waits until the last one is done, unless it is
  /// of the same verb for another device.
  ///
  /// `device` is that of the first word unless given; `dueInMs` as for `Call.run`.
  @discardableResult
  convenience init<Change: LinkingCall>(
    _ call: borrowing Call, _ change: Change, device: String? = nil, dueInMs: Int64? = nil
  ) throws(RequestError) {
    let device = device ?? String(decoding: call.device, as: UTF8.self)
    self.init(try HeldRequest(call, batchedFor: device), change, device, dueInMs: dueInMs)
  }

  /// The same for a request that has begun already; `end` gets the outcome in place of its caller.
  @discardableResult
  init<Change: LinkingCall>(
    _ request: HeldRequest, _ change: Change, _ device: String, dueInMs: Int64? = nil,
    isSearch: Bool = false, end: ((ScriptOutcome) -> Void)? = nil
  ) {
    assert(change.ownsItsTexts, "\(change)")
    self.request = request
    self.isSearch = isSearch
    self.device = device
    self.dueInMs = dueInMs
    self.end = end ?? { request.end($0) }
    mayBeRetry = change.req != nil
    query = { reservations in
      var change = change
      change.take(reservations)
      return ScriptQuery(change, at: Partition(of: device))
    }
    let query = query(reservations)
    request.enqueue(query) { [self] in asked(query.script, $0) }
  }

  private var store: Store { request.store }

  private func asked(_ script: Script, _ outcome: ScriptOutcome) {
    if !reservations.all.isEmpty { Failpoint.linked.hit() }
    guard case .line(let line, _) = outcome, line.starts(with: Array("MORE ".utf8)) else {
      return finish(outcome)
    }
    let text = String(decoding: line, as: UTF8.self)
    guard let ask = ReservationAsk(text, device: device) else {
      return finish(.failed(store.refusal(of: script, text)))
    }
    guard asksLeft > 0 else {
      let why = "the session is changed too often; nothing was done, retry"
      return finish(.failed(RequestError(.overloaded, why)))
    }
    asksLeft -= 1
    self.ask = ask
    reserve(reservations.missing(ask), checksLeft: LinkedChange.checksMax)
  }

  // MARK: Reservations

  /// Makes reservations, and goes on to the change.
  ///
  /// Threads come first, and users' quotas after them: of the requests that race for a thread only
  /// its winner counts for its user, so no two of them can refuse each other.
  private func reserve(_ entries: [LinkEntry], checksLeft: Int) {
    guard !request.isOver else { return giveUp() }
    let threads = entries.filter { $0.link.kind == LinkName.threadKind }
    let first = threads.isEmpty ? entries : threads
    let later = threads.isEmpty ? [] : entries.filter { $0.link.kind != LinkName.threadKind }
    let query = ScriptQuery(
      first.map { entry in
        let call = LinkReserveCall(
          link: ArgumentText(entry.link.text), entry: ArgumentText(entry.session.text),
          quota: ask?.isLive == true ? quota(of: entry.link) : 0,
          checkAfterMs: LinkStatus.reservedMs)
        return (entry.link.partition, call)
      })
    store.gather(query, timeoutMs: request.stepMs) { [self] result in
      switch result {
      case .success(let rows):
        guard let full = reserved(first, rows) else { return }
        if !full.isEmpty {
          check(full, later, checksLeft: checksLeft)
        } else if later.isEmpty {
          change()
        } else {
          reserve(later, checksLeft: checksLeft)
        }
      case .failure(let error):
        // They may have been made all the same.
        reservations.add(first)
        finish(.failed(LinkedChange.notReserved(error)))
      }
    }
  }

  /// How many live sessions a link may have; 0 if that does not matter.
  private func quota(of link: LinkName) -> Int64 {
    guard link.kind == "user" else { return 0 }
    let ofPolicy = ask?.userQuota ?? 0
    return ofPolicy > 0 ? ofPolicy : Int64(request.context.shared.settings.userSessionsMax)
  }

  /// Whether reservations were made or not, the session was not touched.
  private static func notReserved(_ error: RequestError) -> RequestError {
    guard error.code == .unknownOutcome else { return error }
    return RequestError(.unavailable, "\(error.text.prefix { $0 != ";" }); nothing was done")
  }

  /// Takes the replies; returns the links that had no room, or nil if the request has failed.
  private func reserved(_ entries: [LinkEntry], _ rows: [[UInt8]]) -> [FullLink]? {
    var made: [LinkEntry] = []
    var full: [FullLink] = []
    var failure: RequestError?
    for (entry, row) in zip(entries, rows) {
      if row.starts(with: Array("FULL".utf8)) {
        full.append(FullLink(entry, row, quota: quota(of: entry.link)))
      } else if let error = request.error(in: row, of: .linkReserve) {
        failure = failure ?? error
      } else {
        made.append(entry)
      }
    }
    reservations.add(made)
    guard let failure else { return full }
    finish(.failed(failure))
    return nil
  }

  /// Some have no room: entries whose sessions are gone, or not live any more, make some.
  ///
  /// `later` are the reservations that are to be made after these.
  private func check(_ full: [FullLink], _ later: [LinkEntry], checksLeft: Int) {
    // What keeps them was not checked now: it is not known that there is no room.
    guard !request.isOver else { return giveUp() }
    let others = full.flatMap(\.others)
    LinkCheck.run(store, others, timeoutMs: request.stepMs) { [self] statuses in
      let known = Dictionary(zip(others, statuses)) { first, _ in first }
      var evictions: (candidates: [LinkEntry], count: Int)?
      for link in full {
        let held = link.others.map { known[$0] ?? nil }
        guard let error = link.refusal(held, isLast: checksLeft == 1) else { continue }
        // Another request may have made the session that this one looks for.
        let isOwn = zip(link.others, held).contains {
          $0.session.device == device && $1?.word != "gone"
        }
        // It may also be of this very request, sent before: its reply is kept then.
        if isSearch && isOwn || mayBeRetry, asksLeft > (ask?.evicts == true ? 1 : 0) {
          mayBeRetry = false
          return change()
        }
        guard ask?.evicts == true, error.code == .quota, evictionsLeft > 0 else {
          return finish(.failed(error))
        }
        evictions = link.surplus(held)
      }
      if let evictions {
        evictionsLeft -= 1
        UserEviction.run(
          store, evictions.candidates, count: evictions.count, timeoutMs: request.stepMs
        ) { [self] in
          reserve(full.map(\.entry) + later, checksLeft: checksLeft)
        }
        return
      }
      after(checks: LinkedChange.checksMax - checksLeft) { [self] in
        reserve(full.map(\.entry) + later, checksLeft: checksLeft - 1)
      }
    }
  }

  /// Goes on at once after the first check, which may have made room; else in a moment.
  private func after(checks: Int, _ goOn: @escaping () -> Void) {
    guard checks > 0 else { return goOn() }
    let timer = LoopTimer(store.loop) { [self] in
      pause = nil
      goOn()
    }
    pause = timer
    timer.set(afterMs: 5 << (checks - 1))
  }

  private func change() {
    Failpoint.reserved.hit()
    guard !request.isOver else { return giveUp() }
    let query = query(reservations)
    store.call(query, timeoutMs: request.stepMs) { [self] in asked(query.script, $0) }
  }

  // MARK: The end

  /// There is no time for the next step, and the session was not touched.
  private func giveUp() {
    finish(
      .failed(RequestError(.unavailable, "the request's time was over; nothing was done")))
  }

  /// Answers, and settles the reservations: those of a change that was done are confirmed at once,
  /// so that they end as soon as the session does; all others are given back.
  private func finish(_ outcome: ScriptOutcome) {
    let isUnknown =
      if case .failed(let error) = outcome { error.code == .unknownOutcome } else { false }
    noteDeadline(outcome, isUnknown: isUnknown)
    end(outcome)
    // What may have been done is for the reconciler to find.
    guard !isUnknown else { return }
    LinkCheck.run(
      store, reservations.all, isOwn: true, timeoutMs: store.requestTimeoutMs
    ) { _ in }
  }
}

extension LinkedChange {
  /// Notes when the change has its first deadline; at once if it may have been done, or was not
  /// done but may have ended something on the way.
  private func noteDeadline(_ outcome: ScriptOutcome, isUnknown: Bool) {
    var ms: Int64? = isUnknown ? 0 : dueInMs.map { _ in 0 }
    if case .line(let line, let shownMs) = outcome, line.starts(with: "OK".utf8) {
      ms = [dueInMs, shownMs].compactMap(\.self).min()
    }
    if let ms { request.context.note(Partition(of: device), dueInMs: ms) }
  }
}

/// A link that had no room for a reservation.
private struct FullLink {
  /// The reservation that could not be made.
  let entry: LinkEntry
  /// The sessions that there are instead.
  let others: [LinkEntry]
  /// How many of them may be live.
  private let quota: Int64

  /// From `FULL <session>/<device>…`.
  init(_ entry: LinkEntry, _ row: [UInt8], quota: Int64) {
    self.entry = entry
    self.quota = quota
    others = SessionEntry.texts(in: row).compactMap { SessionEntry(text: $0) }
      .map { LinkEntry(entry.link, $0) }
  }

  /// The others that are live, and how many of them have to go to make room for one.
  func surplus(_ statuses: [LinkStatus?]) -> (candidates: [LinkEntry], count: Int) {
    let live = zip(others, statuses).filter { $1.map { $0.word == "live" } ?? true }.map(\.0)
    return (live, live.count - Int(quota) + 1)
  }

  /// The reason to try no more, by the statuses of the others as far as they could be read; nil
  /// while there may be room.
  func refusal(_ statuses: [LinkStatus?], isLast: Bool) -> RequestError? {
    guard entry.link.kind == LinkName.threadKind else {
      let live = statuses.filter { $0.map { $0.word == "live" } ?? true }.count
      guard live < quota else {
        return .quota(Int(quota), of: Int(quota), "live sessions of user \(entry.link.ref)")
      }
      guard isLast else { return nil }
      return RequestError(
        .unavailable,
        "user \(entry.link.ref) has \(quota) sessions with those of requests that are under way or "
          + "were cut off; nothing was done, retry")
    }
    if statuses.contains(where: { $0.map { $0.word != "gone" } ?? true }) {
      return RequestError(
        .conflict, "thread= is taken: its session is kept, on this device or another; take another")
    }
    guard isLast else { return nil }
    return RequestError(
      .unavailable, "thread= is reserved by a request that was cut off; nothing was done, retry")
  }
}

/// Reads sessions' statuses, and updates their links' partitions.
enum LinkCheck {
  /// `done` is called when that has been tried, with each status that could be read; a later check
  /// does what failed.
  ///
  /// `isOwn`: this request made the reservations, and is over: no session is about to come.
  static func run(
    _ store: Store, _ entries: [LinkEntry], isOwn: Bool = false, timeoutMs: Int64,
    _ done: @escaping ([LinkStatus?]) -> Void
  ) {
    let unknown = [LinkStatus?](repeating: nil, count: entries.count)
    guard !entries.isEmpty else { return done(unknown) }
    store.gather(.status(entries), timeoutMs: timeoutMs) { result in
      guard case .success(let rows) = result else { return done(unknown) }
      let statuses = rows.map { row in
        LinkStatus(words: String(decoding: row, as: UTF8.self).split(separator: " "))
      }
      let settled: [(LinkEntry, LinkStatus)] = zip(entries, statuses).compactMap { entry, read in
        guard var status = read else { return nil }
        if isOwn, status.word == "gone" { status.word = "freed" }
        return (entry, status)
      }
      guard !settled.isEmpty else { return done(statuses) }
      store.gather(.settle(settled), timeoutMs: timeoutMs) { _ in done(statuses) }
    }
  }
}

/// A request for link_reserve.lua.
struct LinkReserveCall: ScriptCall {
  static let script = Script.linkReserve
  let link: ArgumentText
  let entry: ArgumentText
  let quota: Int64
  let checkAfterMs: Int64

  func write(to words: inout CommandBuffer) {
    words.word(link)
    words.word(entry)
    words.word(quota)
    words.word(checkAfterMs)
  }
}
