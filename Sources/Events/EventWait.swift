// Owns: the states of one EVENTS request and their transitions. A value without clock or Redis; the
// shell in EventSubscriptions.swift performs its actions.

/// The answer of Redis to an EVENTS request.
package enum EventAnswer: Equatable {
  /// No events; `isBlocked` if a worker holds some that come before what this one may have, and
  /// `againMs` the time until an event may be given again.
  case nothing(isBlocked: Bool, againMs: Int64?)
  case events
  case failed
}

/// The state machine of one EVENTS request: every event returns what to do now.
package struct EventWait {
  /// The event that the request waits for.
  package enum State: Equatable {
    /// The replies before its own to be with the caller. Goes to starting, asking or ended.
    case queued
    /// The tail, which has to run before Redis is asked. Goes to asking or ended.
    case starting
    /// Redis; what it says is out of date if events came meanwhile. Goes to resting, writing,
    /// leaving or ended.
    case asking(isStale: Bool)
    /// Events, or its time. Goes to asking or ended.
    case resting
    /// Redis, which gives to a closed connection or a refused caller. Goes to ended.
    case leaving
    /// The kernel, which has to take the reply. Goes to ended.
    case writing
    /// Nothing; the end.
    case ended
  }

  package enum Action: Equatable {
    case nothing
    case startTail
    case ask
    /// Answer that there are no events.
    case answerNothing
    /// Answer with the error that came.
    case answerError
    /// Answer with the events that came.
    case deliver
    /// Answer that the caller may not see this any more.
    case refuse
    /// There is no caller to answer any more.
    case forget
    /// The events are with the caller's connection.
    case markGiven
    /// The next consumer is to have the events.
    case giveBack
    /// The events came too late to be written: the next consumer is to have them.
    case giveBackAndAnswerNothing
    /// The connection does not take the reply: close it.
    case cutOff
  }

  /// From when Redis is asked until the reply has to be with the kernel: a second less than what
  /// Redis lets a worker hold events for.
  static let handOverMs: Int64 = 2_000
  /// How long Redis lets a worker hold events that it has not handed over.
  package static let leaseMs: Int64 = 3_000
  /// So long a request without `wait=` waits for events that are being handed over.
  static let blockedMs: Int64 = 100
  /// Groups are read so often at least, in case the tail cannot follow the logs, and so that the
  /// log knows that they still ask.
  package static let askAgainMs: Int64 = 30_000
  /// How long a caller that has closed its side may wait at most.
  static let halfClosedWaitMs: Int64 = 60_000

  package private(set) var state = State.queued
  /// Whether the events that Redis gives are withheld from other consumers: a read of a group.
  private let takes: Bool
  private var waitMs: Int64
  private let askAgainMs: Int64
  private var beganAtMs: Int64 = 0
  private var untilMs: Int64 = 0
  private var askedAtMs: Int64 = 0
  /// When Redis is asked again though no event came.
  private var askAgainAtMs: Int64?
  private var blockedTries: Int64 = 0

  package init(takes: Bool, waitMs: Int64, askAgainMs: Int64 = EventWait.askAgainMs) {
    self.takes = takes
    self.waitMs = waitMs
    self.askAgainMs = askAgainMs
  }

  var isEnded: Bool { state == .ended }

  /// Whether it waits with `wait=`, for which the tail has to run.
  var isWaiting: Bool {
    switch state {
    case .starting, .asking, .resting: waitMs > 0
    case .queued, .leaving, .writing, .ended: false
    }
  }

  /// When its timer is to fire; nil if nothing depends on time.
  var timerAtMs: Int64? {
    switch state {
    case .starting: untilMs
    case .resting: min(restsUntilMs, askAgainAtMs ?? .max)
    case .writing: writesUntilMs
    case .queued, .asking, .leaving, .ended: nil
    }
  }

  private var writesUntilMs: Int64 { askedAtMs + EventWait.handOverMs }

  /// A request without `wait=` rests only while others hold what it may have next.
  private var restsUntilMs: Int64 {
    blockedTries > 0 ? max(untilMs, beganAtMs + EventWait.blockedMs) : untilMs
  }
}

// MARK: Events

extension EventWait {
  /// The replies before its own are with the caller.
  mutating func turnCame(nowMs: Int64) -> Action {
    guard state == .queued else { trap("turnCame") }
    beganAtMs = nowMs
    untilMs = nowMs
    guard waitMs > 0 else { return ask(nowMs) }
    // A part of this millisecond is over already: no wait is shorter than was asked for.
    untilMs += waitMs + 1
    state = .starting
    return .startTail
  }

  /// The tail runs, or cannot; in that case asking says why.
  mutating func tailRuns(nowMs: Int64) -> Action {
    switch state {
    case .starting: return ask(nowMs)
    case .asking, .resting, .leaving, .writing: return .nothing
    case .queued, .ended: trap("tailRuns")
    }
  }

  /// Events have come that it may be given, or some were given back.
  mutating func eventsCame(nowMs: Int64) -> Action {
    switch state {
    case .resting: return ask(nowMs)
    case .asking:
      state = .asking(isStale: true)
      return .nothing
    case .queued, .starting, .leaving, .writing: return .nothing
    case .ended: trap("eventsCame")
    }
  }

  /// Redis has answered.
  package mutating func answered(_ answer: EventAnswer, nowMs: Int64) -> Action {
    switch (state, answer) {
    case (.asking(let isStale), .nothing(let isBlocked, let againMs)):
      return foundNothing(isStale, isBlocked, againMs, nowMs)
    case (.asking, .events):
      guard takes else { return end(.deliver) }
      guard nowMs < writesUntilMs else { return end(.giveBackAndAnswerNothing) }
      state = .writing
      return .deliver
    case (.asking, .failed): return end(.answerError)
    case (.leaving, .events): return end(.giveBack)
    case (.leaving, .nothing), (.leaving, .failed): return end(.nothing)
    case (.queued, _), (.starting, _), (.resting, _), (.writing, _), (.ended, _): trap("answered")
    }
  }

  /// Its timer fired.
  mutating func timerFired(nowMs: Int64) -> Action {
    switch state {
    case .starting: return nowMs >= untilMs ? ask(nowMs) : .nothing
    case .resting:
      if nowMs >= restsUntilMs { return end(.answerNothing) }
      guard let askAgainAtMs, nowMs >= askAgainAtMs else { return .nothing }
      return ask(nowMs)
    case .writing: return nowMs >= writesUntilMs ? .cutOff : .nothing
    case .queued, .asking, .leaving: return .nothing
    case .ended: trap("timerFired")
    }
  }

  /// The kernel has taken the whole reply.
  package mutating func written() -> Action {
    guard state == .writing else { trap("written") }
    return end(.markGiven)
  }

  /// The connection is closed.
  package mutating func closed() -> Action {
    switch state {
    case .queued, .starting, .resting: return end(.forget)
    case .asking: return leave(.forget)
    case .leaving: return .nothing
    case .writing: return end(.giveBack)
    case .ended: trap("closed")
    }
  }

  /// The caller has closed its side, or its connection is broken; the two cannot be distinguished.
  ///
  /// Events of a group are not taken for it any more; a request that has just come is served.
  package mutating func inputEnded(nowMs: Int64) -> Action {
    switch state {
    case .queued:
      if takes { waitMs = 0 }
      return .nothing
    case .starting where takes:
      untilMs = nowMs
      return ask(nowMs)
    case .resting where takes: return end(.answerNothing)
    case .starting, .asking, .resting:
      untilMs = min(untilMs, takes ? nowMs : nowMs + EventWait.halfClosedWaitMs)
      return .nothing
    case .leaving, .writing: return .nothing
    case .ended: trap("inputEnded")
    }
  }

  /// The caller has lost the right to what it asked for.
  package mutating func refused() -> Action {
    switch state {
    case .queued, .starting, .resting: return end(.refuse)
    case .asking: return leave(.refuse)
    case .leaving, .writing: return .nothing
    case .ended: trap("refused")
    }
  }

  /// Its wait ends early: the worker drains, or needs the memory.
  package mutating func cutShort(nowMs: Int64) -> Action {
    switch state {
    case .queued:
      waitMs = 0
      return .nothing
    case .starting:
      untilMs = nowMs
      return ask(nowMs)
    case .asking:
      untilMs = 0
      beganAtMs = 0
      return .nothing
    case .resting: return end(.answerNothing)
    case .leaving, .writing: return .nothing
    case .ended: trap("cutShort")
    }
  }
}

// MARK: Transitions

extension EventWait {
  private mutating func foundNothing(
    _ isStale: Bool, _ isBlocked: Bool, _ againMs: Int64?, _ nowMs: Int64
  ) -> Action {
    blockedTries = isBlocked ? blockedTries + 1 : 0
    guard nowMs < restsUntilMs else { return end(.answerNothing) }
    if isStale, !isBlocked { return ask(nowMs) }
    state = .resting
    // A worker holds events for a moment only, unless its caller does not take them.
    let blockedForMs = isBlocked ? min(250, 5 << min(blockedTries, 6)) : askAgainMs
    askAgainAtMs = takes ? nowMs + min(blockedForMs, againMs ?? .max) : nil
    return .nothing
  }

  private mutating func ask(_ nowMs: Int64) -> Action {
    state = .asking(isStale: false)
    askedAtMs = nowMs
    askAgainAtMs = nil
    return .ask
  }

  private mutating func leave(_ action: Action) -> Action {
    guard takes else { return end(action) }
    state = .leaving
    return action
  }

  private mutating func end(_ action: Action) -> Action {
    state = .ended
    return action
  }

  private func trap(_ event: String) -> Never {
    preconditionFailure("an EVENTS request that is \(state) got the event \(event)")
  }
}
