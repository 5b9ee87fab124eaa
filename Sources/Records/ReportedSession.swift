// Owns: how a session's members become its report. On a loop's thread.

internal import RedisConnection
internal import SessionModel
internal import Wire

/// REPORT of a session.
///
/// From a row as that of a record, with the time of Redis in ms in place of what else a reply says.
struct ReportedSession {
  private let reply: RedisReply
  private let stored: StoredSession
  private let nowMs: Int64

  init(_ reply: RedisReply) {
    self.reply = reply
    stored = StoredSession(row: reply, .report)
    nowMs = reply[reply.count - 4].integer ?? 0
  }

  func put(into line: inout RecordLine) {
    line.put("{\"session\":")
    line.put(id: reply[reply.count - 3].bytes, .of("session"))
    line.put(",\"device\":")
    line.put(id: reply[reply.count - 2].bytes, .of("device"))
    if !stored.isReadable { line.damage(.of("record")) }
    line.put(",\"state\":")
    line.put(state: stored.state)
    line.put(",\"age_ms\":")
    line.put(since(stored.created), .of("age_ms"))
    line.put(",\"active_at\":")
    line.put(stored.number(.active).required, .of("active_at"))
    line.put(",\"chats\":")
    line.put(stored.chats, .of("chats"))
    line.put(",\"messages\":")
    line.put(SessionRecord.messages(of: reply), .of("messages"))
    line.put(",\"said\":")
    line.put(said, .of("said"))
    putAnswers(into: &line)
    line.put(",\"states\":{")
    putStates(into: &line)
    line.put("}")
    line.putDamaged()
    line.put("}")
  }

  /// A clock may have gone back since.
  private func since(_ time: StoredNumber) -> StoredNumber {
    time.number.map { .known(max(0, nowMs - $0)) } ?? .corrupt
  }

  private var said: StoredNumber {
    stored.named("q").reduce(.known(0)) { $0 + StoredNumber($1.value) }
  }

  private func putAnswers(into line: inout RecordLine) {
    let answers = stored.number(.answers).or(.known(0))
    line.put(",\"answers\":")
    line.put(answers, .of("answers"))
    line.put(",\"answer_ms_mean\":")
    guard answers != .known(0) else { return line.put("null") }
    let (sum, count) = (stored.number(.answerMs).required.number, answers.number)
    if let sum, let count {
      line.put((sum + count / 2) / count)
    } else {
      line.putCorrupt(.of("answer_ms_mean"))
    }
  }

  /// Puts for how long it was in each state, this one included, by name.
  private func putStates(into line: inout RecordLine) {
    var spent: [SessionState: StoredNumber] = [:]
    for state in stored.named("s") {
      guard let word = SessionState(rawValue: String(decoding: state.name, as: UTF8.self)) else {
        line.damage(.of("states"))
        continue
      }
      spent[word] = StoredNumber(state.value)
    }
    if let now = stored.state {
      spent[now] = (spent[now] ?? .known(0)) + since(stored.since)
    }
    var isFirst = true
    for state in SessionState.allCases.sorted(by: { $0.rawValue < $1.rawValue }) {
      guard let ms = spent[state] else { continue }
      line.put(isFirst ? "\"" : ",\"")
      isFirst = false
      line.put(state.rawValue.utf8)
      line.put("\":")
      let name = Array("\"\(state.rawValue)\"".utf8)
      name.withUnsafeBufferPointer { line.put(ms, .of("states", $0)) }
    }
  }
}
