// SET: merges members into a session, or into a chat's configuration.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum SetVerb {
  static let verb = Verb(
    name: "SET", rights: .write, words: [.sessionOrChat],
    options: [.user, .name, .phase, .step, .policyName] + OptionName.clocks + [
      .expiresAt, .rev, .token, .turn, .req,
    ],
    linkOption: "link", userAddress: .session(UserLookup.run), payload: .optionalObject,
    limits: JSONLimits(members: Members.limit),
    limitsOfChat: JSONLimits(bytes: ChatConfiguration.limit),
    summary: "Merges members into a session or into a chat's configuration; null removes one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    if let chat = address.chat {
      try ChatChange.run(call, chat)
      return
    }
    let policy = try call.policy
    let change = SetCall(
      device: address.device.kept, session: address.session?.kept,
      members: .owned(try Members(call).parts(call.sealer).bytes), seenRev: call.number(.rev),
      links: try links(call), lengths: try lengths(call, policy),
      policy: policy.map { ArgumentText($0.line) }, token: call.fence, req: call.req)
    if change.links == nil {
      // A clock that is shorter now may be due before anything was known to be.
      try call.run(change, dueInMs: change.lengths == nil ? nil : 0)
    } else {
      try LinkedChange(call, change, dueInMs: change.lengths == nil ? nil : 0)
    }
  }

  /// A line each, behind a mark if other users' stay: the links that replace those of their kinds;
  /// nil without any.
  private static func links(_ call: borrowing Call) throws(RequestError) -> ArgumentText? {
    let users = call.option(.user).map { _ in [LinkName.user(call.text(.user))] } ?? []
    guard users.isEmpty || !call.links.contains(where: { $0.kind == "user" }) else {
      throw RequestError(.badRequest, "user= and link.user= exclude each other")
    }
    let links = users + call.links
    try call.checkLinks(links)
    // Other users' links are not the caller's to replace.
    let mark = call.isOfSomeUsers ? "+" : ""
    return links.isEmpty ? nil : ArgumentText(mark + links.map(\.line).joined())
  }

  /// A word for each clock in the order of records: its new length in ms, or `-`; nil if none is
  /// changed.
  private static func lengths(
    _ call: borrowing Call, _ policy: SessionPolicy?
  ) throws(RequestError) -> ArgumentText? {
    let ofPolicy = policy?.clocks(over: call.shared.settings.clocks)
    let words = try call.clockWords { clock in ofPolicy.map { "\($0[clock])" } ?? "-" }
    return words.allSatisfy { $0 == "-" } ? nil : ArgumentText(words.joined(separator: " "))
  }
}

/// One SET of a chat on its way.
///
/// The worker merges the configuration, and the script takes that only if it was made from what is
/// there.
private struct ChatChange {
  private let request: HeldRequest
  private let partition: Partition
  private let sealer: Sealer
  /// The call, in texts of its own; what was merged is put in.
  private let change: SetChatCall
  /// The members to merge into the configuration; nil leaves it as it is.
  private let patch: [UInt8]?

  /// Each try means that others have changed the same configuration meanwhile.
  private static let triesMax = 16
  /// Options of SET that a chat has nothing for.
  private static let ofSession: [OptionName] =
    [.user, .phase, .step, .policyName, .rev] + OptionName.clocks + [.expiresAt]

  /// Begins; the caller's next request waits for the answer.
  static func run(_ call: borrowing Call, _ chat: ArgumentText) throws(RequestError) {
    if let link = call.links.first {
      throw RequestError(
        .badRequest, "link.\(link.kind)= goes with SET of a session, not of a chat")
    }
    if let option = ofSession.first(where: { call.option($0) != nil }) {
      throw RequestError(
        .badRequest, "\(option.text)= goes with SET of a session, not of a chat")
    }
    let change = try ChatChange(call, chat)
    change.send(change.change, triesLeft: triesMax)
  }

  private init(_ call: borrowing Call, _ chat: ArgumentText) throws(RequestError) {
    let address = call.address
    partition = call.partition
    sealer = call.sealer
    patch = call.payload.map { Array($0) }
    change = SetChatCall(
      device: address.device.kept, session: address.session?.kept, chat: chat.kept,
      name: call.quoted(.name), mergedFrom: patch == nil ? nil : "?", merged: nil,
      token: call.fence, req: call.req)
    assert(change.ownsItsTexts)
    request = try HeldRequest(call)
  }

  private func send(_ change: SetChatCall, triesLeft: Int) {
    let query = ScriptQuery(change, at: partition)
    request.store.call(query, timeoutMs: request.stepMs) { outcome in
      guard case .line(let line, _) = outcome, line.starts(with: Array("MORE ".utf8)) else {
        return request.end(outcome)
      }
      merge(Array(line.dropFirst("MORE ".utf8.count)), triesLeft: triesLeft - 1)
    }
  }

  /// Merges into what the script has said: a hash, and the configuration that it is of.
  private func merge(_ found: [UInt8], triesLeft: Int) {
    guard triesLeft > 0, !request.isOver else {
      return request.end(
        .failed(
          RequestError(.overloaded, "the chat is changed too often; nothing was done, retry")))
    }
    let hash = found.prefix { $0 != UInt8(ascii: " ") }
    // What would be replaced unread may be of use to a worker that has its key.
    guard let old = sealer.opened(Array(found.dropFirst(hash.count + 1)), .configuration) else {
      return request.end(
        .failed(
          RequestError(
            .illegalState,
            "the chat's configuration is sealed and does not open: this worker has not its key "
              + "(--seal-keys), or it was changed in Redis")))
    }
    let merged = ChatConfiguration.merged(old, with: patch ?? [])
    guard merged.count <= ChatConfiguration.bytesMax else {
      return request.end(
        .failed(
          ChatConfiguration.limit.error))
    }
    var next = change
    next.mergedFrom = .owned(Array(hash))
    next.merged = .owned(merged.withUnsafeBufferPointer { sealer.bytes($0, .configuration) })
    send(next, triesLeft: triesLeft)
  }
}

/// A request for set_chat.lua.
struct SetChatCall: ScriptCall {
  static let script = Script.setChat
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText
  let name: ArgumentText?
  var mergedFrom: ArgumentText?
  var merged: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
    words.word(name)
    words.word(mergedFrom)
    words.word(merged)
    words.word(token)
    words.word(req)
  }
}

/// A request for set.lua.
struct SetCall: LinkingCall {
  static let script = Script.set
  let device: ArgumentText
  var session: ArgumentText?
  let members: ArgumentText
  let seenRev: Int64?
  let links: ArgumentText?
  var reserved: ArgumentText?
  let lengths: ArgumentText?
  let policy: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(members)
    words.word(seenRev)
    words.word(links)
    words.word(reserved)
    words.word(lengths)
    words.word(policy)
    words.word(token)
    words.word(req)
  }

  mutating func take(_ reservations: Reservations) {
    if let found = reservations.session { session = session.readdressed(to: found) }
    reserved = ArgumentText(reservations.text)
  }
}
