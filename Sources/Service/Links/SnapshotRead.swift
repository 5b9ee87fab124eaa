// Owns: GET of a session with more messages than one reply of Redis may have: they are read in
// steps, and anew if the session was changed meanwhile. Runs on a loop's thread.

internal import Records
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One GET with `last=` on its way.
final class SnapshotRead {
  private let request: HeldRequest
  private let device: String
  private let look: LookCall
  private let bytesMax: Int

  private var triesLeft = 3
  private var session = ""
  private var stamp = ""
  /// The messages that were read, with commas between them, and how many they are.
  private var messages: [UInt8] = []
  private var count = 0
  /// Whether one of them does not open.
  private var isDamaged = false
  /// How many of their bytes count as kept for the caller.
  private var keptBytes = 0

  /// Begins in the turn's batch: most replies are one step.
  @discardableResult
  init(_ call: borrowing Call, _ look: LookCall) throws(RequestError) {
    device = String(decoding: call.device, as: UTF8.self)
    request = try HeldRequest(call, batchedFor: device)
    self.look = look
    bytesMax = call.shared.settings.recordBytesMax
    let query = ScriptQuery(look, at: Partition(of: device))
    request.enqueue(query) { [self] in looked($0) }
  }

  deinit { request.context.keeps(more: -keptBytes) }

  private func call<Request: ScriptCall>(
    _ call: Request, _ next: @escaping (ScriptOutcome) -> Void
  ) {
    guard !request.isOver else {
      return request.end(
        .failed(RequestError(.unavailable, "the messages took too long to read; retry")))
    }
    let query = ScriptQuery(call, at: Partition(of: device))
    request.store.call(query, timeoutMs: request.stepMs, next)
  }

  /// Takes the reply to the whole request: it is the answer, or says which session it is and how it
  /// is known from a changed one.
  private func looked(_ outcome: ScriptOutcome) {
    guard case .line(let line, _) = outcome, line.starts(with: "MORE".utf8) else {
      return request.end(outcome)
    }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ")
    guard words.count == 3 else { return again() }
    (session, stamp) = (String(words[1]), String(words[2]))
    keep([], count: 0)
    isDamaged = false
    // The millisecond of the last change is not over.
    if stamp == "-" { again() } else { readPage() }
  }

  /// Begins anew, as the session was changed.
  private func again() {
    guard triesLeft > 0 else {
      let why = "the session was changed 3 times while its messages were read; retry"
      return request.end(.failed(RequestError(.overloaded, why)))
    }
    triesLeft -= 1
    call(look) { [self] in looked($0) }
  }

  private func readPage() {
    let page = LookPageCall(
      device: ArgumentText(device), session: ArgumentText(session), last: look.last ?? 0,
      skipped: Int64(count), stamp: ArgumentText(stamp))
    call(page) { [self] outcome in
      guard case .line(let line, _) = outcome, line.starts(with: "OK {".utf8) else {
        return changed(outcome)
      }
      let list = line.dropFirst("OK {\"messages\":".utf8.count).dropLast()
      var (elements, read) = (JSONElements(list.startIndex, list.endIndex), 0)
      while let element = elements.next(in: line.span) {
        read += 1
        let entry = UnsafeBufferPointer(rebasing: line[element])
        let message = MessageMember.value("message".utf8, of: entry)
        // A message is an object, unless it did not open.
        isDamaged = isDamaged || message.map { entry[$0].elementsEqual("null".utf8) } ?? false
      }
      guard read > 0 else { return readRecord() }
      let comma = messages.isEmpty ? [] : [UInt8(ascii: ",")]
      keep(messages + comma + list.dropFirst().dropLast(), count: count + read)
      guard messages.count <= bytesMax else {
        let why = "the messages have more than \(bytesMax) bytes (--max-record): ask for fewer"
        return request.end(.failed(RequestError(.tooLarge, why)))
      }
      readPage()
    }
  }

  /// Reads the record, if nothing was changed since the first step.
  private func readRecord() {
    let record = LookCall(
      device: ArgumentText(device), session: look.session.readdressed(to: session),
      fields: look.fields, last: nil,
      seenRev: nil, isWhole: false, stamp: ArgumentText(stamp))
    call(record) { [self] outcome in
      guard case .line(let line, _) = outcome, !line.starts(with: "MORE".utf8) else {
        return changed(outcome)
      }
      if line.starts(with: "LARGE ".utf8) { readLarge(Array(line), record) } else { end(line) }
    }
  }

  /// Reads a record in parts, which takes no notice of the first step; so it is asked again whether
  /// nothing was changed since.
  private func readLarge(_ line: [UInt8], _ record: LookCall) {
    request.read(large: line) { [self] outcome in
      guard case .line(let line, _) = outcome, line.starts(with: "OK {".utf8) else {
        return request.end(outcome)
      }
      let whole = Array(line)
      call(record) { [self] outcome in
        guard case .line(let line, _) = outcome, !line.starts(with: "MORE".utf8) else {
          return changed(outcome)
        }
        whole.withUnsafeBufferPointer { end($0) }
      }
    }
  }

  /// Answers with a record, and the messages behind it; or with what there is in its place.
  private func end(_ record: UnsafeBufferPointer<UInt8>) {
    guard record.starts(with: "OK {".utf8) else { return request.end(.line(record)) }
    request.end(whole(record))
  }

  /// The record with the messages; what is damaged is its last member.
  private func whole(_ line: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    let start = "OK ".utf8.count
    var (members, end, names) = (JSONMembers(start, line.count), line.count - 1, [UInt8]())
    while let (key, value) = members.next(in: line.span) {
      guard line[key.range].elementsEqual("damaged".utf8) else { continue }
      // Before the name are its quote and a comma.
      (end, names) = (key.start - 2, Array(line[value].dropFirst().dropLast()))
    }
    if isDamaged { names += Array((names.isEmpty ? "" : ",").utf8) + Array("\"recent\"".utf8) }
    let damaged = names.isEmpty ? [] : Array(",\"damaged\":[".utf8) + names + Array("]".utf8)
    return Array(line[..<end]) + Array(",\"recent\":[".utf8) + messages + Array("]".utf8) + damaged
      + Array("}".utf8)
  }

  private func changed(_ outcome: ScriptOutcome) {
    guard case .line(let line, _) = outcome, line.starts(with: "MORE".utf8) else {
      return request.end(outcome)
    }
    again()
  }

  private func keep(_ bytes: [UInt8], count: Int) {
    request.context.keeps(more: bytes.count - keptBytes)
    keptBytes = bytes.count
    messages = bytes
    self.count = count
  }
}

/// A request for look_page.lua.
struct LookPageCall: ScriptCall {
  static let script = Script.lookPage
  let device: ArgumentText
  let session: ArgumentText
  let last: Int64
  let skipped: Int64
  let stamp: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(last)
    words.word(skipped)
    words.word(stamp)
  }
}
