// REPORT: figures of one session, chat, user or agent.

internal import Access
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum ReportVerb {
  static let verb = Verb(
    name: "REPORT", rights: .read, words: [.sessionOrChatIfAny], options: [.user, .agent],
    summary: "Figures of one session, chat, user or agent.", role: .write,
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let agent = call.text(.agent)
    let isSession = !call.arguments.words.isEmpty
    guard isSession || call.option(.asUser) == nil else {
      throw RequestError(.badRequest, "as= goes with an address: \(call.verb.usage)")
    }
    switch (isSession, call.option(.user) != nil, !agent.isEmpty) {
    case (true, false, false):
      let address = call.address
      if let chat = address.chat {
        try call.run(ReportChatCall(device: address.device, session: address.session, chat: chat))
      } else {
        try call.run(ReportSessionCall(device: address.device, session: address.session))
      }
    case (false, true, false): try UserReport(call, user: call.text(.user))
    case (false, false, true):
      // It adds up the agent's locks on all devices.
      try call.require(.everyDevice)
      try call.forward(
        ScriptQuery(ReportAgentCall(agent: ArgumentText(agent)), over: Partition.all))
    default:
      throw RequestError(
        .badRequest, "REPORT takes one of an address, user= and agent=")
    }
  }
}

/// A request for report_session.lua.
struct ReportSessionCall: ScriptCall {
  static let script = Script.reportSession
  let device: ArgumentText
  let session: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
  }
}

/// A request for report_chat.lua.
struct ReportChatCall: ScriptCall {
  static let script = Script.reportChat
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
  }
}

/// A request for report_agent.lua.
struct ReportAgentCall: ScriptCall {
  static let script = Script.reportAgent
  let agent: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(agent)
  }
}
