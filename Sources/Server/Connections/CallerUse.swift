// Owns: what a connection counts for among those of its principal. A value; its loop's thread.

internal import Access

/// A connection's part in what its principal uses.
struct CallerUse {
  /// What the principal uses; nil before AUTH.
  private(set) var principal: PrincipalUse?
  /// Whether the latest request counts as one that waits.
  private var isWaiter = false

  /// The connection is another principal's from now on, which has counted it, or of none any more.
  mutating func change(to next: PrincipalUse?) {
    guard next !== principal else { return }
    if isWaiter { principal?.releaseWaiter() }
    principal?.releaseConnection()
    principal = next
    if isWaiter { next?.addWaiter() }
  }

  mutating func beginWait() {
    if !isWaiter { principal?.addWaiter() }
    isWaiter = true
  }

  mutating func endWait() {
    if isWaiter { principal?.releaseWaiter() }
    isWaiter = false
  }
}

/// A connection's part in what its loop has under way.
struct CallerPart {
  let shares: CallerShares
  /// That of its principal.
  private(set) var principal: PrincipalShare
  /// Its requests that are counted, and where: those before an AUTH are another's.
  private var counted = 0
  private var place: PrincipalShare

  init(_ shares: CallerShares) {
    (self.shares, principal, place) = (shares, shares.ofUnknown, shares.ofUnknown)
  }

  /// It is another principal's from now on, or of none.
  mutating func join(_ name: String?) {
    shares.leave(principal)
    principal = name.map { shares.join($0) } ?? shares.ofUnknown
  }

  /// So many of its requests are under way.
  mutating func count(_ now: Int) {
    guard now != counted else { return }
    if counted == 0 { place = principal }
    shares.changed(place, from: counted, to: now)
    counted = now
  }

  /// How many may be.
  var most: Int { shares.most(principal) }
}

extension Connection {
  /// It is another principal's from now on, which has counted it, or of none any more.
  func change(to next: PrincipalUse?) {
    guard next !== use.principal else { return }
    use.change(to: next)
    part.join(next?.name)
  }

  /// Counts its requests under way, unless they wait.
  func countUnderWay() {
    part.count(machine.isClosed || backlog.isWaiting ? 0 : machine.unanswered)
  }

  /// Whether its principal asks for little beside others.
  var asksLittle: Bool { part.shares.asksLittle(part.principal) }

  func ownerText(_ kind: PrincipalLimits.Kind) -> String {
    guard let principal, !principal.mark.isEmpty else { return "" }
    let (owned, most) = (use.principal?.owned(kind) ?? 0, principal.limits[kind])
    return owned < most ? "/\(principal.mark)" : "/\(principal.mark)/\(owned)/\(most)"
  }
}
