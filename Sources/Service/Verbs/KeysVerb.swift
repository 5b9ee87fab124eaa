// KEYS: the documents of a session in the order of their keys.

internal import RedisConnection
internal import Scripts
internal import Wire

enum KeysVerb {
  static let verb = Verb(
    name: "KEYS", rights: .read, words: [.session],
    options: [.prefix, .from, .to, .newest, .values, .limit, .cursor],
    summary: "The documents of a session in the order of their keys' bytes.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let isNewest = call.text(.newest) == "yes"
    var range = DocumentRange()
    if let prefix = call.option(.prefix) { range.begins(with: prefix) }
    if let from = call.option(.from) { range.starts(at: from) }
    if let to = call.option(.to) { range.ends(before: to) }
    if let cursor = call.option(.cursor) {
      if isNewest { range.ends(before: cursor) } else { range.goesOn(after: cursor) }
    }
    try call.run(
      KeysCall(
        device: address.device, session: address.session, low: .owned(range.lowBound),
        high: .owned(range.highBound), isNewest: isNewest,
        hasValues: call.text(.values) == "yes", limit: call.number(.limit) ?? 100))
  }
}

/// A request for keys.lua.
struct KeysCall: ScriptCall {
  static let script = Script.keys
  let device: ArgumentText
  let session: ArgumentText?
  let low: ArgumentText
  let high: ArgumentText
  let isNewest: Bool
  let hasValues: Bool
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(low)
    words.word(high)
    words.word(isNewest)
    words.word(hasValues)
    words.word(limit)
  }
}
