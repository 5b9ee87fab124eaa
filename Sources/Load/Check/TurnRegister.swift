// Owns: the known turns of one device, in the order of their numbers: who said which message, what
// was joined to them, and how they ended. A value; any thread.

/// The facts that are known of one turn.
struct PlayedTurn: Sendable {
  struct JoinedMessage: Sendable {
    let message: Int
    let seq: Int64
  }

  /// The DONE that ended it.
  struct LastDone: Sendable {
    /// The newest message after it; 0 if there is no chat any more.
    let seq: Int64
    let isLast: Bool
    /// How many joined messages it has left without an answer.
    let left: Int
    /// When it was sent: the turn had not ended before.
    let sentNs: Int64
  }

  /// Its time from TURN to its end; it is released by DONE.
  var lease: Lease
  /// Nil while the reply of its TURN has not been seen.
  var policy: AskedPolicy?
  /// The messages that it has said, or tried to, its first one among them.
  var own: [Int] = []
  var joined: [JoinedMessage] = []
  /// The joined messages that a DONE has given it.
  var given: Set<Int> = []
  /// The newest message that its caller has read itself.
  var seen: Int64 = 0
  var lastDone: LastDone?

  var number: Int64 { lease.token }
}

/// The turns of one device.
struct TurnRegister: Sendable {
  private(set) var all: [PlayedTurn] = []
  /// By message: the turn that has said it, its first one included.
  private(set) var owners: [Int: Int64] = [:]
  /// The messages of all TURN calls, whatever became of them.
  private(set) var asked: Set<Int> = []
  var joined: Set<Int> = []
  /// Whether any call wanted to roll a turn back.
  private(set) var rollbackTried = false

  mutating func began(_ call: LoadCall) {
    if call.verb == .turn {
      asked.insert(call.message)
      if call.policy == .rollback { rollbackTried = true }
    } else if call.turn > 0, call.message > 0 {
      own(call.message, call.turn)
    }
  }

  /// A message is said in a turn.
  mutating func own(_ message: Int, _ number: Int64) {
    guard let index = index(of: number) else { return }
    owners[message] = number
    all[index].own.append(message)
  }

  func index(of number: Int64) -> Int? { all.lastIndex { $0.number == number } }

  subscript(index: Int) -> PlayedTurn {
    get { all[index] }
    _modify { yield &all[index] }
  }

  /// Adds a turn; gives its index.
  mutating func insert(_ turn: PlayedTurn) -> Int {
    let index = all.firstIndex { $0.number > turn.number } ?? all.endIndex
    all.insert(turn, at: index)
    return index
  }

  /// The turn behind another one, which may have ended it.
  func successor(of index: Int) -> PlayedTurn? {
    index + 1 < all.count ? all[index + 1] : nil
  }

  /// Whether the turn behind another one may have ended it, so that it needs no event.
  func mayBeInterrupted(_ index: Int) -> Bool {
    successor(of: index).map { $0.policy?.ends ?? true } ?? false
  }

  /// Whether the turn behind another one has ended it for certain.
  func isInterrupted(_ index: Int) -> Bool {
    guard let next = successor(of: index), next.policy?.ends == true,
      let beganMs = next.lease.acquiredAtMs, let deadlineMs = all[index].lease.earliestDeadlineMs
    else { return false }
    return beganMs < deadlineMs
  }

  /// The turns without a known end.
  private var unreported: [Int] {
    all.indices.filter {
      !all[$0].lease.isReleased && all[$0].lease.event == nil && !mayBeInterrupted($0)
    }
  }

  var hasUnreported: Bool { !unreported.isEmpty }

  /// The moments by which turns without a known end have expired.
  var unreportedEndsNs: [Int64] { unreported.compactMap { all[$0].lease.latestEndNs } }
}
