// Owns: the rules for one device: first its calls and events are put together into the tenures of
// its tokens, then each rule is applied. Values; any thread.

/// The check of one device.
struct DeviceHistoryCheck {
  private let device: String
  private let calls: [CallRecord]
  private let events: [EventRecord]
  private let nothingIsLive: Bool
  private var leases: [Int: Tenure] = [:]
  private var violations: [HistoryViolation] = []

  init(
    _ device: String, _ calls: [CallRecord], _ events: [EventRecord], nothingIsLive: Bool
  ) {
    self.device = device
    self.events = events
    self.nothingIsLive = nothingIsLive
    var contradictions: [(Int?, String)] = []
    self.calls = DeviceHistoryCheck.merged(calls, &contradictions)
    for (token, text) in contradictions { blame(.contradiction, token, text) }
  }

  mutating func run() -> [HistoryViolation] {
    takeGrants()
    takeRenewals()
    takeEvents()
    takeReleases()
    checkTokens()
    checkEndings()
    checkAbandonments()
    checkCauses()
    return violations
  }

  private mutating func blame(_ rule: HistoryViolation.Rule, _ token: Int?, _ text: String) {
    violations.append(HistoryViolation(rule: rule, device: device, token: token, text: text))
  }

  /// Makes one call of all that carry one request id: it was done at most once.
  private static func merged(
    _ calls: [CallRecord], _ contradictions: inout [(Int?, String)]
  ) -> [CallRecord] {
    var result = calls.filter { $0.req == nil }
    for (req, tries) in Dictionary(grouping: calls.filter { $0.req != nil }, by: \.req) {
      let granted = tries.filter { $0.confirmed != nil }
      guard
        var call = granted.min(by: { $0.returnedUs < $1.returnedUs })
          ?? tries.first(where: { $0.outcome == .unknown }) ?? tries.first
      else { continue }
      call.invokedUs = tries.map(\.invokedUs).min() ?? call.invokedUs
      if let other = granted.first(where: { $0.confirmed != call.confirmed }) {
        contradictions.append((other.confirmed?.token, "two replies to req=\(req ?? "")"))
      }
      result.append(call)
    }
    return result.sorted { $0.invokedUs < $1.invokedUs }
  }
}

// MARK: Tenures

extension DeviceHistoryCheck {
  private mutating func takeGrants() {
    for call in calls where call.grantee != nil {
      guard let confirmed = call.confirmed, confirmed.renewed == false, let token = confirmed.token
      else { continue }
      if leases[token] != nil { blame(.tokenReused, token, "granted to \(call.agent) too") }
      if confirmed.agent != call.grantee {
        blame(.contradiction, token, "granted to another agent")
      }
      leases[token] = Tenure(
        token: token, agent: confirmed.agent, acquiredAt: confirmed.acquiredAt, grant: call)
    }
  }

  private mutating func takeRenewals() {
    for call in calls {
      guard let confirmed = call.confirmed, confirmed.renewed == true, let token = confirmed.token
      else { continue }
      var lease = leases[token] ?? Tenure(token: token)
      if let agent = lease.agent, agent != call.agent {
        blame(.contradiction, token, "\(call.agent) renewed what \(agent) holds")
      }
      if let acquiredAt = lease.acquiredAt, acquiredAt != confirmed.acquiredAt {
        blame(.contradiction, token, "a renewal changed acquired_at")
      }
      lease.agent = lease.agent ?? call.agent
      lease.acquiredAt = lease.acquiredAt ?? confirmed.acquiredAt
      lease.renewals.append(call)
      leases[token] = lease
    }
  }

  private mutating func takeEvents() {
    var last: EventRecord?
    for event in events {
      if let last, event.place <= last.place {
        blame(.logOutOfOrder, event.token, "\(event.id) after \(last.id)")
      }
      last = event
      var lease = leases[event.token] ?? Tenure(token: event.token)
      lease.agent = lease.agent ?? event.agent
      lease.acquiredAt = lease.acquiredAt ?? event.at - event.heldMs
      lease.endings.append(.event(event))
      leases[event.token] = lease
    }
  }

  private mutating func takeReleases() {
    for call in calls where call.verb == .seize {
      // An agent that seizes from itself ends its earlier token, without an event.
      guard let confirmed = call.confirmed, confirmed.seizedFrom == call.agent,
        let token = confirmed.token,
        let before = inOrder.last(where: { $0.token < token }), before.endings.isEmpty
      else { continue }
      // What it has ended may be a grant whose token no caller has seen.
      let isOthers = before.agent.map { $0 != call.agent } ?? false
      if isOthers, mayHaveBeenGranted(to: call.agent, by: call.returnedUs) { continue }
      release(before.token, by: call)
    }
    var blind: [CallRecord] = []
    for call in calls where call.verb == .unlock && call.confirmed != nil {
      if let token = call.token { release(token, by: call) } else { blind.append(call) }
    }
    // Which token each of the others gave back shows by how long that was held; where several will
    // do, each call gets one of its own if that is possible at all.
    let possible = blind.map { candidates(for: $0) }
    var taken: [Int: Int] = [:]
    for index in blind.indices {
      var seen: Set<Int> = []
      _ = DeviceHistoryCheck.assign(index, possible, &taken, &seen)
    }
    let tokens = Dictionary(uniqueKeysWithValues: taken.map { ($0.value, $0.key) })
    for (index, call) in blind.enumerated() {
      if let token = tokens[index] {
        release(token, by: call)
      } else if !mayHaveBeenGranted(to: call.agent, by: call.returnedUs) {
        blame(.releasedByOther, nil, "\(call.agent) held nothing that it could give back")
      }
    }
  }

  private mutating func release(_ token: Int, by call: CallRecord) {
    var lease = leases[token] ?? Tenure(token: token)
    if let agent = lease.agent, agent != call.agent {
      blame(.releasedByOther, token, "\(call.agent) gave back what \(agent) held")
    }
    if let acquiredAt = lease.acquiredAt, let heldMs = call.confirmed?.heldMs,
      !(call.invokedMs...call.returnedMs).contains(acquiredAt + heldMs)
    {
      blame(.wrongHeldMs, token, "given back after \(heldMs) ms")
    }
    lease.agent = lease.agent ?? call.agent
    lease.endings.append(.released(call))
    leases[token] = lease
  }

  /// The tokens that an UNLOCK without one can have released: none that was over by then, since
  /// the next one had been granted.
  private func candidates(for call: CallRecord) -> [Int] {
    let heldMs = call.confirmed?.heldMs ?? 0
    let leases = inOrder
    return leases.indices.filter { index in
      let lease = leases[index]
      guard lease.agent == call.agent, lease.endings.isEmpty, let acquiredAt = lease.acquiredAt
      else { return false }
      let next = index + 1 < leases.count ? leases[index + 1].acquiredAt : nil
      let endsAt = acquiredAt + heldMs
      return (call.invokedMs...call.returnedMs).contains(endsAt) && endsAt <= next ?? .max
    }.map { leases[$0].token }
  }

  /// Finds a token for one more call, moving others to their other candidates where that helps
  /// (Kuhn's way to match).
  private static func assign(
    _ index: Int, _ candidates: [[Int]], _ taken: inout [Int: Int], _ seen: inout Set<Int>
  ) -> Bool {
    for token in candidates[index] where seen.insert(token).inserted {
      guard let other = taken[token] else {
        taken[token] = index
        return true
      }
      if assign(other, candidates, &taken, &seen) {
        taken[token] = index
        return true
      }
    }
    return false
  }

  private func mayHaveBeenGranted(to agent: String, by us: Int) -> Bool {
    calls.contains { $0.outcome == .unknown && $0.grantee == agent && $0.invokedUs <= us }
  }
}

// MARK: Tokens and endings

extension DeviceHistoryCheck {
  private var inOrder: [Tenure] { leases.values.sorted { $0.token < $1.token } }

  /// Unique, growing in real time, and one after the other by Redis' clock.
  private mutating func checkTokens() {
    let grants = inOrder.compactMap { lease in lease.grant.map { (lease.token, $0) } }
    let byEnd = grants.sorted { $0.1.returnedUs < $1.1.returnedUs }
    var next = byEnd.startIndex
    var highest: Int?
    for (token, grant) in grants.sorted(by: { $0.1.invokedUs < $1.1.invokedUs }) {
      while next < byEnd.endIndex, byEnd[next].1.returnedUs < grant.invokedUs {
        highest = max(highest ?? byEnd[next].0, byEnd[next].0)
        next += 1
      }
      guard let highest, highest >= token else { continue }
      blame(.tokenNotGrowing, token, "granted after \(highest)")
    }
    var before: Tenure?
    for lease in inOrder {
      if let before, let acquiredAt = lease.acquiredAt {
        let busyUntil = before.endsAt ?? before.acquiredAt ?? acquiredAt
        if acquiredAt < busyUntil {
          blame(
            .grantsOverlap, lease.token,
            "granted at \(acquiredAt), while \(before.token) was held until \(busyUntil)")
        }
      }
      before = lease
    }
  }

  private mutating func checkEndings() {
    let leases = inOrder
    for (index, lease) in leases.enumerated() {
      let next = index + 1 < leases.count ? leases[index + 1] : nil
      if lease.endings.isEmpty, next != nil || nothingIsLive,
        !mayHaveBeenReleased(lease, by: next?.acquiredAt ?? .max)
      {
        blame(.endingMissing, lease.token, "held by \(lease.agent ?? "?"), and no ending follows")
      }
      if lease.endings.count > 1 { checkTwice(lease) }
      for case .event(let event) in lease.endings { checkMembers(of: event, lease) }
    }
  }

  private mutating func checkTwice(_ lease: Tenure) {
    let wasReleased = lease.endings.contains { if case .released = $0 { true } else { false } }
    let types = lease.endings.map { ending in
      if case .event(let event) = ending { event.type } else { "released" }
    }
    let isAbandoned = types.contains("lock.abandoned")
    let rule: HistoryViolation.Rule =
      wasReleased && isAbandoned ? .abandonedAfterRelease : .endedTwice
    blame(rule, lease.token, types.joined(separator: ", "))
  }

  private mutating func checkMembers(of event: EventRecord, _ lease: Tenure) {
    if let agent = lease.agent, agent != event.agent {
      blame(.wrongAgent, lease.token, "held by \(agent), \(event.type) names \(event.agent)")
    }
    if let acquiredAt = lease.acquiredAt, event.heldMs != event.at - acquiredAt {
      blame(
        .wrongHeldMs, lease.token, "\(event.heldMs) from \(acquiredAt) to \(event.at)")
    }
    if event.heldMs < 0 { blame(.wrongHeldMs, lease.token, "\(event.heldMs)") }
  }

  /// True if an UNLOCK of unknown outcome may have released it, or a SEIZE from oneself ended it.
  private func mayHaveBeenReleased(_ lease: Tenure, by ms: Int) -> Bool {
    calls.contains { call in
      [.unlock, .seize].contains(call.verb) && call.outcome == .unknown && call.invokedMs <= ms
        && (lease.agent == nil || call.agent == lease.agent)
        && (call.token == nil || call.token == lease.token)
    }
  }
}

// MARK: Abandonments and causes

extension DeviceHistoryCheck {
  private mutating func checkAbandonments() {
    for lease in inOrder {
      for case .event(let event) in lease.endings where event.type == "lock.abandoned" {
        // Measured by the same clock as the deadline.
        if event.place.ms < event.at {
          blame(
            .abandonedEarly, lease.token,
            "reported at \(event.place.ms), its deadline is \(event.at)")
        }
        guard lease.grant != nil || !lease.renewals.isEmpty else { continue }
        let allowed = lease.deadlines(unsure: unsureRenewals(of: lease))
        guard !allowed.contains(where: { $0.contains(event.at) }) else { continue }
        let earliest = allowed.map(\.lowerBound).min() ?? 0
        blame(
          event.at < earliest ? .abandonedEarly : .wrongDeadline, lease.token,
          "its deadline is reported as \(event.at), it was promised \(allowed)")
      }
    }
  }

  private func unsureRenewals(of lease: Tenure) -> [CallRecord] {
    calls.filter { call in
      guard call.outcome == .unknown, call.agent == lease.agent else { return false }
      switch call.verb {
      case .lock: return call.token == nil || call.token == lease.token
      case .renew: return call.token == lease.token
      case .unlock, .handoff, .seize, .clear: return false
      }
    }
  }

  /// Each event has a call that made it, and each call that makes an event has one.
  private mutating func checkCauses() {
    checkUnknownTokens()
    for event in events { checkCause(of: event) }
    for call in calls {
      guard let confirmed = call.confirmed else { continue }
      switch call.verb {
      case .handoff:
        requireEvent("lock.handed_off", of: call) { event in
          event.at == confirmed.acquiredAt && event.receiver == call.receiver
            && event.agent == call.agent
        }
      case .seize where confirmed.seizedFrom != nil && confirmed.seizedFrom != call.agent:
        requireEvent("lock.seized", of: call) { event in
          event.at == confirmed.acquiredAt && event.agent == confirmed.seizedFrom
            && event.receiver == call.agent
        }
      case .clear:
        requireEvent("lock.cleared", of: call) { event in
          (call.invokedMs...call.returnedMs).contains(event.at) && event.agent == confirmed.agent
            && event.heldMs == confirmed.heldMs
        }
      case .lock, .renew, .unlock, .seize: continue
      }
    }
  }

  private mutating func requireEvent(
    _ type: String, of call: CallRecord, _ fits: (EventRecord) -> Bool
  ) {
    guard !events.contains(where: { $0.type == type && fits($0) }) else { return }
    blame(
      .endingMissing, call.confirmed?.token, "\(call.verb.rawValue) was done, without a \(type)")
  }

  /// A token that no reply reported must have been granted by a call of unknown outcome; each of
  /// those can have granted one.
  private mutating func checkUnknownTokens() {
    var unsure = calls.filter { $0.outcome == .unknown && $0.grantee != nil }
    for lease in inOrder where lease.grant == nil {
      guard case .event(let event) = lease.endings.first else { continue }
      let acquiredAt = event.at - event.heldMs
      let found = unsure.firstIndex { $0.grantee == event.agent && $0.invokedMs <= acquiredAt }
      if let found {
        unsure.remove(at: found)
      } else {
        blame(.unknownToken, lease.token, "\(event.type) of \(event.agent), whom no call gave it")
      }
    }
  }

  private mutating func checkCause(of event: EventRecord) {
    let verbs: [String: Change] = [
      "lock.handed_off": .handoff, "lock.seized": .seize, "lock.cleared": .clear,
    ]
    guard event.type != "lock.abandoned" else { return }
    let isExplained = calls.contains { call in
      guard call.verb == verbs[event.type], call.invokedMs <= event.at else { return false }
      guard call.verb == .clear || call.grantee == event.receiver else { return false }
      switch call.outcome {
      case .ok: return event.at <= call.returnedMs
      case .fail: return false
      case .unknown: return true
      }
    }
    if !isExplained { blame(.unexplainedEvent, event.token, "\(event.type) at \(event.at)") }
  }
}
