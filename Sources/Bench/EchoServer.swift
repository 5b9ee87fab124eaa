// Owns: the least server that can be asked for a LOCK: it answers every line with the same one and
// keeps nothing. Its cost is that of the sockets, a lower bound for servers that use them so. Main
// thread.

import CLinux
import Glibc
import Loop

/// A server on bare epoll, without memory of its callers: one `recv` and one `send` for each
/// request.
struct EchoServer {
  private let listener: Socket
  private let poller: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  /// As long as the reply to a LOCK.
  private let reply = Array(
    """
    OK {"agent":"agent-123","token":1795233692477761,"ttl_ms":86400000,\
    "acquired_at":1795233692477,"renewed":true}

    """.utf8)

  /// Takes the address; its port may be 0.
  init(_ address: Address) throws(LoadFailure) {
    do throws(SystemError) {
      listener = try SocketAddress.resolve(address).bind(sharingPort: false)
      try listener.listen(backlog: 4_096)
      poller = try systemCall("epoll_create1") { epoll_create1(0) }
      try watch(listener)
    } catch {
      throw LoadFailure(error)
    }
  }

  /// The line that says where it listens.
  func readyLine() throws(LoadFailure) -> String {
    do throws(SystemError) {
      return "ready listen=127.0.0.1:\(try listener.localPort())"
    } catch {
      throw LoadFailure(error)
    }
  }

  /// Serves until the process is ended.
  func run() throws(LoadFailure) -> Never {
    var ready = [epoll_event](repeating: epoll_event(), count: 512)
    while true {
      do throws(SystemError) {
        let count = try systemCall("epoll_wait") {
          epoll_wait(poller, &ready, Int32(ready.count), -1)
        }
        for event in ready[..<Int(count)] {
          if event.data.fd == listener.descriptor {
            while let caller = try listener.accept() { try welcome(caller) }
          } else {
            serve(Socket(adopting: event.data.fd))
          }
        }
      } catch {
        throw LoadFailure(error)
      }
    }
  }

  private func welcome(_ caller: Socket) throws(SystemError) {
    caller.setNoDelay()
    try watch(caller)
  }

  private func watch(_ socket: Socket) throws(SystemError) {
    var event = epoll_event(
      events: EPOLLIN.rawValue, data: epoll_data_t(fd: socket.descriptor))
    try systemCall("epoll_ctl") {
      epoll_ctl(poller, EPOLL_CTL_ADD, socket.descriptor, &event)
    }
  }

  /// A caller has one request at a time, far smaller than a segment, and so is the reply.
  private func serve(_ caller: Socket) {
    switch caller.read(into: buffer) {
    case .moved:
      guard reply.withUnsafeBytes({ caller.write($0) }) == .moved(reply.count) else {
        return caller.close()
      }
    case .wouldBlock: return
    case .ended, .broken: caller.close()
    }
  }
}
