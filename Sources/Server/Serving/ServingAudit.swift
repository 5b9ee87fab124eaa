// Owns: the audit of a serving loop: a line for each refused or privileged request, when it is
// answered. Runs on the loop's thread.

internal import Access
internal import Loop
internal import Metrics
internal import Service
internal import RedisConnection

/// The requests whose answers are awaited, and how many lines there were.
struct Audit {
  /// What is known of a request when it comes; its connection may be gone when it is answered.
  struct Noted {
    let call: AuditedCall
    let peer: PeerAddress?
    let wire: CallerWire
  }

  /// The refused requests of a second.
  struct Refusals {
    private var second: Int64 = 0
    private var count = 0

    mutating func admits(nowMs: Int64) -> Bool {
      if nowMs / 1_000 != second { (second, count) = (nowMs / 1_000, 0) }
      count += 1
      return count <= Audit.refusedMax
    }
  }

  private var calls: [TracedRequest: Noted] = [:]
  private var ofPrincipals = Refusals()
  private var ofStrangers = Refusals()
  private var unlisted = 0

  /// Refused requests have so many lines a second, in each loop.
  ///
  /// Those of callers without a principal count by themselves, so that principals keep their lines.
  /// Privileged ones that are done always have one; any caller can send one that is refused.
  static let refusedMax = 200
  /// When the count of those without a line is written.
  static let unlistedMs: Int64 = 1_000

  mutating func note(_ ticket: Ticket, _ noted: Noted) { calls[TracedRequest(ticket)] = noted }

  mutating func take(_ ticket: Ticket) -> Noted? {
    calls.isEmpty ? nil : calls.removeValue(forKey: TracedRequest(ticket))
  }

  /// Whether a refused request gets a line, and whether it is the first one to be counted instead.
  mutating func admits(
    isOfPrincipal: Bool, nowMs: Int64
  ) -> (isListed: Bool, isFirstUnlisted: Bool) {
    let isListed =
      isOfPrincipal ? ofPrincipals.admits(nowMs: nowMs) : ofStrangers.admits(nowMs: nowMs)
    if !isListed { unlisted += 1 }
    return (isListed, !isListed && unlisted == 1)
  }

  /// How many have had no line since the last call.
  mutating func takeUnlisted() -> Int {
    defer { unlisted = 0 }
    return unlisted
  }
}

extension ServingLoop {
  /// Writes the line of a request that is answered, if it has one.
  func writeAudit(_ ticket: Ticket, _ outcome: Outcome, _ connection: Connection?) {
    guard let log = shared.audit else { return }
    let noted = audit.take(ticket)
    let isRefused = outcome == .authRequired || outcome == .forbidden
    let isKnown = ticket.verb < VerbTable.all.count
    let verb = isKnown ? VerbTable.all[ticket.verb].name : "-"
    let wire = noted?.wire ?? connection?.wire
    // What a person does at the page has a line, whatever right it needs.
    let isAction = wire == .page && PageVerbs.acting.contains(verb)
    guard isRefused || isAction || noted?.call.isPrivileged == true else { return }
    let who = noted?.call.who ?? connection?.principal?.key
    let issuer = noted.map(\.call.issuer) ?? connection?.principal?.issuerKey
    if isRefused {
      let (isListed, isFirst) = audit.admits(isOfPrincipal: who != nil, nowMs: loop.nowMs)
      if isFirst { auditTimer?.set(afterMs: Audit.unlistedMs) }
      guard isListed else { return }
    }
    check(
      log,
      log.write([
        "audit": isRefused ? "refused" : "privileged", "who": who ?? "-", "issuer": issuer ?? "-",
        "from": (noted?.peer ?? connection?.peer)?.description ?? "-",
        "wire": wire?.rawValue ?? "-",
        "verb": verb, "device": noted?.call.device ?? "-", "outcome": outcome.label,
      ]))
  }

  /// Writes how many refused requests had no line, if any.
  func writeUnlisted() {
    let count = audit.takeUnlisted()
    guard let log = shared.audit, count > 0 else { return }
    check(log, log.write(["audit": "unlisted", "count": "\(count)"]))
  }

  /// The log goes to standard error: where that is stalled, a line about it would wait.
  private func check(_ log: AuditLog, _ isWritten: Bool) {
    guard !isWritten else { return }
    counters.add(.auditFailures)
    guard !log.isStandardError else { return }
    shared.log.repeated(.error, "a line of the audit could not be written")
  }
}
