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
    try call.run(HolderCall(device: call[0]))
  }
}

/// A request for holder.lua.
struct HolderCall: ScriptCall {
  static let script = Script.holder
  let device: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
  }
}
