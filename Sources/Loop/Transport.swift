// Owns: the transport of a connection's bytes: the socket itself, or a TLS session on it. Its
// owners use it in place of a socket, and for what a socket has no call for. Runs on its owner's
// thread.
//
// A struct around an enum and no protocol: a plain transport is its descriptor, so that a
// connection pays one comparison for the choice, and neither an allocation nor a dynamic call.

/// How far a transport is before it carries bytes.
package enum Handshake: Equatable, Sendable {
  /// Bytes may be read and written.
  case done
  /// The peer has to answer first; `wants` says for what the poller is to wait.
  case underWay
  /// It has failed; why, for the log.
  case failed(String)
  /// A caller speaks without TLS: it can be answered in plain bytes on the socket.
  case plain
}

/// A duplex stream of bytes over a non-blocking socket; its owner closes it.
package struct Transport {
  private enum Kind {
    case plain(Socket)
    case tls(TLSSession)
  }

  private let kind: Kind

  /// Bytes go over the socket as they are.
  package init(plain socket: Socket) { kind = .plain(socket) }

  /// Bytes go through a TLS session with the server of that name or number, which resumes the one
  /// of the ticket if the server takes it.
  package init(
    client context: TLSContext, _ socket: Socket, host: String, resuming ticket: TLSTicket? = nil
  ) {
    kind = .tls(TLSSession(client: context, socket, host: host, resuming: ticket))
  }

  /// The ticket by which a client resumes its session; nil without TLS, and before a server that
  /// speaks TLS 1.3 has sent something.
  package var ticket: TLSTicket? {
    switch kind {
    case .plain: nil
    case .tls(let session): session.ticket
    }
  }

  /// Whether the handshake has resumed an earlier session.
  package var isResumed: Bool {
    switch kind {
    case .plain: false
    case .tls(let session): session.isResumed
    }
  }

  /// Bytes go through a TLS session with a caller; `early` are those of it that were read already.
  package init(server context: TLSContext, _ socket: Socket, early: ArraySlice<UInt8> = []) {
    kind = .tls(TLSSession(server: context, socket, early: early))
  }

  /// The socket below: for the poller, and for options of the network.
  package var socket: Socket {
    switch kind {
    case .plain(let socket): socket
    case .tls(let session): session.socket
    }
  }

  /// Continues the handshake, as far as it gets now.
  ///
  /// To be called when the socket is connected, and at each readiness until it is over.
  package func shakeHands() -> Handshake {
    switch kind {
    case .plain: .done
    case .tls(let session): session.shakeHands()
    }
  }

  /// The readiness that the transport needs by itself, beside what its owner wants.
  ///
  /// An owner that polls asks for both. When one of them is ready it reads and writes again what
  /// would block before: a read may have had to write, and a write to read.
  package var wants: Readiness {
    switch kind {
    case .plain: .none
    case .tls(let session): session.wants
    }
  }

  /// Whether there are bytes to read of which the poller knows nothing, since they have left the
  /// socket.
  ///
  /// An owner that goes on reading asks after each read: no readiness will come for them.
  package var hasBufferedInput: Bool {
    switch kind {
    case .plain: false
    case .tls(let session): session.hasBufferedInput
    }
  }

  /// Whether input has come that was not read yet; the peer's end is none.
  package var hasInput: Bool {
    switch kind {
    case .plain(let socket): socket.hasInput
    case .tls(let session): session.hasBufferedInput || session.socket.hasInput
    }
  }

  /// Reads what is there, up to the buffer's size.
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    switch kind {
    case .plain(let socket): socket.read(into: buffer)
    case .tls(let session): session.read(into: buffer)
    }
  }

  /// Writes as much as can be taken now.
  ///
  /// After `wouldBlock` the next write has to begin with the same bytes.
  package func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    switch kind {
    case .plain(let socket): socket.write(bytes)
    case .tls(let session): session.write(bytes)
    }
  }

  /// Ends the writing side, which the peer sees as the end of the stream; bytes that come can still
  /// be read.
  package func finishWriting() {
    switch kind {
    case .plain(let socket): socket.finishWriting()
    case .tls(let session):
      session.finishWriting()
      session.socket.finishWriting()
    }
  }

  /// Closes the socket; a TLS peer gets its notice before.
  package func close() {
    switch kind {
    case .plain(let socket): socket.close()
    case .tls(let session):
      session.finishWriting()
      session.socket.close()
    }
  }
}
