// Owns: TAKE, whose documents may be too large for one reply of Redis, or too many for one call:
// then they are read in steps, and anew if the session was changed meanwhile. Runs on a loop's
// thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One TAKE on its way.
final class DocumentsRead {
  private let request: HeldRequest
  private let device: String
  private let session: ArgumentText?
  private let names: [[UInt8]]
  private let bytesMax: Int

  private var triesLeft = 3
  /// The session as a further step addresses it, and how it is known from a changed one.
  private var source: (session: ArgumentText?, stamp: String) = (nil, "")
  /// The documents that were read, and the names of what is corrupt, with commas between them.
  private var documents: [UInt8] = []
  private var damaged: [UInt8] = []
  private var count = 0
  private var pause: LoopTimer?

  /// Whether so many documents are read in one call if their bytes allow it, as the session is
  /// changed too often for steps.
  private var isWhole = false

  /// Of so many documents one step reads as many as one reply may have.
  private static let stepNames = 200
  /// A change in the millisecond of the stamp could not be seen.
  private static let pauseMs: Int64 = 2

  /// Begins in the turn's batch: most replies are one step.
  @discardableResult
  init(_ call: borrowing Call) throws(RequestError) {
    let address = call.address
    device = address.device.string
    session = address.session?.kept
    names = (1..<call.arguments.words.count).map { DocumentKey.escaped(call.word($0)) }
    bytesMax = call.shared.settings.documentsReplyBytesMax
    request = try HeldRequest(call, batchedFor: device)
    request.enqueue(ScriptQuery(whole, at: Partition(of: device))) { [self] in taken($0) }
  }

  deinit { request.context.keeps(more: -documents.count) }

  private var whole: TakeCall {
    TakeCall(
      device: ArgumentText(device), session: session, names: .owned(parts(0)), skipped: nil,
      stamp: nil, isWhole: isWhole)
  }

  /// The names from a place on: all, or those of a step.
  private func parts(_ from: Int, most: Int = .max) -> [UInt8] {
    var parts = Parts()
    for name in names[from...].prefix(most) { parts.add(name) }
    return parts.bytes
  }

  private func call(_ take: TakeCall, _ next: @escaping (ScriptOutcome) -> Void) {
    guard !request.isOver else {
      return request.end(
        .failed(RequestError(.unavailable, "the documents took too long to read; retry")))
    }
    let query = ScriptQuery(take, at: Partition(of: device))
    request.store.call(query, timeoutMs: request.stepMs, next)
  }

  /// Takes the reply to the whole request: it is the answer, or says which session it is and how it
  /// is known from a changed one.
  private func taken(_ outcome: ScriptOutcome) {
    guard let words = DocumentsRead.more(outcome) else { return request.end(outcome) }
    guard words.count == 2, words[1] != "-" else { return again() }
    source = (session.readdressed(to: words[0]), words[1])
    keep([])
    (damaged, count) = ([], 0)
    readStep()
  }

  /// The words of a reply that asks for another step; nil if it is another one.
  private static func more(_ outcome: ScriptOutcome) -> [String]? {
    let more = Array("MORE ".utf8)
    guard case .line(let line, _) = outcome, line.starts(with: more) else { return nil }
    return String(decoding: line.dropFirst(more.count), as: UTF8.self).split(separator: " ")
      .map(String.init)
  }

  /// Begins anew in a moment, as the session was changed.
  private func again() {
    guard triesLeft > 0 else {
      guard !isWhole, names.count > DocumentsRead.stepNames else {
        let why = "the session was changed 3 times while its documents were read; retry"
        return request.end(.failed(RequestError(.overloaded, why)))
      }
      isWhole = true
      return call(whole) { [self] in taken($0) }
    }
    triesLeft -= 1
    pause = LoopTimer(request.store.loop) { [self] in
      pause = nil
      call(whole) { [self] in taken($0) }
    }
    pause?.set(afterMs: DocumentsRead.pauseMs)
  }

  private func readStep() {
    let step = TakeCall(
      device: ArgumentText(device), session: source.session,
      names: .owned(parts(count, most: DocumentsRead.stepNames)), skipped: Int64(count),
      stamp: ArgumentText(source.stamp), isWhole: false)
    call(step) { [self] outcome in
      guard DocumentsRead.more(outcome) == nil else { return again() }
      guard case .line(let line, _) = outcome, line.starts(with: "OK {".utf8) else {
        return request.end(outcome)
      }
      let before = count
      add(UnsafeBufferPointer(rebasing: line.dropFirst("OK ".utf8.count)))
      guard documents.count <= bytesMax else {
        return request.end(
          .failed(
            RequestError(
              .tooLarge,
              "the documents have more than \(bytesMax) bytes: ask for fewer keys at once")))
      }
      guard count > before, count < names.count else { return end() }
      readStep()
    }
  }

  /// Adds the documents of a step.
  private func add(_ body: UnsafeBufferPointer<UInt8>) {
    var members = JSONMembers(0, body.count)
    while let (key, value) = members.next(in: body.span) {
      let list = body[value].dropFirst().dropLast()
      let comma = { (bytes: [UInt8]) in bytes.isEmpty ? [] : [UInt8(ascii: ",")] }
      if body[key.range].elementsEqual("damaged".utf8) {
        damaged += comma(damaged) + list
      } else if body[key.range].elementsEqual("documents".utf8) {
        keep(documents + comma(documents) + list)
        var elements = JSONElements(value.lowerBound, value.upperBound)
        while elements.next(in: body.span) != nil { count += 1 }
      }
    }
  }

  private func keep(_ bytes: [UInt8]) {
    request.context.keeps(more: bytes.count - documents.count)
    documents = bytes
  }

  private func end() {
    let names = damaged.isEmpty ? [] : Array(",\"damaged\":[".utf8) + damaged + Array("]".utf8)
    request.end(
      Array("OK {\"documents\":[".utf8) + documents + Array("]".utf8) + names + Array("}".utf8))
  }
}

/// A request for take.lua.
struct TakeCall: ScriptCall {
  static let script = Script.take
  let device: ArgumentText
  let session: ArgumentText?
  let names: ArgumentText
  let skipped: Int64?
  let stamp: ArgumentText?
  let isWhole: Bool

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(names)
    words.word(skipped)
    words.word(stamp)
    words.word(isWhole)
  }
}
