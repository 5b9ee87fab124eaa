// Owns: a serving loop's handling of its connections: their lines, their waits, their end. Runs on
// the loop's thread.

internal import Events
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Service
internal import Settings
internal import Store
internal import Wire

extension ServingLoop: ConnectionOwner {
  /// Counts a request that is going to be answered.
  ///
  /// Its bytes count as kept if they are many; the small ones have their most in `--max-requests`.
  func take(from connection: Connection, lineBytes: Int = 0) -> Ticket {
    inFlight += 1
    var ticket = Ticket(
      client: connection.id.packed, slot: connection.takeRequest(), verb: unknownVerbRow,
      arrivedNs: loop.nowNs)
    if lineBytes > Connection.littleBytes {
      ticket.keptBytes = lineBytes
      buffered.add(lineBytes)
    }
    return ticket
  }

  /// A request is answered, or its caller is gone.
  func forget(_ ticket: Ticket) {
    inFlight -= 1
    if ticket.keptBytes > 0 { buffered.add(-ticket.keptBytes) }
    if !traces.isEmpty { traces[TracedRequest(ticket)] = nil }
    if !replyTakers.isEmpty { replyTakers[TracedRequest(ticket)] = nil }
    if shared.audit != nil { _ = audit.take(ticket) }
  }

  func lineReceived(_ connection: Connection, _ line: UnsafeBufferPointer<UInt8>) {
    var ticket = take(from: connection, lineBytes: line.count)
    do throws(RequestError) {
      try shedIfDraining(connection)
      try parser.parse(line.span)
      let index = try verbs.find(line.span, parser.verb)
      ticket.verb = index
      let verb = VerbTable.all[index]
      try connection.http?.check(verb)
      guard inFlight <= inFlightMax || verb.isAboutConnection else {
        throw ServingLoop.tooManyRequests
      }
      if !verb.isAboutConnection { try checkRate(connection, verb, bytes: line.count) }
      if line.count > Connection.littleBytes, hasMemoryPressure, !verb.isAboutConnection {
        counters.add(.pressureRequests)
        throw ServingLoop.memoryLimitReached("requests")
      }
      try site.arguments.bind(verb, parser, line.span)
      try checkEvents(connection, verb)
      if let trace = connection.http?.linesTrace { site.arguments.inherit(trace: trace) }
      try runBound(verb, connection, ticket, line)
    } catch {
      answer(ticket, ServingLoop.withoutSecret(error, line, isByHTTP: connection.http != nil))
    }
  }

  func mayFollow(_ run: StepRun, _ line: UnsafeBufferPointer<UInt8>) -> Bool {
    do throws(RequestError) {
      try parser.parse(line.span)
      let verb = try verbs.find(line.span, parser.verb)
      guard let word = parser.words.first, !word.isQuoted else { return false }
      return run.allows(verb: verb, line[word.range].prefix { $0 != UInt8(ascii: "/") })
    } catch {
      return false
    }
  }

  /// Counts a request during a drain, and refuses it in the drain's last part.
  private func shedIfDraining(_ connection: Connection) throws(RequestError) {
    if isStopping { connection.drainTally.requests += 1 }
    guard isShedding else { return }
    connection.drainTally.hasNotice = true
    throw ServingLoop.draining
  }

  private static let tooManyRequests = RequestError(
    .overloaded, "too many requests are under way; nothing was done, retry after a pause")

  /// The error for long requests, or replies, under memory pressure.
  static func memoryLimitReached(_ what: String) -> RequestError {
    RequestError(
      .overloaded,
      "memory limit reached (--max-buffered): \(what) over \(Connection.littleBytes) bytes are "
        + "refused for now; nothing was done, retry after a pause")
  }

  static let draining = RequestError(
    .draining, "this worker is stopping; nothing was done, retry on a new connection")

  static let noAuthentication = RequestError(
    .badRequest, "no authentication is configured on this worker")

  /// The error of a line that cannot be parsed, without its text if the line is an AUTH.
  private static func withoutSecret(
    _ error: RequestError, _ line: UnsafeBufferPointer<UInt8>, isByHTTP: Bool
  ) -> RequestError {
    let isAuth = line.count >= 4 && zip(line, "AUTH".utf8).allSatisfy { $0 & 0xDF == $1 }
    guard isAuth, error.code == .badRequest, error != noAuthentication else { return error }
    guard !isByHTTP else { return HTTPWire.takesNoAuth }
    return RequestError(
      .badRequest,
      "AUTH takes one word, the secret, or jwt or ticket and one of these: \(AuthVerb.verb.usage)")
  }

  func run(
    _ line: [UInt8], for caller: any RequestCaller, _ ticket: Ticket, takes: @escaping ReplyTaker
  ) {
    replyTakers[TracedRequest(ticket)] = takes
    guard let connection = connections[caller.id] else {
      return answer(ticket, RequestError(.unavailable, "its caller is gone; nothing was done"))
    }
    do throws(RequestError) {
      let verb: Verb = try line.withUnsafeBufferPointer { (line) throws(RequestError) in
        try parser.parse(line.span)
        return VerbTable.all[try verbs.find(line.span, parser.verb)]
      }
      try line.withUnsafeBufferPointer { (line) throws(RequestError) in
        // It was counted when it came.
        try site.arguments.bind(verb, parser, line.span)
        try runBound(verb, connection, ticket, line)
      }
    } catch {
      answer(ticket, error)
    }
  }

  /// Runs a request whose words and options are the site's now.
  private func runBound(
    _ verb: Verb, _ connection: Connection, _ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>,
    _ read: ReadRequest? = nil
  ) throws(RequestError) {
    let waitMs = site.arguments[.wait]?.number ?? site.arguments[.settle]?.number ?? 0
    if waitMs > 0 { try checkWaiters(connection) }
    if logsRequests, let trace = site.arguments.trace {
      traces[TracedRequest(ticket)] = String(decoding: trace, as: UTF8.self)
    }
    guard !site.arguments.decoded.isEmpty else {
      return try run(makeCall(verb, connection, ticket, line, read), of: connection)
    }
    // Quoted words were decoded into a copy, which has to stay where it is during the call.
    let decoded = site.arguments.decoded
    let failure: RequestError? = decoded.withUnsafeBufferPointer { text in
      do throws(RequestError) {
        try run(makeCall(verb, connection, ticket, text, read), of: connection)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  private func run(
    _ call: borrowing Call, of connection: Connection
  ) throws(RequestError) {
    if shared.audit != nil {
      audit.note(
        call.ticket,
        Audit.Noted(call: call.audited, peer: connection.peer, wire: connection.wire))
    }
    try call.run()
  }

  private func makeCall(
    _ verb: Verb, _ connection: Connection, _ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>,
    _ read: ReadRequest?
  ) -> Call {
    Call(
      context: self, caller: connection, verb: verb, site: site,
      checksAccess: principals != nil || connection.principal != nil, ticket: ticket, text: text,
      read: read)
  }

  func largeLineReceived(_ connection: Connection, _ line: [UInt8]) {
    let ticket = take(from: connection, lineBytes: line.capacity)
    do throws(RequestError) {
      try shedIfDraining(connection)
      guard inFlight <= inFlightMax else { throw ServingLoop.tooManyRequests }
      try checkRate(connection, nil, bytes: line.count)
      guard !hasMemoryPressure else {
        counters.add(.pressureRequests)
        throw ServingLoop.memoryLimitReached("requests")
      }
      // The requests behind it must see what it does.
      connection.hold()
      lineReader.read(
        LargeLine(
          ticket: ticket, bytes: line, beginsByMs: loop.nowMs + settings.requestTimeoutMs))
    } catch {
      connection.largeLineRead()
      answer(ticket, error)
    }
  }

  /// Goes on with a large request; its time starts now.
  func lineRead(_ line: ReadLine) {
    var ticket = line.ticket
    ticket.arrivedNs = loop.nowNs
    guard let connection = connections[ConnectionID(packed: ticket.client)], !connection.isClosed
    else { return forget(ticket) }
    // A request of several steps holds it again.
    connection.largeLineRead()
    do throws(RequestError) {
      let read = try line.outcome.get()
      site.arguments = read.arguments
      if let trace = connection.http?.linesTrace { site.arguments.inherit(trace: trace) }
      // They may have a copy of the line.
      defer { site.arguments = Arguments(deviceIDs: settings.deviceIDs) }
      let verb = VerbTable.all[ticket.verb]
      try checkEvents(connection, verb)
      let failure: RequestError? = line.bytes.withUnsafeBufferPointer { bytes in
        do throws(RequestError) {
          try runBound(verb, connection, ticket, bytes, read)
          return nil
        } catch {
          return error
        }
      }
      if let failure { throw failure }
    } catch {
      let failure = line.bytes.withUnsafeBufferPointer {
        ServingLoop.withoutSecret(error, $0, isByHTTP: connection.http != nil)
      }
      answer(ticket, failure)
    }
  }

  func otherProtocolFound(_ connection: Connection, _ other: OtherProtocol) {
    answer(take(from: connection), other.error)
    connection.finish(.otherProtocol)
    shared.log.repeated(
      .warn, "a connection that speaks another protocol was closed", cause: other.rawValue,
      ["protocol": other.rawValue, "from": connection.peer?.description ?? "?"])
  }

  func lineTooLong(_ connection: Connection, limitBytes: Int) {
    let isUnknown = principals != nil && connection.principal == nil
    let room = "this line may have \(limitBytes) bytes at most"
    answer(
      take(from: connection),
      RequestError(.tooLarge, isUnknown ? "\(room) before AUTH" : room))
  }

  func longLineBegins(_ connection: Connection) -> Bool {
    guard longLinesNow < settings.longLinesMax else { return false }
    longLinesNow += 1
    return true
  }

  func longLineEnded(_ connection: Connection) { longLinesNow -= 1 }

  func lineRefused(_ connection: Connection, _ why: LineRefusal) {
    switch why {
    case .longLines:
      answer(
        take(from: connection),
        RequestError(.overloaded, "too many long lines of IMPORT at once; retry"))
    case .memoryLimit:
      counters.add(.pressureRequests)
      answer(take(from: connection), ServingLoop.memoryLimitReached("requests"))
    }
  }

  var hasMemoryPressure: Bool { buffered.isOver }

  func keeps(more bytes: Int) { buffered.add(bytes) }

  func readingPaused(_ connection: Connection) { counters.add(.pressureReadPauses) }

  /// A line has not ended in time: answers with an error, then closes.
  func lineStalled(_ connection: Connection) {
    guard !connection.awaitsProxyHeader else { return proxyHeaderMissing(connection) }
    let most = SettingText.duration(ms: settings.lineTimeoutMs)
    if let http = connection.http {
      let refusal = HTTPRefusal(.requestTimeout, "a request has to end within \(most)")
      return connection.endHTTP(http, refusal, .stalled)
    }
    answer(
      take(from: connection), RequestError(.badRequest, "a line has to end within \(most)"))
    connection.finish(.stalled)
  }

  func hasOutput(_ connection: Connection) { turnEnd.hasOutput(connection) }

  func resumeLater(_ connection: Connection) { turnEnd.resumes(connection) }

  func yields(_ connection: Connection) { turnEnd.rests(connection) }

  func handedOver(_ connection: Connection) { subscriptions.handedOver(connection.id) }

  func outputSent(_ connection: Connection) { subscriptions.outputSent(connection) }

  func inputEnded(_ connection: Connection) {
    subscriptions.inputEnded(connection.id)
    waits.inputEnded(connection.id)
  }

  func lingers(_ connection: Connection) {
    let ms = drain == nil ? Lingering.usualMs : Lingering.drainMs
    let isFirst = lingering.nextMs == nil
    lingering.add(connection.id, untilMs: loop.nowMs + ms)
    if isFirst { lingerEnd?.set(afterMs: ms) }
  }

  /// Closes the connections whose callers have not closed their side in time.
  func endLingering() {
    let now = loop.nowMs
    while let id = lingering.takeDue(nowMs: now) { connections[id]?.endLingering() }
    if let nextMs = lingering.nextMs { lingerEnd?.set(afterMs: max(1, nextMs - now)) }
  }

  func closed(_ connection: Connection, _ reason: CloseReason) {
    connections.remove(connection.id)
    subscriptions.closed(connection.id)
    waits.closed(connection.id)
    leave(connection)
    counters.addClosed(reason)
    if shared.log.isDebugging {
      shared.log.debug(
        "connection closed", ["connection": logName(connection), "reason": reason.rawValue])
    }
    assert(
      connections.count + inFlight > 0 || buffered.own == 0, "bytes are kept without a connection")
  }

  func takeBuffer() -> [UInt8] { buffers.take() }

  func giveBack(_ buffer: inout [UInt8]) { buffers.giveBack(&buffer) }
}
