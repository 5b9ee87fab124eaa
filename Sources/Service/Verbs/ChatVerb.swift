// CHAT: adds a chat to a session.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Settings
internal import Wire

enum ChatVerb {
  static let verb = Verb(
    name: "CHAT", rights: .write, words: [.session],
    options: [.name, .maxMessages, .full, .token, .turn, .req], payload: .optionalAny,
    limits: JSONLimits(bytes: ChatConfiguration.limit),
    summary: "Adds a chat, now the current one; the payload is its configuration.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.run(
      ChatCall(
        device: address.device, session: address.session, name: call.quoted(.name),
        config: call.sealedPayload(.configuration), limits: try limits(call), token: call.fence,
        req: call.req))
  }
}

extension ChatVerb {
  /// The chat's own limits as its record has them: how many messages, 0 for the policy's or the
  /// server's number, and what it does when it is full, `-` for the same; nil without any.
  private static func limits(_ call: borrowing Call) throws(RequestError) -> ArgumentText? {
    let (most, full) = (call.number(.maxMessages), call.option(.full))
    guard most != nil || full != nil else { return nil }
    let settings = call.shared.settings
    let messagesMax = max(
      settings.messagesMax, settings.policies.values.compactMap { $0.limit(.messages) }.max() ?? 0)
    guard most ?? 0 <= messagesMax else {
      throw RequestError(
        .badRequest,
        "max-messages=\(most ?? 0): a chat may have \(messagesMax) messages (--max-messages)")
    }
    return ArgumentText("\(most ?? 0) \(full == nil ? "-" : call.text(.full))")
  }
}

/// A request for chat.lua.
struct ChatCall: ScriptCall {
  static let script = Script.chat
  let device: ArgumentText
  let session: ArgumentText?
  let name: ArgumentText?
  let config: ArgumentText?
  let limits: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(name)
    words.word(config)
    words.word(limits)
    words.word(token)
    words.word(req)
  }
}
