// Owns: the report of one user: figures added up over all sessions that are linked to it. Runs on
// a loop's thread.

internal import Loop
internal import RedisLink
internal import Scripts
internal import SessionModel
internal import Wire

/// One REPORT user= on its way.
final class UserReport {
  private let server: ServingLoop
  private let connection: Connection
  private let ticket: Ticket
  private let link: LinkName
  private let untilMs: Int64
  private var after = ""
  private var sessions = 0
  private var live: Int64 = 0
  private var chats: Int64 = 0
  private var messages: Int64 = 0
  private var activeAtMs: Int64?

  /// Sessions looked at in one call.
  private static let rowsMax = 100

  /// Begins; the caller's next request waits for the answer.
  @discardableResult
  init(_ call: Call, user: String) throws(RequestError) {
    server = call.server
    connection = call.connection
    ticket = call.ticket
    link = .user(user)
    untilMs = call.ticket.arrivedNs / 1_000_000 + call.server.settings.requestTimeoutMs
    try server.requireRedis()
    connection.hold()
    server.sendWaiting()
    next()
  }

  private var stepMs: Int64 { ScriptQuery.stepMs(untilMs: untilMs, nowMs: server.loop.nowMs) }

  private func next() {
    guard server.loop.nowMs < untilMs else {
      return fail(
        RequestError(.unavailable, "the report took too long; reading changes nothing, so retry"))
    }
    let query = ScriptQuery(
      script: .linkPage, keys: [server.baseKeys[link.partition.index]],
      arguments: [link.text, after, "\(UserReport.rowsMax)"])
    server.readRows(query, timeoutMs: stepMs) { [self] result in
      switch result {
      case .failure(let error): fail(error)
      case .success(let rows):
        let words = String(decoding: rows[0], as: UTF8.self).split(separator: " ").dropFirst()
        let entries = words.compactMap { SessionEntry(text: $0) }
        guard let last = entries.last else { return finish() }
        after = last.text
        add(
          entries.filter { server.maySee(connection.id, Array($0.device.utf8)) },
          isLast: entries.count < UserReport.rowsMax)
      }
    }
  }

  private func add(_ entries: [SessionEntry], isLast: Bool) {
    guard !entries.isEmpty else { return isLast ? finish() : next() }
    let query = ScriptQuery(
      script: .digest, keys: entries.map { server.baseKeys[$0.partition.index] },
      arguments: entries.flatMap { [$0.device, $0.session, link.kind, link.ref] })
    server.readRows(query, timeoutMs: stepMs) { [self] result in
      switch result {
      case .failure(let error): fail(error)
      case .success(let rows):
        for row in rows { take(row) }
        if isLast { finish() } else { next() }
      }
    }
  }

  private func take(_ row: [UInt8]) {
    let numbers = String(decoding: row, as: UTF8.self).split(separator: " ").dropFirst()
      .compactMap { Int64($0) }
    guard numbers.count == 4 else { return }
    sessions += 1
    live += numbers[0]
    chats += numbers[1]
    messages += numbers[2]
    activeAtMs = max(activeAtMs ?? 0, numbers[3])
  }

  private func finish() {
    let active = activeAtMs.map { "\($0)" } ?? "null"
    var line = Array("OK {\"user\":\"\(link.ref)\",\"sessions\":\(sessions),".utf8)
    line += Array("\"live\":\(live),\"chats\":\(chats),\"messages\":\(messages),".utf8)
    line += Array("\"active_at\":\(active)}".utf8)
    line.withUnsafeBufferPointer { server.answerText(ticket, $0) }
    connection.release()
  }

  private func fail(_ error: RequestError) {
    server.answer(ticket, error)
    connection.release()
  }
}
