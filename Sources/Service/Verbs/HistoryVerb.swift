// HISTORY: messages of a chat.

internal import RedisConnection
internal import Scripts
internal import Wire

enum HistoryVerb {
  private static let lastDefault: Int64 = 20
  private static let limitDefault: Int64 = 100

  static let verb = Verb(
    name: "HISTORY", rights: .read, words: [.chat],
    options: [.last, .after, .limit],
    summary: "Messages of a chat, oldest first: the last ones, or those after a number.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let (after, last, limit) = (try after(call), call.number(.last), call.number(.limit))
    guard after == nil || last == nil else {
      throw RequestError(.badRequest, "last= and after= exclude each other")
    }
    let most =
      after == nil
      ? min(last ?? limit ?? lastDefault, limit ?? .max) : limit ?? limitDefault
    try call.run(
      HistoryCall(
        device: address.device, session: address.session, chat: address.chat, after: after,
        limit: most))
  }

  /// The number behind which to begin; what `EVENTS` takes here is an id.
  private static func after(_ call: borrowing Call) throws(RequestError) -> Int64? {
    guard let bytes = call.option(.after) else { return nil }
    do throws(RequestError) {
      let token = Token(start: 0, end: bytes.count, isQuoted: false)
      return try IntegerText.parse(bytes.span, token, in: 0...(1 << 53))
    } catch {
      throw RequestError(error.code, "after=\(error.text)")
    }
  }
}

/// A request for history.lua.
struct HistoryCall: ScriptCall {
  static let script = Script.history
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?
  let after: Int64?
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(after)
    words.word(limit)
  }
}
