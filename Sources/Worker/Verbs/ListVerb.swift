// LIST: sessions, newest first.

internal import RedisLink
internal import Scripts
internal import Wire

enum ListVerb {
  static let verb = Verb(
    name: "LIST", rights: .read, words: [.device],
    options: [.state, .limit, .cursor],
    summary: "The sessions of a device, newest first.",
    replies: ["OK"]
  ) { (call) throws(RequestError) in
    try call.run(.listDevice) { arguments in
      arguments.word(call.word(0))
      arguments.word(orEmpty: call.option(.state))
      arguments.word(call.number(.limit) ?? 50)
      arguments.word(orEmpty: call.option(.cursor))
    }
  }
}
