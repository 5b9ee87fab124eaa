// Owns: what a connection that speaks HTTP knows beside what each connection does: the request
// that is coming, and the form of each response that is awaited. Its connection's loop.

internal import Metrics
internal import Service
internal import Wire

/// The state of HTTP on one connection.
final class HTTPWire {
  /// What becomes of the body that is coming.
  enum Body {
    case payload, lines, discarded
  }

  /// A stream of events has a comment when it was silent for so long, in ms: streams are looked at
  /// once a second, so that none is silent for more than 15 s.
  static let commentMs: Int64 = 14_000

  /// A response has room for so many bytes between two requests.
  private static let keptBytesMax = 1_024

  var reader = HTTPReader()
  /// The form of the response to the request that is coming.
  var current = HTTPExchange()
  /// A head that has come, and whose request may have to wait.
  var waitingHead: HTTPHead?
  /// Whether that one waits until all earlier requests are answered.
  var awaitsQuiet = false
  var body = Body.discarded
  /// Whether the request that is coming has its response already, so that it gets no second one.
  var isAnswered = false
  var line = HTTPRequestLine()
  /// Whether the line is whole, and may have to wait.
  var hasLine = false
  var isImport = false
  /// Whether the connection ends after a body of lines.
  var closesAfterLines = false
  /// The header traceparent of a body of lines, for those without a `trace=` of their own.
  var linesTrace: [UInt8]?
  /// What came of a body of lines and was not taken yet.
  var lineInput: [UInt8] = []
  /// Whether a body of lines has ended, and its response has not.
  var lineInputEnds = false
  /// The latest request's header Authorization, which its principal was found by.
  var authorization: [UInt8]?
  /// Why the connection ends with its latest response.
  var endReason = CloseReason.quit
  /// Whether nothing is read any more: the connection ends with its latest response, or is a
  /// stream of events.
  private(set) var isDeaf = false
  /// Whether the response is a stream of events that has begun.
  var isStreaming = false
  /// When a stream was last sent anything, in monotonic ms.
  var sentAtMs: Int64 = 0

  /// The forms of the responses that are awaited, from that of `firstSlot` on; nil for those that
  /// were given before their turn.
  private var exchanges: [HTTPExchange?] = []
  private var firstSlot: UInt64 = 0
  private var response: [UInt8] = []

  /// The bytes that are kept.
  var heldBytes: Int {
    reader.heldBytes + line.bytes.capacity + lineInput.capacity + response.capacity
      + (authorization?.capacity ?? 0)
  }
  /// Whether a request has begun and was not taken.
  var holdsPart: Bool {
    !isDeaf
      && (reader.holdsPart || waitingHead != nil || hasLine || !lineInput.isEmpty || lineInputEnds)
  }

  /// Nothing more is read.
  func stopReading() {
    reader.stop()
    (waitingHead, hasLine, lineInput, lineInputEnds, isDeaf) = (nil, false, [], false, true)
    line = HTTPRequestLine()
  }

  /// The connection has ended: nothing is kept.
  func end() {
    stopReading()
    (exchanges, response, authorization) = ([], [], nil)
  }

  /// A request gets its slot.
  func asked() { exchanges.append(current) }

  /// The form of the response in a slot, which is given now.
  private func answered(_ slot: UInt64) -> HTTPExchange {
    let index = Int(slot - firstSlot)
    let exchange = exchanges[index] ?? HTTPExchange()
    exchanges[index] = nil
    if index == 0 {
      let given = exchanges.prefix { $0 == nil }.count
      exchanges.removeFirst(given)
      firstSlot += UInt64(given)
      if exchanges.isEmpty, exchanges.capacity > 64 { exchanges = [] }
    }
    return exchange
  }

  /// Makes the response in a slot from its reply line; `isLast` if the worker is stopping and none
  /// is to follow.
  ///
  /// Returns whether the connection ends after it.
  func respond(
    _ slot: UInt64, _ line: UnsafeBufferPointer<UInt8>, isLast: Bool, nowMs: Int64,
    _ common: HTTPCommonFields,
    _ body: (UnsafeBufferPointer<UInt8>) -> Void
  ) -> Bool {
    var exchange = answered(slot)
    response.removeAll(keepingCapacity: true)
    switch exchange.kind {
    case .request:
      if isLast { exchange.closes = true }
      response.appendResponse(line, exchange, common: common)
    case .line:
      response.appendLineChunk(line)
      if exchange.closes { response.appendLastChunk() }
    case .whole: response.append(contentsOf: line)
    case .stream:
      exchange.closes = true
      isStreaming = line.starts(with: "OK".utf8)
      sentAtMs = nowMs
      if isStreaming {
        response.appendStreamHead(line, exchange, common: common)
        exchange.closes = false
      } else {
        response.appendResponse(line, exchange, common: common)
      }
    }
    response.withUnsafeBufferPointer(body)
    // What one caller needed once is not kept for it.
    if isStreaming || response.capacity > HTTPWire.keptBytesMax { response = [] }
    return exchange.closes
  }

  /// The response with which a connection is refused.
  func rejection(_ line: [UInt8], _ common: HTTPCommonFields) -> [UInt8] {
    var (exchange, bytes) = (HTTPExchange(), [UInt8]())
    exchange.closes = true
    line.withUnsafeBufferPointer { bytes.appendResponse($0, exchange, common: common) }
    return bytes
  }

  /// An `EVENT` line as an event of the stream.
  func event(_ line: [UInt8], nowMs: Int64) -> [UInt8] {
    var bytes: [UInt8] = []
    line.withUnsafeBufferPointer { bytes.appendStreamEvent($0) }
    sentAtMs = nowMs
    return bytes
  }

  /// The refusal of AUTH.
  static let takesNoAuth = RequestError(
    .badRequest,
    "by HTTP a secret comes with each request, or a token: Authorization: Bearer SECRET")

  /// Refuses verbs that are about a connection of lines.
  func check(_ verb: Verb) throws(RequestError) {
    switch verb.name {
    case "AUTH": throw HTTPWire.takesNoAuth
    case "WATCH" where current.kind != .stream:
      throw RequestError(
        .badRequest, "by HTTP events are a response of their own: GET /v1/watch/ADDRESS")
    case "UNWATCH":
      throw RequestError(.badRequest, "by HTTP a watch ends with its connection: close it")
    case "QUIT" where current.kind == .line:
      throw RequestError(.badRequest, "by HTTP lines end with the body: leave QUIT out")
    default: break
    }
  }
}
