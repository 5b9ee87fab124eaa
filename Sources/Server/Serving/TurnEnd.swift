// Owns: which connections have something left to do at the end of a loop's turn. A value; the
// loop's thread.

/// The work that a turn leaves for its end, each connection in the order in which it came.
struct TurnEnd {
  private var withOutput: [Connection] = []
  private var toResume: [Connection] = []
  private var resting: [Connection] = []

  /// Whether a connection may go on, or has rested, so that another turn has to follow at once.
  var needsAnotherTurn: Bool { !toResume.isEmpty || !resting.isEmpty }
  /// Whether a parked connection may go on.
  var hasToResume: Bool { !toResume.isEmpty }

  /// There is something to send on it; it is listed once.
  mutating func hasOutput(_ connection: Connection) {
    guard !connection.isListedForOutput else { return }
    connection.isListedForOutput = true
    withOutput.append(connection)
  }

  /// A parked one may go on.
  mutating func resumes(_ connection: Connection) { toResume.append(connection) }

  /// It has had its share of this turn, and more to do in the next one.
  mutating func rests(_ connection: Connection) { resting.append(connection) }

  /// Takes those that have output; those that are closed by now have none.
  mutating func takeOutput() -> [Connection] {
    let taken = take(\.withOutput)
    for connection in taken { connection.isListedForOutput = false }
    return taken
  }

  mutating func takeToResume() -> [Connection] { take(\.toResume) }
  mutating func takeRested() -> [Connection] { take(\.resting) }

  private mutating func take(_ list: WritableKeyPath<TurnEnd, [Connection]>) -> [Connection] {
    let taken = self[keyPath: list]
    self[keyPath: list].removeAll(keepingCapacity: true)
    return taken
  }
}
