// STATS and REPORT: figures of the whole fleet, and of one agent.

internal import Scripts
internal import Wire

enum StatsVerb {
  static let verb = Verb(
    name: "STATS", rights: .read, summary: "Figures of the whole fleet.", replies: ["OK"]
  ) { (call) throws(RequestError) in
    let server = call.server
    try call.forward(
      ScriptQuery(
        script: .stats, keys: server.baseKeys,
        arguments: ["\(server.shared.deadlineFigures.workers)"]))
  }
}

enum ReportVerb {
  static let verb = Verb(
    name: "REPORT", rights: .read, options: [.agent], required: [.agent],
    summary: "Figures of one agent's locks.", replies: ["OK"]
  ) { (call) throws(RequestError) in
    let agent = call.option(.agent).map { String(decoding: $0, as: UTF8.self) } ?? ""
    try call.forward(
      ScriptQuery(script: .reportAgent, keys: call.server.baseKeys, arguments: [agent]))
  }
}
