// Owns: the audit of a serving loop: a line for each refused or privileged request, when it is
// answered. Runs on the loop's thread.

internal import Access
internal import Loop
internal import Metrics
internal import Service
internal import RedisConnection

/// The requests whose answers are awaited, and how many lines there were.
struct Audit {
  private var calls: [TracedRequest: AuditedCall] = [:]
  private var second: Int64 = 0
  private var refused = 0
  private var unlisted = 0

  /// Refused requests have so many lines a second, in each loop; privileged ones always have one.
  ///
  /// A privileged one that is refused counts as refused: any caller can send it.
  static let refusedMax = 200

  mutating func note(_ ticket: Ticket, _ call: AuditedCall) { calls[TracedRequest(ticket)] = call }

  mutating func take(_ ticket: Ticket) -> AuditedCall? {
    calls.isEmpty ? nil : calls.removeValue(forKey: TracedRequest(ticket))
  }

  /// Whether a refused request gets a line, and how many before this second had none.
  mutating func admits(nowMs: Int64) -> (isListed: Bool, unlisted: Int) {
    var before = 0
    if nowMs / 1_000 != second {
      (before, second, refused, unlisted) = (unlisted, nowMs / 1_000, 0, 0)
    }
    refused += 1
    let isListed = refused <= Audit.refusedMax
    if !isListed { unlisted += 1 }
    return (isListed, before)
  }
}

extension ServingLoop {
  /// Writes the line of a request that is answered, if it has one.
  func writeAudit(_ ticket: Ticket, _ outcome: Outcome, _ connection: Connection?) {
    guard let log = shared.audit else { return }
    let call = audit.take(ticket)
    let isRefused = outcome == .authRequired || outcome == .forbidden
    guard isRefused || call?.isPrivileged == true else { return }
    if isRefused {
      let (isListed, unlisted) = audit.admits(nowMs: loop.nowMs)
      if unlisted > 0 { check(log.write(["audit": "unlisted", "count": "\(unlisted)"])) }
      guard isListed else { return }
    }
    let isKnown = ticket.verb < VerbTable.all.count
    check(
      log.write([
        "audit": isRefused ? "refused" : "privileged",
        "who": call?.who ?? connection?.principal?.key ?? "-",
        "from": connection?.peer?.description ?? "-",
        "wire": connection?.http == nil ? "line" : "http",
        "verb": isKnown ? VerbTable.all[ticket.verb].name : "-", "device": call?.device ?? "-",
        "outcome": outcome.label,
      ]))
  }

  private func check(_ isWritten: Bool) {
    guard !isWritten else { return }
    counters.add(.auditFailures)
    shared.log.repeated(.error, "a line of the audit could not be written")
  }
}
