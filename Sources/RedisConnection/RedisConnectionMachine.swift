// Owns: the states of a connection to Redis and their transitions. A value without clock or socket;
// the shell in RedisConnection.swift performs its actions.

/// The state machine of one connection: every event returns what to do now.
package struct RedisConnectionMachine: Sendable {
  /// The event that the connection waits for.
  private enum State: Equatable {
    /// To be started. Goes to connecting, or closed.
    case idle
    /// The kernel's word that it is connected. Goes to greeting, backingOff or closed.
    case connecting
    /// The replies to our greeting. Goes to ready, backingOff or closed.
    case greeting
    /// Requests, and their replies. Goes to leaving, backingOff or closed.
    case ready
    /// The replies to what was sent to a server that is not the one for work: nothing more is sent
    /// there. Goes to backingOff or closed.
    case leaving
    /// The time of the next try. Goes to connecting or closed.
    case backingOff
    /// Nothing; the end.
    case closed
  }

  /// The actions of the shell.
  package enum Action: Equatable, Sendable {
    case connect
    case greet
    case serve
    /// Send nothing more, and end the connection when all that was sent has its reply.
    case leave
    /// Close the socket, fail the requests, and try again after so many ms.
    case retry(afterMs: Int64)
    case close
    case nothing
  }

  private var state = State.idle
  private var failuresInARow = 0
  /// The failures before the connection served, until the server has proved to be the right one.
  private var failuresBefore = 0
  private let retryMs: ClosedRange<Int64>

  /// The wait doubles from the range's lower to its upper bound, with jitter.
  package init(retryMs: ClosedRange<Int64> = 20...1_000) { self.retryMs = retryMs }

  package var isReady: Bool { state == .ready }
  package var isClosed: Bool { state == .closed }
  package var isConnecting: Bool { state == .connecting }
  package var isLeaving: Bool { state == .leaving }
  package var isBackingOff: Bool { state == .backingOff }

  /// The word for logs, metrics and INFO.
  package var word: String { "\(state)" }

  package mutating func start() -> Action {
    switch state {
    case .idle:
      state = .connecting
      return .connect
    case .closed: return .nothing
    case .connecting, .greeting, .ready, .leaving, .backingOff: trap("start")
    }
  }

  package mutating func connected() -> Action {
    switch state {
    case .connecting:
      state = .greeting
      return .greet
    case .idle, .greeting, .ready, .leaving, .backingOff, .closed: trap("connected")
    }
  }

  package mutating func greeted() -> Action {
    switch state {
    case .greeting:
      state = .ready
      (failuresBefore, failuresInARow) = (failuresInARow, 0)
      return .serve
    case .idle, .connecting, .ready, .leaving, .backingOff, .closed: trap("greeted")
    }
  }

  /// The server says that it is the one for work, a while after it was connected to.
  package mutating func confirmed() -> Action {
    switch state {
    case .ready:
      failuresBefore = 0
      return .nothing
    case .leaving: return .nothing
    case .idle, .connecting, .greeting, .backingOff, .closed: trap("confirmed")
    }
  }

  /// The server is not the one for work, or not any more.
  ///
  /// One that says so soon after each connection is asked less and less often, like one that
  /// refuses connections.
  package mutating func disowned() -> Action {
    switch state {
    case .ready:
      state = .leaving
      failuresInARow = failuresBefore
      return .leave
    // It was known already, or the connection has ended on its way.
    case .connecting, .greeting, .leaving, .backingOff, .closed: return .nothing
    case .idle: trap("disowned")
    }
  }

  /// The connection failed, was refused or is broken.
  ///
  /// `random` from 0 to 1 spreads the tries of many workers, so that a Redis that comes back is not
  /// stormed ('full jitter', upper half).
  package mutating func failed(random: Double) -> Action {
    switch state {
    case .connecting, .greeting, .ready, .leaving:
      state = .backingOff
      let doubled = retryMs.lowerBound << min(failuresInARow, 16)
      failuresInARow += 1
      let wait = min(doubled, retryMs.upperBound)
      return .retry(afterMs: wait / 2 + Int64(Double(wait / 2) * random))
    case .closed: return .nothing
    case .idle, .backingOff: trap("failed")
    }
  }

  package mutating func retryTimerFired() -> Action {
    switch state {
    case .backingOff:
      state = .connecting
      return .connect
    case .closed: return .nothing
    case .idle, .connecting, .greeting, .ready, .leaving: trap("retryTimerFired")
    }
  }

  package mutating func stop() -> Action {
    switch state {
    case .idle, .connecting, .greeting, .ready, .leaving, .backingOff:
      state = .closed
      return .close
    case .closed: return .nothing
    }
  }

  private func trap(_ event: String) -> Never {
    preconditionFailure("a connection that is \(state) got the event \(event)")
  }
}
