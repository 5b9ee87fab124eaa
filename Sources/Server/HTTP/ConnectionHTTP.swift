// Owns: how a connection that speaks HTTP takes requests: each becomes a line, which is taken like
// one. Runs on its loop's thread.

internal import Loop
internal import Metrics
internal import Service
internal import Wire

extension Connection {
  /// Takes requests until there are none, the connection is parked, or the turn's share is used
  /// up.
  func takeHTTP(_ http: HTTPWire, _ chunk: UnsafeBufferPointer<UInt8>) {
    var (at, taken) = (0, 0)
    while machine.takesRequests {
      guard taken < Connection.linesPerTurn else {
        hold()
        owner.yields(self)
        break
      }
      if http.isDeaf {
        (at, lineSinceMs) = (chunk.count, nil)
        break
      }
      if goesOn(http, &taken) { continue }
      guard machine.takesRequests else { break }
      switch http.reader.next(in: chunk.span, at: &at) {
      case .needMore:
        lineSinceMs = http.holdsPart ? lineSinceMs ?? activeAtMs : nil
        http.reader.forgetLargeHead()
        return account()
      case .head(let head):
        if lineSinceMs == nil { lineSinceMs = activeAtMs }
        http.waitingHead = head
      case .body(let range): takeBody(http, UnsafeBufferPointer(rebasing: chunk[range]))
      case .end:
        taken += 1
        endRequest(http)
      case .refused(let refusal): endHTTP(http, refusal, .malformed)
      }
    }
    if at < chunk.count, !machine.isEnding { backlog.bytes += chunk[at...] }
    if backlog.isWaiting { watchAsNeeded() }
    account()
  }

  /// Goes on with what was left before more is read; returns whether there was anything.
  private func goesOn(_ http: HTTPWire, _ taken: inout Int) -> Bool {
    if let head = http.waitingHead {
      guard mayBegin(http, head) else { return false }
      http.waitingHead = nil
      begin(http, head)
    } else if http.hasLine {
      return takeLine(http)
    } else if framer.hasJoinedLine {
      takeJoinedLine()
      return !framer.hasJoinedLine
    } else if !http.lineInput.isEmpty {
      takeLines(http, &taken)
    } else if http.lineInputEnds {
      http.lineInputEnds = false
      answerWhole(http) { $0.appendLastChunk() }
      requestTaken(http)
    } else {
      return false
    }
    return true
  }

  /// Whether a request may begin, or waits until the earlier ones are answered: one of another
  /// principal does, since they look at theirs, and one that asks first, since the word to go on
  /// would stand before their responses.
  private func mayBegin(_ http: HTTPWire, _ head: HTTPHead) -> Bool {
    guard machine.unanswered > 0 else { return true }
    let text = http.reader.head
    let ticket = HTTPRequestLine.ticket(head, text.span, owner.verbs)
    let given = ticket ?? head.authorization.map { Array(text[$0]) }
    let isSame = (given ?? []).elementsEqual(http.authorization ?? [])
    guard !isSame || head.expectsContinue else { return true }
    http.awaitsQuiet = true
    hold()
    return false
  }

  // MARK: - Heads

  private func begin(_ http: HTTPWire, _ head: HTTPHead) {
    http.current = HTTPExchange()
    http.current.closes = !head.isKept
    http.current.hasNoBody = head.method == .head
    http.isAnswered = false
    http.linesTrace = nil
    http.closesAfterLines = false
    http.body = .discarded
    do throws(HTTPRefusal) {
      guard try !owner.httpBegins(self, http, head) else {
        http.isAnswered = true
        return answerWhole(http) {
          $0.appendPreflight(
            http.current, common: owner.httpFields, isForPrivateNetwork: head.asksForPrivateNetwork)
        }
      }
      let text = http.reader.head
      switch try HTTPRequestLine.route(head, text.span, owner.verbs) {
      case .lines: try checkLines(http, head)
      case .verb(let index): try beginLine(http, head, VerbTable.all[index])
      }
      let isAwaited = http.body != .discarded && head.framing != .none
      if head.expectsContinue, isAwaited { sendContinue() }
      if http.body == .lines { beginLines(http, head) }
    } catch {
      // A body that was asked about first may come or not.
      if head.expectsContinue { http.current.closes = true }
      owner.httpRefused(self, error, isMalformed: false)
    }
  }

  private func checkLines(_ http: HTTPWire, _ head: HTTPHead) throws(HTTPRefusal) {
    try require(.post, http, head, "lines are sent by POST")
    guard head.query == nil, head.idempotencyKey == nil else {
      throw HTTPRefusal(.badRequest, "options of lines stand in the lines")
    }
    http.body = .lines
  }

  /// Begins the response, which the replies are a part of.
  private func beginLines(_ http: HTTPWire, _ head: HTTPHead) {
    let text = http.reader.head
    if let trace = head.traceParent, TraceText.isParent(text.span.extracting(trace)) {
      http.linesTrace = Array(text[trace])
    }
    let exchange = http.current
    http.closesAfterLines = exchange.closes
    http.current.closes = false
    answerWhole(http) { $0.appendLinesHead(exchange, common: owner.httpFields) }
    http.current.kind = .line
  }

  private func beginLine(
    _ http: HTTPWire, _ head: HTTPHead, _ verb: Verb
  ) throws(HTTPRefusal) {
    let text = http.reader.head
    if verb.name == "WATCH" {
      try require(.get, http, head, "events are sent as the response to GET")
      http.current.kind = .stream
    } else if !verb.onlyReads || HTTPRequestLine.hasOption("group", head, text.span) {
      try require(.post, http, head, "\(verb.name) changes something: send it by POST")
    } else if head.method != .get {
      try require(.post, http, head, "send \(verb.name) by GET or POST")
    }
    guard head.method == .post || head.framing == .none else {
      throw HTTPRefusal(.badRequest, "a GET has no body: send it by POST")
    }
    if verb.name == "QUIT" { http.current.closes = true }
    try http.line.begin(verb, head, text.span)
    http.isImport = verb.payload == .record
    http.body = .payload
    if case .length(let count) = head.framing {
      checkLength(http, count, isAwaited: head.expectsContinue)
    }
  }

  private func require(
    _ method: HTTPHead.Method, _ http: HTTPWire, _ head: HTTPHead, _ text: String
  ) throws(HTTPRefusal) {
    guard head.method != method else { return }
    http.current.allows = method
    throw HTTPRefusal(.methodNotAllowed, text)
  }

  private func sendContinue() {
    output += "HTTP/1.1 100 Continue\r\n\r\n".utf8
    owner.hasOutput(self)
  }

  // MARK: - Bodies

  private func lineBytesMax(_ http: HTTPWire) -> Int {
    http.isImport ? max(framer.lineBytesMax, framer.longLineBytesMax) : framer.lineBytesMax
  }

  /// Refuses a body that says at its begin that it is too long.
  ///
  /// One that the caller has asked about first may come or not.
  private func checkLength(_ http: HTTPWire, _ count: Int, isAwaited: Bool) {
    guard count > lineBytesMax(http) else { return }
    if isAwaited { http.current.closes = true }
    (http.body, http.isAnswered) = (.discarded, true)
    owner.lineTooLong(self, limitBytes: lineBytesMax(http))
  }

  private func takeBody(_ http: HTTPWire, _ part: UnsafeBufferPointer<UInt8>) {
    switch http.body {
    case .discarded: break
    case .lines: http.lineInput += part
    case .payload:
      http.line.append(part)
      let count = http.line.bytes.count
      if count > lineBytesMax(http) {
        refuseBody(http) { owner.lineTooLong(self, limitBytes: lineBytesMax(http)) }
      } else if count > Connection.littleBytes, owner.hasMemoryPressure {
        refuseBody(http) { owner.lineRefused(self, .memoryLimit) }
      } else if count > framer.lineBytesMax, !hasLongLine {
        hasLongLine = owner.longLineBegins(self)
        if !hasLongLine { refuseBody(http) { owner.lineRefused(self, .longLines) } }
      }
    }
  }

  private func refuseBody(_ http: HTTPWire, _ answer: () -> Void) {
    endLongLine()
    http.body = .discarded
    http.line.clear()
    answer()
    http.isAnswered = true
  }

  private func endRequest(_ http: HTTPWire) {
    lineSinceMs = nil
    switch http.body {
    case .discarded: requestTaken(http)
    case .lines:
      // The end of the body is that of its last line.
      if framer.holdsPartialLine || !http.lineInput.isEmpty {
        http.lineInput.append(UInt8(ascii: "\n"))
      }
      http.lineInputEnds = true
    case .payload:
      do throws(HTTPRefusal) {
        try http.line.end()
        http.hasLine = true
      } catch {
        refuseBody(http) { owner.httpRefused(self, error, isMalformed: false) }
        requestTaken(http)
      }
    }
  }

  // MARK: - Requests

  /// Takes the line that a request has become; or parks.
  private func takeLine(_ http: HTTPWire) -> Bool {
    guard http.line.bytes.withUnsafeBufferPointer({ mayTake($0) }) else { return false }
    http.hasLine = false
    // The loop is asked for the wire's state while it has the line.
    let line = http.line.take()
    if line.count > Connection.largeLineBytes {
      owner.largeLineReceived(self, line)
    } else {
      line.withUnsafeBufferPointer { owner.lineReceived(self, $0) }
      endLongLine()
    }
    requestTaken(http)
    return true
  }

  /// Takes lines of a body, as far as they may be taken now.
  private func takeLines(_ http: HTTPWire, _ taken: inout Int) {
    let input = http.lineInput
    http.lineInput = []
    var at = 0
    input.withUnsafeBufferPointer { chunk in
      while machine.takesRequests, taken < Connection.linesPerTurn {
        taken += 1
        switch framer.next(in: chunk.span, at: &at) {
        case .line(let range):
          // Each line has its own time.
          lineSinceMs = activeAtMs
          guard take(line: UnsafeBufferPointer(rebasing: chunk[range])) else {
            at = range.lowerBound
            return
          }
        case .joinedLine:
          lineSinceMs = activeAtMs
          takeJoinedLine()
          if framer.hasJoinedLine { return }
        case .tooLong: refuseTooLong()
        case .needMore:
          if framer.holdsPartialLine { checkPartialLine() }
          return
        case .otherProtocol: return
        }
      }
    }
    http.lineInput = at < input.count ? Array(input[at...]) : []
  }

  /// The request that was coming is taken, or refused: another one may follow.
  private func requestTaken(_ http: HTTPWire) {
    http.isAnswered = false
    let ends = http.current.closes || http.current.kind == .stream || http.closesAfterLines
    guard ends else {
      http.current = HTTPExchange()
      return
    }
    http.stopReading()
    if http.closesAfterLines { finish(.quit) }
  }

  /// Refuses the request that is coming, whose end cannot be found or does not come; nothing more
  /// is taken.
  ///
  /// Within a response of lines the refusal is the last of them.
  func endHTTP(_ http: HTTPWire, _ refusal: HTTPRefusal, _ reason: CloseReason) {
    endLongLine()
    if http.current.kind != .line { http.current = HTTPExchange() }
    (http.current.closes, http.endReason) = (true, reason)
    owner.httpRefused(self, refusal, isMalformed: reason == .malformed)
    http.stopReading()
    finish(reason)
  }

  /// Gives a response, or a part of one, that is no reply to a line.
  private func answerWhole(_ http: HTTPWire, _ write: (inout [UInt8]) -> Void) {
    let kind = http.current.kind
    http.current.kind = .whole
    let slot = takeRequest()
    http.current.kind = kind
    var bytes: [UInt8] = []
    write(&bytes)
    bytes.withUnsafeBufferPointer { answer(slot, $0) }
  }

  // MARK: - Output

  /// Takes a reply and appends what is in turn to the output; returns how many responses that
  /// were.
  func respond(
    _ http: HTTPWire, _ slot: UInt64, _ line: UnsafeBufferPointer<UInt8>, closes: inout Bool
  ) -> Int {
    var count = 0
    let isLast = owner.isStopping && replies.isLatest(slot)
    closes = http.respond(
      slot, line, isLast: isLast, nowMs: MonotonicTime.nowMs(), owner.httpFields
    ) {
      count = replies.answer(slot, $0, into: &output)
    }
    return count
  }

  /// All responses are given, for which a request of another principal has waited.
  func beginWaiting(_ http: HTTPWire) {
    guard http.awaitsQuiet, machine.unanswered == 0 else { return }
    http.awaitsQuiet = false
    release()
  }

  /// Sends a comment on a stream that had nothing else for long enough.
  func keepStreamAlive(nowMs: Int64) {
    guard let http, http.isStreaming, nowMs - http.sentAtMs >= HTTPWire.commentMs else { return }
    http.sentAtMs = nowMs
    guard unreadBytes == 0, !isEnding else { return }
    output.append(HTTPResponse.comment)
    owner.hasOutput(self)
  }
}
