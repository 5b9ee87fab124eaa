// Owns: what becomes of calls whose time is over: their callers get an error, and the connection
// stays as long as Redis answers. Runs on the connection's loop's thread.
//
// A Redis that is slow is not made faster by closing the connection: whatever is under way on it
// would fail too, and be asked again.

internal import Loop

extension RedisConnection {
  func watchdogFired() {
    watchdogAtMs = .max
    if machine.isConnecting, setupDeadlineMs > loop.nowMs { return watch(untilMs: setupDeadlineMs) }
    guard !machine.isConnecting, !isSilent, !mustEnd else {
      // Closed and never reused: the late reply would be taken for another request's.
      return lost("Redis did not answer in time")
    }
    giveUpOverdue()
    let ends = (pending.elements + waiting).filter { !$0.isGivenUp }.map(\.deadlineMs)
    if let next = (ends + [silenceEndMs].compactMap(\.self)).min() { watch(untilMs: next) }
  }

  /// When Redis will have been silent for too long; nil if nothing is asked.
  private var silenceEndMs: Int64? {
    pending.first.map { oldest in
      let endMs = max(oldest.sentMs, answeredMs) + setup.requestTimeoutMs
      return oldest.isGivenUp ? endMs : max(endMs, oldest.deadlineMs)
    }
  }

  private var isSilent: Bool { silenceEndMs.map { $0 <= loop.nowMs } ?? false }

  /// Whether a call is overdue without whose answer the connection is of no use.
  private var mustEnd: Bool {
    pending.elements.contains { call in
      isOverdue(call) && (setup.replicaAcks > 0 || !call.isOfCaller)
    }
  }

  private func isOverdue(_ call: PendingCall) -> Bool {
    !call.isGivenUp && call.deadlineMs <= loop.nowMs
  }

  private func giveUpOverdue() {
    var sent: [PendingCall] = []
    pending.change { call in
      guard isOverdue(call) else { return }
      sent.append(call)
      call.giveUp()
    }
    let unsent = waiting.filter(isOverdue)
    waiting.removeAll(where: isOverdue)
    batchesInFlight -= unsent.count { $0.isBatch }
    // Callers may ask for more, or end the connection.
    for call in sent { fail(call, .noAnswer("Redis did not answer in time")) }
    for call in unsent { fail(call, .notSent("Redis is behind with what it was asked")) }
  }
}
