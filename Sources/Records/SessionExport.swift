// Owns: how a session's members and chats become what EXPORT gives. On a loop's thread.

internal import RedisConnection
internal import Seal
internal import SessionModel
internal import Wire

/// EXPORT of a session.
///
/// From an array: `export`, device, session, members and values in turn, of each chat the entries,
/// list by list, or null if its key is no list, of each document key, revision, time, deadline or
/// empty, and value; how many bytes the object may have, and `yes` if sealed values are shown as
/// they are. Of what was read in parts there are no fields, chats and documents in it.
struct SessionExport {
  private let reply: RedisReply
  private let stored: StoredSession

  init(_ reply: RedisReply) {
    self.reply = reply
    stored = StoredSession(reply[3])
  }

  /// Puts the object; the error if it is too long.
  func put(into line: inout RecordLine) -> RequestError? {
    let before = line.bytes.count
    line.showsSealed = reply[7].bytes.elementsEqual("yes".utf8)
    line.put("{\"format\":1,")
    if line.showsSealed { line.put("\"sealed\":true,") }
    line.put("\"device\":")
    line.put(id: reply[1].bytes, .of("device"))
    line.put(",\"session\":")
    line.put(id: reply[2].bytes, .of("session"))
    if !stored.isReadable { line.damage(.of("record")) }
    putState(into: &line)
    putTimes(into: &line)
    line.put(",\"thread\":")
    if let thread = stored[.thread] {
      line.put(string: thread, .of("thread"))
    } else {
      line.put(id: reply[2].bytes, .of("thread"))
    }
    line.put(",\"policy\":")
    StoredPolicy.put(stored[.policy], into: &line)
    line.put(",\"fenced\":")
    line.put(stored[.fenced].map { $0.elementsEqual("yes".utf8) } == true ? "true" : "false")
    putNumber(",\"floor\":", "floor", stored.number(.floor).or(.known(0)), into: &line)
    let chat = stored.chat.or(.known(0))
    putNumber(",\"chat\":", "chat", chat, into: &line)
    let last = stored.chatNumbers.map { StoredNumber.known($0.last) } ?? .corrupt
    putNumber(",\"last_chat\":", "last_chat", last, into: &line)
    putNumber(",\"answers\":[", "answers", stored.number(.answers).or(.known(0)), into: &line)
    putNumber(",", "answers", stored.number(.answerMs).or(.known(0)), into: &line)
    line.put("],\"links\":")
    StoredLinks.put(stored[.links], into: &line)
    StoredShares.put(stored[.shares], into: &line)
    putSpent(into: &line)
    putMembers(into: &line)
    line.put(",\"chats\":[")
    for at in 0..<(line.parts?.chatsCount ?? reply[4].count) { putChat(at, into: &line) }
    line.put("],\"documents\":")
    if let parts = line.parts {
      parts.putDocuments(into: &line)
    } else {
      ExportedDocuments(reply: reply[5]).put(into: &line)
    }
    line.putDamaged()
    line.put("}")
    let most = reply[6].integer ?? 0
    guard line.bytes.count - before > most else { return nil }
    return RequestError(.tooLarge, "the session has more than \(most) bytes")
  }

  private func putState(into line: inout RecordLine) {
    line.put(",\"state\":")
    line.put(state: stored.state)
    line.put(",\"reason\":")
    line.put(string: stored[.reason], .of("reason"))
    putNumber(",\"rev\":", "rev", stored.number(.rev).required, into: &line)
  }

  private func putTimes(into line: inout RecordLine) {
    putNumbers(",\"clocks\":[", .of("clocks"), stored.clocks.lengthsMs, into: &line)
    putNumber("],\"created_at\":", "created_at", stored.created, into: &line)
    putNumber(",\"updated_at\":", "updated_at", stored.updated, into: &line)
    putNumber(",\"ended_at\":", "ended_at", stored.number(.ended).or(.known(0)), into: &line)
    let active = stored.number(.active).required
    putNumber(",\"active_at\":", "active_at", active, into: &line)
    putNumber(",\"born_at\":", "born_at", stored.born, into: &line)
    putNumber(",\"since\":", "since", stored.since, into: &line)
    let warned = stored[.warned].map { StoredNumber.list($0, count: 2) } ?? [0, 0]
    putNumbers(",\"warned\":[", .of("warned"), warned, into: &line)
    line.put("]")
  }

  private func putNumber(
    _ before: StaticString, _ name: StaticString, _ number: StoredNumber,
    into line: inout RecordLine
  ) {
    line.put(before)
    line.put(number, .of(name))
  }

  private func putNumbers(
    _ before: StaticString, _ name: ValueName, _ numbers: [Int64?], into line: inout RecordLine
  ) {
    line.put(before)
    if numbers.contains(nil) { line.damage(name) }
    for (index, number) in numbers.enumerated() {
      if index > 0 { line.put(",") }
      if let number { line.put(number) } else { line.put("null") }
    }
  }

  private func putSpent(into line: inout RecordLine) {
    line.put(",\"spent\":{")
    var isFirst = true
    for state in stored.named("s") {
      guard SessionState(rawValue: String(decoding: state.name, as: UTF8.self)) != nil else {
        line.damage(.of("spent"))
        continue
      }
      line.put(isFirst ? "\"" : ",\"")
      isFirst = false
      line.put(state.name)
      line.put("\":")
      line.put(StoredNumber(state.value), .of("spent"))
    }
    line.put("}")
  }

  /// Puts name, phase and step, and the caller's own fields: revision and value each.
  private func putMembers(into line: inout RecordLine) {
    line.put(",\"members\":{")
    var isFirst = true
    let members: [(StoredSession.Member, StaticString)] = [
      (.name, "name"), (.phase, "phase"), (.step, "step"),
    ]
    for (member, name) in members {
      guard let text = stored[member] else { continue }
      line.put(isFirst ? "\"" : ",\"")
      isFirst = false
      line.put(member.rawValue.utf8)
      line.put("\":")
      SessionExport.put(StoredValue(text), .of(name), into: &line) { $0.put(json: $1, .of(name)) }
    }
    line.put("},\"fields\":{")
    if let parts = line.parts { parts.putFields(into: &line) }
    isFirst = true
    for field in stored.named("f") {
      let before = line.bytes.count
      if !isFirst { line.put(",") }
      if SessionExport.put(field.name, StoredValue(field.value), into: &line) {
        isFirst = false
      } else {
        line.cut(to: before)
      }
    }
    line.put("}")
  }

  /// Puts a field: name, and revision and value; false if there is nothing to put.
  @discardableResult
  static func put(
    _ name: LentBytes, _ value: StoredValue, into line: inout RecordLine
  ) -> Bool {
    guard LineJSON.isString(name.span) else {
      line.damage(.of("fields"))
      return false
    }
    line.put(name)
    line.put(":")
    let valueName = ValueName.of("fields", name)
    put(value, valueName, into: &line) { line, json in
      line.put(value: json, .field, of: name, valueName)
    }
    return true
  }

  private static func put(
    _ value: StoredValue, _ name: ValueName, into line: inout RecordLine,
    _ putJSON: (inout RecordLine, LentBytes) -> Void
  ) {
    guard let rev = value.rev.number else { return line.putCorrupt(name) }
    line.put("[")
    line.put(rev)
    if let json = value.json {
      line.put(",")
      putJSON(&line, json)
    }
    line.put("]")
  }

  /// Puts a chat's own limits, if it has any of its own.
  private func putLimits(_ limits: LentBytes?, _ chat: Int64, into line: inout RecordLine) {
    guard let limits, !limits.elementsEqual("0 -".utf8) else { return }
    let words = limits.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    let most = words.count == 2 ? StoredNumber.parse(words[0]) : nil
    line.put(",\"max_messages\":")
    line.put(most.map { .known($0) } ?? .corrupt, .of("chats", chat, "max_messages"))
    line.put(",\"full\":")
    switch words.last {
    case let full? where full.elementsEqual("refuse".utf8): line.put("\"refuse\"")
    case let full? where full.elementsEqual("trim".utf8): line.put("\"trim\"")
    default: line.put("null")
    }
  }

  private func putChat(_ at: Int, into line: inout RecordLine) {
    let numbers = stored.chatNumbers?.list ?? []
    let chat = at < numbers.count ? numbers[at] : Int64(at + 1)
    line.put(at == 0 ? "{\"chat\":" : ",{\"chat\":")
    line.put(chat)
    line.put(",\"created_at\":")
    let created = StoredNumber(stored.value("b", ofChat: chat)).or(stored.created)
    line.put(created, .of("chats", chat, "created_at"))
    line.put(",\"seq\":")
    let seq = StoredNumber(stored.value("q", ofChat: chat)).or(.known(0))
    line.put(seq, .of("chats", chat, "seq"))
    line.put(",\"dropped\":")
    let dropped = StoredNumber(stored.value("d", ofChat: chat)).or(.known(0))
    line.put(dropped, .of("chats", chat, "dropped"))
    line.put(",\"asked_at\":")
    let asked = stored.value("t", ofChat: chat).flatMap { $0.isEmpty ? nil : $0 }
    line.put(StoredNumber(asked), .of("chats", chat, "asked_at"))
    line.put(",\"name\":")
    line.put(string: stored.value("n", ofChat: chat), .of("chats", chat, "name"))
    line.put(",\"config\":")
    line.put(
      value: stored.value("c", ofChat: chat), .configuration, .of("chats", chat, "config"))
    putLimits(stored.value("o", ofChat: chat), chat, into: &line)
    line.put(",\"messages\":")
    if let parts = line.parts {
      parts.putMessages(ofChat: at, .of("chats", chat, "messages"), into: &line)
    } else if reply[4][at].kind == .array {
      line.put("[")
      StoredMessages.put(reply[4][at], into: &line) { _, _, _ in
        .of("chats", chat, "messages")
      }
      line.put("]")
    } else {
      line.putCorrupt(.of("chats", chat, "messages"))
    }
    line.put("}")
  }
}
