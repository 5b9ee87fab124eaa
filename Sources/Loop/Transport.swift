// Owns: the transport of a connection's bytes: today the socket itself, with TLS a session on it.
// Its owners use it in place of a socket, and for what a socket has no call for. Runs on its
// owner's thread.
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
}

/// A duplex stream of bytes over a non-blocking socket; its owner closes it.
package struct Transport: Sendable {
  private enum Kind {
    case plain(Socket)
  }

  private let kind: Kind

  /// Bytes go over the socket as they are.
  package init(plain socket: Socket) { kind = .plain(socket) }

  /// The socket below: for the poller, and for options of the network.
  package var socket: Socket {
    switch kind {
    case .plain(let socket): socket
    }
  }

  /// Continues the handshake, as far as it gets now.
  ///
  /// To be called when the socket is connected, and at each readiness until it is over.
  package func shakeHands() -> Handshake {
    switch kind {
    case .plain: .done
    }
  }

  /// The readiness that the transport needs by itself, beside what its owner wants.
  ///
  /// An owner that polls asks for both. When one of them is ready it reads and writes again what
  /// would block before: a read may have had to write, and a write to read.
  package var wants: Readiness {
    switch kind {
    case .plain: .none
    }
  }

  /// Whether there are bytes to read of which the poller knows nothing, since they have left the
  /// socket.
  ///
  /// An owner that goes on reading asks after each read: no readiness will come for them.
  package var hasBufferedInput: Bool {
    switch kind {
    case .plain: false
    }
  }

  /// Whether input has come that was not read yet; the peer's end is none.
  package var hasInput: Bool {
    switch kind {
    case .plain(let socket): socket.hasInput
    }
  }

  /// Reads what is there, up to the buffer's size.
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    switch kind {
    case .plain(let socket): socket.read(into: buffer)
    }
  }

  /// Writes as much as can be taken now.
  ///
  /// After `wouldBlock` the next write has to begin with the same bytes.
  package func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    switch kind {
    case .plain(let socket): socket.write(bytes)
    }
  }

  /// Ends the writing side, which the peer sees as the end of the stream; bytes that come can still
  /// be read.
  package func finishWriting() {
    switch kind {
    case .plain(let socket): socket.finishWriting()
    }
  }

  package func close() {
    switch kind {
    case .plain(let socket): socket.close()
    }
  }
}
