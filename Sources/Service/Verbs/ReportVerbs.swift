// STATS and REPORT: figures of the whole fleet, and of one session, user or agent.

internal import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum StatsVerb {
  static let verb = Verb(
    name: "STATS", rights: .read, summary: "Figures of the whole fleet.",
    reach: .everyDevice, replies: ["OK"]
  ) { (call) throws(RequestError) in
    try call.forward(
      ScriptQuery(
        .stats, over: Partition.all, ["\(call.shared.deadlineFigures.workers)"]))
  }
}

enum ReportVerb {
  static let verb = Verb(
    name: "REPORT", rights: .read, words: [.sessionOrChatIfAny], options: [.user, .agent],
    summary: "Figures of one session, chat, user or agent.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let agent = call.text(.agent)
    let isSession = !call.arguments.words.isEmpty
    switch (isSession, call.option(.user) != nil, !agent.isEmpty) {
    case (true, false, false):
      let address = call.address
      try call.run(address.chat == nil ? .reportSession : .reportChat) { arguments in
        arguments.word(address.device)
        arguments.word(orEmpty: address.session)
        if let chat = address.chat { arguments.word(chat) }
      }
    case (false, true, false): try UserReport(call, user: call.text(.user))
    case (false, false, true):
      try call.forward(
        ScriptQuery(.reportAgent, over: Partition.all, [agent]))
    default:
      throw RequestError(
        .badRequest, "REPORT takes one of an address, user= and agent=")
    }
  }
}
