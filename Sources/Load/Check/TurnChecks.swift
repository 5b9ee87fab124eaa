// Owns: the conclusions from the replies to TURN, DONE and TOUCH, and from requests that name a
// turn: one turn at a time, nothing accepted from one that is over, joined messages given to the
// turn that they were joined to. Values; any thread.

extension DeviceCheck {
  // MARK: TURN

  mutating func turnBegan(
    _ open: OpenCall, _ grant: TurnGrant, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    hasSession = true
    guard (session ?? grant.session) == grant.session else {
      return Violation(
        .sessionLost, "turn \(grant.turn) is of session \(grant.session), and there was another",
        atNs: nowNs)
    }
    session = grant.session
    guard grant.turn > open.turnBefore else {
      return Violation(
        .tokenNotGrowing, "turn \(grant.turn) began after turn \(open.turnBefore)", atNs: nowNs)
    }
    // An event, or a message that was joined, may have named it before the reply came.
    let index =
      turns.index(of: grant.turn)
      ?? turns.insert(
        PlayedTurn(
          lease: Lease(token: grant.turn, agent: call.agent, acquiredAtMs: nil, ttlMs: call.ttlMs)))
    guard turns[index].policy == nil else {
      return Violation(.tokenNotGrowing, "turn \(grant.turn) began twice", atNs: nowNs)
    }
    turns[index].policy = call.policy
    turns[index].lease.grantedNs = call.invokedNs...nowNs
    turns[index].lease.acquiredAtMs =
      grant.messages.last { $0.number == call.message }?.atMs ?? turns[index].lease.acquiredAtMs
    turns[index].lease.ttlMs = call.ttlMs
    turns.own(call.message, grant.turn)
    for earlier in turns.all.indices.dropLast() where turns[earlier].lease.knownOverNs == nil {
      turns[earlier].lease.knownOverNs = nowNs
    }
    if let violation = turnOverlap(around: index, besides: open.id, nowNs)
      ?? outOfOrder(open, grant.turn, triedNs, nowNs)
    {
      return violation
    }
    rollBack(before: index, open, nowNs)
    return chat.said(call.message, grant.seq, seqBefore: open.seqBefore, nowNs: nowNs)
      ?? read(grant.messages, open, asOfNs: nowNs, nowNs)
  }

  mutating func joined(
    _ open: OpenCall, _ number: Int64, _ seq: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    turns.joined.insert(call.message)
    if let violation = chat.said(call.message, seq, seqBefore: open.seqBefore, nowNs: nowNs) {
      return violation
    }
    let index: Int
    if let known = turns.index(of: number) {
      index = known
    } else {
      guard anyUnseen(besides: open.id, { $0.verb == .turn }) else {
        return Violation(
          .joinedUnanswered,
          "message \(call.message) was joined to turn \(number), which never "
            + "began", atNs: nowNs)
      }
      index = turns.insert(
        PlayedTurn(lease: Lease(token: number, agent: -1, acquiredAtMs: nil, ttlMs: 0)))
    }
    if let how = turnWasOver(number, open) {
      return Violation(
        .joinedUnanswered, "message \(call.message) was joined to turn \(number), and \(how)",
        atNs: nowNs)
    }
    turns[index].joined.append(PlayedTurn.JoinedMessage(message: call.message, seq: seq))
    return unanswered(index, nowNs)
  }

  /// TURN was answered with BUSY, at its first try.
  func busyWithoutTurn(_ open: OpenCall, _ nowNs: Int64) -> Violation? {
    // A turn that was granted to a caller that waits, or has gone, counts as running.
    guard !anyUnseen(besides: open.id, { $0.verb == .turn }), waiterEndedNs < open.call.invokedNs,
      strayGrantsUntilNs < nowNs
    else { return nil }
    for turn in turns.all {
      if let overNs = turn.lease.knownOverNs {
        if overNs > open.call.invokedNs { return nil }
      } else {
        guard let endNs = turn.lease.latestEndNs, endNs < open.call.invokedNs,
          !mayHaveRenewedTurn(turn.number)
        else { return nil }
      }
    }
    return Violation(
      .busyWithoutTurn, "TURN is answered with BUSY, and every turn had ended before", atNs: nowNs)
  }

  // MARK: Requests of a turn

  mutating func turnTouched(_ open: OpenCall, _ triedNs: Int64, _ nowNs: Int64) -> Violation? {
    if let violation = staleTurnAccepted(open, nowNs) { return violation }
    renewTurn(open.call.turn, triedNs, nowNs)
    return nil
  }

  mutating func turnGoesOn(
    _ open: OpenCall, _ seq: Int64, _ messages: [Message], _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    if let violation = staleTurnAccepted(open, nowNs) { return violation }
    renewTurn(call.turn, triedNs, nowNs)
    guard let index = turns.index(of: call.turn) else { return nil }
    turns[index].seen = max(turns[index].seen, call.seen)
    for message in messages where !turns[index].given.insert(message.number).inserted {
      return Violation(
        .messageDoubled, "message \(message.number) was given to turn \(call.turn) twice",
        atNs: nowNs)
    }
    guard call.message > 0 else { return nil }
    return chat.said(call.message, seq, seqBefore: open.seqBefore, nowNs: nowNs)
  }

  mutating func turnEnded(
    _ open: OpenCall, _ seq: Int64, _ left: Int, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    if let violation = staleTurnAccepted(open, nowNs) { return violation }
    guard let index = turns.index(of: call.turn) else { return nil }
    let lease = turns[index].lease
    guard lease.event == nil, !lease.isReleased else {
      return Violation(
        lease.event == nil ? .staleWriteAccepted : .abandonedAfterRelease,
        "DONE of turn \(call.turn), which had ended otherwise", atNs: nowNs)
    }
    turns[index].lease.isReleased = true
    turns[index].lease.knownOverNs = lease.knownOverNs ?? nowNs
    turns[index].seen = max(turns[index].seen, call.seen)
    turns[index].lastDone = PlayedTurn.LastDone(
      seq: seq, isLast: call.isLast, left: left, sentNs: call.invokedNs)
    if call.message > 0, seq > 0,
      let violation = chat.said(call.message, seq, seqBefore: open.seqBefore, nowNs: nowNs)
    {
      return violation
    }
    return unanswered(index, nowNs)
  }

  /// Whether a request that was accepted named a turn that was over when it began.
  func staleTurnAccepted(_ open: OpenCall, _ nowNs: Int64) -> Violation? {
    guard open.call.turn > 0, let how = turnWasOver(open.call.turn, open) else { return nil }
    return Violation(
      .staleWriteAccepted,
      "\(open.call.verb.name) with turn \(open.call.turn) was accepted, and \(how)", atNs: nowNs)
  }

  /// A request was answered with STALE, or found no turn.
  func liveTurnRefused(_ open: OpenCall, _ nowNs: Int64) -> Violation? {
    let number = open.call.turn
    guard let turn = turns.all.last, turn.number == number, number == open.turnBefore,
      turn.lease.knownOverNs == nil, let endNs = turn.lease.earliestEndNs, nowNs < endNs,
      !mayHaveEndedTurn(number, besides: open.id)
    else { return nil }
    return Violation(
      .liveTokenRefused,
      "\(open.call.verb.name) says that turn \(number) is over, and its deadline "
        + "has not come", atNs: nowNs)
  }

  // MARK: - Parts

  /// How a turn was over before a call began; nil if it may have been running.
  private func turnWasOver(_ number: Int64, _ open: OpenCall) -> String? {
    if number < open.turnBefore { return "turn \(open.turnBefore) had begun before" }
    guard let index = turns.index(of: number) else { return nil }
    let lease = turns[index].lease
    if let overNs = lease.knownOverNs, overNs <= open.call.invokedNs {
      return "it had ended before"
    }
    guard let endNs = lease.latestEndNs, endNs < open.call.invokedNs, !mayHaveRenewedTurn(number)
    else { return nil }
    return "its deadline had passed"
  }

  private mutating func renewTurn(_ number: Int64, _ triedNs: Int64, _ nowNs: Int64) {
    guard let index = turns.index(of: number) else { return }
    let before = turns[index].lease.renewedNs
    turns[index].lease.renewedNs =
      max(before?.lowerBound ?? triedNs, triedNs)...max(before?.upperBound ?? nowNs, nowNs)
  }

  /// Whether a joined message was left without an answer, as far as both replies are known.
  private func unanswered(_ index: Int, _ nowNs: Int64) -> Violation? {
    let turn = turns[index]
    guard let done = turn.lastDone, done.seq > 0 else { return nil }
    let left = turn.joined.filter { $0.seq > turn.seen && !turn.given.contains($0.message) }
    guard let message = left.first else { return nil }
    if let late = left.first(where: { $0.seq > done.seq }) {
      return Violation(
        .joinedUnanswered,
        "message \(late.message) was joined to turn \(turn.number) as seq "
          + "\(late.seq), and the turn had ended at \(done.seq)", atNs: nowNs)
    }
    if done.isLast, left.count <= done.left { return nil }
    return Violation(
      .joinedUnanswered,
      "turn \(turn.number) ended at seq \(done.seq), and was never given message "
        + "\(message.message), which was joined to it as seq \(message.seq)", atNs: nowNs)
  }

  /// Whether a call that is under way or unknown may have ended a turn.
  func mayHaveEndedTurn(_ number: Int64, besides id: Int = 0) -> Bool {
    anyUnseen(besides: id) { call in
      call.verb == .done && call.turn == number || call.verb == .turn && call.policy.ends
    }
  }

  /// Whether one may have started its TTL again.
  private func mayHaveRenewedTurn(_ number: Int64) -> Bool {
    anyUnseen { ($0.verb == .done || $0.verb == .touch) && $0.turn == number }
  }
}
