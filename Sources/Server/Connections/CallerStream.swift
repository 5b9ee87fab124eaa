// Owns: a caller's bytes before its first line: the header of its proxy, and the TLS handshake.
// Knows neither lines nor replies. Runs on the loop's thread.

internal import Loop
internal import Wire

/// The transport of a caller, and what has to come over it first.
struct CallerStream {
  /// What has become of the header of a proxy.
  enum HeaderProgress {
    case needMore
    case invalid
    /// It has come, with the bytes behind it.
    case whole(source: [UInt8], rest: ArraySlice<UInt8>)
  }

  private(set) var transport: Transport
  /// Whether the transport has yet to carry bytes.
  private(set) var isShakingHands = false
  /// By which the caller is to speak TLS; nil once it may, or need not.
  private var awaitedTLS: TLSContext?
  /// The part of the proxy's header that has come; nil without one, and once it is complete.
  private var header: [UInt8]?

  init(_ socket: Socket, _ tls: TLSContext?, takesHeader: Bool) {
    transport = Transport(plain: socket)
    awaitedTLS = tls
    header = takesHeader ? [] : nil
    if !takesHeader { _ = beginTLS(with: []) }
  }

  /// Whether the header of its proxy is still to come.
  var awaitsHeader: Bool { header != nil }
  /// The bytes that are kept of the header.
  var keptBytes: Int { header?.capacity ?? 0 }
  mutating func forgetHeader() { header = nil }

  /// Takes what comes before the first line.
  mutating func takeHeader(_ chunk: UnsafeBufferPointer<UInt8>) -> HeaderProgress {
    let bytes = (header ?? []) + chunk
    switch ProxyHeader.read(bytes.span) {
    case .needMore:
      header = bytes
      return .needMore
    case .invalid:
      header = nil
      return .invalid
    case .header(let source, let length):
      header = nil
      return .whole(source: source, rest: bytes[length...])
    }
  }

  /// Has the caller speak TLS from here on, where it is to; these bytes of it have come already.
  mutating func beginTLS(with early: ArraySlice<UInt8>) -> Bool {
    guard let context = awaitedTLS else { return false }
    awaitedTLS = nil
    isShakingHands = true
    transport = Transport(server: context, transport.socket, early: early)
    return true
  }

  /// Continues the handshake; one without TLS can be answered in plain bytes.
  mutating func shakeHands() -> Handshake {
    let progress = transport.shakeHands()
    switch progress {
    case .done: isShakingHands = false
    case .plain:
      isShakingHands = false
      transport = Transport(plain: transport.socket)
    case .underWay, .failed: break
    }
    return progress
  }
}
