// Owns: one TLS session on a socket: its handshake, its reads and its writes, each as far as they
// get without waiting. Does not own the socket. Runs on its owner's thread.

internal import CLinux
internal import COpenSSL
internal import Glibc

/// A server's ticket, by which its client resumes a session in one round trip.
package final class TLSTicket {
  fileprivate let handle: OpaquePointer

  fileprivate init(_ handle: OpaquePointer) { self.handle = handle }

  deinit { SSL_SESSION_free(handle) }
}

/// A TLS session.
final class TLSSession {
  let socket: Socket
  private let session: OpaquePointer
  /// Keeps the context, which the session uses.
  private let context: TLSContext
  /// What the session waits for besides what its owner waits for.
  private(set) var wants = Readiness.none
  /// Whether the handshake is done.
  private var isWhole = false
  /// Whether the session can send nothing more, its own end included.
  private var isOver = false
  /// Whether the peer's first byte is known to be of TLS; a server's need not be looked at.
  private var hasFirstByte: Bool
  /// Bytes that were read from the socket before the session began, until they are used up.
  private var early: OpaquePointer?

  /// A session with a server of that name or number, which resumes an earlier one where the server
  /// takes its ticket.
  init(
    client context: TLSContext, _ socket: Socket, host: String, resuming ticket: TLSTicket? = nil
  ) {
    (self.context, self.socket) = (context, socket)
    session = TLSSession.make(context, socket)
    hasFirstByte = true
    SSL_set_connect_state(session)
    var number = in6_addr()
    let bare = String(host.prefix { $0 != "%" })
    let isNumber =
      inet_pton(AF_INET, bare, &number) == 1 || inet_pton(AF_INET6, bare, &number) == 1
    if isNumber {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), bare)
    } else {
      SSL_set1_host(session, host)
      _ = tls_set_server_name(session, host)
    }
    if let ticket { SSL_set_session(session, ticket.handle) }
  }

  /// What this session can be resumed by; nil if the server has given no ticket yet.
  var ticket: TLSTicket? {
    guard let handle = SSL_get1_session(session) else { return nil }
    let ticket = TLSTicket(handle)
    return SSL_SESSION_is_resumable(handle) == 1 ? ticket : nil
  }

  /// Whether the handshake has resumed an earlier session.
  var isResumed: Bool { SSL_session_reused(session) == 1 }

  /// A session with a caller; `early` are bytes that were read already.
  init(
    server context: TLSContext, _ socket: Socket, early bytes: ArraySlice<UInt8> = []
  ) {
    (self.context, self.socket) = (context, socket)
    session = TLSSession.make(context, socket)
    hasFirstByte = false
    SSL_set_accept_state(session)
    guard !bytes.isEmpty else { return }
    let source = bytes.withUnsafeBytes { tls_bytes_before($0.baseAddress, Int32($0.count)) }
    guard let source else { fatalError("OpenSSL has no memory for a TLS session") }
    // The session frees it.
    SSL_set0_rbio(session, source)
    early = source
  }

  private static func make(_ context: TLSContext, _ socket: Socket) -> OpaquePointer {
    guard let session = SSL_new(context.handle), SSL_set_fd(session, socket.descriptor) == 1 else {
      // It fails only where there is no memory: there is no going on.
      fatalError("OpenSSL has no memory for a TLS session")
    }
    return session
  }

  deinit { SSL_free(session) }

  func shakeHands() -> Handshake {
    if isWhole { return .done }
    if !hasFirstByte, let progress = lookAtFirstByte() { return progress }
    repeat {
      ERR_clear_error()
      let result = SSL_do_handshake(session)
      if result == 1 {
        isWhole = true
        wants = .none
        return .done
      }
      switch SSL_get_error(session, result) {
      case SSL_ERROR_WANT_READ: wants = .read
      case SSL_ERROR_WANT_WRITE: wants = .write
      default: return .failed(failureText())
      }
    } while takeFromSocket()
    return .underWay
  }

  /// A caller's first byte shows whether it speaks TLS; OpenSSL would answer one that does not with
  /// what it takes for garbage.
  private func lookAtFirstByte() -> Handshake? {
    var first: UInt8 = 0
    if let early {
      hasFirstByte = tls_first_byte(early, &first) == 1
    } else {
      let count = recv(socket.descriptor, &first, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
      if count == 0 { return .failed("TLS: the caller has closed the connection") }
      hasFirstByte = count > 0
    }
    guard hasFirstByte else {
      wants = .read
      return .underWay
    }
    return first == TLSSession.handshakeRecord ? nil : .plain
  }

  private static let handshakeRecord: UInt8 = 0x16

  /// Goes on with the socket once the early bytes are used up; true if that was now.
  private func takeFromSocket() -> Bool {
    guard let source = early, tls_bytes_left(source) == 0 else { return false }
    early = nil
    SSL_set_rfd(session, socket.descriptor)
    return true
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    var count = 0
    repeat {
      ERR_clear_error()
      if SSL_read_ex(session, buffer.baseAddress, buffer.count, &count) == 1 {
        wants = .none
        return .moved(count)
      }
    } while takeFromSocket()
    return outcome(blockedBy: SSL_ERROR_WANT_WRITE, needs: .write)
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    var count = 0
    ERR_clear_error()
    if SSL_write_ex(session, bytes.baseAddress, bytes.count, &count) == 1 {
      wants = .none
      return .moved(count)
    }
    return outcome(blockedBy: SSL_ERROR_WANT_READ, needs: .read)
  }

  /// The outcome of a read or a write that has moved nothing; `blocked` is the readiness that its
  /// owner does not wait for by itself.
  private func outcome(blockedBy blocked: Int32, needs: Readiness) -> Transfer {
    let number = errno
    switch SSL_get_error(session, 0) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
      wants = SSL_get_error(session, 0) == blocked ? needs : .none
      return .wouldBlock
    case SSL_ERROR_ZERO_RETURN: return .ended
    case SSL_ERROR_SYSCALL:
      isOver = true
      return number == 0 ? .ended : .broken(number)
    default:
      isOver = true
      return .broken(EPROTO)
    }
  }

  /// Whether decrypted bytes are kept of which the poller knows nothing.
  var hasBufferedInput: Bool { SSL_pending(session) > 0 || early != nil && isWhole }

  /// Sends the notice that nothing more comes.
  func finishWriting() {
    guard isWhole, !isOver else { return }
    isOver = true
    ERR_clear_error()
    // It goes as far as the socket takes it; the end of the stream says the same.
    _ = SSL_shutdown(session)
  }

  private func failureText() -> String {
    let check = SSL_get_verify_result(session)
    if check != X509_V_OK, let reason = X509_verify_cert_error_string(Int(check)) {
      ERR_clear_error()
      return "TLS: the peer's certificate does not verify: \(String(cString: reason))"
    }
    guard ERR_peek_last_error() != 0 else { return "TLS: the peer ended the handshake" }
    return TLSContext.failure("TLS: the handshake failed").description
  }
}
