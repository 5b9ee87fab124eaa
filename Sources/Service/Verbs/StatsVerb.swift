// STATS: figures of the whole fleet.

internal import Deadlines
internal import Metrics
internal import Store
internal import Wire

enum StatsVerb {
  static let verb = Verb(
    name: "STATS", rights: .read, summary: "Figures of the whole fleet.",
    reach: .everyDevice, replies: ["OK"]
  ) { (call) throws(RequestError) in
    FleetStats(request: try HeldRequest(call), shared: call.shared).next()
  }
}

/// One STATS on its way, which goes through the partitions.
private struct FleetStats {
  let request: HeldRequest
  let shared: SharedState
  private var count = FleetCount()
  private var readsSessions = false

  /// With more sessions their ages are those of the latest census.
  private static let sessionsMax = 10_000

  init(request: HeldRequest, shared: SharedState) {
    self.request = request
    self.shared = shared
  }

  /// Reads the next partitions; or ends, if there are none.
  func next() {
    guard !request.isOver else {
      let text = "the figures took too long; reading changes nothing, so retry"
      return request.end(.failed(RequestError(.unavailable, text)))
    }
    var rest = self
    guard let query = rest.count.next() else { return counted() }
    request.read(query) { rows in
      rest.count.take(rows)
      rest.next()
    }
  }

  private func counted() {
    var (rest, figures) = (self, count.figures)
    let isSmall = figures[.sessions] <= FleetStats.sessionsMax
    guard readsSessions || !isSmall else {
      rest.readsSessions = true
      rest.count.readSessions()
      return rest.next()
    }
    if !isSmall, let census = shared.fleetFigures.latest?.figures {
      (figures.oldestAtMs, figures.newestAtMs) = (census.oldestAtMs, census.newestAtMs)
    }
    let workers = shared.deadlineFigures.workers
    request.end(Array(StatsReply.line(figures, workers: workers, corrupt: count.corrupt).utf8))
  }
}

/// The reply line of STATS.
enum StatsReply {
  /// The most agents that are shown; the locks of further ones are under `*`.
  private static let agentsMax = 1_000

  static func line(_ figures: FleetFigures, workers: Int, corrupt: [String]) -> String {
    let sessions =
      FleetFigure.states.dropLast() + [FleetFigure.opened, .closed, .expired]
    let parts = [
      "\"locks\":{\(locks(figures))}",
      """
      "turns":{"running":\(figures[.turnsRunning]),"waiting":\(figures[.turnsWaiting]),\
      "begun":\(figures[.turnsBegun]),"abandoned":\(figures[.turnsAbandoned]),\
      "interrupted":\(figures[.turnsInterrupted])}
      """,
      """
      "sessions":{\(sessions.map { "\"\($0.label)\":\(figures[$0])" }.joined(separator: ",")),\
      "live_chats":\(figures.liveChats),"oldest_at":\(number(figures.oldestAtMs)),\
      "newest_at":\(number(figures.newestAtMs))}
      """,
      "\"devices\":\(figures[.devices])", "\"users\":\(figures[.users])", "\"workers\":\(workers)",
    ]
    let names = corrupt.map { "\"\(member($0))\"" }.joined(separator: ",")
    let damaged = corrupt.isEmpty ? "" : ",\"damaged\":[\(names)]"
    return "OK {\(parts.joined(separator: ","))\(damaged)}"
  }

  private static func locks(_ figures: FleetFigures) -> String {
    let (shown, others) = figures.agents(most: agentsMax)
    let rest = others > 0 ? [(name: FleetFigures.otherAgents, held: others)] : []
    let agents = (rest + shown).map { "\"\($0.name)\":\($0.held)" }.joined(separator: ",")
    let endings = FleetFigure.endings.map { "\"\($0.label)\":\(figures[$0])" }
      .joined(separator: ",")
    return """
      "held":\(figures.held),"by_agent":{\(agents)},\
      "held_now_ms_mean":\(figures.heldNowMsMean),"acquired":\(figures.acquired),\(endings),\
      "held_ms_mean":\(figures.heldMsMean)
      """
  }

  private static func number(_ value: Int64?) -> String { value.map { "\($0)" } ?? "null" }

  /// The member of the reply that depends on a figure of a ledger.
  private static func member(_ name: String) -> String {
    switch name {
    case "held_ms": return "locks.held_ms_mean"
    case "held_at": return "locks.held_now_ms_mean"
    case "more_chats": return "sessions.live_chats"
    case "sessions": return "sessions.oldest_at"
    case "devices", "users", "ledger": return name
    case "opened", "closed", "expired": return "sessions.\(name)"
    case "held:": return "locks.by_agent"
    default: break
    }
    if name.hasPrefix("held:") { return "locks.by_agent.\(name.dropFirst("held:".count))" }
    if name.hasPrefix("turns_") { return "turns.\(name.dropFirst("turns_".count))" }
    if name.hasPrefix("state:") { return "sessions.\(name.dropFirst("state:".count))" }
    return "locks.\(name)"
  }
}
