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
public final class LatchkeyConnection {
  private let transport: Transport
  private var framer: LineFramer
  private var chunk: [UInt8] = []
  private var chunkAt = 0
  private var isClosed = false

  /// Connects within `timeoutMs` milliseconds.
  ///
  /// - Throws: `LatchkeyError.cannotConnect`.
  public init(host: String, port: UInt16, timeoutMs: Int64 = 2_000) throws(LatchkeyError) {
    let giveUpMs = MonotonicTime.nowMs() + timeoutMs
    do throws(SystemError) {
      let address = try SocketAddress.resolve(.tcp(host: host, port: port))
      transport = Transport(plain: try address.connect())
    } catch {
      throw .cannotConnect(error.description)
    }
    // A reply may be as long as the longest export.
    framer = LineFramer(lineBytesMax: 64 << 20)
    let late = LatchkeyError.cannotConnect("\(host):\(port) did not answer within \(timeoutMs) ms")
    guard wait(.write, untilMs: giveUpMs) else {
      close()
      throw late
    }
    let outcome = transport.socket.connectOutcome()
    guard outcome == 0 else {
      close()
      throw .cannotConnect(SystemError("\(host):\(port)", outcome).description)
    }
    while true {
      switch transport.shakeHands() {
      case .done: return
      case .failed(let why):
        close()
        throw .cannotConnect("\(host):\(port): \(why)")
      case .underWay where wait(.none, untilMs: giveUpMs): continue
      case .underWay:
        close()
        throw late
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
  /// - Throws: `LatchkeyError.noReply` if the outcome is unknown; the connection is closed then,
  ///   since a late reply would be taken for the next one's.
  public func request(_ line: String, timeoutMs: Int64 = 2_000) throws(LatchkeyError)
    -> LatchkeyReply
  {
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

  /// Authenticates; if the reply is not `OK`, requests that need rights will be refused.
  ///
  /// - Throws: `LatchkeyError.noReply`, as for `request`.
  public func authenticate(_ secret: String, timeoutMs: Int64 = 2_000) throws(LatchkeyError)
    -> LatchkeyReply
  {
    try request("AUTH \(secret)", timeoutMs: timeoutMs)
  }

  /// Sends one request without waiting for its reply.
  ///
  /// - Throws: `LatchkeyError.noReply` if the connection is broken.
  public func send(_ line: String) throws(LatchkeyError) {
    guard !isClosed else { throw .noReply("the connection is closed") }
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

  /// Waits until the socket is ready, also for what the transport wants; false if it is not in
  /// time.
  private func wait(_ readiness: Readiness, untilMs: Int64) -> Bool {
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
