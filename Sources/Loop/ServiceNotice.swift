// Owns: the messages to the service manager that started the process (systemd, Type=notify): one
// datagram each, to the socket that $NOTIFY_SOCKET names. Any thread; it never waits.

internal import CLinux
internal import Glibc

/// Messages to the service manager; nothing happens where there is none.
package enum ServiceNotice: String, Sendable {
  /// It can serve: `systemctl start` returns, and dependent units are started.
  case ready = "READY=1"
  /// It is stopping, and finishes what it has begun.
  case stopping = "STOPPING=1"

  /// Sends it to the socket that the environment names.
  package func send() throws(SystemError) {
    guard let place = getenv("NOTIFY_SOCKET") else { return }
    try send(to: String(cString: place))
  }

  /// Sends it to a path, or to an abstract socket, whose name begins with an @.
  package func send(to place: String) throws(SystemError) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(place.utf8)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard name.count > 1, name.count < room else {
      throw SystemError("NOTIFY_SOCKET of \(name.count) bytes (2 to \(room - 1))", EINVAL)
    }
    if name[0] == UInt8(ascii: "@") { name[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    // An abstract name ends where the address does, not at a zero.
    let size = MemoryLayout<sockaddr_un>.size - room + name.count
    let kind = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let sender = Socket(adopting: try systemCall("socket") { socket(AF_UNIX, kind, 0) })
    defer { sender.close() }
    var message = rawValue
    try systemCall("NOTIFY_SOCKET") {
      message.withUTF8 { bytes in
        withUnsafePointer(to: &address) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            sendto(
              sender.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), $0,
              socklen_t(size))
          }
        }
      }
    }
  }
}
