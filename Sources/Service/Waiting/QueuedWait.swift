// Owns: the states of one request that may wait, and their transitions. A value without clock or
// Redis; the shell in WaitQueue.swift performs its actions.

/// What Redis says to a request that may wait.
package enum WaitAnswer: Equatable {
  /// The turn has begun, or was refused: this is the caller's reply.
  case reply
  /// Its ticket is in the queue.
  case queued
  /// Its turn has begun, and waits for more messages before the reply.
  case settling
  /// It waits no more: this is the caller's reply.
  case left
  /// It waits no more, and the turn was granted to it in this moment.
  case granted
}

/// The state machine of one request that may wait: every event returns what to do now.
package struct QueuedWait {
  private enum State: Equatable {
    /// Redis, which begins the turn or puts the ticket into the queue. Goes to waiting, leaving,
    /// settling or ended. With `isStale` something has happened since it was asked.
    case asking(isStale: Bool)
    /// A grant, its time, or its caller's end. Goes to asking or leaving.
    case waiting
    /// Redis, which takes the ticket out of the queue. Goes to asking or ended.
    case leaving
    /// The moment at which nothing was joined for a while. Goes to finishing or ended.
    case settling
    /// Redis, which has the reply if nothing was joined meanwhile. Goes to settling or ended.
    case finishing
    /// Nothing; the end.
    case ended
  }

  package enum Action: Equatable {
    case nothing
    /// Ask Redis; the same ticket may be asked for again and again.
    case ask
    /// Take the ticket out of the queue; with `isGone` what was granted goes to the next one.
    case leave(isGone: Bool)
    /// Wait for the moment that Redis has named.
    case settle
    /// Ask Redis for the reply of the turn; with `isOver` whatever was joined just now.
    case finish(isOver: Bool)
    /// Answer with what came.
    case answer
    /// Forget it: its caller may be gone, and its turn expires unless a retry asks for it.
    case drop
  }

  private var state = State.asking(isStale: false)
  /// Whether the time for which its caller waits is over.
  private var isOver = false
  /// Whether it is to end before its time: the worker drains, or another request has its place.
  private var isCut = false
  /// Whether its caller is gone.
  private var isGone = false
  /// Whether its turn has ended, though it settles.
  private var hasTurnEnded = false
  /// Whether its caller sends no more, and may be gone.
  private var hasClosedItsSide = false

  package init() {}

  package var isEnded: Bool { state == .ended }
  /// Whether its ticket may be in the queue.
  package var isWaiting: Bool { state == .waiting }
}

extension QueuedWait {
  /// Redis has answered.
  package mutating func answered(_ answer: WaitAnswer) -> Action {
    switch (state, answer) {
    case (.asking, .reply), (.leaving, .left), (.finishing, .reply):
      state = .ended
      return .answer
    case (.asking(let isStale), .queued):
      state = .waiting
      if isOver || isCut || isGone { return leave() }
      return isStale ? ask() : .nothing
    case (.asking, .settling), (.finishing, .settling):
      state = .settling
      if isGone || hasClosedItsSide { return drop() }
      return isCut || hasTurnEnded ? finish() : .settle
    case (.leaving, .granted): return ask()
    case (.asking, .left), (.asking, .granted), (.leaving, .reply), (.leaving, .queued),
      (.leaving, .settling), (.finishing, .queued), (.finishing, .left), (.finishing, .granted),
      (.waiting, _), (.settling, _), (.ended, _):
      trap("answered \(answer)")
    }
  }

  /// A call of Redis has failed: its caller gets the error.
  package mutating func failed() -> Action {
    switch state {
    case .asking, .leaving, .finishing:
      state = .ended
      return .answer
    case .waiting, .settling, .ended: trap("failed")
    }
  }

  /// The turn was granted to it, or that may be so.
  package mutating func mayBeGranted() -> Action {
    switch state {
    case .waiting: return ask()
    case .asking:
      state = .asking(isStale: true)
      return .nothing
    case .leaving, .settling, .finishing: return .nothing
    case .ended: trap("mayBeGranted")
    }
  }

  /// The time for which it waits is over.
  package mutating func timeIsOver() -> Action {
    isOver = true
    return state == .waiting ? leave() : .nothing
  }

  /// The moment has come at which nothing may have been joined for a while.
  package mutating func mayBeQuiet() -> Action { state == .settling ? finish() : .nothing }

  /// The turn has ended while it settled: Redis says why.
  package mutating func turnEnded() -> Action {
    hasTurnEnded = true
    return state == .settling ? finish() : .nothing
  }

  /// Another request of its caller has its place, the worker drains, or the caller reads no more.
  package mutating func cutShort() -> Action {
    isCut = true
    switch state {
    case .waiting: return leave()
    case .settling: return finish()
    case .asking, .leaving, .finishing, .ended: return .nothing
    }
  }

  /// The caller has closed its side: it may be gone, and would do nothing with a grant.
  package mutating func inputEnded() -> Action {
    hasClosedItsSide = true
    return state == .settling ? drop() : cutShort()
  }

  /// The connection is closed.
  package mutating func closed() -> Action {
    isGone = true
    switch state {
    case .waiting: return leave()
    case .settling: return drop()
    case .asking, .leaving, .finishing, .ended: return .nothing
    }
  }

  private mutating func ask() -> Action {
    state = .asking(isStale: false)
    return .ask
  }

  private mutating func leave() -> Action {
    state = .leaving
    return .leave(isGone: isGone)
  }

  private mutating func finish() -> Action {
    state = .finishing
    return .finish(isOver: isCut)
  }

  private mutating func drop() -> Action {
    state = .ended
    return .drop
  }

  private func trap(_ event: String) -> Never {
    preconditionFailure("a request that is \(state) got the event \(event)")
  }
}
