// Owns: how a session's members become its record, as GET shows it. On a loop's thread.

internal import RedisConnection
internal import Seal
internal import SessionModel
internal import Wire

/// A session on its way into a reply line.
///
/// From a row: members and values in turn, how many messages it has, what else the reply says,
/// which begins with a comma or is empty, session, device, and the form's number. Of a key of
/// another type than it should have there are no members, or the number of messages is null.
struct SessionRecord {
  private let reply: RedisReply
  private let stored: StoredSession
  private let clocks: StoredClocks

  init(_ reply: RedisReply) {
    self.reply = reply
    stored = StoredSession(row: reply, .record)
    clocks = stored.clocks
  }

  private var device: LentBytes { reply[reply.count - 2].bytes }
  private var session: LentBytes { reply[reply.count - 3].bytes }

  /// How many messages a row says that its session has.
  static func messages(of row: RedisReply) -> StoredNumber {
    row[row.count - 5].integerIfAny.map { .known($0) } ?? .corrupt
  }

  /// Puts the record, braces included.
  func put(into line: inout RecordLine) {
    line.dueInMs = stored.dueInMs(clocks)
    // A list has sessions of several devices.
    if line.seal != nil { line.device = Array(device) }
    line.put("{\"session\":")
    line.put(id: session, .of("session"))
    line.put(",\"device\":")
    line.put(id: device, .of("device"))
    if !stored.isReadable { line.damage(.of("record")) }
    line.put(",\"state\":")
    putState(into: &line)
    line.put(",\"reason\":")
    line.put(string: stored[.reason], .of("reason"))
    line.put(",\"rev\":")
    putNumber(stored.number(.rev).required, "rev", into: &line)
    line.put(",\"name\":")
    SessionFields.put(stored, .name, "name", into: &line)
    line.put(",\"thread\":")
    putThread(into: &line)
    line.put(",\"phase\":")
    SessionFields.put(stored, .phase, "phase", into: &line)
    line.put(",\"step\":")
    SessionFields.put(stored, .step, "step", into: &line)
    line.put(",\"policy\":")
    StoredPolicy.putName(stored[.policy], into: &line)
    line.put(",\"fenced\":")
    putFenced(into: &line)
    putTimes(into: &line)
    putClocks(into: &line)
    line.put(",\"chat\":")
    putNumber(stored.chat, "chat", into: &line)
    line.put(",\"chats\":")
    putNumber(stored.chats, "chats", into: &line)
    line.put(",\"messages\":")
    putNumber(SessionRecord.messages(of: reply), "messages", into: &line)
    line.put(",\"links\":")
    StoredLinks.put(stored[.links], into: &line)
    StoredShares.put(stored[.shares], into: &line)
    line.put(",\"fields\":{")
    if let parts = line.parts {
      parts.putFields(into: &line)
    } else {
      SessionFields.put(stored, into: &line)
    }
    line.put("}")
    putRest(into: &line)
    line.putDamaged()
    line.put("}")
  }

  /// Puts what else the reply says; under a request id it is kept in Redis, too.
  private func putRest(into line: inout RecordLine) {
    let rest = reply[reply.count - 4].bytes
    guard !rest.isEmpty else { return }
    guard !SealedValue.isWithin(rest) else { return putSealedRest(rest, into: &line) }
    let object = Array("{".utf8) + rest.dropFirst() + Array("}".utf8)
    let depthMax = RequestParser.payloadDepthMaxDefault + 4
    let isWhole = rest[0] == UInt8(ascii: ",") && LineJSON.isValue(object.span, depthMax: depthMax)
    if isWhole { line.put(rest) } else { line.damage(.of("reply")) }
  }

  /// The same with sealed values: of its members only messages are callers'.
  private func putSealedRest(_ rest: LentBytes, into line: inout RecordLine) {
    let start = line.bytes.count
    line.put(composed: rest, .message, .of("recent"))
    let object = Array("{".utf8) + line.bytes[(start + 1)...] + Array("}".utf8)
    let depthMax = RequestParser.payloadDepthMaxDefault + 4
    guard rest[0] != UInt8(ascii: ",") || !LineJSON.isValue(object.span, depthMax: depthMax) else {
      return
    }
    line.cut(to: start)
    line.damage(.of("reply"))
  }

  /// Puts a number that a record always has; of a key that is no record all are unknown.
  private func putNumber(
    _ number: StoredNumber, _ name: StaticString, into line: inout RecordLine
  ) {
    if stored.isReadable { line.put(number, .of(name)) } else { line.put("null") }
  }

  private func putState(into line: inout RecordLine) {
    guard stored.isReadable else { return line.put("null") }
    line.put(state: stored.state)
  }

  /// A session without a thread of its own goes by its id.
  private func putThread(into line: inout RecordLine) {
    guard stored.isReadable else { return line.put("null") }
    if let thread = stored[.thread] {
      line.put(string: thread, .of("thread"))
    } else {
      line.put(id: session, .of("thread"))
    }
  }

  /// Puts when the session was opened and used, and when its clocks end: null where they do not
  /// run.
  private func putTimes(into line: inout RecordLine) {
    let active = stored.number(.active).required
    let state = stored.state
    let isLive = state.map { $0 == .active || $0 == .paused }
    line.put(",\"created_at\":")
    putNumber(stored.created, "created_at", into: &line)
    line.put(",\"updated_at\":")
    putNumber(stored.updated, "updated_at", into: &line)
    line.put(",\"active_at\":")
    putNumber(active, "active_at", into: &line)
    line.put(",\"idle_at\":")
    putDeadline("idle_at", active, clocks[.idle], runs: state.map { $0 == .active }, into: &line)
    line.put(",\"abandon_at\":")
    putDeadline("abandon_at", active, clocks[.abandon], runs: isLive, into: &line)
    line.put(",\"life_at\":")
    putDeadline("life_at", stored.born, clocks[.life], runs: isLive, into: &line)
    line.put(",\"keep_until\":")
    let isKept = state.map { isLive == false && $0 != .abandoned }
    putDeadline("keep_until", stored.since, clocks[.keep], runs: isKept, into: &line)
  }

  /// Puts whether every change needs the lock's token.
  private func putFenced(into line: inout RecordLine) {
    guard stored.isReadable else { return line.put("null") }
    line.put(stored[.fenced].map { $0.elementsEqual("yes".utf8) } == true ? "true" : "false")
  }

  /// Puts the lengths of the clocks in ms; 0 is off.
  private func putClocks(into line: inout RecordLine) {
    guard stored.isReadable else { return line.put(",\"clocks\":null") }
    line.put(",\"clocks\":{")
    for (place, clock) in SessionClock.allCases.enumerated() {
      if place > 0 { line.put(",") }
      var name = "\"\(clock.shownName)\""
      name.withUTF8 { name in
        line.put(name)
        line.put(":")
        line.put(clocks[clock].map { .known($0) } ?? .corrupt, .of("clocks", name))
      }
    }
    line.put("}")
  }

  private func putDeadline(
    _ name: StaticString, _ start: StoredNumber, _ length: Int64?, runs: Bool?,
    into line: inout RecordLine
  ) {
    guard runs != false, length != 0 else { return line.put("null") }
    let isKnown = runs == true && length != nil
    putNumber(isKnown ? start + .known(length ?? 0) : .corrupt, name, into: &line)
  }

  /// The sum of integers; corrupt if one is none.
  static func sum(_ numbers: RedisReply) -> StoredNumber {
    var sum: Int64 = 0
    for at in 0..<numbers.count {
      guard let number = numbers[at].kind == .integer ? numbers[at].integer : nil else {
        return .corrupt
      }
      sum += number
    }
    return .known(sum)
  }
}

/// The members of a record that callers have set.
enum SessionFields {
  /// Puts the fields, without their object's braces.
  static func put(_ stored: StoredSession, into line: inout RecordLine) {
    var isFirst = true
    for field in stored.named("f") {
      let before = line.bytes.count
      if !isFirst { line.put(",") }
      if put(field.name, StoredValue(field.value), into: &line) {
        isFirst = false
      } else {
        line.cut(to: before)
      }
    }
  }

  /// Puts a field: name and value; false if there is nothing to put.
  @discardableResult
  static func put(
    _ name: LentBytes, _ value: StoredValue, into line: inout RecordLine
  ) -> Bool {
    guard value.json != nil || value.rev == .corrupt else { return false }
    guard LineJSON.isString(name.span) else {
      line.damage(.of("fields"))
      return false
    }
    line.put(name)
    line.put(":")
    let valueName = ValueName.of("fields", name)
    if value.rev == .corrupt {
      line.putCorrupt(valueName)
    } else {
      line.put(value: value.json, .field, of: name, valueName)
    }
    return true
  }

  /// Puts a text that has a revision.
  static func put(
    _ stored: StoredSession, _ member: StoredSession.Member, _ name: StaticString,
    into line: inout RecordLine
  ) {
    guard let text = stored[member] else { return line.put("null") }
    let value = StoredValue(text)
    guard value.rev != .corrupt else { return line.putCorrupt(.of(name)) }
    line.put(string: value.json, .of(name))
  }
}

/// The links of a record: lines of kind and ref.
enum StoredLinks {
  /// Puts them as an object of lists, by kind in the order in which the kinds came; null if a line
  /// is none.
  ///
  /// The link by which a thread is reserved is none of the caller's.
  static func put(_ text: LentBytes?, into line: inout RecordLine) {
    guard let text, !text.isEmpty else { return line.put("{}") }
    guard let kinds = byKind(text) else { return line.putCorrupt(.of("links")) }
    line.put("{")
    for (index, kind) in kinds.enumerated() {
      line.put(index == 0 ? "\"" : ",\"")
      line.put(kind.name)
      line.put("\":[")
      for (index, ref) in kind.refs.enumerated() {
        line.put(index == 0 ? "\"" : ",\"")
        line.put(ref)
        line.put("\"")
      }
      line.put("]")
    }
    line.put("}")
  }

  private static func byKind(
    _ text: LentBytes
  ) -> [(name: Slice<LentBytes>, refs: [Slice<LentBytes>])]? {
    guard text.last == UInt8(ascii: "\n") else { return nil }
    var kinds: [(name: Slice<LentBytes>, refs: [Slice<LentBytes>])] = []
    for row in text.dropLast().split(
      separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    {
      let words = row.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      guard words.count == 2,
        words.allSatisfy({ !$0.isEmpty && $0.allSatisfy(IDText.isIDByte) })
      else { return nil }
      guard !words[0].elementsEqual("thread".utf8) else { continue }
      if let at = kinds.firstIndex(where: { $0.name.elementsEqual(words[0]) }) {
        kinds[at].refs.append(words[1])
      } else {
        kinds.append((words[0], [words[1]]))
      }
    }
    return kinds
  }
}
