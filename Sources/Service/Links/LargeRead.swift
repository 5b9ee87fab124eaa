// Owns: the reading of sessions that are too large for one reply of Redis: in parts, with others'
// calls in between, and anew if the session was changed meanwhile. A loop reads few at once. Runs
// on a loop's thread.

internal import Loop
internal import Records
package import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One session that is read in parts.
final class LargeRead {
  /// What is read, as a script has said.
  struct Source {
    let device: String
    /// With the users behind it to whose sessions the request is limited.
    let session: String
    /// The fields that were asked for; empty for all.
    var fields: [UInt8] = []
    /// What else a record's reply says.
    var rest: [UInt8] = []
    /// Whether sealed values are shown as they are.
    var showsSealed = false
    /// Whether the record is a page of a device's list.
    var isPage = false
    /// The object that TURN answers with, and the place of the fields in it; nil for a record.
    var turn: (object: [UInt8], place: Int)?

    init(device: String, session: String) {
      self.device = device
      self.session = session
    }

    /// From `LARGE device session length fields rest`; fields and rest stand together.
    init?(_ line: UnsafeBufferPointer<UInt8>) {
      let words = line.split(separator: UInt8(ascii: " "), maxSplits: 4)
      let ends = words.map(\.endIndex)
      guard words.count >= 4, let count = Int(String(decoding: words[3], as: UTF8.self)),
        line.endIndex - ends[3] > count
      else { return nil }
      let start = ends[3] + 1
      device = String(decoding: words[1], as: UTF8.self)
      session = String(decoding: words[2], as: UTF8.self)
      fields = Array(line[start..<start + count])
      rest = Array(line[(start + count)...])
      if rest.elementsEqual("list".utf8) { (rest, isPage) = ([], true) }
      guard rest.starts(with: "turn ".utf8) else { return }
      let parts = rest.split(separator: UInt8(ascii: " "), maxSplits: 2)
      guard parts.count == 3, let place = Int(String(decoding: parts[1], as: UTF8.self)),
        parts[2].count > place
      else { return nil }
      turn = (Array(parts[2]), place)
    }

    fileprivate func makeParts(
      _ form: SessionParts.Form, _ context: any RequestContext
    ) -> SessionParts {
      SessionParts(form, context.store.seal, device: device, showsSealed: showsSealed)
    }

    /// The reply of which this is the record.
    func reply(_ record: UnsafeBufferPointer<UInt8>) -> [UInt8] {
      guard isPage, record.starts(with: "OK {".utf8) else { return Array(record) }
      let id = session.prefix { !"<=?#".contains($0) }
      return Array("OK {\"sessions\":[".utf8) + record.dropFirst("OK ".utf8.count)
        + Array("],\"cursor\":\"\(id)\"}".utf8)
    }
  }

  /// The parts of a session, as record_page names them.
  private enum Part: String { case fields, messages, documents, record, export }

  private let context: any RequestContext
  private let source: Source
  private let form: SessionParts.Form
  private let bytesMax: Int
  private let untilMs: Int64
  private let done: (ScriptOutcome) -> Void

  private var parts: SessionParts
  private var part = Part.fields
  private var from = ""
  private var stamp = ""
  private var triesLeft = 3
  private var keptBytes = 0
  private var pause: LoopTimer?

  /// Begins; `done` is called once.
  @discardableResult
  init(
    _ context: any RequestContext, _ source: Source, _ form: SessionParts.Form, untilMs: Int64,
    _ done: @escaping (ScriptOutcome) -> Void
  ) {
    self.context = context
    self.source = source
    self.form = form
    self.untilMs = untilMs
    self.done = done
    let settings = context.shared.settings
    bytesMax =
      form == .export
      ? settings.recordBytesMax : max(settings.recordBytesMax, settings.bufferedBytesMax / 4)
    parts = source.makeParts(form, context)
    context.largeReads.begin { [self] in begin() }
  }

  deinit { context.keeps(more: -keptBytes) }

  // MARK: Steps

  private func begin() {
    parts = source.makeParts(form, context)
    (part, from, stamp) = (.fields, "", "")
    step()
  }

  private func step() {
    guard context.nowMs < untilMs - context.shared.settings.requestTimeoutMs / 8 else {
      return end(.failed(RequestError(.overloaded, "the session took too long to read; retry")))
    }
    let call = RecordPageCall(
      device: ArgumentText(source.device), session: ArgumentText(source.session),
      stamp: ArgumentText(stamp), part: ArgumentText(part.rawValue), from: ArgumentText(from),
      fields: .owned(source.fields))
    let query = ScriptQuery([(partition: Partition(of: source.device), call: call)])
    // A request may outlive its deadline by 100 ms.
    context.store.call(raw: query, timeoutMs: untilMs - context.nowMs + 100) { [self] result in
      switch result {
      case .failure(let error): end(.failed(error))
      case .success(let reply) where reply.count == 1: stepped(reply[0])
      case .success(let reply):
        end(.failed(context.store.refusal(of: reply, .recordPage)))
      }
    }
  }

  private func stepped(_ reply: RedisReply) {
    guard reply.kind == .array else {
      guard reply.bytes.starts(with: "MORE".utf8) else {
        return context.store.withOutcome(of: .recordPage, reply) { end($0) }
      }
      return changed()
    }
    guard let page = SessionParts.Page(reply) else { return finish(reply) }
    stamp = page.stamp
    switch part {
    case .fields: parts.addFields(page)
    case .messages: parts.addMessages(page, chat: chat)
    case .documents: parts.addDocuments(page)
    case .record, .export: break
    }
    context.keeps(more: parts.bytes - keptBytes)
    keptBytes = parts.bytes
    guard keptBytes <= bytesMax else { return end(.failed(tooLarge)) }
    guard !context.hasMemoryPressure else {
      return end(
        .failed(
          RequestError(
            .overloaded,
            "memory limit reached (--max-buffered): large sessions are not read for now; retry")))
    }
    from = page.next
    if from.isEmpty {
      if let turn = source.turn {
        let line = parts.turn(turn.object, fieldsAt: turn.place)
        return line.withUnsafeBufferPointer { end(.line($0)) }
      }
      goOn()
    }
    step()
  }

  /// The place of the chat that is read, from `place entry`.
  private var chat: Int { (from.split(separator: " ").first.flatMap { Int($0) } ?? 1) - 1 }

  /// Goes on with the next part.
  private func goOn() {
    switch (part, form) {
    case (.fields, .record):
      part = .record
      from = String(decoding: source.rest, as: UTF8.self)
    case (.fields, .export): part = .messages
    case (.messages, _): part = .documents
    case (.documents, _):
      part = .export
      from = "\(bytesMax)" + (source.showsSealed ? " yes" : "")
    case (.record, _), (.export, _): break
    }
  }

  private var tooLarge: RequestError {
    let why =
      form == .export
      ? "the session has more than \(bytesMax) bytes"
      : "the fields have more than \(bytesMax) bytes (a quarter of --max-buffered): ask for some "
        + "with fields="
    return RequestError(.tooLarge, why)
  }

  /// Begins anew: the session was changed, or may be changed within the millisecond.
  private func changed() {
    if !stamp.isEmpty {
      guard triesLeft > 0 else {
        let why = "the session was changed 3 times while it was read; retry"
        return end(.failed(RequestError(.overloaded, why)))
      }
      triesLeft -= 1
    }
    let timer = LoopTimer(context.store.loop) { [self] in
      pause = nil
      begin()
    }
    pause = timer
    timer.set(afterMs: 2)
  }

  private func finish(_ reply: RedisReply) {
    let device = Array(source.device.utf8)
    context.store.withMade(of: reply, parts, device: device) { [self] line, _ in
      end(
        line.isEmpty ? .failed(context.store.scriptFailed(.recordPage, "no record")) : .line(line))
    }
  }

  private func end(_ outcome: ScriptOutcome) {
    switch outcome {
    case .line(let line, _) where line.starts(with: "ERR too_large".utf8):
      done(.failed(tooLarge))
    default: done(outcome)
    }
    context.largeReads.ended()
  }
}

extension RequestContext {
  /// Answers with a record that is read in parts, as a script's reply says.
  package func answerLarge(_ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>, onlyReads: Bool) {
    guard let source = LargeRead.Source(line) else {
      return answer(ticket, RequestError(.internal, "the request failed inside Redis; see the log"))
    }
    // Its deadlines are not known here; the reaper looks.
    if !onlyReads { note(Partition(of: source.device), dueInMs: 0) }
    let untilMs = ticket.arrivedNs / 1_000_000 + shared.settings.requestTimeoutMs
    LargeRead(self, source, .record, untilMs: untilMs) { [self] outcome in
      switch outcome {
      case .line(let line, _) where !onlyReads && line.starts(with: "NONE".utf8):
        let why = "the change was made, and its session is gone since"
        answer(ticket, RequestError(.unknownOutcome, why))
      case .line(let line, _):
        source.reply(line).withUnsafeBufferPointer { answerText(ticket, $0, onlyReads: onlyReads) }
      case .failed(let error) where onlyReads: answer(ticket, error)
      case .failed(let error):
        let why = "the change was made, and its session could not be shown: \(error.text)"
        answer(ticket, RequestError(.unknownOutcome, why))
      }
    }
  }
}

extension HeldRequest {
  /// Reads a session as a script's reply says.
  func read(large line: [UInt8], _ done: @escaping (ScriptOutcome) -> Void) {
    guard let source = line.withUnsafeBufferPointer({ LargeRead.Source($0) }) else {
      return done(.failed(store.scriptFailed(.entry, "no session to be read in parts")))
    }
    LargeRead(context, source, .record, untilMs: untilMs) { outcome in
      guard case .line(let line, _) = outcome else { return done(outcome) }
      source.reply(line).withUnsafeBufferPointer { done(.line($0)) }
    }
  }
}

/// A request for record_page.lua.
struct RecordPageCall: ScriptCall {
  static let script = Script.recordPage
  let device: ArgumentText
  let session: ArgumentText
  let stamp: ArgumentText?
  let part: ArgumentText
  let from: ArgumentText?
  let fields: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(stamp)
    words.word(part)
    words.word(from)
    words.word(fields)
  }
}
