// Owns: one client's socket, its input up to the end of a line, and its unread output. Must not
// know what requests mean. Runs on its loop's thread.

internal import Access
internal import Events
internal import Loop
internal import Metrics
internal import Settings
internal import Store
internal import Wire

/// The shell of one client connection.
final class Connection: FileWatchOwner, Subscriber {
  let id: ConnectionID
  unowned let owner: any ConnectionOwner
  private var stream: CallerStream
  private var transport: Transport { stream.transport }
  private var watch: FileWatch?
  private(set) var machine: ConnectionMachine
  var framer: LineFramer
  /// What it knows besides where it speaks HTTP; nil where it speaks lines.
  let http: HTTPWire?
  /// Whether it comes from within the process, for the page.
  let isInternal: Bool
  var replies = ReplyQueue()
  var backlog = Backlog()
  /// Its latest requests that may take more steps.
  var steps = StepRun()
  let lineBytesMax: Int
  private let longLineBytesMax: Int
  let unreadBytesMax: Int
  /// Whether it has one of the places for lines that are longer than usual.
  var hasLongLine = false
  var output: [UInt8] = []
  private var outputSent = 0
  /// Bytes up to the end of a reply whose delivery to the kernel is awaited; 0 if none is.
  private var bytesToHandOver = 0
  /// Whether its owner waits for all output to be with the kernel.
  var announcesSent = false
  /// The bytes that this connection keeps, as last reported to the loop.
  private(set) var keptBytes = 0
  /// Whether it stands in the loop's list of those that have output.
  var isListedForOutput = false

  /// Its requests since the signal to stop, and their replies.
  var drainTally = DrainTally()
  /// What is sent before the end, when all replies are with the kernel.
  var lastLine: [UInt8] = []
  /// Whether its caller was rejected by admission.
  var isRefused = false
  /// The host that it is counted for.
  var host: PeerAddress?
  /// The address of its peer.
  var peer: PeerAddress?
  /// The authenticated principal; nil before AUTH.
  var principal: Principal?
  /// What it counts for among the principal's connections.
  var use = CallerUse()
  /// Its part in what the loop has under way.
  var part: CallerPart
  /// Whether there was input behind the latest line.
  private var hasMoreInput = false
  /// When it is looked at next because of its token's end, in monotonic ms.
  var notedEndMs = Int64.max
  /// Wrong secrets and tokens in a row.
  var authFailures = 0
  /// Since when it has been unauthenticated, in monotonic ms.
  var unknownSinceMs: Int64
  /// When the latest bytes came, in monotonic ms.
  private(set) var activeAtMs: Int64
  /// When the bytes came that made the latest request, in monotonic ms; empty lines make none.
  private(set) var askedAtMs: Int64
  /// When the line began that has not ended, in monotonic ms; without the time of not reading.
  var lineSinceMs: Int64?
  /// Since when the kernel takes nothing of what the caller is to get; nil while it does.
  private(set) var blockedSinceMs: Int64?

  init(
    _ id: ConnectionID, _ socket: Socket, loop: EventLoop, owner: any ConnectionOwner,
    limits: Settings, tls: TLSContext? = nil, http: HTTPWire? = nil,
    isInternal: Bool = false, shares: CallerShares = CallerShares()
  ) {
    part = CallerPart(shares)
    (self.id, self.http, self.isInternal) = (id, http, isInternal)
    stream = CallerStream(socket, tls, takesHeader: limits.takesProxyHeader && !isInternal)
    self.owner = owner
    unreadBytesMax = limits.replyBytesMax
    machine = ConnectionMachine(
      unansweredMax: limits.pipelineMax, unreadBytesMax: unreadBytesMax,
      pressureUnreadBytesMax: Connection.littleBytes)
    lineBytesMax = limits.lineBytesMax
    longLineBytesMax = limits.importLineBytesMax
    framer = LineFramer(
      lineBytesMax: limits.lineBytesMax, longLinePrefix: "IMPORT ",
      longLineBytesMax: limits.importLineBytesMax, findsOtherProtocols: http == nil)
    activeAtMs = loop.nowMs
    (askedAtMs, unknownSinceMs) = (activeAtMs, activeAtMs)
    // A header, or a handshake, may take as long as a line.
    if stream.awaitsHeader || stream.isShakingHands { lineSinceMs = activeAtMs }
    watch = FileWatch(loop, socket.descriptor, owner: self)
    watch?.want(.read)
  }

  /// Whether the kernel has input that was not read yet.
  var hasUnreadInput: Bool { transport.hasInput }
  /// Whether the caller awaits nothing and no part of a request has come.
  var isQuiet: Bool {
    machine.isQuiet && !framer.holdsPartialLine && backlog.bytes.isEmpty
      && http?.holdsPart != true
  }

  /// Counts a request and gives the slot of its reply.
  func takeRequest() -> UInt64 {
    askedAtMs = activeAtMs
    // One that does not pipeline has one request under way, whatever its share is.
    let isPipelining = machine.unanswered > 0 || hasMoreInput
    perform(machine.requestTaken(shareMax: isPipelining ? part.most : .max))
    countUnderWay()
    http?.asked()
    return replies.ask()
  }

  /// Whether the replies before that of this slot are with the kernel, and nothing else waits.
  func isNext(_ slot: UInt64) -> Bool { replies.isNext(slot) && outputSent == output.count }

  /// Takes a reply line, its end included unless it is not `isWhole`.
  ///
  /// With `isHandOver` its owner learns when the kernel has all of it; the slot has to be next.
  func answer(
    _ slot: UInt64, _ line: UnsafeBufferPointer<UInt8>, isWhole: Bool = true,
    isHandOver: Bool = false
  ) {
    guard !machine.isClosed else { return }
    if output.isEmpty { output = owner.takeBuffer() }
    var closes = false
    let count =
      if let http {
        respond(http, slot, line, closes: &closes)
      } else {
        replies.answer(slot, line, isWhole: isWhole, into: &output)
      }
    if count == 0 { account() }
    if isHandOver { bytesToHandOver = output.count - outputSent }
    owner.hasOutput(self)
    outputChanged(answers: count)
    if closes { finish(http?.endReason ?? .quit) }
    if let http { beginWaiting(http) }
  }

  /// Takes no further request until `release`: the latest one takes several steps.
  func hold() { perform(machine.held()) }

  /// The same for a request that may wait for long: its caller's going away is noticed.
  func holdForWait() {
    backlog.isWaiting = true
    countUnderWay()
    use.beginWait()
    perform(machine.held())
  }

  /// Goes on after a hold.
  func release() {
    backlog.isWaiting = false
    countUnderWay()
    use.endWait()
    perform(machine.released())
  }

  /// Whether the header of its proxy is still to come.
  var awaitsProxyHeader: Bool { stream.awaitsHeader }

  /// An unauthenticated connection may not send long lines.
  func setLineLimits(isKnown: Bool) {
    let bytesMax = isKnown ? Int.max : Connection.unknownBytesMax
    framer.lineBytesMax = min(lineBytesMax, bytesMax)
    framer.longLineBytesMax = min(longLineBytesMax, bytesMax)
  }

  private var readsInput: Bool {
    machine.takesRequests
      || (!machine.isEnding && backlog.readsAhead(hasMemoryPressure: owner.hasMemoryPressure))
  }

  /// Sends a line that answers no request, then closes.
  func reject(_ line: [UInt8], _ reason: CloseReason) {
    output += http?.rejection(line, owner.httpFields) ?? line
    owner.hasOutput(self)
    perform(machine.outputChanged(unreadBytes: unreadBytes))
    finish(reason)
  }

  /// Answers what is outstanding, then closes.
  func finish(_ reason: CloseReason) { perform(machine.finish(reason)) }

  /// Its caller has had long enough to close its side.
  func endLingering() { perform(machine.lingeringEnded()) }

  /// Closes now.
  func abort(_ reason: CloseReason) { perform(machine.abort(reason)) }

  var unreadBytes: Int { output.count - outputSent + replies.earlyBytes }

  /// Reports the change of the bytes that are kept to the loop: allocated bytes, not only used
  /// ones.
  ///
  /// Not called for the usual request, which comes whole and whose reply is read: it keeps nothing.
  func account() {
    let now =
      framer.heldBytes + backlog.bytes.capacity + stream.keptBytes + output.capacity
      + replies.heldBytes + (http?.heldBytes ?? 0)
    guard now != keptBytes else { return }
    owner.keeps(more: now - keptBytes)
    keptBytes = now
  }
}

// MARK: Input

extension Connection {
  func fileReady(_ readiness: Readiness) {
    if stream.isShakingHands { return shakeHands() }
    // A readiness that the transport itself has asked for may let reading or writing go on.
    let wants = transport.wants
    if readiness.canWrite || wants.canRead { sendOutput() }
    if readiness.canRead || wants.canWrite { readOn() }
  }

  private func shakeHands() {
    switch stream.shakeHands() {
    case .underWay: watchAsNeeded()
    case .failed(let reason):
      owner.handshakeFailed(self, reason)
      abort(.handshake)
    case .plain: owner.tlsMissing(self)
    case .done:
      lineSinceMs = nil
      sendOutput()
      readOn()
    }
  }

  /// Reads once, and again where the transport has more of which the poller knows nothing.
  private func readOn() {
    repeat {
      if readsInput { readInput() } else if machine.isLingering { discardInput() }
    } while (readsInput || machine.isLingering) && transport.hasBufferedInput
    if backlog.isWaiting { watchAsNeeded() }
  }

  /// Throws away what comes after the end, until the caller closes its side.
  private func discardInput() {
    switch transport.read(into: owner.readBuffer) {
    case .moved, .wouldBlock: break
    case .ended, .broken: endLingering()
    }
  }

  private func readInput() {
    // Taken once: each use counts references. Input that cannot be parsed now is kept.
    let (owner, room) = (owner, owner.readBuffer)
    let most = owner.hasMemoryPressure ? Connection.littleBytes : room.count
    switch transport.read(into: UnsafeMutableRawBufferPointer(rebasing: room[..<most])) {
    case .moved(let count):
      activeAtMs = MonotonicTime.nowMs()
      let bytes = UnsafeRawBufferPointer(rebasing: room[..<count]).assumingMemoryBound(
        to: UInt8.self)
      guard machine.takesRequests else {
        backlog.bytes += bytes
        return account()
      }
      if stream.awaitsHeader { takeHeader(bytes) } else { take(bytes) }
    case .wouldBlock: return
    case .ended: inputEnded()
    case .broken: abort(.broken)
    }
  }

  /// Takes what comes before the first line.
  private func takeHeader(_ chunk: UnsafeBufferPointer<UInt8>) {
    switch stream.takeHeader(chunk) {
    case .needMore: account()
    case .invalid: owner.proxyHeaderMissing(self)
    case .whole(let source, let rest):
      lineSinceMs = nil
      owner.proxied(self, from: PeerAddress(source))
      guard !machine.isClosed else { return }
      guard stream.beginTLS(with: rest) else { return rest.withUnsafeBufferPointer { take($0) } }
      lineSinceMs = activeAtMs
      shakeHands()
    }
  }

  /// Takes lines until there are none, the connection is parked, or the turn's share is used up.
  private func take(_ chunk: UnsafeBufferPointer<UInt8>) {
    if let http { return takeHTTP(http, chunk) }
    var at = 0
    var lines = 0
    let linesMax = part.shares.linesOfEach
    defer { part.shares.took(lines, hadMore: lines == linesMax) }
    let bytes = chunk.span
    while machine.takesRequests {
      guard lines < linesMax else {
        hold()
        owner.yields(self)
        break
      }
      lines += 1
      switch framer.next(in: bytes, at: &at) {
      case .line(let range):
        lineSinceMs = nil
        hasMoreInput = at < bytes.count
        if !take(line: UnsafeBufferPointer(rebasing: chunk[range])) { at = range.lowerBound }
      case .joinedLine:
        lineSinceMs = nil
        takeJoinedLine()
      case .otherProtocol(let other):
        lineSinceMs = nil
        endLongLine()
        owner.otherProtocolFound(self, other)
      case .tooLong: refuseTooLong()
      case .needMore:
        let isPartial = framer.holdsPartialLine
        lineSinceMs = isPartial ? lineSinceMs ?? activeAtMs : nil
        if isPartial || keptBytes > 0 { account() }
        if isPartial { checkPartialLine() }
        return
      }
    }
    if at < chunk.count, !machine.isEnding { backlog.bytes += chunk[at...] }
    if backlog.isWaiting { watchAsNeeded() }
    account()
  }

  /// Refuses the line that is coming, which is over its limit.
  func refuseTooLong() {
    let limitBytes = hasLongLine ? longLineBytesMax : framer.lineBytesMax
    endLongLine()
    owner.lineTooLong(self, limitBytes: limitBytes)
  }

  /// Goes on where it was parked; reading from the socket waits until the backlog is done.
  func resume() {
    if let http {
      takeHTTP(http, UnsafeBufferPointer(start: nil, count: 0))
    } else if machine.takesRequests, framer.hasJoinedLine {
      takeJoinedLine()
    }
    while machine.takesRequests, !backlog.bytes.isEmpty {
      let chunk = backlog.bytes
      backlog.bytes = []
      chunk.withUnsafeBufferPointer { take($0) }
    }
    guard machine.takesRequests else { return }
    if lineSinceMs != nil { lineSinceMs = MonotonicTime.nowMs() }
    guard !backlog.hasEnd else { return finish(.ended) }
    watchAsNeeded()
    if transport.hasBufferedInput { readOn() }
  }

  /// The caller has closed its side: what it asked is answered.
  ///
  /// A line without an end is not a request; it may have been cut.
  private func inputEnded() {
    backlog.hasEnd = true
    owner.inputEnded(self)
    if backlog.bytes.isEmpty { finish(.ended) } else { watchAsNeeded() }
  }
}

// MARK: Output

extension Connection {
  /// Writes what is there; called at the end of a turn and when the socket takes more.
  func sendOutput() {
    guard !stream.isShakingHands else { return }
    while outputSent < output.count {
      let outcome = output.withUnsafeBytes { bytes in
        transport.write(UnsafeRawBufferPointer(rebasing: bytes[outputSent...]))
      }
      switch outcome {
      case .moved(let count):
        outputSent += count
        blockedSinceMs = nil
        if bytesToHandOver > 0 { countHandOver(count) }
      case .wouldBlock:
        if blockedSinceMs == nil { blockedSinceMs = MonotonicTime.nowMs() }
        forgetWhatWasSent()
        account()
        watchAsNeeded()
        outputChanged()
        return
      case .ended, .broken:
        abort(.broken)
        return
      }
    }
    outputSent = 0
    owner.giveBack(&output)
    if keptBytes > 0 { account() }
    watchAsNeeded()
    outputChanged()
    guard announcesSent else { return }
    announcesSent = false
    owner.outputSent(self)
  }

  /// So many bytes more of a hand-over are with the kernel.
  private func countHandOver(_ count: Int) {
    bytesToHandOver = max(0, bytesToHandOver - count)
    if bytesToHandOver == 0 { owner.handedOver(self) }
  }

  /// The output of a caller that always leaves some of it unread would grow without end.
  private func forgetWhatWasSent() {
    guard outputSent > output.count / 2 else { return }
    output.removeFirst(outputSent)
    outputSent = 0
  }

  /// The unread output has changed, by so many answers or otherwise.
  ///
  /// A little of it is counted when it has been offered to the socket, which takes most of it.
  func outputChanged(answers: Int = 0) {
    let unread = unreadBytes
    let shareMax = machine.unanswered > answers ? part.most : .max
    defer { if answers > 0 { countUnderWay() } }
    guard unread >= Connection.littleBytes else {
      return perform(machine.answered(answers, unreadBytes: unread, shareMax: shareMax))
    }
    account()
    let (hasMemoryPressure, wasRead) = (owner.hasMemoryPressure, machine.takesRequests)
    perform(
      machine.answered(
        answers, unreadBytes: unread, hasMemoryPressure: hasMemoryPressure, shareMax: shareMax))
    if hasMemoryPressure, wasRead, unread < unreadBytesMax { owner.readingPaused(self) }
  }

  /// Checks again whether it may be read, since memory has become free.
  func reconsider() { if unreadBytes >= Connection.littleBytes { outputChanged() } }

  func watchAsNeeded() {
    guard !machine.isClosed else { return }
    watch?.want(
      transport.wants.or(
        Readiness(
          read: machine.isLingering || (readsInput && !backlog.hasEnd),
          write: outputSent < output.count && !stream.isShakingHands)))
  }

  private func perform(_ action: ConnectionMachine.Action) {
    switch action {
    case .nothing: break
    case .stopReading: watchAsNeeded()
    case .resumeReading: owner.resumeLater(self)
    case .halfClose: halfClose()
    case .close(let reason): close(reason)
    }
  }

  private func halfClose() {
    if !lastLine.isEmpty { _ = lastLine.withUnsafeBytes { transport.write($0) } }
    transport.finishWriting()
    teardown()
    watch?.want(.read)
    owner.lingers(self)
  }

  private func close(_ reason: CloseReason) {
    watch?.want(.none)
    watch = nil
    transport.close()
    teardown()
    owner.closed(self, reason)
  }

  /// Drops all state of input and output.
  private func teardown() {
    framer.discardLine()
    endLongLine()
    backlog.bytes = []
    stream.forgetHeader()
    http?.end()
    replies = ReplyQueue()
    owner.giveBack(&output)
    outputSent = 0
    use.endWait()
    change(to: nil)
    countUnderWay()
    account()
  }
}
