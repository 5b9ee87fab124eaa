// Owns: the report of one user: figures added up over all sessions that are linked to it. Runs on
// a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// One REPORT user= on its way.
final class UserReport {
  private let request: HeldRequest
  private let link: LinkName
  private var after: SessionEntry?
  private var sessions = 0
  private var live: Int64 = 0
  private var chats: Int64 = 0
  private var messages: Int64 = 0
  private var activeAtMs: Int64?
  /// Sessions that cannot be read, and so are in no sum.
  private var damaged: [String] = []

  /// Sessions read in one call.
  private static let rowsMax = 100

  /// Begins; the caller's next request waits for the answer.
  @discardableResult
  init(_ call: borrowing Call, user: String) throws(RequestError) {
    request = try HeldRequest(call)
    link = .user(user)
    next()
  }

  private func next() {
    guard !request.isOver else {
      let text = "the report took too long; reading changes nothing, so retry"
      return request.end(.failed(RequestError(.unavailable, text)))
    }
    request.readPage(of: link, after: after, most: UserReport.rowsMax) { [self] entries in
      guard let last = entries.last else { return finish() }
      after = last
      add(
        entries.filter { request.maySee($0.device) }, isLast: entries.count < UserReport.rowsMax)
    }
  }

  private func add(_ entries: [SessionEntry], isLast: Bool) {
    guard !entries.isEmpty else { return isLast ? finish() : next() }
    let (kind, ref) = (ArgumentText(link.kind), ArgumentText(link.ref))
    let query = ScriptQuery(
      entries.map { entry in
        let (device, session) = (ArgumentText(entry.device), ArgumentText(entry.session))
        let call = DigestCall(device: device, session: session, kind: kind, ref: ref)
        return (entry.partition, call)
      })
    request.readAll(query) { [self] rows in
      for (entry, row) in zip(entries, rows) {
        if let error = take(row, of: entry) { return request.end(.failed(error)) }
      }
      if isLast { finish() } else { next() }
    }
  }

  /// Adds a session's figures; gives the error that is not of this session alone.
  private func take(_ row: [UInt8], of entry: SessionEntry) -> RequestError? {
    if let error = request.error(in: row, of: .digest) {
      guard error.code == .illegalState else { return error }
      damaged.append("\"\(entry.device)/\(entry.session)\"")
      return nil
    }
    let numbers = String(decoding: row, as: UTF8.self).split(separator: " ").dropFirst()
      .compactMap { Int64($0) }
    guard numbers.count == 4 else { return nil }
    sessions += 1
    live += numbers[0]
    chats += numbers[1]
    messages += numbers[2]
    activeAtMs = max(activeAtMs ?? 0, numbers[3])
    return nil
  }

  private func finish() {
    let active = activeAtMs.map { "\($0)" } ?? "null"
    var line = Array("OK {\"user\":\"\(link.ref)\",\"sessions\":\(sessions),".utf8)
    line += Array("\"live\":\(live),\"chats\":\(chats),\"messages\":\(messages),".utf8)
    line += Array("\"active_at\":\(active)".utf8)
    if !damaged.isEmpty {
      line += Array(",\"damaged\":[\(damaged.joined(separator: ","))]".utf8)
    }
    line.append(UInt8(ascii: "}"))
    request.end(line)
  }
}

/// A request for digest.lua.
struct DigestCall: ScriptCall {
  static let script = Script.digest
  let device: ArgumentText
  let session: ArgumentText
  let kind: ArgumentText
  let ref: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
  }
}
