// Owns: the conversion of a script's structured reply to a reply line; its first word selects the
// form, or its last number. On a loop's thread.

package import RedisConnection
internal import Wire

extension RecordLine {
  /// Becomes the reply line that an array of a script stands for, without its end; false if it is
  /// none of them.
  ///
  /// `device` is that of the request, or the link of a profile.
  package mutating func make(of reply: RedisReply, device: [UInt8] = []) -> Bool {
    reset()
    self.device = device
    guard reply.count > 1 else { return false }
    put("OK ")
    if let form = RowForm(reply) {
      put(reply, as: form)
      return true
    }
    guard let word = reply[0].textIfAny else { return false }
    switch String(decoding: word, as: UTF8.self) {
    case "chats" where reply.count == 3: ChatList(reply).put(into: &self)
    case "chat" where reply.count == 2: ShownChat(reply: reply).put(into: &self)
    case "named" where reply.count == 3: NamedChat(reply).put(into: &self)
    case "chat_report" where reply.count == 6: ReportedChat(reply).put(into: &self)
    case "message" where reply.count == 2: PoppedMessage(reply).put(into: &self)
    case "holder" where reply.count == 7: ShownHolder(reply: reply).put(into: &self)
    case "messages" where reply.count == 2: PoppedMessages(reply: reply).put(into: &self)
    case "documents" where reply.count % 4 == 3:
      StoredDocuments(reply, isPage: false).put(into: &self)
    case "page" where reply.count % 4 == 3: StoredDocuments(reply, isPage: true).put(into: &self)
    case "profile" where reply.count == 2: ShownProfile(reply: reply).put(into: &self)
    case "turn" where reply.count == 6: ShownTurn(reply).put(into: &self)
    case "turn" where reply.count == 7:
      cut(to: 0)
      ShownTurn(reply).put(inParts: reply[6].bytes, into: &self)
    case "done" where reply.count == 3: GivenMessages(reply: reply).put(into: &self)
    case "kept" where reply.count == 3: putKept(reply)
    case "list" where reply.count == 3: putList(reply)
    case "list" where reply.count == 4: putPart(ofList: reply)
    case "events" where reply.count % 4 == 3 || reply.count % 4 == 0: putEvents(reply)
    case "export" where reply.count == 8:
      if let error = SessionExport(reply).put(into: &self) { refuse(error) }
    default: return false
    }
    return true
  }

  private mutating func put(_ reply: RedisReply, as form: RowForm) {
    switch form {
    case .record: SessionRecord(reply).put(into: &self)
    case .history: ChatHistory(reply).put(into: &self)
    case .report: ReportedSession(reply).put(into: &self)
    }
  }

  /// Puts a page of a device's sessions, from an array: `list`, the session to go on after or
  /// empty, and records.
  private mutating func putList(_ reply: RedisReply) {
    put("{\"sessions\":[")
    putSessions(reply[2])
    put("],\"cursor\":")
    let cursor = reply[1].bytes
    if cursor.isEmpty { put("null") } else { put(id: cursor, .of("cursor")) }
    putDamaged()
    put("}")
  }

  /// Puts a part of such a page, for the worker: how many records it has, the lengths of the
  /// session to go on after and of how far the page is, these two, and the records with commas.
  private mutating func putPart(ofList reply: RedisReply) {
    cut(to: 0)
    put("MORE \(reply[2].count) \(reply[1].bytes.count) \(reply[3].bytes.count) ".utf8)
    put(reply[1].bytes)
    put(reply[3].bytes)
    putSessions(reply[2])
  }

  private mutating func putSessions(_ records: RedisReply) {
    for at in 0..<records.count {
      if at > 0 { put(",") }
      SessionRecord(records[at]).put(into: &self)
    }
  }

  /// Puts a page of the event log, from an array: `events`, how many entries were omitted because
  /// they are no events or -1 if the log is corrupt, 1 if events were lost, and of each event its
  /// id, type, device and other members; an id to go on after is not shown.
  private mutating func putEvents(_ reply: RedisReply) {
    let omitted = Int(reply[1].integer ?? 0)
    guard omitted >= 0 else {
      put("{\"events\":null")
      damage(.of("events"))
      putDamaged()
      put("}")
      return
    }
    put("{\"events\":[")
    for at in stride(from: 3, through: reply.count - 4, by: 4) {
      if at > 3 { put(",") }
      let event = StoredEvent(
        id: reply[at].bytes, type: reply[at + 1].bytes, device: reply[at + 2].bytes,
        members: reply[at + 3].bytes)
      event.put(into: &self)
    }
    put(reply[2].integer == 1 ? "],\"lost\":true}" : "]}")
    noteOmitted(omitted)
  }
}
