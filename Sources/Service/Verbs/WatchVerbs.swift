// WATCH and UNWATCH: events as they happen, between other replies; with changes=yes also changes,
// which are in no log.

internal import Access
internal import Events
internal import RedisConnection
internal import Scripts
package import SessionModel
internal import Store
internal import Wire

enum WatchVerb {
  static let verb = Verb(
    name: "WATCH", rights: .read, words: [.addressOrAll], options: [.types, .changes, .after],
    userAddress: .own,
    summary:
      "Sends EVENT lines of a device, a session or a chat, or of all with *, as they happen.",
    replies: ["OK", "NONE", "STALE", "EVENT"]
  ) { (call) throws(RequestError) in
    let (caller, wantsChanges) = (call.caller.id, call.text(.changes) == "yes")
    let isOfUser = call.arguments.isOfUser
    let users = isOfUser ? try call.watchedUser() : call.users
    let types = try call.watchedTypes(wantsChanges: wantsChanges)
    let after = try after(call)
    let watch = { (scope: WatchScope, access: WatchAccess?, ticket: Ticket) in
      Watch(
        connection: caller, scope: scope, users: access?.isOwn == false ? nil : users,
        access: access,
        showsLocks: !isOfUser, types: types,
        wantsChanges: wantsChanges,
        after: after, ticketSlot: ticket.slot)
    }
    let isAll = isOfAll(call)
    guard !isAll, call.address.named != nil else {
      let device = isAll ? [] : Array(call.word(0))
      let part = ChangeScope(device: device, session: nil, chat: nil)
      try call.store.requireRedis(for: call.ticket.client)
      return try call.context.events.watch(
        watch(isAll ? .all : .part(part), nil, call.ticket), call.ticket)
    }
    try resolve(call, watch)
  }

  /// Whether it is of all devices: `*`, or a user's sessions, which may be on any.
  private static func isOfAll(_ call: borrowing Call) -> Bool {
    call.arguments.isOfUser || call.word(0).elementsEqual([UInt8(ascii: "*")])
  }

  /// The event after which it begins, of the log that is watched.
  private static func after(_ call: borrowing Call) throws(RequestError) -> EventID? {
    guard let bytes = call.option(.after) else { return nil }
    let isAll = isOfAll(call)
    guard let id = EventID(String(decoding: bytes, as: UTF8.self)),
      isAll || id.partition == call.partition
    else {
      throw RequestError(
        .badRequest, "after= is no id of an event" + (isAll ? "" : " of this device"))
    }
    return id
  }

  /// Begins the watch of a session or a chat, `current` being the one that it is now.
  private static func resolve(
    _ call: borrowing Call, _ watch: @escaping (WatchScope, WatchAccess?, Ticket) -> Watch
  ) throws(RequestError) {
    let (address, device, users) = (call.address, Array(call.device), call.users)
    let (roles, partition) = (call.scope ?? "", call.partition)
    let query = ScriptQuery(
      ResolveCall(device: address.device, session: address.session, chat: address.chat),
      at: call.partition)
    let request = try HeldRequest(call)
    request.store.call(query, timeoutMs: request.stepMs) { outcome in
      guard case .line(let line, _) = outcome, let scope = scope(device, line),
        let left = WatchAccess.left(line)
      else { return request.end(outcome) }
      let check = ResolveCall(
        device: .owned(device),
        session: ArgumentText(String(decoding: scope.session ?? [], as: UTF8.self) + roles),
        chat: nil)
      let access = users.map {
        WatchAccess(
          query: ScriptQuery(check, at: partition), users: $0, leftMs: left.leftMs,
          isOwn: left.isOwn)
      }
      request.pass { (ticket) throws(RequestError) in
        try request.context.events.watch(watch(.part(scope), access, ticket), ticket)
      }
    }
  }

  /// What `FOUND <session> <chat or -> <left>` names; nil for another reply.
  private static func scope(
    _ device: [UInt8], _ line: UnsafeBufferPointer<UInt8>
  ) -> ChangeScope? {
    let words = line.split(separator: UInt8(ascii: " "))
    guard words.count == 4, words[0].elementsEqual("FOUND".utf8) else { return nil }
    let chat = words[2].elementsEqual("-".utf8) ? nil : Array(words[2])
    return ChangeScope(device: device, session: Array(words[1]), chat: chat)
  }
}

/// A request for resolve.lua.
struct ResolveCall: ScriptCall {
  static let script = Script.resolve
  let device: ArgumentText
  let session: ArgumentText?
  let chat: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(chat)
  }
}

enum UnwatchVerb {
  static let verb = Verb(
    name: "UNWATCH", rights: .read, summary: "Ends all watches of this connection.",
    replies: ["OK"], onlyReads: false
  ) { (call) throws(RequestError) in
    call.context.events.unwatch(call.caller.id)
    call.answer("OK")
  }
}

extension Call {
  /// The user of `user=`, whose sessions are watched.
  fileprivate func watchedUser() throws(RequestError) -> UserScope {
    guard option(.asUser) == nil || text(.asUser) == text(.user) else {
      throw RequestError(.badRequest, "user= and as= name two users: leave one of them out")
    }
    return UserScope(named: text(.user))
  }

  /// The types that `types=` names; nil without it.
  package var types: [EventType]? {
    get throws(RequestError) {
      guard let names = try typeNames else { return nil }
      var types: [EventType] = []
      for name in names {
        guard let type = EventType(rawValue: name) else { throw Call.unknownType(false) }
        types.append(type)
      }
      return types
    }
  }

  /// The types that a WATCH is sent, those of changes among them; nil for all.
  fileprivate func watchedTypes(wantsChanges: Bool) throws(RequestError) -> Set<[UInt8]>? {
    guard let names = try typeNames else { return nil }
    for name in names where EventType(rawValue: name) == nil {
      guard ChangeType(rawValue: name) != nil || Call.isCustom(name) else {
        throw Call.unknownType(wantsChanges)
      }
      guard wantsChanges else {
        throw RequestError(.badRequest, "types=\(name) is a change's: it needs changes=yes")
      }
    }
    return Set(names.map { Array($0.utf8) })
  }

  /// The names in `types=`, each once.
  private var typeNames: [String]? {
    get throws(RequestError) {
      guard let bytes = option(.types) else { return nil }
      let names = String(decoding: bytes, as: UTF8.self)
        .split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      for (index, name) in names.enumerated() where names[..<index].contains(name) {
        throw RequestError(.badRequest, "types= has \(name) twice: give it once")
      }
      return names
    }
  }

  /// Whether it is the type of a caller's own events.
  private static func isCustom(_ name: String) -> Bool {
    name.hasPrefix("custom.") && IDText.isID(name.dropFirst(7), bytesMax: IDText.agentBytesMax)
  }

  private static func unknownType(_ wantsChanges: Bool) -> RequestError {
    let changes = wantsChanges ? ChangeType.allCases.map(\.rawValue) : []
    let own = wantsChanges ? ["custom.TYPE"] : []
    let known = (EventType.allCases.map(\.rawValue) + changes + own).joined(separator: ", ")
    return RequestError(.badRequest, "types= has no event's type; there are \(known)")
  }
}
