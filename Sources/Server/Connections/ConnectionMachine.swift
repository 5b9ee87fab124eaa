// Owns: the states of a client connection and their transitions. A value without clock or socket;
// the shell in Connection.swift performs its actions.

internal import Metrics

/// The state machine of one connection: every event returns what to do now.
struct ConnectionMachine {
  /// The event that the connection waits for.
  private enum State: Equatable {
    /// Requests. Goes to parked, finishing or closed.
    case reading
    /// Its own answers to be made or read: it has too many outstanding, or one of them has to be
    /// there before the next request may begin. Goes to reading, finishing or closed.
    case parked
    /// The last answers; nothing more is taken. Goes to lingering or closed.
    case finishing(CloseReason)
    /// The caller to close its side too: closing with unread input would reset the connection, and
    /// the last replies with it. Goes to closed.
    case lingering(CloseReason)
    /// Nothing; the end.
    case closed
  }

  enum Action: Equatable {
    case nothing
    case stopReading
    case resumeReading
    /// Shut down the writing side, and discard further input.
    case halfClose
    case close(CloseReason)
  }

  private var state = State.reading
  /// Requests whose answers have not been made yet.
  private(set) var unanswered = 0
  private var unreadBytes = 0
  /// Whether the latest request takes several steps, which no later one of this caller may
  /// overtake.
  private var isHeld = false
  private let unansweredMax: Int
  /// The same beside other callers' requests.
  private var shareMax = Int.max
  private let unreadBytesMax: Int
  /// The same under memory pressure.
  private let pressureUnreadBytesMax: Int
  private var hasMemoryPressure = false

  init(unansweredMax: Int, unreadBytesMax: Int, pressureUnreadBytesMax: Int = .max) {
    self.unansweredMax = unansweredMax
    self.unreadBytesMax = unreadBytesMax
    self.pressureUnreadBytesMax = min(pressureUnreadBytesMax, unreadBytesMax)
  }

  /// Whether lines that are there may be taken as requests.
  var takesRequests: Bool { state == .reading }
  var isClosed: Bool { state == .closed }
  /// Whether it takes no more requests, for good.
  var isEnding: Bool {
    switch state {
    case .reading, .parked: false
    case .finishing, .lingering, .closed: true
    }
  }
  /// Whether it only waits for the caller to close its side.
  var isLingering: Bool {
    if case .lingering = state { return true }
    return false
  }
  /// Whether the caller awaits nothing.
  var isQuiet: Bool { unanswered == 0 && unreadBytes == 0 }

  /// A line was taken as a request that will be answered once; with so many the connection parks.
  mutating func requestTaken(shareMax: Int = .max) -> Action {
    switch state {
    case .reading:
      unanswered += 1
      self.shareMax = shareMax
      return park()
    case .parked, .finishing, .lingering, .closed: trap("requestTaken")
    }
  }

  /// The latest request takes several steps: the next one waits until it is released.
  mutating func held() -> Action {
    switch state {
    case .reading, .parked:
      isHeld = true
      return park()
    case .finishing, .lingering, .closed: return .nothing
    }
  }

  /// The request that held the others up has its answer.
  mutating func released() -> Action {
    isHeld = false
    return outputChanged(unreadBytes: unreadBytes, hasMemoryPressure: hasMemoryPressure)
  }

  /// So many answers were put in order for sending; `unreadBytes` is what waits to be sent.
  mutating func answered(
    _ count: Int, unreadBytes: Int, hasMemoryPressure: Bool = false, shareMax: Int = .max
  ) -> Action {
    unanswered -= count
    precondition(unanswered >= 0, "more answers than requests")
    if count > 0 { self.shareMax = shareMax }
    return outputChanged(unreadBytes: unreadBytes, hasMemoryPressure: hasMemoryPressure)
  }

  /// Bytes were put out or taken by the kernel.
  mutating func outputChanged(unreadBytes: Int, hasMemoryPressure: Bool = false) -> Action {
    self.unreadBytes = unreadBytes
    self.hasMemoryPressure = hasMemoryPressure
    switch state {
    case .reading: return park()
    case .parked:
      guard !mustWait else { return .nothing }
      state = .reading
      return .resumeReading
    case .finishing(let reason): return isQuiet ? end(reason) : .nothing
    case .lingering, .closed: return .nothing
    }
  }

  /// No more requests are taken: answer what is outstanding, then close.
  mutating func finish(_ reason: CloseReason) -> Action {
    switch state {
    case .reading, .parked:
      guard !isQuiet else { return end(reason) }
      state = .finishing(reason)
      return .stopReading
    case .finishing, .lingering, .closed: return .nothing
    }
  }

  /// The caller has closed its side, or the time for that is over.
  mutating func lingeringEnded() -> Action {
    guard case .lingering(let reason) = state else { return .nothing }
    state = .closed
    return .close(reason)
  }

  /// The connection is useless.
  mutating func abort(_ reason: CloseReason) -> Action {
    switch state {
    case .reading, .parked, .finishing:
      state = .closed
      return .close(reason)
    case .lingering: return lingeringEnded()
    case .closed: return .nothing
    }
  }

  private var mustWait: Bool {
    isHeld || unanswered >= min(unansweredMax, shareMax)
      || unreadBytes >= (hasMemoryPressure ? pressureUnreadBytesMax : unreadBytesMax)
  }

  private mutating func end(_ reason: CloseReason) -> Action {
    guard reason.isAnnounced else {
      state = .closed
      return .close(reason)
    }
    state = .lingering(reason)
    return .halfClose
  }

  private mutating func park() -> Action {
    guard state == .reading, mustWait else { return .nothing }
    state = .parked
    return .stopReading
  }

  private func trap(_ event: String) -> Never {
    preconditionFailure("a connection that is \(state) got the event \(event)")
  }
}
