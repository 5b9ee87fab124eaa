// Owns: one blocking connection to a worker, for programs that ask and wait. Not for several
// threads at once.

internal import Glibc
internal import Loop
internal import Wire

/// An error between a caller and a worker.
public enum LatchkeyError: Error, Sendable, CustomStringConvertible {
  /// No connection could be made: nothing was asked.
  case cannotConnect(String)
  /// The connection broke, or no reply came in time: the request may have been done.
  case noReply(String)
  /// The bytes that came are not the protocol.
  case garbage(String)

  public var description: String {
    switch self {
    case .cannotConnect(let why): "cannot connect: \(why)"
    case .noReply(let why): "no reply: \(why)"
    case .garbage(let line): "this is no reply of Latchkey: \(line.prefix(80))"
    }
  }
}

/// A connection to a worker, or to a load balancer in front of many.
///
/// A worker that is stopping ends its connections, and the next request goes over a new one:
/// `request` makes it, and authenticates it as the one before. It sends nothing twice unless the
/// worker has said that nothing was done.
public final class LatchkeyConnection {
  private let host: String
  private let port: UInt16
  private let connectTimeoutMs: Int64
  private let tls: TLSContext?
  private var transport: Transport
  private var framer = LatchkeyConnection.makeFramer()
  private var chunk: [UInt8] = []
  private var chunkAt = 0
  private var isClosed = false
  /// Requests whose replies were not read yet.
  private var outstanding = 0
  /// Whether lines may come that answer no request.
  private var watches = false
  /// The secret that the worker has accepted.
  private var secret: String?

  /// Connects within `timeoutMs` milliseconds, by TLS where that is given.
  ///
  /// - Throws: `LatchkeyError.cannotConnect`.
  public init(
    host: String, port: UInt16, timeoutMs: Int64 = 2_000, tls: LatchkeyTLS? = nil
  ) throws(LatchkeyError) {
    self.host = host
    self.port = port
    connectTimeoutMs = timeoutMs
    let context = try tls?.context()
    self.tls = context
    transport = try LatchkeyConnection.connect(host, port, timeoutMs, context)
  }

  /// A reply may be as long as the longest export.
  private static func makeFramer() -> LineFramer { LineFramer(lineBytesMax: 64 << 20) }

  static func connect(
    _ host: String, _ port: UInt16, _ timeoutMs: Int64, _ tls: TLSContext?
  ) throws(LatchkeyError) -> Transport {
    let giveUpMs = MonotonicTime.nowMs() + timeoutMs
    let transport: Transport
    do throws(SystemError) {
      let address = try SocketAddress.resolve(.tcp(host: host, port: port))
      let socket = try address.connect()
      transport =
        tls.map { Transport(client: $0, socket, host: host) } ?? Transport(plain: socket)
    } catch {
      throw .cannotConnect(error.description)
    }
    do throws(LatchkeyError) {
      try finishConnecting(transport, "\(host):\(port)", giveUpMs: giveUpMs, timeoutMs: timeoutMs)
      return transport
    } catch {
      transport.close()
      throw error
    }
  }

  private static func finishConnecting(
    _ transport: Transport, _ place: String, giveUpMs: Int64, timeoutMs: Int64
  ) throws(LatchkeyError) {
    let late = LatchkeyError.cannotConnect("\(place) did not answer within \(timeoutMs) ms")
    guard wait(transport, .write, untilMs: giveUpMs) else { throw late }
    let outcome = transport.socket.connectOutcome()
    guard outcome == 0 else {
      throw .cannotConnect(SystemError(place, outcome).description)
    }
    while true {
      switch transport.shakeHands() {
      case .done: return
      case .failed(let why): throw .cannotConnect("\(place): \(why)")
      case .plain: throw .cannotConnect("\(place) does not speak TLS")
      case .underWay where wait(transport, .none, untilMs: giveUpMs): continue
      case .underWay: throw late
      }
    }
  }

  deinit { close() }

  /// Closes the connection; calling it again does nothing.
  public func close() {
    if !isClosed { transport.close() }
    isClosed = true
  }

  /// Sends one request and waits for its reply.
  ///
  /// If the worker has ended the connection meanwhile, or answers that it is stopping, the request
  /// goes over a new connection, once.
  ///
  /// - Throws: `LatchkeyError.noReply` if the outcome is unknown; the connection is closed then,
  ///   since a late reply would be taken for the next one's. `cannotConnect` if a new connection
  ///   cannot be made: nothing was asked.
  public func request(_ line: String, timeoutMs: Int64 = 2_000) throws(LatchkeyError)
    -> LatchkeyReply
  {
    if hasEnded() { try reconnect(timeoutMs: timeoutMs) }
    let reply = try ask(line, timeoutMs: timeoutMs)
    guard reply.errorCode == "draining", outstanding == 0, !watches else { return reply }
    try reconnect(timeoutMs: timeoutMs)
    return try ask(line, timeoutMs: timeoutMs)
  }

  /// Authenticates; if the reply is not `OK`, requests that need rights will be refused.
  ///
  /// - Throws: `LatchkeyError.noReply`, as for `request`.
  public func authenticate(_ secret: String, timeoutMs: Int64 = 2_000) throws(LatchkeyError)
    -> LatchkeyReply
  {
    let reply = try request("AUTH \(secret)", timeoutMs: timeoutMs)
    if reply.word == .ok { self.secret = secret }
    return reply
  }

  private func ask(_ line: String, timeoutMs: Int64) throws(LatchkeyError) -> LatchkeyReply {
    do throws(LatchkeyError) {
      try send(line)
      return try readReply(timeoutMs: timeoutMs)
    } catch {
      // Reset, so that the kernel does not deliver a request that was given up, after a cut.
      if !isClosed { transport.socket.resetOnClose() }
      close()
      throw error
    }
  }

  /// Whether the worker has ended the connection: nothing was asked, and yet there is something to
  /// read, its end or its last line.
  ///
  /// Waits for that within `timeoutMs`.
  func hasEnded(within timeoutMs: Int64 = 0) -> Bool {
    guard !isClosed, outstanding == 0, !watches else { return false }
    return chunkAt < chunk.count || transport.hasBufferedInput
      || wait(.read, untilMs: MonotonicTime.nowMs() + timeoutMs)
  }

  private func reconnect(timeoutMs: Int64) throws(LatchkeyError) {
    transport.close()
    isClosed = true
    transport = try LatchkeyConnection.connect(host, port, connectTimeoutMs, tls)
    (isClosed, chunk, chunkAt) = (false, [], 0)
    framer = LatchkeyConnection.makeFramer()
    guard let secret else { return }
    let reply = try ask("AUTH \(secret)", timeoutMs: timeoutMs)
    guard reply.word == .ok else {
      close()
      throw .cannotConnect("the secret is not accepted any more: \(reply.line)")
    }
  }

  /// Sends one request without waiting for its reply.
  ///
  /// - Throws: `LatchkeyError.noReply` if the connection is broken.
  public func send(_ line: String) throws(LatchkeyError) {
    guard !isClosed else { throw .noReply("the connection is closed") }
    outstanding += 1
    if line.prefix(6).lowercased() == "watch " { watches = true }
    let bytes = Array(line.utf8) + [10]
    var sent = 0
    while sent < bytes.count {
      let outcome = bytes.withUnsafeBytes {
        transport.write(UnsafeRawBufferPointer(rebasing: $0[sent...]))
      }
      switch outcome {
      case .moved(let count): sent += count
      case .wouldBlock:
        guard wait(.write, untilMs: MonotonicTime.nowMs() + 10_000) else {
          throw .noReply("the worker does not read")
        }
      case .ended, .broken: throw .noReply("the connection is broken")
      }
    }
  }

  /// Waits for the next line that the worker sends.
  ///
  /// - Throws: `LatchkeyError.noReply` if none comes in time, `garbage` if it is no reply.
  public func readReply(timeoutMs: Int64 = 2_000) throws(LatchkeyError) -> LatchkeyReply {
    let (untilMs, overflow) = MonotonicTime.nowMs().addingReportingOverflow(timeoutMs)
    let line = try readLine(untilMs: overflow ? .max : untilMs)
    guard let reply = LatchkeyReply(line: line) else { throw .garbage(line) }
    if reply.word != .event { outstanding = max(0, outstanding - 1) }
    return reply
  }

  private func readLine(untilMs: Int64) throws(LatchkeyError) -> String {
    while true {
      let chunk = chunk
      switch framer.next(in: chunk.span, at: &chunkAt) {
      case .line(let range): return String(decoding: chunk[range], as: UTF8.self)
      case .joinedLine: return String(decoding: framer.held, as: UTF8.self)
      case .tooLong: throw .garbage("a line of more than 64 MiB")
      case .otherProtocol(let other): throw .garbage("a line of \(other.rawValue)")
      case .needMore: try readChunk(untilMs: untilMs)
      }
    }
  }

  private func readChunk(untilMs: Int64) throws(LatchkeyError) {
    guard !isClosed else { throw .noReply("the connection is closed") }
    guard transport.hasBufferedInput || wait(.read, untilMs: untilMs) else {
      throw .noReply("it did not come in time")
    }
    chunk = [UInt8](repeating: 0, count: 1 << 16)
    switch chunk.withUnsafeMutableBytes({ transport.read(into: $0) }) {
    case .moved(let count):
      chunk.removeSubrange(count...)
      chunkAt = 0
    case .wouldBlock:
      chunk = []
      chunkAt = 0
    case .ended: throw .noReply("the worker closed the connection")
    case .broken(let number): throw .noReply(SystemError("read", number).description)
    }
  }

  private func wait(_ readiness: Readiness, untilMs: Int64) -> Bool {
    LatchkeyConnection.wait(transport, readiness, untilMs: untilMs)
  }

  /// Waits until the socket is ready, also for what the transport wants; false if it is not in
  /// time.
  static func wait(
    _ transport: Transport, _ readiness: Readiness, untilMs: Int64
  ) -> Bool {
    let wanted = transport.wants.or(readiness)
    let events = (wanted.canRead ? POLLIN : 0) | (wanted.canWrite ? POLLOUT : 0)
    while true {
      var entry = pollfd(fd: transport.socket.descriptor, events: Int16(events), revents: 0)
      let left = max(0, min(untilMs - MonotonicTime.nowMs(), Int64(Int32.max)))
      let count = poll(&entry, 1, Int32(left))
      if count > 0 { return true }
      if count == 0 { return false }
      guard errno == EINTR else { return false }
    }
  }
}
