// HOLDER: says who holds a lock.

internal import RedisConnection
internal import Scripts
internal import Wire

enum HolderVerb {
  static let verb = Verb(
    name: "HOLDER", rights: .read, words: [.device],
    summary: "Says who holds the device's lock, and changes nothing.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    try call.run(.holder) { arguments in arguments.word(call.word(0)) }
  }
}
