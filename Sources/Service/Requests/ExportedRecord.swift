// Owns: the form of an exported session for IMPORT: its members, their values, and how they become
// the fields of a record. Values that callers have stored are checked and copied, never written
// anew. A value; on the thread that reads the record.

package import Access
internal import Scripts
internal import SessionModel
package import Seal
package import Settings
package import Store
package import Wire

/// An exported session, checked.
///
/// Unchecked because of its payload, which it has only while it is made.
package struct ExportedRecord: ReadPayload, @unchecked Sendable {
  /// How deep a payload may nest: a message, which may nest 64 deep, lies five levels down,
  /// and six in a sealed export.
  package static let depthMax = RequestParser.payloadDepthMaxDefault + 6

  package private(set) var device = ""
  package private(set) var session = ""
  /// The record's fields, names and values in turn.
  package private(set) var fields = Parts()
  /// Chat, number, time and JSON of each message.
  package private(set) var messages = Parts()
  /// Key, revision, time, deadline or empty, and JSON of each.
  package private(set) var documents = Parts()
  /// The caller's links.
  package private(set) var links: [LinkName] = []
  /// The thread, unless it is the session's id.
  private var thread: LinkName?
  /// Whether it is a copy: the thread and the shares stay with the original.
  private let isCopy: Bool
  /// Whether sealed values are in it as they were in Redis.
  private(set) var isSealed = false
  /// By which its sealed values are opened, and its values are sealed for the device that they go
  /// to.
  private let seal: Seal?
  private let target: String?
  /// The users to one of whom a copy is linked; nil if it is linked to those of the original.
  private let owners: UserScope?
  /// The payload while the record is made, then nothing.
  private(set) var text: UnsafeBufferPointer<UInt8>
  /// Where the payload begins in its line: what error texts count from.
  let start: Int
  let settings: Settings
  /// The limits of its policy; 0 where the server's apply.
  private var policyLimits: [SessionPolicy.Limit: Int] = [:]
  /// No member was changed later.
  private(set) var latestRev: Int64 = 0

  package init(
    _ payload: UnsafeBufferPointer<UInt8>, at start: Int, _ settings: Settings,
    _ seal: Seal? = nil, isCopy: Bool = false, to target: String? = nil, owners: UserScope? = nil
  ) throws(RequestError) {
    (self.isCopy, self.owners) = (isCopy, owners)
    (self.seal, self.target) = (seal, target)
    text = payload
    self.start = start
    self.settings = settings
    guard payload.count <= settings.recordBytesMax else {
      throw RequestError(
        .tooLarge, "the session has more than \(settings.recordBytesMax) bytes")
    }
    let whole = try object(0..<payload.count, "the payload")
    guard try number(whole, "format", 0...1_000) == 1 else {
      throw ExportedRecord.bad("format is not 1: this was not made by this EXPORT")
    }
    try requireKnown(whole, ExportedNames.ofSession, "the session")
    device = try id(try need(whole, "device"), "device")
    guard settings.deviceIDs == .any || IDText.isUUID(device) else {
      throw ExportedRecord.bad("device is not a UUID, as this worker asks for")
    }
    // As in a word: in capitals it is the same device.
    if settings.deviceIDs == .uuid { device = IDText.uuidSpelling(device) }
    session = try sessionID(whole)
    isSealed = try flag(whole, "sealed")
    try readState(whole)
    try readTimes(whole)
    try readPolicy(whole)
    try readMembers(whole)
    try readLinks(whole)
    try readShares(whole)
    try readChats(whole)
    documents = try readDocuments(whole)
    text = UnsafeBufferPointer(start: nil, count: 0)
  }

  /// Seals for the device that the record goes to.
  var sealer: Sealer { Sealer(seal, of: (target ?? device).utf8) }

  /// Whether nothing needs a reservation.
  package var isWithoutLinks: Bool { links.isEmpty && thread == nil }

  package static func bad(_ why: String) -> RequestError {
    RequestError(.badRequest, "IMPORT: \(why)")
  }

  /// Refuses a member that would be dropped.
  func requireKnown(
    _ members: [String: Range<Int>], _ names: Set<String>, _ what: String
  ) throws(RequestError) {
    guard let other = members.keys.filter({ !names.contains($0) }).min() else { return }
    guard other != "damaged" else {
      throw ExportedRecord.bad("put right the values that damaged names, and leave damaged out")
    }
    let name = Array(other.utf8)
    throw ExportedRecord.bad(
      "\(what) has a member that no export has: \(EchoText.quoted(name.span, 0..<name.count))")
  }

  private mutating func set(_ name: String, _ value: some Collection<UInt8>) {
    fields.add(name.utf8)
    fields.add(value)
  }

  private mutating func set(_ name: String, _ value: Int64) { set(name, "\(value)".utf8) }

  // MARK: The record's own parts

  private func sessionID(_ whole: [String: Range<Int>]) throws(RequestError) -> String {
    let session = try string(try need(whole, "session"), "session")
    guard Array(session.utf8).withUnsafeBufferPointer({ SessionID.isOne($0) }) else {
      throw ExportedRecord.bad("session is not a session's id")
    }
    return session
  }

  /// True or false; false if it is not there.
  private func flag(_ whole: [String: Range<Int>], _ name: String) throws(RequestError) -> Bool {
    guard let range = whole[name] else { return false }
    if text[range].elementsEqual("true".utf8) { return true }
    guard text[range].elementsEqual("false".utf8) else {
      throw ExportedRecord.bad("\(name) is neither true nor false")
    }
    return false
  }

  private mutating func readState(_ whole: [String: Range<Int>]) throws(RequestError) {
    let state = try string(try need(whole, "state"), "state")
    guard SessionState(rawValue: state) != nil else {
      throw ExportedRecord.bad("state is none of a session's")
    }
    set("state", state.utf8)
    if let reason = whole["reason"] { set("reason", try text(reason, "reason")) }
    try readThread(try need(whole, "thread"))
    set("fenced", (try flag(whole, "fenced") ? "yes" : "no").utf8)
    let rev = try number(whole, "rev", 1...ExportedRecord.numberMax)
    set("rev", rev)
    set("floor", try number(whole, "floor", 0...rev))
    latestRev = rev
    let answers = try numbers(whole, "answers", count: 2)
    for (name, number) in zip(["answers", "answer_ms"], answers) { set(name, number) }
    for (state, value) in try members(whole, "spent") {
      guard SessionState(rawValue: state) != nil else {
        throw ExportedRecord.bad("spent names a state that there is none of")
      }
      set("s:\(state)", try number(value, "spent"))
    }
  }

  /// A thread that is not the session's id is reserved, and so has one spelling.
  private mutating func readThread(_ range: Range<Int>) throws(RequestError) {
    guard !isNull(range) else { return }
    let text = Array(try string(range, "thread").utf8)
    guard 1...IDText.idBytesMax ~= text.count else {
      throw ExportedRecord.bad("thread must have 1 to \(IDText.idBytesMax) bytes")
    }
    guard !isCopy, !text.elementsEqual(session.utf8) else { return }
    var json: [UInt8] = []
    json.appendJSONString(text.span)
    set("thread", json)
    thread = .thread(text)
  }

  private mutating func readTimes(_ whole: [String: Range<Int>]) throws(RequestError) {
    set("clocks", try clocks(whole).map(String.init).joined(separator: " ").utf8)
    let names = [
      ("created_at", "created"), ("active_at", "active"), ("born_at", "born"), ("since", "since"),
    ]
    for (name, field) in names { set(field, try number(whole, name)) }
    for (name, field) in [("updated_at", "updated"), ("ended_at", "ended")] {
      let at = try number(whole, name)
      if at > 0 { set(field, at) }
    }
    let warned = try numbers(whole, "warned", count: 2)
    set("warned", warned.map(String.init).joined(separator: " ").utf8)
  }

  /// `name`, `phase` and `step`, and the caller's own fields: revision and value each.
  private mutating func readMembers(_ whole: [String: Range<Int>]) throws(RequestError) {
    for (name, value) in try members(whole, "members") {
      guard ["name", "phase", "step"].contains(name) else {
        throw ExportedRecord.bad("members may be name, phase and step")
      }
      let line = try versioned(value) { (range) throws(RequestError) in
        Array(try text(range, "a member"))
      }.line
      set(name, line)
    }
    var count = 0
    for (name, value) in try fieldMembers(whole) {
      var member: [UInt8] = []
      member.appendJSONString(name.span)
      let (line, hasValue) = try versioned(value) { (range) throws(RequestError) in
        try kept(range, .field, name: member)
      }
      guard name.count <= Members.nameBytesMax else {
        throw RequestError(
          .tooLarge,
          "a field's name may have \(Members.nameBytesMax) bytes, and this one has \(name.count)")
      }
      fields.add("f:".utf8 + member)
      fields.add(line)
      count += hasValue ? 1 : 0
    }
    guard count <= settings.fieldsMax else {
      throw .quota(count, of: settings.fieldsMax, "fields of this session")
    }
    set("fields", Int64(count))
  }

  private mutating func readLinks(_ whole: [String: Range<Int>]) throws(RequestError) {
    // In the order of the text, which a record shows.
    let kinds = try members(whole, "links").sorted { $0.value.lowerBound < $1.value.lowerBound }
    for (kind, refs) in kinds {
      if let fault = IDText.fault(kind) {
        throw ExportedRecord.bad("a link's kind is not an id: \(fault)")
      }
      guard !LinkKind.isReserved(kind) else {
        throw ExportedRecord.bad(LinkKind.whyReserved(kind))
      }
      for ref in try elements(refs, "links") {
        let link = LinkName(kind: kind, ref: try id(ref, "a link's ref"))
        if let owners, kind == "user", !owners.has(link.ref) { continue }
        links.append(link)
        try checkNumberOfLinks()
      }
    }
    if let owners, !links.contains(where: { $0.kind == "user" }) {
      guard let user = owners.onlyUser else {
        throw RequestError(
          .badRequest, "user= is missing: your links are those of several users, so name one")
      }
      links.append(.user(user))
    }
    guard Set(links).count == links.count else {
      throw ExportedRecord.bad("a link stands there twice")
    }
    try setLinks()
  }

  /// Links it to a user to whom it is not linked.
  mutating func link(to user: String) throws(RequestError) {
    links.append(.user(user))
    try checkNumberOfLinks()
    // Of a field that stands there twice the last value counts.
    try setLinks()
  }

  private func checkNumberOfLinks() throws(RequestError) {
    guard links.count <= settings.linksMax else {
      throw .quota(links.count, of: settings.linksMax, "links of this session")
    }
  }

  private mutating func setLinks() throws(RequestError) {
    let lines = links.map(\.line).joined()
    let bytesMax = ScriptConstants.linkBytesMax
    guard lines.utf8.count <= bytesMax else {
      throw .quota(lines.utf8.count, of: bytesMax, "bytes of links of this session")
    }
    let reserved = thread?.line ?? ""
    if !isWithoutLinks { set("links", (lines + reserved).utf8) }
  }

  /// The shares; a copy is shared with none.
  private mutating func readShares(_ whole: [String: Range<Int>]) throws(RequestError) {
    let lines = try shareLines(whole)
    if !lines.isEmpty, !isCopy { set("shares", lines.utf8) }
  }

  /// The policy with its limits, which this server need not know by name.
  private mutating func readPolicy(_ whole: [String: Range<Int>]) throws(RequestError) {
    guard let range = whole["policy"], !isNull(range) else { return }
    let policy = try object(range, "policy")
    try requireKnown(policy, ExportedNames.ofPolicy, "policy")
    let name = try id(try need(policy, "name"), "policy's name")
    var line = name
    for limit in SessionPolicy.Limit.allCases {
      let member = limit.rawValue.split(separator: "-").joined(separator: "_")
      let number = try number(policy, member, 0...Int64(limit.allowed.upperBound))
      policyLimits[limit] = Int(number)
      line += " \(number)"
    }
    for (member, words) in [("full", ["trim", "refuse"]), ("at_most", ["refuse", "evict"])] {
      let word = try string(try need(policy, member), member)
      guard words.contains(word) else {
        throw ExportedRecord.bad("policy's \(member) is neither \(words[0]) nor \(words[1])")
      }
      line += " \(word)"
    }
    set("policy", line.utf8)
  }

  // MARK: Chats

  /// The most messages of a chat: its own limit, its policy's, or the server's.
  private func messagesMax(_ own: String?) -> Int {
    let own = own.flatMap { $0.split(separator: " ").first }.flatMap { Int($0) } ?? 0
    let limits = [own, policyLimits[.messages] ?? 0]
    return limits.first { $0 > 0 } ?? settings.messagesMax
  }

  private mutating func readChats(_ whole: [String: Range<Int>]) throws(RequestError) {
    let chatsMax = policyLimits[.chats].flatMap { $0 > 0 ? $0 : nil } ?? settings.chatsMax
    let chats = try elements(try need(whole, "chats"), "chats", most: chatsMax)
    guard chats.count <= chatsMax else {
      throw .quota(chats.count, of: chatsMax, "chats in this session")
    }
    var numbers: [Int64] = []
    var names: Set<[UInt8]> = []
    for range in chats {
      let chat = try object(range, "a chat")
      try requireKnown(chat, ExportedNames.ofChat, "a chat")
      let next = (numbers.last ?? 0) + 1
      let given =
        try chat["chat"].map { range throws(RequestError) in
          try self.number(range, "chat", 1...ImportedChats.numberMax)
        }
      let number = given ?? next
      guard number >= next else {
        throw ExportedRecord.bad("the numbers of chats must grow")
      }
      numbers.append(number)
      if let name = try readChat(number, chat), !names.insert(name).inserted {
        throw ExportedRecord.bad("two chats have one name")
      }
    }
    let highest = numbers.last ?? 0
    let last =
      try whole["last_chat"].map { range throws(RequestError) in
        try number(range, "last_chat", highest...ImportedChats.numberMax)
      } ?? highest
    // As records keep them: which are left is said only once one was removed.
    let isWhole = last > 0 && numbers.elementsEqual(1...last)
    let list = numbers.isEmpty ? " " : numbers.map { " \($0)" }.joined()
    set("chats", "\(last)\(isWhole ? "" : list)".utf8)
    let current = try number(whole, "chat", 0...last)
    guard numbers.contains(current) || current == 0 else {
      throw ExportedRecord.bad("chat is none of the chats")
    }
    set("chat", current)
  }

  /// Returns the chat's name, if it has one.
  private mutating func readChat(
    _ chat: Int64, _ members: [String: Range<Int>]
  ) throws(RequestError) -> [UInt8]? {
    var name: [UInt8]?
    if let range = members["name"], !isNull(range) {
      _ = try text(range, "a chat's name")
      // Written one way, for names are compared as they are written.
      var json: [UInt8] = []
      json.appendJSONString(Array(try string(range, "a chat's name").utf8).span)
      set("n:\(chat)", json)
      name = json
    }
    if let config = members["config"], !isNull(config) {
      set("c:\(chat)", try kept(config, .configuration))
    }
    if let asked = members["asked_at"], !isNull(asked) {
      set("t:\(chat)", try number(asked, "asked_at"))
    }
    if let created = members["created_at"] {
      set("b:\(chat)", try number(created, "created_at"))
    }
    let limits = try limits(of: members)
    if let limits { set("o:\(chat)", limits.utf8) }
    let latest = try number(members, "seq")
    set("q:\(chat)", latest)
    if let dropped = members["dropped"] {
      set("d:\(chat)", try number(dropped, "dropped", 0...latest))
    }
    let messagesMax = messagesMax(limits)
    let list = try elements(try need(members, "messages"), "messages", most: messagesMax)
    guard list.count <= messagesMax else {
      throw .quota(list.count, of: messagesMax, "messages of this chat")
    }
    var before: Int64 = 0
    for range in list {
      let message = try object(range, "a message")
      try requireKnown(message, ExportedNames.ofMessage, "a message")
      let seq = try number(message, "seq", 1...ExportedRecord.numberMax)
      guard seq > before, seq <= latest else {
        throw ExportedRecord.bad("the seq of messages must grow, up to their chat's seq")
      }
      before = seq
      let json = try kept(try need(message, "message"), .message) { $0 == UInt8(ascii: "{") }
      guard let json else { throw ExportedRecord.bad("a message must be a JSON object") }
      messages.add("\(chat)".utf8)
      messages.add("\(seq)".utf8)
      messages.add("\(try number(message, "at"))".utf8)
      messages.add(json)
    }
    return name
  }
}
