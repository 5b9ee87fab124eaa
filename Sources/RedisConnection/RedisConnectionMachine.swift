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
    /// Requests, and their replies. Goes to backingOff or closed.
    case ready
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
    /// Close the socket, fail the requests, and try again after so many ms.
    case retry(afterMs: Int64)
    case close
    case nothing
  }

  private var state = State.idle
  private var failuresInARow = 0
  private let retryMs: ClosedRange<Int64>

  /// The wait doubles from the range's lower to its upper bound, with jitter.
  package init(retryMs: ClosedRange<Int64> = 20...1_000) { self.retryMs = retryMs }

  package var isReady: Bool { state == .ready }
  package var isClosed: Bool { state == .closed }
  package var isConnecting: Bool { state == .connecting }

  /// The word for logs, metrics and INFO.
  package var word: String { "\(state)" }

  package mutating func start() -> Action {
    switch state {
    case .idle:
      state = .connecting
      return .connect
    case .closed: return .nothing
    case .connecting, .greeting, .ready, .backingOff: trap("start")
    }
  }

  package mutating func connected() -> Action {
    switch state {
    case .connecting:
      state = .greeting
      return .greet
    case .idle, .greeting, .ready, .backingOff, .closed: trap("connected")
    }
  }

  package mutating func greeted() -> Action {
    switch state {
    case .greeting:
      state = .ready
      failuresInARow = 0
      return .serve
    case .idle, .connecting, .ready, .backingOff, .closed: trap("greeted")
    }
  }

  /// The connection failed, was refused or is broken.
  ///
  /// `random` from 0 to 1 spreads the tries of many workers, so that a Redis that comes back is not
  /// stormed ('full jitter', upper half).
  package mutating func failed(random: Double) -> Action {
    switch state {
    case .connecting, .greeting, .ready:
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
    case .idle, .connecting, .greeting, .ready: trap("retryTimerFired")
    }
  }

  package mutating func stop() -> Action {
    switch state {
    case .idle, .connecting, .greeting, .ready, .backingOff:
      state = .closed
      return .close
    case .closed: return .nothing
    }
  }

  private func trap(_ event: String) -> Never {
    preconditionFailure("a connection that is \(state) got the event \(event)")
  }
}
