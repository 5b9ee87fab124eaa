// EXPORT and IMPORT: a session whole, out and back.

internal import Loop
internal import RedisLink
internal import Scripts
internal import SessionModel
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
        script: .export, keys: [call.baseKey],
        arguments: [
          address.deviceText, address.sessionText, "\(call.server.settings.recordBytesMax)",
        ]))
  }
}

enum ImportVerb {
  static let verb = Verb(
    name: "IMPORT", rights: .write, options: [.replace, .token, .req], payload: .record,
    summary: "Makes a session from what EXPORT gave, here or elsewhere.",
    replies: ["OK", "STALE"]
  ) { (call) throws(RequestError) in
    guard let payload = call.payload else { return }
    let record = try ExportedRecord(payload, call.server.settings)
    try call.authorize(device: record.device, links: record.links)
    let partition = Partition(of: record.device)
    let query = ScriptQuery(
      script: .import, keys: [call.server.baseKeys[partition.index]],
      arguments: [
        record.device, record.session, call.text(.replace) == "yes" ? "yes" : "",
        String(decoding: record.fields.bytes, as: UTF8.self),
        String(decoding: record.messages.bytes, as: UTF8.self), call.numberText(.token),
        call.text(.req),
      ])
    try call.server.requireRedis()
    run(call, query, record)
  }

  /// Imports, and has the links' partitions know the session before its caller does.
  private static func run(_ call: Call, _ query: ScriptQuery, _ record: ExportedRecord) {
    let (server, connection, ticket) = (call.server, call.connection, call.ticket)
    let entry = SessionEntry(device: record.device, session: record.session)
    let untilMs = ticket.arrivedNs / 1_000_000 + server.settings.requestTimeoutMs
    connection.hold()
    server.callScript(query) { outcome in
      server.note(entry.partition, dueInMs: 0)
      switch outcome {
      case .failed(let error):
        server.answer(ticket, error)
        connection.release()
      case .line(let line):
        let reply = Array(line)
        let links = reply.starts(with: Array("OK".utf8)) ? record.links[...] : []
        tell(server, links, entry, untilMs: untilMs) {
          reply.withUnsafeBufferPointer { server.answerText(ticket, $0) }
          connection.release()
        }
      }
    }
  }

  /// Those for which there is no time are told by the notes that the import has left.
  private static func tell(
    _ server: ServingLoop, _ links: ArraySlice<LinkName>, _ entry: SessionEntry,
    untilMs: Int64, _ done: @escaping () -> Void
  ) {
    let nowMs = server.loop.nowMs
    guard let link = links.first, nowMs < untilMs else { return done() }
    let stepMs = ScriptQuery.stepMs(untilMs: untilMs, nowMs: nowMs)
    LinkCheck.run(server, [entry], of: link, timeoutMs: stepMs) {
      tell(server, links.dropFirst(), entry, untilMs: untilMs, done)
    }
  }
}
