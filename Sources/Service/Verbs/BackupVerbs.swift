// EXPORT and IMPORT: a whole session as JSON, and back.

internal import Access
internal import Records
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum ExportVerb {
  static let verb = Verb(
    name: "EXPORT", rights: .read, words: [.session], options: [.sealed],
    summary: "A session whole, with its chats and messages, as one JSON object.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let export = ExportCall(
      device: address.device.kept, session: address.session?.kept,
      bytesMax: Int64(call.shared.settings.recordBytesMax),
      showsSealed: call.text(.sealed) == "yes")
    let request = try HeldRequest(call)
    export.read(request, at: call.partition) { request.end($0) }
  }
}

enum ImportVerb {
  static let verb = Verb(
    name: "IMPORT", rights: .write, options: [.replace, .asNew, .owner, .token, .turn, .req],
    payload: .record,
    limits: JSONLimits(depthMax: ExportedRecord.depthMax),
    summary: "Makes a session from what EXPORT gave, here or elsewhere.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in
    guard let payload = call.payload else { return }
    let isNew = call.text(.asNew) == "yes"
    guard !isNew || call.text(.replace) != "yes" else {
      throw RequestError(
        .badRequest, "replace= and as-new= exclude each other: a new session replaces none")
    }
    var record: ExportedRecord
    if let read = call.read?.payload as? ExportedRecord {
      record = read
    } else {
      let start = call.arguments.payload?.lowerBound ?? 0
      record = try ExportedRecord(
        payload, at: start, call.shared.settings, call.shared.seal, isCopy: isNew)
    }
    try call.authorize(device: record.device, links: record.links)
    if let user = try call.userToLink(record.links) { try record.link(to: user) }
    let mark = Array(record.device.utf8).withUnsafeBufferPointer { SessionID.mark(ofDevice: $0) }
    let session = isNew ? call.context.nextSessionID(mark: mark) : record.session
    let change = ImportCall(
      device: ArgumentText(record.device),
      // A session that is there is replaced by those alone who own it.
      session: ArgumentText(session + (call.users.map { "<\(SessionRole.own)\($0.text)" } ?? "")),
      isReplacing: call.text(.replace) == "yes", fields: .owned(record.fields.bytes),
      messages: ImportedMessages(
        parts: record.messages.bytes, areSent: record.isWithoutLinks),
      documents: ImportedMessages(
        parts: record.documents.bytes, areSent: record.isWithoutLinks),
      fleet: call.fleet, token: call.fence, req: call.req)
    guard StagedImport.isLarge(record) else {
      try LinkedChange(call, change, device: record.device, dueInMs: 0)
      return
    }
    StagedImport(try HeldRequest(call), change, record, record.device)
  }
}

extension ExportCall {
  /// Reads the session, in parts if it is large.
  func read(
    _ request: HeldRequest, at partition: Partition, _ done: @escaping (ScriptOutcome) -> Void
  ) {
    let (device, asked) = (device.string, session)
    request.store.call(ScriptQuery(self, at: partition), timeoutMs: request.stepMs) { outcome in
      guard case .line(let line, _) = outcome, line.starts(with: "MORE ".utf8) else {
        return done(outcome)
      }
      let session = String(decoding: line.dropFirst("MORE ".utf8.count), as: UTF8.self)
      var source = LargeRead.Source(
        device: device, session: asked.readdressed(to: session).string)
      source.showsSealed = showsSealed
      LargeRead(request.context, source, .export, untilMs: request.untilMs, done)
    }
  }
}

/// A request for export.lua.
struct ExportCall: ScriptCall {
  static let script = Script.export
  let device: ArgumentText
  let session: ArgumentText?
  let bytesMax: Int64
  let showsSealed: Bool

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(bytesMax)
    words.word(showsSealed)
  }
}

/// The messages, or the documents, of an import: empty until its reservations are made.
///
/// Without those no record is made, and they would be sent twice.
struct ImportedMessages {
  /// Four parts each, of documents five.
  let parts: [UInt8]
  var areSent: Bool
}

extension CommandBuffer {
  mutating func word(_ messages: ImportedMessages) {
    if messages.areSent { word(messages.parts) } else { emptyWord() }
  }
}

/// A request for import.lua.
struct ImportCall: LinkingCall {
  static let script = Script.import
  let device: ArgumentText
  let session: ArgumentText
  let isReplacing: Bool
  var fields: ArgumentText
  var messages: ImportedMessages
  var documents: ImportedMessages
  var stage: ArgumentText?
  let fleet: ArgumentText?
  var reserved: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(isReplacing)
    words.word(fields)
    words.word(messages)
    words.word(documents)
    words.word(stage)
    words.word(fleet)
    words.word(reserved)
    words.word(token)
    words.word(req)
  }

  mutating func take(_ reservations: Reservations) {
    reserved = ArgumentText(reservations.text)
    guard !reservations.text.isEmpty else { return }
    messages.areSent = true
    documents.areSent = true
  }
}
