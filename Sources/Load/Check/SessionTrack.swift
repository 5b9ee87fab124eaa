// Owns: the known life of one session that its own clocks end: when it was active, which events say
// how its state has changed, and what follows from both. A value; any thread.

/// The known life of a session.
struct SessionTrack: Sendable {
  let id: String
  let clocks: ShortClocks
  /// Moments of activity by the server's clock.
  private(set) var activeMs: [Int64] = []
  /// When the calls of the latest activity were sent, and the latest moment at which one was
  /// answered.
  private(set) var sentNs: Int64 = .min
  private(set) var answeredNs: Int64 = .min
  /// In the order of their ids.
  private(set) var events: [LockEvent] = []
  /// The PAUSE and RESUME calls that were answered with OK.
  var paused = 0
  var resumed = 0
  /// When CLOSE was answered; nil while no caller has closed it.
  var closedNs: Int64?

  init(_ id: String, _ clocks: ShortClocks) {
    self.id = id
    self.clocks = clocks
  }

  // MARK: Observations

  /// Activity was acknowledged; `atMs` is when it was, if the reply says so.
  mutating func active(_ atMs: Int64?, sentNs sent: Int64, answeredNs answered: Int64) {
    sentNs = max(sentNs, sent)
    answeredNs = max(answeredNs, answered)
    if let atMs, atMs > 0 { activeMs.append(atMs) }
  }

  /// An event has come: before the others if its id is lower.
  mutating func add(_ event: LockEvent) {
    let index = events.firstIndex { EventOrder($0.id) > EventOrder(event.id) }
    events.insert(event, at: index ?? events.endIndex)
  }

  // MARK: Conclusions

  /// How a clock has ended too early; nil if it did not.
  func tooEarly() -> String? {
    for event in events {
      guard let clockMs = clockMs(event) else { continue }
      guard let activeMs = activeMs.first(where: { $0 < event.atMs && event.atMs < $0 + clockMs })
      else { continue }
      return "\(event.kind.rawValue) at \(event.atMs), and the session was active at \(activeMs): "
        + "its clock takes \(clockMs) ms"
    }
    for (earlier, later) in zip(events, events.dropFirst())
    where earlier.kind == .sessionAbandoned && later.kind == .sessionArchived {
      guard later.atMs != earlier.atMs + clocks.archiveMs else { continue }
      return "session.archived at \(later.atMs), and session.abandoned at \(earlier.atMs): its "
        + "clock takes \(clocks.archiveMs) ms"
    }
    return nil
  }

  /// The length of the clock that has ended with an event; nil if a caller has made it.
  private func clockMs(_ event: LockEvent) -> Int64? {
    switch event.kind {
    case .sessionPaused: event.isIdle ? clocks.idleMs : nil
    case .sessionAbandoned: clocks.abandonMs
    default: nil
    }
  }

  /// The first event that does not follow from the state before it; nil if all do.
  func wrongTransition() -> String? {
    var state = State.active
    for event in events {
      guard let next = state.next(event.kind) else {
        return "\(event.kind.rawValue) \(event.id) of a session that is \(state.rawValue)"
      }
      state = next
    }
    return nil
  }

  /// Whether no further event can be written.
  var isOver: Bool { closedNs != nil || events.last?.kind == .sessionArchived }

  /// The events that callers have made, of one kind.
  func count(_ kind: LockEvent.Kind) -> Int { events.count { $0.kind == kind && !$0.isIdle } }

  /// Whether all events that must come are there.
  var isReported: Bool {
    isOver && count(.sessionPaused) >= paused && count(.sessionResumed) >= resumed
  }

  /// The moment from which on it can be abandoned, and that by which it is for certain.
  var earliestEndNs: Int64 { end(sentNs, clocks.abandonMs, -1) }
  var latestEndNs: Int64 { end(answeredNs, clocks.abandonMs, 1) }
  /// The same for its being archived.
  var earliestArchiveNs: Int64 { end(sentNs, clocks.abandonMs + clocks.archiveMs, -1) }
  var latestArchiveNs: Int64 { end(answeredNs, clocks.abandonMs + clocks.archiveMs, 1) }

  private func end(_ fromNs: Int64, _ ms: Int64, _ sign: Int64) -> Int64 {
    fromNs + (ms + sign * Lease.slackMs(overMs: ms)) * 1_000_000
  }
}

extension SessionTrack {
  /// A state, as the events show it.
  private enum State: String {
    case active, paused, abandoned, archived

    /// The state after an event; nil if that cannot come.
    func next(_ kind: LockEvent.Kind) -> State? {
      switch (self, kind) {
      case (.active, .sessionPaused): .paused
      case (.paused, .sessionResumed), (.paused, .sessionRecovered),
        (.abandoned, .sessionRecovered):
        .active
      case (.active, .sessionAbandoned), (.paused, .sessionAbandoned): .abandoned
      case (.abandoned, .sessionArchived): .archived
      default: nil
      }
    }
  }
}
