// Owns: the overview of the page as JSON: the totals of this worker, from which the page makes
// rates, and the figures of the fleet. docs/page.md names the members. Runs on the control loop.

internal import Access
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Service
internal import Settings
internal import Synchronization
internal import Wire

/// Composes the overview.
struct PageOverview {
  let shared: SharedState
  let isReady: Bool
  /// The workers that live, by name.
  let workers: [String]
  let nodes: [AdminPages.NodeReport]
  /// Why Redis cannot be used; nil if it can.
  let outage: String?

  /// Agents that are shown by name.
  private static let agentsMax = 100

  var text: String {
    let members = [
      "\"worker\":\(quoted(shared.workerID))", "\"version\":\(quoted(Version.text))",
      "\"at\":\(WallTime.nowMs())", "\"uptime_ms\":\(MonotonicTime.nowMs() - shared.startedAtMs)",
      "\"ready\":\(isReady)", "\"draining\":\(shared.isDraining)",
      "\"auth\":\(shared.principals.withLock { $0 != nil })",
      "\"outage\":\(outage.map(quoted) ?? "null")",
      "\"workers\":[\(workers.map(quoted).joined(separator: ","))]",
      "\"redis\":{\(redis)}", "\"requests\":{\(requests)}", "\"latency_us\":{\(latency)}",
      "\"lateness_ms\":{\(lateness)}", "\"now\":{\(now)}", "\"groups\":{\(groups)}",
      "\"fleet\":\(fleet)",
    ]
    return "{\(members.joined(separator: ","))}\n"
  }

  private func quoted(_ text: String) -> String {
    var bytes: [UInt8] = []
    bytes.appendJSONString(Array(text.utf8).span)
    return String(decoding: bytes, as: UTF8.self)
  }

  private var redis: String {
    let shown = nodes.map { node in
      "{\"name\":\(quoted(node.name)),\"partitions\":\(node.partitions),"
        + "\"away\":\(node.awayReason.map(quoted) ?? "null")}"
    }
    return "\"mode\":\(quoted(shared.redisMode)),\"connections\":\(shared.threads),"
      + "\"up\":\(shared.sum(.redisReady)),\"nodes\":[\(shown.joined(separator: ","))]"
  }

  /// Totals by verb: of all requests, and of those that were errors.
  private var requests: String {
    let errors = Outcome.allCases.filter { $0.isError }
    return VerbTable.all.indices.compactMap { verb in
      let all = count(verb, Outcome.allCases)
      guard all > 0 else { return nil }
      return "\(quoted(VerbTable.all[verb].name)):[\(all),\(count(verb, errors))]"
    }.joined(separator: ",")
  }

  private func count(_ verb: Int, _ outcomes: [Outcome]) -> Int {
    shared.counters.reduce(0) { sum, loop in
      outcomes.reduce(sum) { $0 + loop.requestCount(verb: verb, $1) }
    }
  }

  /// Requests of all verbs, by how long they took.
  private var latency: String {
    let counts = (0...Counters.bucketsUs.count).map { bucket in
      shared.counters.reduce(0) { sum, loop in
        VerbTable.all.indices.reduce(sum) { $0 + loop.latencyCount(verb: $1, bucket: bucket) }
      }
    }
    return "\"bounds\":\(Counters.bucketsUs),\"counts\":\(counts)"
  }

  private var lateness: String {
    let bounds = DeadlineFigures.bucketsMs
    let counts = (0...bounds.count).map { shared.deadlineFigures.latenessCount(bucket: $0) }
    return "\"bounds\":\(bounds),\"counts\":\(counts)"
  }

  private var now: String {
    let figures: [(String, Int)] = [
      ("connections", shared.connections), ("http_connections", shared.sum(.httpNow)),
      ("in_flight", shared.sum(.requestsInFlight)), ("watches", shared.sum(.watches)),
      ("waiters", shared.sum(.waiters) + shared.sum(.changeWaiters)),
      ("buffered_bytes", shared.sum(.bufferedBytes)),
      ("partitions_owned", shared.deadlineFigures.partitionsOwned),
      ("corrupt_values", shared.sum(.corruptValues)),
    ]
    return figures.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",")
  }

  private var groups: String {
    let logs = shared.logFigures
    return "\"behind_ms\":\(logs.behindMs),\"lost\":\(logs.lost),\"log_bytes\":\(logs.bytes.sum),"
      + "\"logs_full\":\(logs.full),\"given\":\(shared.sum(.eventsGiven)),"
      + "\"lags\":\(shared.groupLags)"
  }

  /// As the latest census found it; null before the first.
  private var fleet: String {
    guard let entry = shared.fleetFigures.latest else { return "null" }
    let figures = entry.figures
    let (shown, others) = figures.agents(most: PageOverview.agentsMax)
    var agents = shown.map { "[\(quoted($0.name)),\($0.held)]" }
    if others > 0 { agents.append("[\(quoted(FleetFigures.otherAgents)),\(others)]") }
    let states = FleetFigure.states.map { "\(quoted($0.label)):\(figures[$0])" }
    let totals: [FleetFigure] =
      FleetFigure.endings + [
        .turnsRunning, .turnsWaiting, .turnsBegun, .turnsAbandoned, .turnsInterrupted, .opened,
        .closed, .devices, .users,
      ]
    let numbers = totals.map { "\(quoted($0.label)):\(figures[$0])" }
    return "{\"age_ms\":\(entry.ageMs),\"held\":\(figures.held),"
      + "\"held_now_ms_mean\":\(figures.heldNowMsMean),\"live_chats\":\(figures.liveChats),"
      + "\"agents\":[\(agents.joined(separator: ","))],"
      + "\"states\":{\(states.joined(separator: ","))},\(numbers.joined(separator: ","))}"
  }
}
