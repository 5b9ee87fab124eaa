// Owns: an import that is too large for one call of Redis: it is written aside in parts, with
// others' calls in between, and put in place in one step. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One large import on its way.
final class StagedImport {
  private enum Kind: String { case fields, messages, documents, drop }

  /// A part: a range of the record's parts of a kind.
  private struct Step {
    let kind: Kind
    let range: Range<Int>
  }

  private let request: HeldRequest
  private let record: ExportedRecord
  private let device: String
  private let stage: String
  private var change: ImportCall
  /// Of the record's fields what callers have stored in them.
  private var values = Parts()
  private var steps: [Step] = []
  private var done = 0
  /// The numbers of the chats that have messages.
  private var chats: [String] = []

  /// Writing so much takes Redis some 4 ms.
  private static let stepBytes = 256 << 10
  private static let stepMessages = 500
  /// A document is up to six commands.
  private static let stepDocuments = 200
  /// Parts that no further step follows, because the worker has died, go after so long.
  private static let keepMs: Int64 = 60_000

  /// Whether a record is written in parts.
  static func isLarge(_ record: ExportedRecord) -> Bool {
    record.fields.bytes.count + record.messages.bytes.count + record.documents.bytes.count
      > stepBytes
  }

  /// Begins; the session is made by `change`, which needs neither messages nor documents.
  @discardableResult
  init(
    _ request: HeldRequest, _ change: ImportCall, _ record: ExportedRecord, _ device: String
  ) {
    self.request = request
    self.record = record
    self.device = device
    self.change = change
    // No other import has this name: times of ids grow, and each has random bits.
    stage = request.context.nextSessionID(mark: 0)
    takeFields()
    steps =
      steps(.fields, values.bytes, each: 2, most: StagedImport.stepMessages)
      + steps(.messages, record.messages.bytes, each: 4, most: StagedImport.stepMessages)
      + steps(.documents, record.documents.bytes, each: 5, most: StagedImport.stepDocuments)
    self.change.messages = ImportedMessages(parts: [], areSent: false)
    self.change.documents = ImportedMessages(parts: [], areSent: false)
    self.change.stage = ArgumentText("\(stage) \(steps.count)")
    next()
  }

  // MARK: Parts

  /// Takes fields and configurations of chats, which may be long, out of the record's members.
  private func takeFields() {
    let bytes = record.fields.bytes
    var (walk, members) = (PartsWalk(bytes), Parts())
    while let name = walk.next(), let value = walk.next() {
      let isLong = bytes[name].starts(with: "f:".utf8) || bytes[name].starts(with: "c:".utf8)
      if isLong {
        values.add(bytes[name])
        values.add(bytes[value])
      } else {
        members.add(bytes[name])
        members.add(bytes[value])
      }
    }
    change.fields = .owned(members.bytes)
  }

  /// Cuts parts of which so many belong together into steps.
  private func steps(_ kind: Kind, _ bytes: [UInt8], each: Int, most: Int) -> [Step] {
    var (walk, found, start, count) = (PartsWalk(bytes), [Step](), 0, 0)
    while let first = walk.next() {
      for _ in 1..<each { _ = walk.next() }
      if kind == .messages {
        let chat = String(decoding: bytes[first], as: UTF8.self)
        if chats.last != chat { chats.append(chat) }
      }
      count += 1
      guard count == most || walk.place - start >= StagedImport.stepBytes else { continue }
      found.append(Step(kind: kind, range: start..<walk.place))
      (start, count) = (walk.place, 0)
    }
    if count > 0 { found.append(Step(kind: kind, range: start..<walk.place)) }
    return found
  }

  private func bytes(of step: Step) -> [UInt8] {
    switch step.kind {
    case .fields: Array(values.bytes[step.range])
    case .messages: Array(record.messages.bytes[step.range])
    case .documents: Array(record.documents.bytes[step.range])
    case .drop: []
    }
  }

  // MARK: Steps

  private func query(_ kind: Kind, _ list: [UInt8]) -> ScriptQuery {
    let part = ImportPartCall(
      device: ArgumentText(device), stage: ArgumentText(stage), kind: ArgumentText(kind.rawValue),
      list: .owned(list), chats: ArgumentText(chats.joined(separator: " ")),
      keepMs: StagedImport.keepMs)
    return ScriptQuery(part, at: Partition(of: device))
  }

  private func next() {
    guard done < steps.count else { return putInPlace() }
    guard !request.isOver else {
      return end(
        .failed(RequestError(.overloaded, "IMPORT took too long; nothing was done, retry")))
    }
    let step = steps[done]
    let query = query(step.kind, bytes(of: step))
    request.store.call(query, timeoutMs: request.stepMs) { [self] outcome in
      switch outcome {
      case .line:
        done += 1
        next()
      case .failed(let error) where error.code == .unknownOutcome:
        let why = "\(error.text.prefix { $0 != ";" }); nothing was done"
        end(.failed(RequestError(.unavailable, why)))
      case .failed: end(outcome)
      }
    }
  }

  private func putInPlace() {
    LinkedChange(request, change, device, dueInMs: 0) { [self] in end($0) }
  }

  /// Answers, and removes what was written aside unless it is in place now.
  private func end(_ outcome: ScriptOutcome) {
    request.end(outcome)
    let timeoutMs = request.store.requestTimeoutMs
    request.store.call(query(.drop, []), timeoutMs: timeoutMs) { _ in }
  }
}

/// A walk through parts, as `Parts` has put them together.
private struct PartsWalk {
  private let bytes: [UInt8]
  /// Where the next part begins.
  private(set) var place = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The place of the next part's bytes; nil at the end.
  mutating func next() -> Range<Int>? {
    guard place < bytes.count else { return nil }
    var count = 0
    while bytes[place] != UInt8(ascii: " ") {
      count = count * 10 + Int(bytes[place] - UInt8(ascii: "0"))
      place += 1
    }
    let start = place + 1
    place = start + count
    return start..<place
  }
}

/// A request for import_part.lua.
struct ImportPartCall: ScriptCall {
  static let script = Script.importPart
  let device: ArgumentText
  let stage: ArgumentText
  let kind: ArgumentText
  let list: ArgumentText?
  let chats: ArgumentText?
  let keepMs: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(stage)
    words.word(kind)
    words.word(list)
    words.word(chats)
    words.word(keepMs)
  }
}
