// Owns: one connection to a worker: it connects, sends a request, passes on whole lines, and
// reports when it is broken. Must not know what is asked. Runs on the loop's thread.

internal import Loop
internal import Wire

/// The callbacks of a connection.
protocol CallerOwner: AnyObject {
  func connected(_ caller: Caller)
  /// A line has come, without its end; it is good during the call.
  func lineReceived(_ caller: Caller, _ line: Span<UInt8>)
  /// The connection could not be made or is broken; it is closed already.
  func broken(_ caller: Caller, _ reason: BreakReason)
}

/// Why a connection ended.
enum BreakReason: Equatable {
  /// It was never there: nothing can have been done.
  case cannotConnect(String)
  /// Requests without a reply may have been done.
  case lost
}

/// The shared parts of connections: the loop, the buffer for reading, and the closed ones until the
/// end of the turn, since the poller may still report them.
final class CallerShop {
  let loop: EventLoop
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  fileprivate var dead: [Caller] = []
  /// By which callers speak TLS; nil if they do not.
  let tls: TLSContext?

  init(_ loop: EventLoop, tls: TLSContext? = nil) {
    self.loop = loop
    self.tls = tls
    loop.atTurnEnd { [unowned self] in dead.removeAll() }
  }

  deinit { readBuffer.deallocate() }
}

/// A worker that is asked: where it is, and the name in its certificate.
struct WorkerTarget {
  let address: SocketAddress
  let host: String
}

/// A connection.
final class Caller: FileWatchOwner {
  private enum State {
    /// Connecting, and shaking hands where there is TLS.
    case connecting, ready, closed
  }

  private let shop: CallerShop
  private let transport: Transport
  private weak var owner: (any CallerOwner)?
  private var watch: FileWatch?
  private var state = State.connecting
  private var framer = LineFramer(lineBytesMax: 64 << 20)
  /// Output that the socket did not take; requests are small, so this is rare.
  private var unsent: [UInt8] = []

  var isReady: Bool { state == .ready }

  /// Begins to connect.
  init(_ shop: CallerShop, _ target: WorkerTarget, owner: any CallerOwner) throws(SystemError) {
    self.shop = shop
    self.owner = owner
    let socket = try target.address.connect()
    transport =
      shop.tls.map { Transport(client: $0, socket, host: target.host) } ?? Transport(plain: socket)
    watch = FileWatch(shop.loop, socket.descriptor, owner: self)
    watch?.want(.write)
  }

  deinit { close() }

  /// Closes it, without a callback.
  func close() {
    guard state != .closed else { return }
    state = .closed
    watch?.want(.none)
    transport.close()
  }

  /// Closes it and keeps it until the end of the turn.
  func retire() {
    close()
    shop.dead.append(self)
  }

  func send(_ bytes: [UInt8]) {
    guard unsent.isEmpty else {
      unsent += bytes
      return
    }
    switch bytes.withUnsafeBytes({ transport.write($0) }) {
    case .moved(let count) where count == bytes.count:
      watch?.want(transport.wants.or(.read))
      return
    case .moved(let count): unsent = Array(bytes[count...])
    case .wouldBlock: unsent = bytes
    // The reader reports it, once, and later than the sender's call.
    case .ended, .broken: return
    }
    watch?.want(.both)
  }

  func fileReady(_ readiness: Readiness) {
    switch state {
    case .closed: return
    case .connecting: connectEnded()
    case .ready:
      // A readiness that TLS has asked for may let reading or writing go on.
      let wants = transport.wants
      if readiness.canWrite || wants.canRead { sendRest() }
      guard readiness.canRead || wants.canWrite else { return }
      repeat { read() } while state == .ready && transport.hasBufferedInput
    }
  }

  private func connectEnded() {
    let outcome = transport.socket.connectOutcome()
    guard outcome == 0 else {
      fail(.cannotConnect(SystemError("connect", outcome).description))
      return
    }
    switch transport.shakeHands() {
    case .done: break
    case .underWay:
      watch?.want(transport.wants)
      return
    case .failed(let reason): return fail(.cannotConnect(reason))
    case .plain: return fail(.cannotConnect("the worker does not speak TLS"))
    }
    state = .ready
    watch?.want(transport.wants.or(.read))
    owner?.connected(self)
  }

  private func sendRest() {
    let bytes = unsent
    unsent = []
    watch?.want(transport.wants.or(.read))
    if !bytes.isEmpty { send(bytes) }
  }

  private func read() {
    switch transport.read(into: shop.readBuffer) {
    case .moved(let count):
      let bytes = UnsafeRawBufferPointer(rebasing: shop.readBuffer[..<count])
      take(bytes.assumingMemoryBound(to: UInt8.self).span)
    case .wouldBlock: return
    case .ended, .broken: fail(.lost)
    }
  }

  private func take(_ chunk: Span<UInt8>) {
    var at = 0
    while state == .ready {
      switch framer.next(in: chunk, at: &at) {
      case .line(let range): owner?.lineReceived(self, chunk.extracting(range))
      case .joinedLine:
        let line = framer.held
        owner?.lineReceived(self, line.span)
      case .tooLong, .otherProtocol: fail(.lost)
      case .needMore: return
      }
    }
  }

  private func fail(_ reason: BreakReason) {
    guard state != .closed else { return }
    retire()
    owner?.broken(self, reason)
  }
}
