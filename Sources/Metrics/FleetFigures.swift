// Owns: the figures of the whole fleet as Redis has them: of locks, turns and sessions, added up
// over the partitions. A value; any thread.

/// A counter of the partitions' ledgers, or a number that is counted there; by the ledger's name.
package enum FleetFigure: String, CaseIterable, Sendable {
  case released, abandoned, cleared, seized, returned
  case handedOff = "handed_off"
  case heldMs = "held_ms"
  case turnsRunning = "turns_running"
  case turnsWaiting = "turns_waiting"
  case turnsBegun = "turns_begun"
  case turnsAbandoned = "turns_abandoned"
  case turnsInterrupted = "turns_interrupted"
  case opened, closed, expired
  case moreChats = "more_chats"
  case active = "state:active"
  case paused = "state:paused"
  case left = "state:abandoned"
  case archived = "state:archived"
  case completed = "state:completed"
  case failed = "state:failed"
  case lapsed = "state:expired"
  case devices, users, sessions

  /// The ways in which a lock's token ends.
  package static let endings = [
    FleetFigure.released, .abandoned, .handedOff, .returned, .seized, .cleared,
  ]
  /// The numbers of sessions by state.
  package static let states = [
    FleetFigure.active, .paused, .left, .archived, .completed, .failed, .lapsed,
  ]

  /// Without the prefix of a session's state.
  package var label: String {
    rawValue.hasPrefix("state:") ? String(rawValue.dropFirst("state:".count)) : rawValue
  }
}

/// The figures of a fleet at one moment.
package struct FleetFigures: Sendable, Equatable {
  private var numbers: [FleetFigure: Int64] = [:]
  /// How many locks each agent holds.
  package var agents: [String: Int64] = [:]
  /// For how long the locks that are held have been held, all together.
  package var heldNowMs: Int64 = 0
  /// When the oldest and the newest session were opened; nil if there are none, or none was read.
  package var oldestAtMs: Int64?
  package var newestAtMs: Int64?

  package init() {}

  package subscript(figure: FleetFigure) -> Int64 {
    get { numbers[figure] ?? 0 }
    set { numbers[figure] = newValue }
  }

  package var held: Int64 { agents.values.reduce(0, +) }
  package var heldNowMsMean: Int64 { held > 0 ? heldNowMs / held : 0 }
  /// The mean time from a token's grant to its end.
  package var heldMsMean: Int64 {
    let ended = FleetFigure.endings.reduce(0) { $0 + self[$1] }
    return ended > 0 ? self[.heldMs] / ended : 0
  }
  /// How many tenures began: one ends when the device is free again.
  package var acquired: Int64 { held + self[.released] + self[.abandoned] + self[.cleared] }
  /// The chats of live sessions.
  package var liveChats: Int64 { max(0, self[.active] + self[.paused] + self[.moreChats]) }

  /// The agents with the most locks, by name, and the locks of all others.
  package func agents(most: Int) -> (shown: [(name: String, held: Int64)], others: Int64) {
    let ordered = agents.filter { $0.key != FleetFigures.otherAgents }
      .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let shown = ordered.prefix(most).map { (name: $0.key, held: $0.value) }
    let known = agents[FleetFigures.otherAgents] ?? 0
    let others = ordered.dropFirst(most).reduce(known) { $0 + $1.value }
    return (shown.sorted { $0.name < $1.name }, others)
  }
}

// MARK: As workers share them

extension FleetFigures {
  /// How many agents are shared; the locks of further ones are under this name, which no agent has.
  package static let agentsMax = 100
  package static let otherAgents = "*"

  /// Names and values in turn, with a space between all.
  package var text: String {
    var words = numbers.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.key.rawValue) \($0.value)" }
    let (shown, others) = agents(most: FleetFigures.agentsMax)
    words += shown.map { "held:\($0.name) \($0.held)" }
    if others > 0 { words.append("held:\(FleetFigures.otherAgents) \(others)") }
    words.append("held_now_ms \(heldNowMs)")
    if let oldestAtMs { words.append("oldest \(oldestAtMs)") }
    if let newestAtMs { words.append("newest \(newestAtMs)") }
    return words.joined(separator: " ")
  }

  /// Reads them; nil if the text is none of these.
  package init?(text: String) {
    let words = text.split(separator: " ")
    guard words.count.isMultiple(of: 2) else { return nil }
    for at in stride(from: 0, to: words.count, by: 2) {
      guard let value = Int64(words[at + 1]) else { return nil }
      let name = String(words[at])
      if let figure = FleetFigure(rawValue: name) {
        self[figure] = value
      } else if name.hasPrefix("held:") {
        agents[String(name.dropFirst("held:".count))] = value
      } else {
        switch name {
        // The time of the census, so that no two texts are the same.
        case "at": break
        case "held_now_ms": heldNowMs = value
        case "oldest": oldestAtMs = value
        case "newest": newestAtMs = value
        default: return nil
        }
      }
    }
  }
}
