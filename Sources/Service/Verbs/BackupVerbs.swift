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
    let (partition, isReplacing) = (Partition(of: record.device), call.text(.replace) == "yes")
    let first = [
      record.device, record.session, isReplacing ? "yes" : "",
      String(decoding: record.fields.bytes, as: UTF8.self),
    ]
    let messages = String(decoding: record.messages.bytes, as: UTF8.self)
    let last = [call.numberText(.token), call.requestKeyText]
    try LinkedChange(call, record.device, dueInMs: 0) { reservations in
      // Without its reservations no record is made: the messages would be sent twice.
      let isAsking = !record.isWithoutLinks && reservations.text.isEmpty
      return ScriptQuery(
        .import, at: partition,
        first + [isAsking ? "" : messages, reservations.text] + last)
    }
  }
}
