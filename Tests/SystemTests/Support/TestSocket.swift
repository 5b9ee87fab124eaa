// A stream socket whose every call has a deadline, under all the clients here.

import Foundation
import Glibc

/// A connected stream socket; belongs to one thread at a time.
final class TestSocket {
  private var descriptor: Int32

  init(adopting descriptor: Int32) throws {
    self.descriptor = descriptor
    guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
    else { throw Failure("fcntl: errno \(errno)") }
  }

  /// `receiveBytes` is the size of the kernel's receive buffer; nil leaves the choice to it.
  convenience init(port: Int, from source: String? = nil, receiveBytes: Int32? = nil) throws {
    let descriptor = try TestSocket.make(AF_INET)
    if var bytes = receiveBytes {
      // Before it connects, or the window was announced already.
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, 4)
    }
    if let source { try TestSocket.setSource(descriptor, source) }
    var address = TestSocket.loopback(port: port)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
    }
    try TestSocket.require(code, "connect to port \(port)", descriptor)
    var yes: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, 4)
    try self.init(adopting: descriptor)
  }

  private static func setSource(_ descriptor: Int32, _ source: String) throws {
    var address = TestSocket.loopback(port: 0)
    inet_pton(AF_INET, source, &address.sin_addr)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, size) }
    }
    try TestSocket.require(code, "bind to \(source)", descriptor)
  }

  convenience init(path: String) throws {
    let descriptor = try TestSocket.make(AF_UNIX)
    let code = try TestSocket.withAddress(of: path) { connect(descriptor, $0, $1) }
    try TestSocket.require(code, "connect to \(path)", descriptor)
    try self.init(adopting: descriptor)
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Gives the descriptor away, for another thread to adopt.
  func release() -> Int32 {
    defer { descriptor = -1 }
    return descriptor
  }

  /// Closes the sending direction; the peer's bytes can still be read.
  func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Closes with a reset: bytes under way in both directions are dropped.
  func reset() {
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    let size = socklen_t(MemoryLayout<Glibc.linger>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, size)
    close()
  }

  func send(_ bytes: [UInt8], within limit: Duration = .seconds(10)) throws {
    let deadline = Deadline(within: limit)
    var sent = 0
    while sent < bytes.count {
      guard try wait(for: Int16(POLLOUT), deadline) != 0 else {
        throw Failure("sending stood still after \(sent) of \(bytes.count) bytes")
      }
      sent += try sendSome(bytes[sent...])
    }
  }

  /// Sends what fits now; 0 when nothing does.
  func sendSome(_ bytes: ArraySlice<UInt8>) throws -> Int {
    let count = bytes.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    if count >= 0 { return count }
    guard errno == EAGAIN || errno == EINTR else { throw Failure("send: errno \(errno)") }
    return 0
  }

  /// The next bytes: nil when none come in time, empty at the end of the stream.
  func receive(within limit: Duration) throws -> [UInt8]? {
    guard try wait(for: Int16(POLLIN), Deadline(within: limit)) != 0 else { return nil }
    return try receiveSome()
  }

  func receiveSome() throws -> [UInt8]? {
    let size = 64 * 1024
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
      count = recv(descriptor, buffer.baseAddress, size, 0)
      initialized = max(count, 0)
    }
    if count >= 0 { return bytes }
    guard errno == EAGAIN || errno == EINTR else { throw Failure("recv: errno \(errno)") }
    return nil
  }

  /// Waits for one of `events`; 0 when none comes in time.
  func wait(for events: Int16, _ deadline: Deadline) throws -> Int16 {
    var entry = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let count = poll(&entry, 1, deadline.pollMs)
      if count > 0 { return entry.revents }
      if count == 0 { return 0 }
      guard errno == EINTR else { throw Failure("poll: errno \(errno)") }
    }
  }
}

extension TestSocket {
  /// Which of the sockets can be read (or have ended) before the time is over.
  static func readable(_ sockets: [TestSocket], within limit: Duration) -> [Bool] {
    var entries = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    let count = poll(&entries, nfds_t(entries.count), Deadline(within: limit).pollMs)
    return entries.map { count > 0 && $0.revents != 0 }
  }

  /// A connection that waits at the listening descriptor, or nil if none comes in time.
  static func accept(_ listener: Int32, within limit: Duration) throws -> TestSocket? {
    var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, Deadline(within: limit).pollMs) > 0 else { return nil }
    let descriptor = Glibc.accept(listener, nil, nil)
    return descriptor < 0 ? nil : try TestSocket(adopting: descriptor)
  }

  /// Listens on a Unix socket and gives the descriptor.
  static func listen(path: String) throws -> Int32 {
    let descriptor = try make(AF_UNIX)
    let code = try withAddress(of: path) { bind(descriptor, $0, $1) }
    try require(code == 0 ? Glibc.listen(descriptor, 64) : code, "listen on \(path)", descriptor)
    return descriptor
  }

  static func make(_ family: Int32) throws -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, kind, 0)
    guard descriptor >= 0 else { throw Failure("socket: errno \(errno)") }
    return descriptor
  }

  static func require(_ code: Int32, _ what: String, _ descriptor: Int32) throws {
    guard code != 0 else { return }
    let number = errno
    Glibc.close(descriptor)
    throw Failure("\(what): \(String(cString: strerror(number)))")
  }

  static func loopback(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    return address
  }

  static func withAddress<Result>(
    of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) throws -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < room else { throw Failure("too long for a socket: \(path)") }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }

  /// Listens on a port of the kernel's choice, without sharing it; gives the descriptor and it.
  static func listen() throws -> (descriptor: Int32, port: Int) {
    let descriptor = try make(AF_INET)
    var address = loopback(port: 0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, size) == 0 && Glibc.listen(descriptor, 16) == 0
          ? getsockname(descriptor, address, &size) : -1
      }
    }
    try require(code, "listen", descriptor)
    return (descriptor, Int(in_port_t(bigEndian: address.sin_port)))
  }

  /// A port that is free, and is given to no other test while this process runs.
  ///
  /// It is outside of the range from which the kernel takes ports for connections. The tests that
  /// run beside these agree on it by a name of a socket that only one process can have.
  static func freePort() throws -> Int {
    for _ in 0..<1000 {
      let port = Int.random(in: 20_000..<32_000)
      guard let name = try reserve(port) else { continue }
      if try isFree(port) { return port }
      Glibc.close(name)
    }
    throw Failure("of 1,000 ports between 20,000 and 32,000 none is free")
  }

  /// The descriptor that holds the reservation, kept open until the process ends; nil if another
  /// process has reserved the port, or this one.
  private static func reserve(_ port: Int) throws -> Int32? {
    let descriptor = try make(AF_UNIX)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // An abstract name begins with a zero byte and leaves no file behind.
    let name = [0] + Array("latchkey-test-port-\(port)".utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, size) }
    }
    if code == 0 { return descriptor }
    let reason = errno
    Glibc.close(descriptor)
    guard reason == EADDRINUSE else { throw Failure("bind: errno \(reason)") }
    return nil
  }

  static func isFree(_ port: Int) throws -> Bool {
    let descriptor = try make(AF_INET)
    defer { Glibc.close(descriptor) }
    let address = loopback(port: port)
    let code = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    return code == 0
  }
}
