// Owns: the states of one EVENTS request and their transitions. A value without clock or Redis; the
// shell in EventSubscriptions.swift performs its actions.

/// The answer of Redis to an EVENTS request.
package enum EventAnswer: Equatable {
  case nothing
  case events
  case failed
}

/// The state machine of one EVENTS request: every event returns what to do now.
package struct EventWait {
  /// The event that the request waits for.
  package enum State: Equatable {
    /// The replies before its own to be with the caller. Goes to starting, asking or ended.
    case queued
    /// The tail, which has to run before Redis is asked. Goes to lined, asking or ended.
    case starting
    /// Its turn among the requests of its group, or that there is nothing for any. Goes to asking,
    /// resting or ended.
    case lined
    /// Redis; what it says is out of date if events came meanwhile. Goes to lined, resting,
    /// writing, leaving or ended.
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
    /// Ask Redis for a device's events.
    case ask
    /// Wait for the turn in the group.
    case join
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
  /// How long a caller that has closed its side may wait at most.
  static let halfClosedWaitMs: Int64 = 60_000

  package private(set) var state = State.queued
  /// Whether the events that Redis gives are withheld from other consumers: a read of a group.
  private let takes: Bool
  private var waitMs: Int64
  private var beganAtMs: Int64 = 0
  private var untilMs: Int64 = 0
  private var askedAtMs: Int64 = 0
  /// Whether others hold what it may have next.
  private var isHeldUp = false

  package init(takes: Bool, waitMs: Int64) {
    self.takes = takes
    self.waitMs = waitMs
  }

  var isEnded: Bool { state == .ended }
  /// Whether it may get events of its group still.
  var isInLine: Bool {
    switch state {
    case .lined, .asking, .resting: true
    case .queued, .starting, .leaving, .writing, .ended: false
    }
  }
  /// Whether it waits for so short that what has come by then has to be looked for at once.
  var isBrief: Bool { waitMs < 1_000 }

  /// Whether it waits only for events that a worker holds.
  func awaitsRelease(nowMs: Int64) -> Bool { state == .resting && nowMs >= untilMs }

  /// Whether it waits with `wait=`, for which the tail has to run.
  var isWaiting: Bool {
    switch state {
    case .starting, .lined, .asking, .resting: waitMs > 0
    case .queued, .leaving, .writing, .ended: false
    }
  }

  /// When its timer is to fire; nil if nothing depends on time.
  var timerAtMs: Int64? {
    switch state {
    case .starting: untilMs
    case .resting: restsUntilMs
    case .writing: writesUntilMs
    case .queued, .lined, .asking, .leaving, .ended: nil
    }
  }

  private var writesUntilMs: Int64 { askedAtMs + EventWait.handOverMs }

  /// A request without `wait=` rests only while others hold what it may have next.
  private var restsUntilMs: Int64 {
    isHeldUp ? max(untilMs, beganAtMs + EventWait.blockedMs) : untilMs
  }
}

// MARK: Events

extension EventWait {
  /// The replies before its own are with the caller.
  mutating func turnCame(nowMs: Int64) -> Action {
    guard state == .queued else { trap("turnCame") }
    beganAtMs = nowMs
    untilMs = nowMs
    guard waitMs > 0 else { return begin(nowMs) }
    // A part of this millisecond is over already: no wait is shorter than was asked for.
    untilMs += waitMs + 1
    state = .starting
    return .startTail
  }

  /// The tail runs, or cannot; in that case asking says why.
  mutating func tailRuns(nowMs: Int64) -> Action {
    switch state {
    case .starting: return begin(nowMs)
    case .lined, .asking, .resting, .leaving, .writing: return .nothing
    case .queued, .ended: trap("tailRuns")
    }
  }

  /// Events of its device have come.
  mutating func eventsCame(nowMs: Int64) -> Action {
    switch state {
    case .resting where !takes: return ask(nowMs)
    case .asking where !takes:
      state = .asking(isStale: true)
      return .nothing
    case .queued, .starting, .lined, .asking, .resting, .leaving, .writing: return .nothing
    case .ended: trap("eventsCame")
    }
  }

  /// Its group is read for it.
  mutating func readBegan(nowMs: Int64) {
    switch state {
    case .lined, .resting:
      state = .asking(isStale: false)
      askedAtMs = nowMs
    case .queued, .starting, .asking, .leaving, .writing, .ended: trap("readBegan")
    }
  }

  /// There is nothing for its group now; `isHeldUp` if a worker holds events that come first.
  mutating func foundNothing(isHeldUp: Bool, nowMs: Int64) -> Action {
    switch state {
    case .lined, .resting:
      self.isHeldUp = isHeldUp
      guard nowMs < restsUntilMs else { return end(.answerNothing) }
      state = .resting
      return .nothing
    case .queued, .starting, .asking, .leaving, .writing, .ended: trap("foundNothing")
    }
  }

  /// Redis has answered.
  package mutating func answered(_ answer: EventAnswer, nowMs: Int64) -> Action {
    switch (state, answer) {
    case (.asking, .nothing) where takes:
      state = .lined
      return .nothing
    case (.asking(let isStale), .nothing):
      guard nowMs < untilMs else { return end(.answerNothing) }
      if isStale { return ask(nowMs) }
      state = .resting
      return .nothing
    case (.asking, .events):
      guard takes else { return end(.deliver) }
      guard nowMs < writesUntilMs else { return end(.giveBackAndAnswerNothing) }
      state = .writing
      return .deliver
    case (.asking, .failed): return end(.answerError)
    case (.leaving, .events): return end(.giveBack)
    case (.leaving, .nothing), (.leaving, .failed): return end(.nothing)
    case (.queued, _), (.starting, _), (.lined, _), (.resting, _), (.writing, _), (.ended, _):
      trap("answered")
    }
  }

  /// Its timer fired.
  mutating func timerFired(nowMs: Int64) -> Action {
    switch state {
    case .starting: return nowMs >= untilMs ? begin(nowMs) : .nothing
    case .resting: return nowMs >= restsUntilMs ? end(.answerNothing) : .nothing
    case .writing: return nowMs >= writesUntilMs ? .cutOff : .nothing
    case .queued, .lined, .asking, .leaving: return .nothing
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
    case .queued, .starting, .lined, .resting: return end(.forget)
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
      return begin(nowMs)
    case .resting where takes: return end(.answerNothing)
    case .starting, .lined, .asking, .resting:
      untilMs = min(untilMs, takes ? nowMs : nowMs + EventWait.halfClosedWaitMs)
      return .nothing
    case .leaving, .writing: return .nothing
    case .ended: trap("inputEnded")
    }
  }

  /// The caller has lost the right to what it asked for.
  package mutating func refused() -> Action {
    switch state {
    case .queued, .starting, .lined, .resting: return end(.refuse)
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
      return begin(nowMs)
    case .lined, .asking:
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
  private mutating func begin(_ nowMs: Int64) -> Action {
    guard takes else { return ask(nowMs) }
    state = .lined
    return .join
  }

  private mutating func ask(_ nowMs: Int64) -> Action {
    state = .asking(isStale: false)
    askedAtMs = nowMs
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
