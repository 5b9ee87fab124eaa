// Owns: LIST of a device, whose page is read in several calls where it may have many sessions: each
// looks at some, with others' calls in between. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// One page of a device's sessions on its way.
final class DeviceList {
  private let request: HeldRequest
  private let partition: Partition
  private var list: ListDeviceCall
  /// How many there are on all pages, where that was asked for; null where they are too many.
  private let total: String?
  /// Whether the caller may not see some of them: no cursor names one that was left out.
  private let isLimited: Bool
  /// The records of the page so far, with commas between them.
  private var sessions: [UInt8] = []

  /// A page of no more, without a filter, is read in one call.
  private static let oneCallMax: Int64 = 200
  private static let head = Array("OK {\"sessions\":[".utf8)

  /// Begins in the turn's batch: most pages are one call.
  static func run(_ call: borrowing Call, _ list: ListDeviceCall) throws(RequestError) {
    guard list.limit > oneCallMax || list.filter != nil else { return try call.run(list) }
    let device = String(decoding: call.device, as: UTF8.self)
    let request = try HeldRequest(call, batchedFor: device)
    let page = DeviceList(request, list, at: call.partition, isLimited: call.users != nil)
    request.enqueue(page.query) { page.took($0) }
  }

  private init(
    _ request: HeldRequest, _ list: ListDeviceCall, at partition: Partition, isLimited: Bool,
    total: String? = nil
  ) {
    (self.request, self.partition, self.isLimited) = (request, partition, isLimited)
    (self.list, self.total) = (list, total)
    self.list.soFar = "0 0 "
  }

  /// Counts all sessions first, then reads the page.
  static func count(_ call: borrowing Call, _ list: ListDeviceCall) throws(RequestError) {
    let (partition, isLimited) = (call.partition, call.users != nil)
    let source = ListSource.device(String(decoding: call.device, as: UTF8.self))
    let request = try HeldRequest(call)
    ListSurvey(request, source, list.filter) { all in
      let total = all.map { "\($0.count)" } ?? "null"
      DeviceList(request, list, at: partition, isLimited: isLimited, total: total).next()
    }
  }

  deinit { request.context.keeps(more: -sessions.count) }

  private var query: ScriptQuery { ScriptQuery(list, at: partition) }

  private func next() {
    request.store.call(query, timeoutMs: request.stepMs) { [self] in took($0) }
  }

  private func took(_ outcome: ScriptOutcome) {
    guard case .line(let line, _) = outcome else { return request.end(outcome) }
    if line.starts(with: "MORE ".utf8) {
      goOn(line)
    } else if line.starts(with: "LARGE ".utf8) {
      request.read(large: Array(line)) { [self] in end($0) }
    } else {
      end(outcome)
    }
  }

  /// Adds a part of the page: `MORE`, how many sessions it has, the lengths of where the next one
  /// goes on and of how far the page is, these two, and the records.
  private func goOn(_ line: UnsafeBufferPointer<UInt8>) {
    let words = line.split(separator: UInt8(ascii: " "), maxSplits: 4)
    let numbers = words.dropFirst().prefix(3).compactMap {
      Int(String(decoding: $0, as: UTF8.self))
    }
    guard words.count == 5, numbers.count == 3, words[4].count >= numbers[1] + numbers[2] else {
      return request.end(.failed(request.store.scriptFailed(.listDevice, "no part of a list")))
    }
    let from = Array(words[4].prefix(numbers[1]))
    let rest = words[4].dropFirst(numbers[1])
    list.limit -= Int64(numbers[0])
    list.from = .owned(from)
    list.soFar = .owned(Array(rest.prefix(numbers[2])))
    add(rest.dropFirst(numbers[2]))
    let isFull = request.context.hasMemoryPressure && !sessions.isEmpty
    if request.isOver || isFull { endEarly(from) } else { next() }
  }

  private func add(_ records: some Collection<UInt8>) {
    guard !records.isEmpty else { return }
    let before = sessions.count
    if !sessions.isEmpty { sessions.append(UInt8(ascii: ",")) }
    sessions += records
    request.context.keeps(more: sessions.count - before)
  }

  /// Ends the page before it is full; the next one begins behind its last session.
  private func endEarly(_ from: [UInt8]) {
    let last = list.soFar?.string.split(separator: " ").dropFirst(2).first.map { Array($0.utf8) }
    let cursor = last ?? (isLimited ? [] : from)
    guard cursor.withUnsafeBufferPointer({ SessionID.isOne($0) }) else {
      return request.end(.failed(RequestError(.unavailable, "the list took too long; retry")))
    }
    answer(with: Array("],\"cursor\":\"".utf8) + cursor + Array("\"}".utf8))
  }

  private func end(_ outcome: ScriptOutcome) {
    guard case .line(let line, _) = outcome, line.starts(with: DeviceList.head) else {
      return request.end(outcome)
    }
    guard !sessions.isEmpty || total != nil else { return request.end(outcome) }
    answer(with: line.dropFirst(DeviceList.head.count))
  }

  /// Answers with what was read before, and with the last records and what comes behind them.
  private func answer(with rest: some Collection<UInt8>) {
    let comma = sessions.isEmpty || rest.first == UInt8(ascii: "]") ? [] : [UInt8(ascii: ",")]
    let number = total.map { Array(",\"total\":\($0)".utf8) } ?? []
    request.end(
      DeviceList.head + sessions + comma + Array(rest).dropLast() + number
        + [UInt8(ascii: "}")])
  }
}

/// A request for list_device.lua.
struct ListDeviceCall: ScriptCall {
  static let script = Script.listDevice
  let device: ArgumentText
  let filter: ArgumentText?
  let fields: ArgumentText?
  var limit: Int64
  var from: ArgumentText?
  /// How far the page is; nil if it is to be read in one call.
  var soFar: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(filter)
    words.word(fields)
    words.word(limit)
    words.word(from)
    words.word(soFar)
  }
}
