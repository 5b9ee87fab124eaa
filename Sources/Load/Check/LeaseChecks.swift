// Owns: the conclusions from a grant, a renewal, a release, a HOLDER and an event about the leases
// of a device, and the contradictions among them. Values; any thread.

/// The content of the reply to LOCK or HANDOFF.
struct LeaseGrant {
  let token: Int64
  let agent: Int
  let acquiredAtMs: Int64
}

extension DeviceCheck {
  mutating func granted(_ open: OpenCall, _ reply: LeaseGrant, _ nowNs: Int64) -> Violation? {
    let call = open.call
    if let violation = call.verb == .handoff ? handedOff(open, reply, nowNs) : nil {
      return violation
    }
    guard reply.token > open.tokenBefore else {
      return Violation(
        .tokenNotGrowing,
        "token \(reply.token) was granted after token \(open.tokenBefore)", atNs: nowNs)
    }
    let range = call.invokedNs...nowNs
    if let index = leaseIndex(of: reply.token) {
      // An event or a renewal may have named this token before the reply came; a grant can't.
      guard !leases[index].isGrantReported else {
        return Violation(
          .tokenNotGrowing, "token \(reply.token) was granted twice", atNs: nowNs)
      }
      leases[index].isGrantReported = true
      leases[index].grantedNs = leases[index].grantedNs ?? range
      leases[index].acquiredAtMs = reply.acquiredAtMs
      leases[index].ttlMs = call.ttlMs
    } else {
      insert(
        Lease(
          token: reply.token, agent: reply.agent, acquiredAtMs: reply.acquiredAtMs,
          ttlMs: call.ttlMs, isGrantReported: true, grantedNs: range))
    }
    return overlap(around: reply.token, nowNs)
  }

  private mutating func handedOff(
    _ open: OpenCall, _ reply: LeaseGrant, _ nowNs: Int64
  ) -> Violation? {
    if let violation = staleAccepted(open, nowNs) { return violation }
    guard let index = leaseIndex(of: open.call.token) else { return nil }
    if leases[index].isReleased || leases[index].isHandedOff
      || leases[index].event.map({ $0.kind != .handedOff }) ?? false
    {
      return Violation(
        .staleWriteAccepted, "HANDOFF of token \(open.call.token), which had ended otherwise",
        atNs: nowNs)
    }
    leases[index].isHandedOff = true
    leases[index].endedAtMs = leases[index].endedAtMs ?? reply.acquiredAtMs
    leases[index].knownOverNs = leases[index].knownOverNs ?? nowNs
    return overlap(around: open.call.token, nowNs)
  }

  mutating func renewed(
    _ open: OpenCall, _ reply: LeaseGrant, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    guard reply.token >= open.tokenBefore else {
      return Violation(
        .staleWriteAccepted,
        "token \(reply.token) was renewed after token \(open.tokenBefore) was granted", atNs: nowNs)
    }
    guard let index = leaseIndex(of: reply.token) else {
      // An earlier LOCK of this agent was done, though its reply was lost.
      insert(
        Lease(
          token: reply.token, agent: reply.agent, acquiredAtMs: reply.acquiredAtMs,
          ttlMs: call.ttlMs, grantedNs: call.invokedNs...nowNs, renewedNs: triedNs...nowNs))
      return overlap(around: reply.token, nowNs)
    }
    let lease = leases[index]
    if lease.agent != call.agent {
      return Violation(
        .twoHolders,
        "\(Agents.name(call.agent)) renewed token \(reply.token) of \(Agents.name(lease.agent))",
        atNs: nowNs)
    }
    if let overNs = lease.knownOverNs, overNs <= call.invokedNs {
      return Violation(
        .staleWriteAccepted, "token \(reply.token) was renewed after it had ended", atNs: nowNs)
    }
    leases[index].acquiredAtMs = lease.acquiredAtMs ?? reply.acquiredAtMs
    leases[index].grantedNs = lease.grantedNs ?? call.invokedNs...nowNs
    let before = lease.renewedNs
    leases[index].renewedNs =
      max(before?.lowerBound ?? triedNs, triedNs)...max(before?.upperBound ?? nowNs, nowNs)
    return overlap(around: reply.token, nowNs)
  }

  mutating func released(_ open: OpenCall, _ heldMs: Int64, _ nowNs: Int64) -> Violation? {
    if let violation = staleAccepted(open, nowNs) { return violation }
    guard let index = leaseIndex(of: open.call.token) else { return nil }
    if let event = leases[index].event {
      return Violation(
        event.kind == .abandoned ? .abandonedAfterRelease : .staleWriteAccepted,
        "token \(open.call.token) was given back, and reported as \(event.kind.rawValue)",
        atNs: nowNs)
    }
    leases[index].isReleased = true
    leases[index].endedAtMs = leases[index].acquiredAtMs.map { $0 + heldMs }
    leases[index].knownOverNs = nowNs
    return overlap(around: open.call.token, nowNs)
  }

  /// HOLDER has named an agent.
  func shown(
    _ open: OpenCall, _ agent: Int, _ acquiredAtMs: Int64, _ nowNs: Int64
  ) -> Violation? {
    guard let lease = surelyHeld(during: open, nowNs: nowNs) else { return nil }
    guard agent != lease.agent || lease.acquiredAtMs.map({ $0 != acquiredAtMs }) ?? false else {
      return nil
    }
    return Violation(
      .twoHolders,
      "HOLDER names \(Agents.name(agent)) since \(acquiredAtMs), while "
        + "\(Agents.name(lease.agent)) holds token \(lease.token)", atNs: nowNs)
  }

  private mutating func insert(_ lease: Lease) {
    let index = leases.firstIndex { $0.token > lease.token } ?? leases.endIndex
    leases.insert(lease, at: index)
  }

  /// Whether the lease of a token and those before and after it were live at the same time.
  private func overlap(around token: Int64, _ nowNs: Int64) -> Violation? {
    guard let index = leaseIndex(of: token) else { return nil }
    if index > 0, let found = overlap(leases[index - 1], leases[index], nowNs) { return found }
    guard index + 1 < leases.count else { return nil }
    return overlap(leases[index], leases[index + 1], nowNs)
  }

  private func overlap(_ first: Lease, _ second: Lease, _ nowNs: Int64) -> Violation? {
    guard let beganMs = second.acquiredAtMs else { return nil }
    let untilMs: Int64
    let how: String
    if let endedAtMs = first.endedAtMs {
      (untilMs, how) = (endedAtMs, "was held until")
    } else if !first.isOver, !mayHaveEnded(first), let deadlineMs = first.earliestDeadlineMs {
      (untilMs, how) = (deadlineMs, "could not expire before")
    } else {
      return nil
    }
    guard beganMs < untilMs else { return nil }
    return Violation(
      .twoHolders,
      "token \(second.token) of \(Agents.name(second.agent)) was granted at \(beganMs), and token "
        + "\(first.token) of \(Agents.name(first.agent)) \(how) \(untilMs)", atNs: nowNs)
  }
}

// MARK: - Events

extension DeviceCheck {
  mutating func judge(_ event: LockEvent, _ nowNs: Int64) -> Violation? {
    if event.kind == .turnAbandoned { return turnAbandoned(event, nowNs) }
    if event.kind.isOfSession { return sessionEvent(event, nowNs) }
    if leaseIndex(of: event.token) == nil {
      guard mayHaveGranted(to: event.agent) else {
        return Violation(
          .unexplainedEvent,
          "\(event.kind.rawValue) of token \(event.token), which was never granted", atNs: nowNs)
      }
      insert(
        Lease(
          token: event.token, agent: event.agent, acquiredAtMs: event.atMs - event.heldMs,
          ttlMs: 0))
    }
    guard let index = leaseIndex(of: event.token) else { return nil }
    let lease = leases[index]
    if let other = lease.event {
      return Violation(
        .reportedTwice,
        "token \(event.token) is reported as \(other.kind.rawValue) by \(other.id) and as "
          + "\(event.kind.rawValue) by \(event.id)", atNs: nowNs)
    }
    if let violation = contradiction(event, lease, nowNs) { return violation }
    leases[index].event = event
    leases[index].endedAtMs = event.atMs
    leases[index].knownOverNs = lease.knownOverNs ?? nowNs
    return overlap(around: event.token, nowNs)
  }

  private func contradiction(
    _ event: LockEvent, _ lease: Lease, _ nowNs: Int64
  ) -> Violation? {
    guard event.agent == lease.agent else {
      return Violation(
        .unexplainedEvent, "\(event.id) names another agent than the holder of \(event.token)",
        atNs: nowNs)
    }
    switch event.kind {
    case .abandoned:
      guard !lease.isReleased, !lease.isHandedOff else {
        return Violation(
          .abandonedAfterRelease,
          "token \(event.token) was given back or handed over, and reported as abandoned",
          atNs: nowNs)
      }
      return tooEarly(event, lease, "token \(event.token)", nowNs)
    case .handedOff:
      guard !lease.isReleased, lease.isHandedOff || mayHaveEnded(lease) else {
        return Violation(
          .unexplainedEvent,
          "token \(event.token) is reported as handed over, and no caller did that",
          atNs: nowNs)
      }
      return nil
    default:
      return Violation(
        .unexplainedEvent, "\(event.kind.rawValue): another program uses this device", atNs: nowNs)
    }
  }

  /// Whether an abandonment is reported before it can have come; `named` is what has ended.
  func tooEarly(
    _ event: LockEvent, _ lease: Lease, _ named: String, _ nowNs: Int64
  ) -> Violation? {
    if let deadlineMs = lease.earliestDeadlineMs, event.atMs < deadlineMs {
      return Violation(
        .reportedTooEarly,
        "\(named) is reported as abandoned at \(event.atMs), and its deadline was not before "
          + "\(deadlineMs)", atNs: nowNs)
    }
    if let endNs = lease.earliestEndNs, nowNs < endNs {
      return Violation(
        .reportedTooEarly,
        "\(named) is reported as abandoned \((endNs - nowNs) / 1_000_000) ms before its deadline "
          + "can have come", atNs: nowNs)
    }
    return nil
  }
}
