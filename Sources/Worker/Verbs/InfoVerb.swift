// INFO: tells which worker answers, and how it stands with Redis.

internal import Loop
internal import Wire

enum InfoVerb {
  static let verb = Verb(
    name: "INFO", rights: .known,
    summary: "Tells the worker's version, its name and how it stands with Redis.", replies: ["OK"]
  ) { (call) throws(RequestError) in
    let (shared, store) = (call.shared, call.store)
    call.answer(
      "OK {\"version\":\"\(Version.text)\",\"protocol\":\(Version.wireProtocol),"
        + "\"worker\":\"\(shared.workerID)\","
        + "\"redis\":{\"state\":\"\(store.stateWord)\",\"mode\":\"\(shared.redisMode)\","
        + "\"version\":\"\(store.redisVersion)\",\"lua\":\"\(store.scriptWay)\"},"
        + "\"notifications\":\(shared.deadlineFigures.notificationsLive),"
        + "\"workers\":\(shared.deadlineFigures.workers),"
        + "\"uptime_ms\":\(MonotonicTime.nowMs() - shared.startedAtMs),"
        + "\"draining\":\(shared.isDraining),"
        + "\"threads\":\(shared.threads),\"connections\":\(shared.connections)}")
  }
}
