// Owns: socket addresses, and the sockets that listen on them or connect to them. Any thread.

internal import CLinux
internal import Glibc

/// Where a socket listens or connects.
package enum Address: Sendable, Hashable, CustomStringConvertible {
  /// A host name or number, and a port.
  case tcp(host: String, port: UInt16)
  /// A path of 107 bytes at most: the kernel's limit.
  case unix(path: String)

  /// How long the path of a Unix socket may be: the kernel's limit.
  package static let unixPathBytesMax = 107

  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix://\(path)"
    }
  }
}

/// A resolved address, in the kernel's form.
package struct SocketAddress: Sendable {
  private let storage: sockaddr_storage
  private let size: socklen_t
  private var family: Int32 { Int32(storage.ss_family) }

  private init(_ address: UnsafeRawPointer, _ size: Int) {
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) { bytes in
      bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: size))
    }
    self.storage = storage
    self.size = socklen_t(size)
  }

  /// Resolves an address; a name may take as long as the system's resolver takes.
  package static func resolve(_ address: Address) throws(SystemError) -> SocketAddress {
    switch address {
    case .unix(let path): try unix(path)
    case .tcp(let host, let port): try tcp(host, port)
    }
  }

  private static func unix(_ path: String) throws(SystemError) -> SocketAddress {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let most = Address.unixPathBytesMax
    guard !bytes.isEmpty, bytes.count <= most else {
      throw SystemError("unix socket path of \(bytes.count) bytes (1 to \(most))", ENAMETOOLONG)
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafeBytes(of: &address) { bytes in
      SocketAddress(bytes.baseAddress.unsafelyUnwrapped, bytes.count)
    }
  }

  private static func tcp(_ host: String, _ port: UInt16) throws(SystemError) -> SocketAddress {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(host, String(port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    guard result == 0, let first = list?.pointee, let address = first.ai_addr else {
      throw SystemError("resolve \(host) (\(String(cString: gai_strerror(result))))", EADDRNOTAVAIL)
    }
    return SocketAddress(address, Int(first.ai_addrlen))
  }

  private func with<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    withUnsafeBytes(of: storage) { bytes in
      body(bytes.assumingMemoryBound(to: sockaddr.self).baseAddress.unsafelyUnwrapped, size)
    }
  }

  private func makeSocket() throws(SystemError) -> Socket {
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    return Socket(adopting: try systemCall("socket") { socket(family, kind, 0) })
  }

  /// Starts to connect; the socket is writable when the outcome is known.
  package func connect() throws(SystemError) -> Socket {
    let socket = try makeSocket()
    if family != AF_UNIX { socket.setNoDelay() }
    let result = with { Glibc.connect(socket.descriptor, $0, $1) }
    if result < 0, errno != EINPROGRESS, errno != EINTR {
      let number = errno
      socket.close()
      throw SystemError("connect", number)
    }
    return socket
  }

  /// Whether only this machine can reach it.
  package var isLoopback: Bool {
    withUnsafeBytes(of: storage) { bytes in
      switch family {
      case AF_UNIX: true
      case AF_INET: bytes[4] == 127
      case AF_INET6: bytes[8..<23].allSatisfy { $0 == 0 } && bytes[23] == 1
      default: false
      }
    }
  }

  /// Takes the address without listening yet; with `sharingPort`, several sockets share the port
  /// and the kernel spreads callers among them.
  package func bind(sharingPort: Bool) throws(SystemError) -> Socket {
    let socket = try makeSocket()
    var on: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
    if sharingPort { setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEPORT, &on, size) }
    do throws(SystemError) {
      try systemCall("bind") { with { Glibc.bind(socket.descriptor, $0, $1) } }
    } catch {
      socket.close()
      throw error
    }
    return socket
  }
}

extension Socket {
  /// Begins to accept connections at the bound address.
  package func listen(backlog: Int32) throws(SystemError) {
    try systemCall("listen") { Glibc.listen(descriptor, backlog) }
  }

  /// Has the kernel drop requests for further connections; those that it has begun are completed.
  ///
  /// Their peers ask again a second later. A listening socket that is closed resets connections
  /// that were not accepted, so all have to be, and no other may come meanwhile.
  package func dropConnectionRequests() {
    // Where the kernel does not let it be, the moment of closing is as it always was.
    _ = drop_connection_requests(descriptor)
  }

  /// The port that a listening TCP socket got.
  package func localPort() throws(SystemError) -> UInt16 {
    var address = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &size)
      }
    }
    guard result == 0 else { throw SystemError("getsockname", errno) }
    // The port stands at the same place in the addresses of IPv4 and IPv6, in network order.
    return withUnsafeBytes(of: &address) { UInt16($0[2]) << 8 | UInt16($0[3]) }
  }
}
