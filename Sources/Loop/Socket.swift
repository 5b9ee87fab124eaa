// Owns: the system calls on stream sockets, all non-blocking and close-on-exec. 'Would block' is a
// value here. A connection's bytes go through a `Transport`, which has TLS' seam.

internal import CLinux
internal import Glibc

/// The result of one read or write on a non-blocking socket.
package enum Transfer: Equatable, Sendable {
  /// So many bytes were moved, at least one.
  case moved(Int)
  /// Nothing can be moved now; ask the poller.
  case wouldBlock
  /// The peer has closed its side (reads only).
  case ended
  /// The connection is broken; the errno says how.
  case broken(Int32)
}

/// A non-blocking stream socket; its owner closes it.
package struct Socket: Sendable {
  package let descriptor: Int32

  package init(adopting descriptor: Int32) { self.descriptor = descriptor }

  /// Makes two sockets that are connected to each other, within this process.
  package static func pair() throws(SystemError) -> (Socket, Socket) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(
      SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    _ = try systemCall("socketpair") { socketpair(AF_UNIX, kind, 0, &ends) }
    return (Socket(adopting: ends[0]), Socket(adopting: ends[1]))
  }

  /// Reads what is there, up to the buffer's size.
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { return .moved(count) }
      if count == 0 { return .ended }
      if errno == EINTR { continue }
      return errno == EAGAIN ? .wouldBlock : .broken(errno)
    }
  }

  /// Writes as much as the kernel takes now.
  package func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    while true {
      let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return .moved(count) }
      if errno == EINTR { continue }
      return errno == EAGAIN ? .wouldBlock : .broken(errno)
    }
  }

  /// Whether input has come that was not read yet; the peer's end is none.
  package var hasInput: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) > 0
  }

  /// How many bytes have come on a TCP connection so far, read or not; nil if it is none.
  package var bytesReceived: Int64? {
    let count = tcp_bytes_received(descriptor)
    return count < 0 ? nil : count
  }

  /// The pending error of a connect that has finished: 0 if it succeeded.
  package func connectOutcome() -> Int32 {
    var outcome: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &outcome, &size) == 0 else { return errno }
    return outcome
  }

  /// Sends small writes at once; a request is one write, so nothing is gained by waiting.
  package func setNoDelay() {
    var on: Int32 = 1
    setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Ends the writing side, which the peer sees as the end of the stream.
  package func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Has `close`, and the end of the process, reset the connection instead of ending it in order:
  /// what the peer's kernel has not got yet is never delivered.
  ///
  /// A Unix socket has nothing of that kind.
  package func resetOnClose(_ isOn: Bool = true) {
    var linger = Glibc.linger(l_onoff: isOn ? 1 : 0, l_linger: 0)
    let size = socklen_t(MemoryLayout<Glibc.linger>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, size)
  }

  /// Has the kernel end a TCP connection whose peer's kernel confirms nothing for so long, though
  /// this process may be stopped and not close it.
  package func setUserTimeout(ms: Int64) {
    var value = UInt32(clamping: ms)
    let size = socklen_t(MemoryLayout<UInt32>.size)
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &value, size)
  }

  package func close() { Glibc.close(descriptor) }

  /// Takes one waiting connection of a listening socket, or nil if there is none.
  package func accept() throws(SystemError) -> Socket? {
    while true {
      let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      let accepted = accept4(descriptor, nil, nil, flags)
      if accepted >= 0 { return Socket(adopting: accepted) }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case EAGAIN: return nil
      default: throw SystemError("accept4", errno)
      }
    }
  }
}
