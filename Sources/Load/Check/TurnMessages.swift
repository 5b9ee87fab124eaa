// Owns: what the messages that are read say about turns: those of a turn stand together, and a
// rollback removes all of them or none. Values; any thread.

extension DeviceCheck {
  /// Messages were read, by HISTORY or as a part of the reply to TURN.
  mutating func read(
    _ messages: [Message], _ open: OpenCall, asOfNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    guard !turns.asked.isEmpty else {
      return chat.read(
        messages, last: open.call.last, seqBefore: open.seqBefore, asOfNs: asOfNs, nowNs: nowNs)
    }
    // Taken out while it is changed, since the turns are looked at meanwhile.
    var read = chat
    chat = ChatCheck()
    let violation = read.read(
      messages, last: open.call.last, seqBefore: open.seqBefore, asOfNs: asOfNs, nowNs: nowNs,
      mayBeGone: { mayBeRolledBack($0, besides: open.id) })
    chat = read
    return violation ?? outOfTurn(messages, nowNs) ?? rolledBackInPart(messages, open, nowNs)
  }

  /// Marks the messages of the turn before a rollback as removed, if that is certain.
  ///
  /// No other TURN can have begun between the two, and the turn was running still.
  mutating func rollBack(before index: Int, _ open: OpenCall, _ nowNs: Int64) {
    guard index > 0, open.call.policy == .rollback, turns.successor(of: index) == nil,
      turns.isInterrupted(index - 1), turns[index - 1].lease.event == nil,
      !turns[index - 1].lease.isReleased
    else { return }
    let number = turns[index - 1].number
    let isUnsure = anyUnseen(besides: open.id) { call in
      call.verb == .turn || call.verb == .done && call.turn == number
    }
    guard !isUnsure else { return }
    for message in turns[index - 1].own { chat.removed(message, nowNs: nowNs) }
  }

  /// Whether a message may have been removed with its turn.
  private func mayBeRolledBack(_ message: Int, besides id: Int) -> Bool {
    guard turns.rollbackTried, !turns.joined.contains(message) else { return false }
    guard let number = turns.owners[message], let index = turns.index(of: number) else {
      return turns.asked.contains(message)
    }
    let lease = turns[index].lease
    if lease.isReleased || lease.event != nil { return false }
    if let next = turns.successor(of: index), next.policy ?? .rollback == .rollback { return true }
    return anyUnseen(besides: id) { $0.verb == .turn && $0.policy == .rollback }
  }

  /// A message of a turn that stands behind one of a later turn.
  private func outOfTurn(_ messages: [Message], _ nowNs: Int64) -> Violation? {
    var newest: Int64 = 0
    for message in messages {
      guard let number = turns.owners[message.number] else { continue }
      if number < newest {
        return Violation(
          .answerOutOfTurn,
          "message \(message.number) of turn \(number) stands behind one of turn "
            + "\(newest)", atNs: nowNs)
      }
      newest = number
    }
    return nil
  }

  /// A turn of which some messages were removed, and others are there.
  private func rolledBackInPart(
    _ messages: [Message], _ open: OpenCall, _ nowNs: Int64
  ) -> Violation? {
    guard turns.rollbackTried else { return nil }
    let isCut = open.call.last > 0 && messages.count >= open.call.last
    let fromSeq = isCut ? messages.first?.seq ?? 0 : 0
    guard fromSeq <= open.seqBefore else { return nil }
    let seqs = fromSeq...open.seqBefore
    let there = Set(messages.map(\.number))
    for turn in turns.all where turn.own.count > 1 {
      let known = turn.own.filter { chat.seq(of: $0).map(seqs.contains) ?? false }
      let left = known.filter(there.contains)
      guard !left.isEmpty, left.count < known.count else { continue }
      return Violation(
        .rolledBackThere, "of the messages \(known) of turn \(turn.number) only \(left) are there",
        atNs: nowNs)
    }
    return nil
  }
}
