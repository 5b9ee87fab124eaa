// HISTORY: messages of a chat.

internal import RedisLink
internal import Scripts
internal import Wire

enum HistoryVerb {
  static let verb = Verb(
    name: "HISTORY", rights: .read, words: [.chat],
    options: [.last, .after, .limit],
    summary: "Messages of a chat, oldest first: the last ones, or those after a number.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    var after: [UInt8]?
    if let bytes = call.option(.after) {
      let token = Token(start: 0, end: bytes.count, isQuoted: false)
      let number = try IntegerText.parse(bytes.span, token, in: 0...(1 << 53))
      after = Array(String(number).utf8)
    }
    guard after == nil || call.number(.last) == nil else {
      throw RequestError(.badRequest, "last= and after= exclude each other")
    }
    let most = after == nil ? call.number(.last) ?? 20 : call.number(.limit) ?? 100
    try call.run(.history) { arguments in
      arguments.word(address.device)
      arguments.word(orEmpty: address.session)
      arguments.word(orEmpty: address.chat)
      arguments.word(orEmpty: after)
      arguments.word(most)
    }
  }
}
