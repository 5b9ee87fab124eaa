// LIST: sessions of a device, of a link, or all.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum ListVerb {
  static let verb = Verb(
    name: "LIST", rights: .read, words: [.listed],
    options: [.state, .limit, .cursor],
    summary: "The sessions of a device or of a link, newest first; or all of them.",
    reach: .shownToOperators, replies: ["OK"]
  ) { (call) throws(RequestError) in
    let listed = call.text(0)
    guard listed != "*" else {
      try SessionList(call, .all)
      return
    }
    guard !listed.contains("=") else {
      let parts = listed.split(separator: "=", maxSplits: 1).map(String.init)
      let isThread = parts[0] == LinkName.threadKind
      let link = isThread ? .thread(parts[1].utf8) : LinkName(kind: parts[0], ref: parts[1])
      try SessionList(call, .link(link))
      return
    }
    if let cursor = call.option(.cursor), !SessionID.isOne(cursor) {
      throw SessionList.forged(call.text(.cursor))
    }
    try call.run(
      ListDeviceCall(
        device: call[0], state: call[.state], limit: call.number(.limit) ?? 50,
        from: call[.cursor]))
  }
}

/// A request for list_device.lua.
struct ListDeviceCall: ScriptCall {
  static let script = Script.listDevice
  let device: ArgumentText
  let state: ArgumentText?
  let limit: Int64
  let from: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(state)
    words.word(limit)
    words.word(from)
  }
}
