// HISTORY: messages of a chat.

internal import Events
internal import RedisConnection
internal import Scripts
internal import Wire

enum HistoryVerb {
  private static let lastDefault: Int64 = 20
  private static let limitDefault: Int64 = 100

  static let verb = Verb(
    name: "HISTORY", rights: .read, words: [.chat],
    options: [.last, .afterSeq, .before, .since, .role, .limit, .wait],
    userAddress: .session(UserLookup.run),
    summary: "Messages of a chat, oldest first: the last ones, or those after or before a number.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let last = call.number(.last)
    let starts: [OptionName] = [.last, .afterSeq, .before, .since]
    let given = starts.filter { call.option($0) != nil }
    guard given.count <= 1 else {
      let names = given.map { "\($0.text)=" }.joined(separator: " and ")
      throw RequestError(.badRequest, "\(names) exclude each other")
    }
    let (limit, isFromStart) = (call.number(.limit), given.isEmpty || last != nil)
    let (most, waitMs) = (
      isFromStart ? min(last ?? limit ?? lastDefault, limit ?? .max) : limit, call.number(.wait)
    )
    guard call.option(.afterSeq) != nil || waitMs == nil else {
      throw RequestError(.badRequest, "wait= goes with after=: \(call.verb.usage)")
    }
    let history = HistoryCall(
      device: address.device, session: address.session, chat: address.chat,
      after: call.number(.afterSeq), before: call.number(.before), since: call.number(.since),
      role: call[.role], limit: most ?? limitDefault)
    try call.read(history, until: .history, waitMs: waitMs)
  }
}

/// A request for history.lua.
struct HistoryCall: ScriptCall {
  static let script = Script.history
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let after: Int64?
  let before: Int64?
  let since: Int64?
  let role: ArgumentText?
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(after)
    words.word(before)
    words.word(since)
    words.word(role)
    words.word(limit)
  }
}
