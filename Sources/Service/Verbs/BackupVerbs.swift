// EXPORT and IMPORT: a whole session as JSON, and back.

internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum ExportVerb {
  static let verb = Verb(
    name: "EXPORT", rights: .read, words: [.session],
    summary: "A session whole, with its chats and messages, as one JSON object.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    try call.forward(
      ScriptQuery(
        .export, at: call.partition,
        [
          address.deviceText, address.sessionText, "\(call.shared.settings.recordBytesMax)",
        ]))
  }
}

enum ImportVerb {
  static let verb = Verb(
    name: "IMPORT", rights: .write, options: [.replace, .token, .req], payload: .record,
    summary: "Makes a session from what EXPORT gave, here or elsewhere.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard let payload = call.payload else { return }
    let start = call.arguments.payload?.lowerBound ?? 0
    let record = try ExportedRecord(payload, at: start, call.shared.settings)
    try call.authorize(device: record.device, links: record.links)
    let query = ScriptQuery(
      .import, at: Partition(of: record.device),
      [
        record.device, record.session, call.text(.replace) == "yes" ? "yes" : "",
        String(decoding: record.fields.bytes, as: UTF8.self),
        String(decoding: record.messages.bytes, as: UTF8.self), call.numberText(.token),
        call.requestKeyText,
      ])
    run(try HeldRequest(call), query, record)
  }

  /// Imports, and informs the links' partitions before the caller.
  private static func run(_ request: HeldRequest, _ query: ScriptQuery, _ record: ExportedRecord) {
    let entry = SessionEntry(device: record.device, session: record.session)
    request.store.call(query) { outcome in
      request.context.note(entry.partition, dueInMs: 0)
      guard case .line(let line) = outcome, line.starts(with: Array("OK".utf8)) else {
        return request.end(outcome)
      }
      let reply = Array(line)
      inform(record.links[...], of: entry, within: request) { request.end(reply) }
    }
  }

  /// Those for which there is no time are informed by the import's outbox entries.
  private static func inform(
    _ links: ArraySlice<LinkName>, of entry: SessionEntry, within request: HeldRequest,
    _ done: @escaping () -> Void
  ) {
    guard let link = links.first, !request.isOver else { return done() }
    LinkCheck.run(request.store, [entry], of: link, timeoutMs: request.stepMs) {
      inform(links.dropFirst(), of: entry, within: request, done)
    }
  }
}
