// GET: a session's record, or one chat.

internal import Events
internal import RedisConnection
internal import Scripts
internal import Wire

enum GetVerb {
  static let verb = Verb(
    name: "GET", rights: .read, words: [.sessionOrChat], options: [.fields, .last, .rev, .wait],
    userAddress: .session(UserLookup.run),
    summary: "A session's record, at once or when its revision differs, or one of its chats.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let (rev, waitMs) = (call.number(.rev), call.number(.wait))
    guard rev != nil || waitMs == nil else {
      throw RequestError(.badRequest, "wait= goes with rev=: \(call.verb.usage)")
    }
    if let chat = address.chat {
      try refuseMore(call)
      try call.run(GetChatCall(device: address.device, session: address.session, chat: chat))
    } else if call.option(.last) != nil, waitMs ?? 0 == 0 {
      try SnapshotRead(
        call,
        LookCall(
          device: address.device.kept, session: address.session?.kept, fields: fields(call),
          last: call.number(.last), seenRev: rev, isWhole: true, stamp: nil))
    } else if call.option(.fields) != nil || call.option(.last) != nil {
      let look = LookCall(
        device: address.device, session: address.session, fields: fields(call),
        last: call.number(.last), seenRev: rev, isWhole: false, stamp: nil)
      try call.read(look, until: .record, waitMs: waitMs)
    } else {
      let get = GetCall(device: address.device, session: address.session, seenRev: rev)
      try call.read(get, until: .record, waitMs: waitMs)
    }
  }

  /// Refuses options of a session where a chat is named.
  private static func refuseMore(_ call: borrowing Call) throws(RequestError) {
    for option in [OptionName.fields, .last, .rev] where call.option(option) != nil {
      throw RequestError(.badRequest, "\(option.text)= goes with GET of a session, not of a chat")
    }
  }

  /// The names of the fields as a script takes them; nil for all.
  static func fields(_ call: borrowing Call) -> ArgumentText? {
    guard let names = call.option(.fields) else { return nil }
    guard !names.elementsEqual("none".utf8) else { return "none" }
    var parts = Parts()
    for name in names.split(separator: UInt8(ascii: ",")) {
      var json: [UInt8] = []
      json.appendJSONString(UnsafeBufferPointer(rebasing: name).span)
      parts.add(json)
    }
    return .owned(parts.bytes)
  }
}

/// A request for look.lua.
struct LookCall: ScriptCall {
  static let script = Script.look
  let device: ArgumentText
  let session: ArgumentText?
  let fields: ArgumentText?
  let last: Int64?
  /// The revision that its caller has seen.
  let seenRev: Int64?
  /// Whether all messages are to be shown, or else as many as the reply may have.
  let isWhole: Bool
  let stamp: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(fields)
    words.word(last)
    words.word(seenRev)
    words.word(isWhole)
    words.word(stamp)
  }
}

/// A request for get.lua.
struct GetCall: ScriptCall {
  static let script = Script.get
  let device: ArgumentText
  let session: ArgumentText?
  /// The revision that its caller has seen.
  let seenRev: Int64?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(seenRev)
  }
}

/// A request for get_chat.lua.
struct GetChatCall: ScriptCall {
  static let script = Script.getChat
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
  }
}
