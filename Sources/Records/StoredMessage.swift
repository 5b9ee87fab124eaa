// Owns: how entries of chats become messages (docs/keys.md), as HISTORY, POP and EXPORT show them.
// On a loop's thread.

internal import RedisConnection
internal import Seal
internal import Wire

/// A chat's entry: `<seq>,"at":<ms>,"message":<JSON>}`.
struct StoredMessage {
  /// As many of the first bytes as are what they should be: the number and the time.
  let seq: Int64?
  let at: Int64?
  /// The message, unless it is corrupt.
  let json: LentBytes?
  /// Whether that is a sealed value.
  private let isSealed: Bool
  private let entry: LentBytes

  init(_ entry: LentBytes) {
    self.entry = entry
    var rest = entry[...]
    seq = StoredMessage.number(&rest)
    let hasTime = StoredMessage.skip(&rest, ",\"at\":")
    at = hasTime ? StoredMessage.number(&rest) : nil
    guard StoredMessage.skip(&rest, ",\"message\":"), rest.last == UInt8(ascii: "}") else {
      (json, isSealed) = (nil, false)
      return
    }
    let message = LentBytes(rebasing: rest.dropLast())
    isSealed = SealedValue.isOne(message)
    let depthMax = RequestParser.payloadDepthMaxDefault
    let isObject =
      message.first == UInt8(ascii: "{") && LineJSON.isValue(message.span, depthMax: depthMax)
    json = isObject || isSealed ? message : nil
  }

  var isWhole: Bool { seq != nil && at != nil && json != nil }

  /// Puts the members of the message's object, without its braces.
  ///
  /// A corrupt value is named by `name`; without a number, by its index in the list.
  func put(
    into line: inout RecordLine, _ name: (_ seq: Int64?, _ member: StaticString) -> ValueName
  ) {
    line.put("\"seq\":")
    guard !isWhole || isSealed || line.showsSealed else { return line.put(entry.dropLast()) }
    put(seq, name(nil, "seq"), into: &line)
    line.put(",\"at\":")
    put(at, name(seq, "at"), into: &line)
    line.put(",\"message\":")
    if let json {
      line.put(value: json, .message, name(seq, "message"))
    } else {
      line.putCorrupt(name(seq, "message"))
    }
  }

  /// Whether it is of a role, by its member `role`; one that does not open is of none.
  func isOf(role: LentBytes, in line: RecordLine) -> Bool {
    guard let json else { return false }
    guard isSealed else { return MessageMember.says(role, "role", json) }
    return line.opened(json, .message)?.withUnsafeBufferPointer {
      MessageMember.says(role, "role", $0)
    } ?? false
  }

  private func put(_ number: Int64?, _ name: ValueName, into line: inout RecordLine) {
    if let number { line.put(number) } else { line.putCorrupt(name) }
  }

  // MARK: Reading

  private static func number(_ rest: inout Slice<LentBytes>) -> Int64? {
    let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    rest = rest[digits.endIndex...]
    return StoredNumber.parse(digits)
  }

  private static func skip(_ rest: inout Slice<LentBytes>, _ text: StaticString) -> Bool {
    let isThere = text.withUTF8Buffer { rest.starts(with: $0) }
    if isThere { rest = rest.dropFirst(text.utf8CodeUnitCount) }
    return isThere
  }
}

/// A part of a chat on its way into a reply line.
///
/// From a row: the entries as Redis gave them; null if the chat's key is no list, how many of the
/// first entries are not to be shown, whether there is more, whether the record does not say which
/// chat is the current one, so that the first was taken, the numbers of the oldest and the newest
/// message or null, whether messages behind the number that was asked for were dropped by a full
/// chat, the number at which the search for a role ended before its end or null, the draft of an
/// answer and the number of its turn or null for both, of messages of a role the search among
/// sealed ones that is left to the worker or null, and the form's number.
struct ChatHistory {
  private let reply: RedisReply
  /// How many entries there are.
  private let count: Int

  init(_ reply: RedisReply) {
    self.reply = reply
    count = reply.count - RowForm.history.extraCount
  }

  func put(into line: inout RecordLine) {
    if extra(3).integer == 1 { line.damage(.of("chat")) }
    guard extra(0).kind == .integer else {
      line.put("{\"messages\":")
      line.putCorrupt(.of("messages"))
      line.put(",\"more\":false,\"first_seq\":null,\"last_seq\":null")
      line.putDamaged()
      return line.put("}")
    }
    line.put("{\"messages\":[")
    let places = Array(min(count, Int(extra(1).integer ?? 0))..<count)
    let search = extra(10).textIfAny.flatMap { RoleSearch($0) }
    let found = search?.found(places, of: reply, in: line)
    for (place, index) in (found?.places ?? places).enumerated() {
      StoredMessages.put(reply[index], Int64(place), into: &line) { seq, place, part in
        seq.map { .of("messages", $0, part) } ?? .of("messages.at", place, part)
      }
    }
    line.put("],\"more\":")
    line.put(extra(2).integer == 1 || found?.isCut == true ? "true" : "false")
    line.put(",\"first_seq\":")
    line.put(extra(4).integerIfAny.map { .known($0) } ?? .missing, .of("first_seq"))
    line.put(",\"last_seq\":")
    line.put(extra(5).integerIfAny.map { .known($0) } ?? .missing, .of("last_seq"))
    putDraft(into: &line)
    if extra(6).integer == 1 { line.put(",\"lost\":true") }
    if found?.isCut != true, let readTo = extra(7).integerIfAny {
      line.put(",\"read_to\":")
      line.put(readTo)
    }
    line.putDamaged()
    line.put("}")
  }

  /// Puts what a turn has written of its answer so far: an array of the pieces.
  private func putDraft(into line: inout RecordLine) {
    guard let draft = extra(8).textIfAny, let turn = extra(9).textIfAny else { return }
    line.put(",\"draft\":")
    let depthMax = RequestParser.payloadDepthMaxDefault + 1
    let isSealed = draft.first == UInt8(ascii: "[") && SealedValue.isWithin(draft)
    let isArray =
      draft.first == UInt8(ascii: "[") && LineJSON.isValue(draft.span, depthMax: depthMax)
    if isSealed {
      let start = line.bytes.count
      line.put(composed: draft, .part, .of("draft"))
      if !line.isValue(from: start) {
        line.cut(to: start)
        line.putCorrupt(.of("draft"))
      }
    } else if isArray {
      line.put(draft)
    } else {
      line.putCorrupt(.of("draft"))
    }
    line.put(",\"draft_turn\":")
    line.put(StoredNumber(turn), .of("draft_turn"))
  }

  /// What follows the entries.
  private func extra(_ index: Int) -> RedisReply { reply[count + index] }
}

/// Entries, in lists as Redis gives them.
enum StoredMessages {
  /// Puts the elements of an array of messages, without its brackets.
  ///
  /// A corrupt value is named by `name`, from the message's number or its place among those shown;
  /// of a message that has its number the message alone is meant unless a part is named.
  static func put(
    _ lists: RedisReply, into line: inout RecordLine,
    _ name: (_ seq: Int64?, _ place: Int64, _ part: StaticString) -> ValueName
  ) {
    var place: Int64 = 0
    for at in 0..<lists.count {
      for index in 0..<lists[at].count {
        put(lists[at][index], place, into: &line, name)
        place += 1
      }
    }
  }

  /// Puts one of them: the entry at a place.
  static func put(
    _ entry: RedisReply, _ place: Int64, into line: inout RecordLine,
    _ name: (_ seq: Int64?, _ place: Int64, _ part: StaticString) -> ValueName
  ) {
    line.put(place == 0 ? "{" : ",{")
    StoredMessage(entry.bytes).put(into: &line) { seq, part in
      name(seq, place, seq != nil && "\(part)" == "message" ? "" : part)
    }
    line.put("}")
  }
}

/// The message that POP removed.
///
/// From an array: `message` and its entry.
struct PoppedMessage {
  private let reply: RedisReply

  init(_ reply: RedisReply) { self.reply = reply }

  func put(into line: inout RecordLine) {
    line.put("{")
    StoredMessage(reply[1].bytes).put(into: &line) { _, part in .of(part) }
    line.putDamaged()
    line.put("}")
  }
}

/// The messages that POP removed, oldest first.
///
/// From an array: `messages`, and their entries.
struct PoppedMessages {
  let reply: RedisReply

  func put(into line: inout RecordLine) {
    line.put("{\"messages\":[")
    for at in 0..<reply[1].count {
      StoredMessages.put(reply[1][at], Int64(at), into: &line) { seq, place, part in
        seq.map { .of("messages", $0, part) } ?? .of("messages.at", place, part)
      }
    }
    line.put("]")
    line.putDamaged()
    line.put("}")
  }
}

/// The chats of a session.
///
/// From an array: `chats`, the current one, and of each its number, name, configuration, how many
/// messages it has and the beginning of the newest one's entry; null for what there is none of, and
/// for what is of another type.
struct ChatList {
  private let reply: RedisReply

  init(_ reply: RedisReply) { self.reply = reply }

  func put(into line: inout RecordLine) {
    line.put("{\"chats\":[")
    for at in 0..<reply[2].count {
      if at > 0 { line.put(",") }
      ChatList.put(reply[2][at], into: &line)
    }
    line.put("],\"current\":")
    let current = StoredNumber(reply[1].bytes)
    line.put(current == .known(0) ? .missing : current, .of("current"))
    line.putDamaged()
    line.put("}")
  }

  /// Puts a chat, from an array of what `chats` has of each.
  ///
  /// Alone, it says itself what of it is corrupt.
  static func put(
    _ chat: RedisReply, into line: inout RecordLine, isAlone: Bool = false
  ) {
    let number = chat[0].integer ?? 0
    line.put("{\"chat\":")
    line.put(number)
    line.put(",\"name\":")
    let isReadable = chat[1].kind != .integer
    let name = ValueName.of("chats", number, "name")
    if isReadable { line.put(string: chat[1].textIfAny, name) } else { line.putCorrupt(name) }
    line.put(",\"created_at\":")
    line.put(StoredNumber(chat[5].textIfAny).required, .of("chats", number, "created_at"))
    line.put(",\"messages\":")
    line.put(messages(of: chat), .of("chats", number, "messages"))
    line.put(",\"last_at\":")
    line.put(lastAt(of: chat), .of("chats", number, "last_at"))
    line.put(",\"config\":")
    let config = ValueName.of("chats", number, "config")
    if isReadable {
      line.put(value: chat[2].textIfAny, .configuration, config)
    } else {
      line.putCorrupt(config)
    }
    if isAlone { line.putDamaged() }
    line.put("}")
  }

  /// How many messages a chat has.
  fileprivate static func messages(of chat: RedisReply) -> StoredNumber {
    let count = chat[3].kind == .integer ? chat[3].integer : nil
    return count.map { .known($0) } ?? .corrupt
  }

  /// When its newest message was said.
  fileprivate static func lastAt(of chat: RedisReply) -> StoredNumber {
    guard let newest = chat[4].textIfAny else { return .missing }
    return StoredMessage(newest).at.map { .known($0) } ?? .corrupt
  }
}

/// A chat's number and name, as a change of them shows it.
///
/// From an array: `named`, the number, and the name as JSON.
struct NamedChat {
  private let reply: RedisReply

  init(_ reply: RedisReply) { self.reply = reply }

  func put(into line: inout RecordLine) {
    line.put("{\"chat\":")
    line.put(reply[1].integer ?? 0)
    line.put(",\"name\":")
    line.put(string: reply[2].textIfAny, .of("name"))
    line.putDamaged()
    line.put("}")
  }
}

/// One chat, as GET shows it.
///
/// From an array: `chat`, and what `chats` has of each.
struct ShownChat {
  let reply: RedisReply

  func put(into line: inout RecordLine) {
    ChatList.put(reply[1], into: &line, isAlone: true)
  }
}

/// REPORT of a chat.
///
/// From an array: `chat_report`, device, session, what `chats` has of the chat, its latest number
/// or -1 if the record is of another type, and the time of Redis in ms.
struct ReportedChat {
  private let reply: RedisReply

  init(_ reply: RedisReply) { self.reply = reply }

  func put(into line: inout RecordLine) {
    let chat = reply[3]
    line.put("{\"session\":")
    line.put(id: reply[2].bytes, .of("session"))
    line.put(",\"device\":")
    line.put(id: reply[1].bytes, .of("device"))
    line.put(",\"chat\":")
    line.put(chat[0].integer ?? 0)
    line.put(",\"name\":")
    if chat[1].kind == .integer {
      line.putCorrupt(.of("name"))
    } else {
      line.put(string: chat[1].textIfAny, .of("name"))
    }
    line.put(",\"age_ms\":")
    // A clock may have gone back since.
    let age = StoredNumber(chat[5].textIfAny).number.map { max(0, (reply[5].integer ?? 0) - $0) }
    line.put(age.map { .known($0) } ?? .corrupt, .of("age_ms"))
    line.put(",\"last_at\":")
    line.put(ChatList.lastAt(of: chat), .of("last_at"))
    line.put(",\"messages\":")
    line.put(ChatList.messages(of: chat), .of("messages"))
    line.put(",\"said\":")
    let isReadable = reply[4].kind != .integer
    let said = StoredNumber(reply[4].textIfAny).or(.known(0))
    line.put(isReadable ? said : .corrupt, .of("said"))
    line.putDamaged()
    line.put("}")
  }
}

extension RedisReply {
  /// The bytes of a text; nil if it is none.
  var textIfAny: LentBytes? { kind == .text ? bytes : nil }

  /// An integer; nil for anything else.
  var integerIfAny: Int64? { kind == .integer ? integer : nil }
}
