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

extension Connection {
  func ownerText(_ kind: PrincipalLimits.Kind) -> String {
    guard let principal, !principal.mark.isEmpty else { return "" }
    let (owned, most) = (use.principal?.owned(kind) ?? 0, principal.limits[kind])
    return owned < most ? "/\(principal.mark)" : "/\(principal.mark)/\(owned)/\(most)"
  }
}
