// Owns: how the figures of all partitions are read and added up, a few partitions a call, so that
// no call occupies Redis for long. A value; any thread.

package import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
package import Store

/// A reading of the fleet's figures, in steps: a query, and its rows.
package struct FleetCount {
  /// Where the reading of a partition goes on.
  private struct Position {
    let partition: Int
    /// Of the agents that hold locks; nil: none are read.
    var agents: String?
    /// Of the sessions; nil: none are read.
    var sessions: String?
  }

  /// The parts of a partition that are not added up at once.
  private struct Part {
    /// By agent: the pages of a ledger that changes meanwhile may have one twice.
    var held: [String: Int64] = [:]
    var sessions: Int64 = 0
    /// The time of Redis, and the sum of the times at which its locks were acquired.
    var nowMs: Int64 = 0
    var heldAtMs: Int64 = 0
  }

  /// The oldest, or the newest, session so far.
  private struct Opened {
    let id: Substring
    let atMs: Int64?
  }

  private var positions: [Position]
  private var asked: [Position] = []
  private var parts = [Part](repeating: Part(), count: Partition.count)
  private var sums = FleetFigures()
  private var oldest: Opened?
  private var newest: Opened?
  /// The figures that are corrupt, by their names in the ledger, each once, as they were found.
  package private(set) var corrupt: [String] = []

  /// So many partitions are read in a call, and so many entries of each: some 1 ms of Redis, 3 ms
  /// where each has as many agents as a hash may have before it is read in parts.
  private static let partitionsMax = 8
  private static let entriesMax: Int64 = 128

  /// Of all figures but the ages of sessions.
  package init() {
    positions = Partition.all.map { Position(partition: $0.index, agents: "0") }
  }

  /// What is to be read next; nil at the end.
  package mutating func next() -> ScriptQuery? {
    asked = Array(positions.prefix(FleetCount.partitionsMax))
    positions.removeFirst(asked.count)
    guard !asked.isEmpty else { return nil }
    return ScriptQuery(
      asked.map { position in
        let call = StatsCall(
          agentsFrom: position.agents.map { ArgumentText($0) },
          sessionsFrom: position.sessions.map { ArgumentText($0) }, limit: FleetCount.entriesMax)
        return (Partition(index: position.partition), call)
      })
  }

  /// Has the ages of the sessions that were counted read, too.
  package mutating func readSessions() {
    positions += parts.indices.filter { parts[$0].sessions > 0 }.map {
      Position(partition: $0, sessions: "-")
    }
  }

  /// Takes the rows of the latest query.
  package mutating func take(_ rows: [[UInt8]]) {
    for (position, row) in zip(asked, rows) {
      let words = String(decoding: row, as: UTF8.self).split(separator: " ")
      guard words.count > 2, words[0] == "OK" else { continue }
      for at in stride(from: 3, to: words.count - 1, by: 2) {
        take(words[at], words[at + 1], of: position.partition)
      }
      let agents = words[1] == "-" ? nil : String(words[1])
      let sessions = words[2] == "-" ? nil : String(words[2])
      if agents != nil || sessions != nil {
        positions.append(
          Position(partition: position.partition, agents: agents, sessions: sessions))
      }
    }
    asked = []
  }

  private mutating func take(_ name: Substring, _ value: Substring, of partition: Int) {
    switch name {
    case "oldest": FleetCount.note(&oldest, value) { $0 < $1 }
    case "newest": FleetCount.note(&newest, value) { $0 > $1 }
    default:
      guard let number = Int64(value) else {
        let name = String(name)
        return corrupt.contains(name) ? () : corrupt.append(name)
      }
      add(name, number, of: partition)
    }
  }

  private mutating func add(_ name: Substring, _ number: Int64, of partition: Int) {
    if name.hasPrefix("held:") {
      parts[partition].held[String(name.dropFirst("held:".count))] = number
    } else if let figure = FleetFigure(rawValue: String(name)) {
      sums[figure] += number
      if figure == .sessions { parts[partition].sessions = number }
    } else if name == "now" {
      parts[partition].nowMs = number
    } else if name == "held_at" {
      parts[partition].heldAtMs = number
    }
  }

  private static func note(
    _ kept: inout Opened?, _ text: Substring, _ isBefore: (Substring, Substring) -> Bool
  ) {
    let id = text.prefix(SessionID.length)
    if let kept, !isBefore(id, kept.id) { return }
    // A record that has gone since does not say.
    kept = Opened(id: id, atMs: Int64(text.dropFirst(SessionID.length)) ?? SessionID.madeAtMs(id))
  }

  /// What was counted so far.
  package var figures: FleetFigures {
    var figures = sums
    for part in parts {
      let held = part.held.values.reduce(0, +)
      figures.agents.merge(part.held) { $0 + $1 }
      // Without the sum there is no mean of this partition.
      guard part.heldAtMs > 0 else { continue }
      figures.heldNowMs += max(0, held * (part.nowMs - FleetCount.epochMs) - part.heldAtMs)
    }
    figures.oldestAtMs = oldest?.atMs
    figures.newestAtMs = newest?.atMs
    return figures
  }

  /// The time from which `held_at` counts, as ledger.lua has it.
  private static let epochMs: Int64 = 1_700_000_000_000
}

/// A request for stats.lua.
struct StatsCall: ScriptCall {
  static let script = Script.stats
  let agentsFrom: ArgumentText?
  let sessionsFrom: ArgumentText?
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(agentsFrom)
    words.word(sessionsFrom)
    words.word(limit)
  }
}
