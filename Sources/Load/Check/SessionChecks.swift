// Owns: the conclusions from the replies and events of a session that its own clocks end: nothing
// is accepted once it is abandoned, nothing refused before, every clock has one event. Values; any
// thread.

extension DeviceCheck {
  /// The verbs that count as activity of the followed session.
  private static let activity: Set<LoadVerb> = [
    .recover, .resume, .touch, .say, .set, .chat,
  ]

  // MARK: Replies

  /// RECOVER was answered with a session.
  mutating func recovered(
    _ open: OpenCall, _ shown: ShownSession, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    let call = open.call
    hasSession = true
    if let track, track.id != shown.session {
      let mayBeNew = nowNs >= track.earliestArchiveNs || track.closedNs != nil || mayHaveEnded()
      return mayBeNew
        ? nil
        : Violation(
          .sessionLost, "RECOVER gives session \(shown.session), and \(track.id) can be recovered",
          atNs: nowNs)
    }
    if track == nil, let clocks = call.clocks {
      track = SessionTrack(shown.session, clocks)
      for event in earlyEvents where event.session == shown.session { track?.add(event) }
      earlyEvents = []
    }
    return active(open, shown.activeAtMs, triedNs, nowNs)
  }

  /// Any other verb about the followed session was answered with OK.
  mutating func accepted(
    _ open: OpenCall, atMs: Int64?, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    guard let track else { return nil }
    let isOver = track.latestEndNs < open.call.invokedNs && !mayBeActive(besides: open.id)
    // A session can be linked in every state.
    if isOver, open.call.verb != .link {
      return Violation(
        .deadSessionAccepted,
        "\(open.call.verb.name) was accepted, and the session must have been "
          + "abandoned before", atNs: nowNs)
    }
    switch open.call.verb {
    case .pause: self.track?.paused += 1
    case .resume: self.track?.resumed += 1
    case .close: self.track?.closedNs = nowNs
    default: break
    }
    guard DeviceCheck.activity.contains(open.call.verb) else { return nil }
    return active(open, atMs, triedNs, nowNs)
  }

  private mutating func active(
    _ open: OpenCall, _ atMs: Int64?, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    // An earlier try may be the one that was done.
    track?.active(atMs, sentNs: open.call.invokedNs, answeredNs: nowNs)
    return endedTooEarly(nowNs)
  }

  /// A request was answered with `ERR illegal_state`.
  func wrongState(_ open: OpenCall, _ nowNs: Int64) -> Violation? {
    guard let track, [.touch, .say, .set, .chat].contains(open.call.verb), track.closedNs == nil,
      !mayHaveEnded(), nowNs < track.earliestEndNs
    else { return nil }
    return Violation(
      .liveSessionRefused,
      "\(open.call.verb.name) says that the session is over, and its clock "
        + "cannot have ended", atNs: nowNs)
  }

  // MARK: Events

  mutating func sessionEvent(_ event: LockEvent, _ nowNs: Int64) -> Violation? {
    guard let track else {
      earlyEvents.append(event)
      return anyUnseen { $0.verb == .recover }
        ? nil
        : Violation(
          .unexplainedEvent, "\(event.kind.rawValue) of a session whose clocks are long",
          atNs: nowNs)
    }
    guard event.session == track.id else { return nil }
    self.track?.add(event)
    return endedTooEarly(nowNs)
  }

  private func endedTooEarly(_ nowNs: Int64) -> Violation? {
    track?.tooEarly().map { Violation(.clockTooEarly, $0, atNs: nowNs) }
  }

  /// Returns what is wrong with the session's events, after all that can happen has happened.
  mutating func sessionVerdict(_ nowNs: Int64) -> Violation? {
    guard let track else { return nil }
    if let how = track.wrongTransition() {
      return Violation(.wrongTransition, how, atNs: nowNs)
    }
    if !track.isOver {
      guard mayHaveEnded() || mayBeActive() else {
        return Violation(
          .notReported,
          "the session's clocks must have ended, and its last event is "
            + "\(track.events.last?.kind.rawValue ?? "none")", atNs: nowNs)
      }
      unverifiable += 1
    }
    return counted(track, .sessionPaused, .pause, track.paused, nowNs)
      ?? counted(track, .sessionResumed, .resume, track.resumed, nowNs)
  }

  /// Whether each call of a verb has its event, and no event is without a call.
  private func counted(
    _ track: SessionTrack, _ kind: LockEvent.Kind, _ verb: LoadVerb, _ calls: Int, _ nowNs: Int64
  ) -> Violation? {
    let events = track.count(kind)
    let unknown = loose.count { $0.call.verb == verb }
    if events < calls {
      return Violation(
        .notReported, "\(calls) \(verb.name) were done, and \(events) are reported", atNs: nowNs)
    }
    if events > calls + unknown {
      return Violation(
        .unexplainedEvent, "\(calls) \(verb.name) were done, and \(events) are reported",
        atNs: nowNs)
    }
    return nil
  }

  // MARK: - Unseen effects

  /// Whether a call that is under way or unknown may have been activity.
  func mayBeActive(besides id: Int = 0) -> Bool {
    anyUnseen(besides: id) { DeviceCheck.activity.contains($0.verb) }
  }

  private func mayHaveEnded() -> Bool { anyUnseen { $0.verb == .close } }

  /// Whether no event of the session can come any more.
  var sessionIsReported: Bool { track?.isReported ?? true }

  /// The moment by which its clocks have ended; nil if there is none to wait for.
  var sessionOverByNs: Int64? {
    guard let track, !track.isReported else { return nil }
    if track.isOver { return track.closedNs ?? track.latestArchiveNs }
    let looseNs = loose.lazy.filter { DeviceCheck.activity.contains($0.call.verb) }
      .map(\.triedNs).max()
    let extraNs = looseNs.map { max(0, $0 + 1_000_000_000 - track.answeredNs) } ?? 0
    return track.latestArchiveNs + extraNs
  }
}
