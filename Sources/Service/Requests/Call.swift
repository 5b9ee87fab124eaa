// Owns: what a verb sees of one request: typed values, never raw bytes; and its ways to answer.
// Lives during one call of the verb, on the loop's thread.

package import Access
package import Events
package import RedisConnection
internal import Scripts
package import SessionModel
internal import Settings
package import Store
internal import Wire

/// The parts of an address; what is not given is the current one.
package struct SessionAddress {
  package let device: ArgumentText
  /// As the request has it; nil where it names none.
  package let named: ArgumentText?
  package let chat: ArgumentText?
  /// The users to whose sessions the request is limited, and the role that it needs there; nil if
  /// it is not limited.
  fileprivate let scope: String?

  /// As scripts take it: the session, and behind it the users whose sessions count.
  package var session: ArgumentText? {
    guard let scope else { return named }
    return ArgumentText((named?.string ?? "") + scope)
  }
}

extension ArgumentText? {
  /// The session that a script has named in place of this one, for the same users.
  func readdressed(to session: String) -> ArgumentText {
    guard let text = self?.string, let users = text.firstIndex(where: { "<=?#".contains($0) })
    else {
      return ArgumentText(session)
    }
    return ArgumentText(session + text[users...])
  }
}

/// One request on its way through its verb.
///
/// It cannot be copied, and so not be kept: the line and the arguments are another caller's once
/// the verb has returned. A request that takes several steps takes out what it needs first.
package struct Call: ~Copyable {
  /// Unowned, as caller and verb are: all three outlive the call.
  ///
  /// Counting references to all that a call holds took 430 of the 13,000 instructions that a LOCK
  /// costs a serving loop.
  package unowned(unsafe) let context: any RequestContext
  package unowned(unsafe) let caller: any RequestCaller
  package unowned(unsafe) let verb: Verb
  package let site: CallSite
  /// Whether there are principals, so that requests need a check.
  package let checksAccess: Bool
  package let ticket: Ticket
  /// The line, or its copy with decoded words: what the arguments' tokens point into.
  package let text: UnsafeBufferPointer<UInt8>
  /// What the line reader has made of a large request; nil for others.
  package let read: ReadRequest?

  package init(
    context: __shared any RequestContext, caller: __shared any RequestCaller, verb: __shared Verb,
    site: CallSite,
    checksAccess: Bool, ticket: Ticket, text: UnsafeBufferPointer<UInt8>, read: ReadRequest? = nil
  ) {
    self.context = context
    self.caller = caller
    self.verb = verb
    self.site = site
    self.checksAccess = checksAccess
    self.ticket = ticket
    self.text = text
    self.read = read
  }

  package var shared: SharedState { site.shared }
  package var store: Store { site.store }
  /// The checked words and options; the loop has one set, which is this request's now.
  package var arguments: Arguments { site.arguments }

  /// The bytes of a word.
  package func word(_ index: Int) -> UnsafeBufferPointer<UInt8> {
    bytes(arguments.words[index].token)
  }

  /// The bytes of an option, or nil.
  package func option(_ name: OptionName) -> UnsafeBufferPointer<UInt8>? {
    arguments[name].map { bytes($0.token) }
  }

  /// The number of an option, or nil.
  package func number(_ name: OptionName) -> Int64? { arguments[name]?.number }

  /// The bytes of the payload, or nil.
  package var payload: UnsafeBufferPointer<UInt8>? {
    arguments.payload.map { UnsafeBufferPointer(rebasing: text[$0]) }
  }

  private func bytes(_ token: Token) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(rebasing: text[token.range])
  }

  /// Answers at once, without Redis: the reply without its line end.
  package func answer(_ line: String) {
    var bytes = Array(line.utf8)
    bytes.appendLineEnd()
    bytes.withUnsafeBufferPointer { context.answer(ticket, $0) }
  }

  /// The device of the first word.
  package var device: UnsafeBufferPointer<UInt8> { device(ofWord: 0) }

  /// The device of a word, whether it stands alone or begins an address.
  package func device(ofWord index: Int) -> UnsafeBufferPointer<UInt8> {
    let word = word(index)
    let end = word.firstIndex(of: UInt8(ascii: "/")) ?? word.endIndex
    return UnsafeBufferPointer(rebasing: word[..<end])
  }

  /// The first word's parts: the device, and where given the session and the chat.
  package var address: SessionAddress {
    let pieces = word(0).split(separator: UInt8(ascii: "/"))
    let parts = pieces.map { ArgumentText.lent(UnsafeBufferPointer(rebasing: $0)) }
    let name = pieces.count > 2 ? ChatName.word(pieces[2]) : nil
    // A ticket's session is the current one for it.
    let ticket = checksAccess ? caller.principal?.ticket : nil
    let named = ticket.map { ArgumentText($0.session) } ?? (parts.count > 1 ? parts[1] : nil)
    return SessionAddress(
      device: parts[0], named: named,
      chat: parts.count > 2 ? name.map { .owned($0) } ?? parts[2] : nil, scope: scope)
  }

  /// The same as scripts take them; nil for all.
  var usersText: ArgumentText? { users.map { ArgumentText($0.text) } }

  /// The users to whose sessions the request is limited: that of `as=`, or those of its caller; nil
  /// if it is not.
  package var users: UserScope? {
    if let user = option(.asUser) { return UserScope(named: String(decoding: user, as: UTF8.self)) }
    return checksAccess ? caller.principal?.users : nil
  }

  /// The same as scripts take it behind the session of an address: before the users the role that
  /// the request needs there, and `!` where links do not count, as its caller does not see the
  /// device.
  package var scope: String? {
    guard let users else { return nil }
    guard let role = verb.role else { return users.text }
    return "<\(changesUsers ? .own : role)\(isElsewhere ? "!" : "")\(users.text)"
  }

  /// Whether the device of its address is hidden from its caller, for whom only a shared session
  /// counts there.
  var isElsewhere: Bool {
    guard checksAccess, verb.role != nil, !arguments.words.isEmpty else { return false }
    return caller.principal?.sees(device) == false
  }

  /// Whether it changes to which users a session is linked: only its owners may.
  private var changesUsers: Bool {
    let isLink = arguments.words.count > 1 && verb.words[1].kind == .linkKind
    return isLink && word(1).elementsEqual("user".utf8)
      || option(.user) != nil && !arguments.isOfUser
      || !arguments.links.isEmpty && links.contains { $0.kind == "user" }
  }

  /// The links that options name.
  var links: [LinkName] {
    arguments.links.map { link in
      LinkName(
        kind: String(decoding: bytes(link.kind), as: UTF8.self),
        ref: String(decoding: bytes(link.ref), as: UTF8.self))
    }
  }

  /// A word, for a script.
  subscript(index: Int) -> ArgumentText { .lent(word(index)) }

  /// An option, for a script; nil if it is not given.
  subscript(name: OptionName) -> ArgumentText? { option(name).map { .lent($0) } }

  /// A word, as text.
  package func text(_ index: Int) -> String { String(decoding: word(index), as: UTF8.self) }

  /// An option, as text; absent is empty, as the scripts expect.
  package func text(_ name: OptionName) -> String {
    option(name).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// A number, as text; absent is empty.
  func numberText(_ name: OptionName) -> String { number(name).map { "\($0)" } ?? "" }

  /// The partition of the first word's device.
  package var partition: Partition { Partition(of: device) }

  /// The text of an option as a JSON string, or nil.
  package func json(_ name: OptionName) -> [UInt8]? {
    guard let bytes = option(name) else { return nil }
    var json: [UInt8] = []
    json.appendJSONString(bytes.span)
    return json
  }

  /// The text of an option as a JSON string, for a script.
  func quoted(_ name: OptionName) -> ArgumentText? { json(name).map { .owned($0) } }

  /// Sends the request to Redis within the turn's batch of its script.
  ///
  /// The first word is the device, and decides the partition. `dueInMs`: the time after which the
  /// change has its first deadline, unless the reply shows a session, whose record says it.
  func run<Request: ScriptCall>(
    _ request: Request, dueInMs: Int64? = nil
  ) throws(RequestError) {
    let device = device
    var ticket = ticket
    ticket.partition = Partition(of: device).index
    ticket.dueInMs = dueInMs ?? -1
    try store.enqueue(Request.script, device, ticket) { request.write(to: &$0) }
  }

  /// Sends a request that reads what is addressed, and again with each change of it until there is
  /// an answer, for so long at most.
  func read<Request: ScriptCall>(
    _ request: Request, until nothing: EventQuery.Unchanged, waitMs: Int64?
  ) throws(RequestError) {
    guard let waitMs, waitMs > 0 else { return try run(request) }
    let address = address
    // Changes name a session by its id and a chat by its number: `current` and a name may be any.
    let isNumber = { (part: String) in part.utf8.allSatisfy { (48...57).contains($0) } }
    let scope = ChangeScope(
      device: Array(device),
      session: address.named.map(\.string).flatMap { $0 == "current" ? nil : Array($0.utf8) },
      chat: address.chat.map(\.string).flatMap { isNumber($0) ? Array($0.utf8) : nil })
    try store.requireRedis(for: ticket.client)
    context.events.query(
      .changes(
        scope, nothing, ScriptQuery(request, at: partition), users, isElsewhere: isElsewhere),
      ticket, waitMs: waitMs)
  }

  /// Takes the addressed session to a state, if the verb may do that.
  ///
  /// The text of `reason=` is kept, if the verb takes it.
  func move(to state: SessionState) throws(RequestError) {
    let address = address
    try run(
      ChangeStateCall(
        device: address.device, session: address.session, verb: ArgumentText(verb.name),
        to: ArgumentText(state.rawValue), reason: quoted(.reason), token: fence, req: req))
  }

  /// Sends the request to Redis in a script call of its own, and its reply line to the caller.
  ///
  /// The caller's next request is begun after the reply to one that reads: of many that are sent
  /// together one is under way.
  func forward(_ query: ScriptQuery) throws(RequestError) {
    try store.requireRedis(for: ticket.client)
    let (context, caller, ticket, reads) = (context, caller, ticket, query.script.isReadOnly)
    if reads { caller.hold() }
    store.call(query) { outcome in
      switch outcome {
      case .line(let line, _): context.answerText(ticket, line, onlyReads: reads)
      case .failed(let error): context.answer(ticket, error)
      }
      if reads { caller.release() }
    }
  }

  /// How long a lock of this agent lasts: as asked, as set for the agent, or the default.
  package func ttlMs(of agent: UnsafeBufferPointer<UInt8>) -> Int64 {
    number(.ttl) ?? lockTTLms(of: agent)
  }

  /// How long a lock of this agent lasts where no length is asked for.
  func lockTTLms(of agent: UnsafeBufferPointer<UInt8>) -> Int64 {
    guard !shared.settings.agentTTLms.isEmpty else { return shared.settings.lockTTLms }
    let name = String(decoding: agent, as: UTF8.self)
    return shared.settings.agentTTLms[name] ?? shared.settings.lockTTLms
  }
}

/// The common parts of all calls of a loop, reached by one reference and without a dynamic call.
package final class CallSite {
  package let shared: SharedState
  package let store: Store
  /// The checked words and options of the request that is served now.
  package var arguments: Arguments

  package init(_ shared: SharedState, _ store: Store) {
    self.shared = shared
    self.store = store
    arguments = Arguments(deviceIDs: shared.settings.deviceIDs)
  }
}
