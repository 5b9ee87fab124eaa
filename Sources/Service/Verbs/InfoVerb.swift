// INFO: the worker that answers, and the state of its connection to Redis.

internal import Loop
internal import Metrics
internal import Settings
internal import Store
internal import Wire

enum InfoVerb {
  static let verb = Verb(
    name: "INFO", rights: .known,
    summary: "Shows the worker's version, its name and the state of its connection to Redis.",
    replies: ["OK"]
  ) { (call) throws(RequestError) in
    let (shared, store) = (call.shared, call.store)
    let nodes = store.nodeStates.map { node in
      let address = node.name.isEmpty ? "" : "\"address\":\"\(node.name)\","
      return "{\(address)\"state\":\"\(node.state)\",\"partitions\":\(node.partitions)}"
    }.joined(separator: ",")
    let logs = shared.logFigures
    let lags = call.mayAskForGroups ? ",\"lags\":\(shared.groupLags)" : ""
    let fleet = shared.fleetID.map { "\"\($0)\"" } ?? "null"
    let mode = store.isCluster ? "cluster" : shared.redisMode
    call.answer(
      "OK {\"version\":\"\(Version.text)\",\"protocol\":\(Version.wireProtocol),"
        + "\"worker\":\"\(shared.workerID)\",\"fleet\":\(fleet),"
        + "\"redis\":{\"state\":\"\(store.stateWord)\",\"mode\":\"\(mode)\","
        + "\"version\":\"\(store.redisVersion)\",\"lua\":\"\(store.scriptWay)\","
        + "\"nodes\":[\(nodes)]},"
        + "\"groups\":{\"behind_ms\":\(logs.behindMs),\"lost\":\(logs.lost),"
        + "\"log_bytes\":\(logs.bytes.sum),\"logs_full\":\(logs.full)\(lags)},"
        + "\"notifications\":\(shared.deadlineFigures.notificationsLive),"
        + "\"workers\":\(shared.deadlineFigures.workers),"
        + "\"uptime_ms\":\(MonotonicTime.nowMs() - shared.startedAtMs),"
        + "\"draining\":\(shared.isDraining),"
        + "\"threads\":\(shared.threads),\"connections\":\(shared.connections)}")
  }
}

extension Call {
  /// Whether its caller may ask for events of groups, and so know which there are.
  fileprivate var mayAskForGroups: Bool {
    do throws(RequestError) {
      try require(Rights.read)
      try require(Reach.everyDevice)
      return true
    } catch {
      return false
    }
  }
}
