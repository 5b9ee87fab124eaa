// Owns: what the server's clock and the events say about turns: no two at a time, each abandonment
// with one event, and not before its deadline. Values; any thread.

extension DeviceCheck {
  /// Whether a turn and those before and after it were running at the same time.
  func turnOverlap(around index: Int, besides id: Int, _ nowNs: Int64) -> Violation? {
    if index > 0, let found = turnOverlap(index - 1, besides: id, nowNs) { return found }
    return index + 1 < turns.all.count ? turnOverlap(index, besides: id, nowNs) : nil
  }

  /// Whether a turn was running when the one behind it began without ending it.
  private func turnOverlap(_ index: Int, besides id: Int, _ nowNs: Int64) -> Violation? {
    let (first, second) = (turns[index], turns[index + 1])
    guard let beganMs = second.lease.acquiredAtMs, let policy = second.policy else { return nil }
    let untilMs: Int64
    if let event = first.lease.event {
      untilMs = event.atMs
    } else {
      guard !policy.ends, !first.lease.isReleased, !mayHaveEndedTurn(first.number, besides: id),
        let deadlineMs = first.lease.earliestDeadlineMs
      else { return nil }
      untilMs = deadlineMs
    }
    guard beganMs < untilMs else { return nil }
    return Violation(
      .twoTurns,
      "turn \(second.number) began at \(beganMs) with policy=\(policy.rawValue), and "
        + "turn \(first.number) ran until \(untilMs) at least", atNs: nowNs)
  }

  mutating func turnAbandoned(_ event: LockEvent, _ nowNs: Int64) -> Violation? {
    let number = event.token
    if turns.index(of: number) == nil {
      guard anyUnseen({ $0.verb == .turn }) else {
        return Violation(
          .unexplainedEvent, "turn \(number) is reported as abandoned, and never began",
          atNs: nowNs)
      }
      _ = turns.insert(
        PlayedTurn(lease: Lease(token: number, agent: event.agent, acquiredAtMs: nil, ttlMs: 0)))
    }
    guard let index = turns.index(of: number) else { return nil }
    let lease = turns[index].lease
    if let other = lease.event {
      return Violation(
        .reportedTwice, "turn \(number) is reported as abandoned by \(other.id) and by \(event.id)",
        atNs: nowNs)
    }
    guard !lease.isReleased, !isInterrupted(index, before: event) else {
      return Violation(
        .abandonedAfterRelease,
        "turn \(number) was done or interrupted, and is reported as abandoned", atNs: nowNs)
    }
    if let violation = tooEarly(event, lease, "turn \(number)", nowNs) { return violation }
    turns[index].lease.event = event
    turns[index].lease.endedAtMs = event.atMs
    turns[index].lease.knownOverNs = lease.knownOverNs ?? nowNs
    return turnOverlap(around: index, besides: 0, nowNs)
  }

  /// Whether the turn behind this one ended it before the moment of an event.
  private func isInterrupted(_ index: Int, before event: LockEvent) -> Bool {
    guard let next = turns.successor(of: index), next.policy?.ends == true,
      let beganMs = next.lease.acquiredAtMs
    else { return false }
    return beganMs < event.atMs
  }

  /// Returns a turn without a known end, after all that can happen has happened and was seen.
  mutating func turnVerdict(_ nowNs: Int64) -> Violation? {
    for index in turns.all.indices {
      let turn = turns[index]
      if turn.lease.isReleased || turn.lease.event != nil || turns.isInterrupted(index) { continue }
      if turns.mayBeInterrupted(index) || mayHaveEndedTurn(turn.number) {
        unverifiable += 1
        continue
      }
      return Violation(
        .notReported, "turn \(turn.number) must have expired, and has no event", atNs: nowNs)
    }
    return nil
  }
}
