// Owns: the tests of the results of reads, writes and connects.

import Glibc
import Testing

@testable import Loop

struct SocketTests {
  @Test func `a read moves the available bytes, up to the room`() throws {
    let pair = try SocketPair()
    #expect(pair.far.write("abcd") == .moved(4))
    #expect(pair.near.readText(room: 3) == (.moved(3), "abc"))
    #expect(pair.near.readText(room: 3) == (.moved(1), "d"))
  }

  @Test func `a read of nothing would block`() throws {
    let pair = try SocketPair()
    #expect(pair.near.readText().0 == .wouldBlock)
    withExtendedLifetime(pair) {}
  }

  @Test func `a read at the end says so, again and again, after all that was sent`() throws {
    let pair = try SocketPair()
    #expect(pair.far.write("last") == .moved(4))
    pair.closeFar()
    #expect(pair.near.readText() == (.moved(4), "last"))
    for _ in 0..<2 { #expect(pair.near.readText().0 == .ended) }
  }

  @Test func `a peer that has finished writing can still be written to`() throws {
    let pair = try SocketPair()
    pair.far.finishWriting()
    #expect(pair.near.readText().0 == .ended)
    #expect(pair.near.write("x") == .moved(1))
    #expect(pair.far.readText() == (.moved(1), "x"))
  }

  @Test func `a write moves the bytes that the kernel accepts, then would block`() throws {
    let pair = try SocketPair()
    let chunk = String(repeating: "x", count: 1 << 20)
    guard case .moved(let first) = pair.near.write(chunk) else {
      Issue.record("the first write moved nothing")
      return
    }
    #expect(first > 0 && first < 1 << 20, "\(first)")
    while case .moved = pair.near.write(chunk) {}
    #expect(pair.near.write("x") == .wouldBlock)
  }

  @Test func `a write to a peer that is gone is broken, and no signal comes`() async {
    await #expect(processExitsWith: .success) {
      let pair = try SocketPair()
      pair.closeFar()
      #expect(pair.near.write("x") == .broken(EPIPE))
      #expect(pair.near.write("x") == .broken(EPIPE))
    }
  }

  @Test func `a read from a peer that reset the connection is broken`() throws {
    let place = try listen()
    let caller = try SocketAddress.resolve(place.address).connect()
    defer { caller.close() }
    let taken = try accept(place.socket)
    #expect(taken.write("unread") == .moved(6))
    #expect(caller.write("unread") == .moved(6))
    // Closing with unread bytes makes TCP reset the connection.
    awaitReady(taken, POLLIN)
    taken.close()
    awaitReady(caller, POLLIN | POLLERR | POLLHUP)
    var outcomes: [Transfer] = []
    repeat { outcomes.append(caller.readText().0) } while outcomes.last == .moved(6)
    #expect(outcomes.last == .broken(ECONNRESET))
  }

  @Test(arguments: [true, false])
  func `what the peer has not got yet is delivered after a close in order, not after a reset`(
    isReset: Bool
  ) throws {
    let place = try listen()
    let caller = try SocketAddress.resolve(place.address).connect()
    let taken = try accept(place.socket)
    defer { taken.close() }
    caller.setUserTimeout(ms: 5_000)
    caller.resetOnClose()
    if !isReset { caller.resetOnClose(false) }
    // More than fits into the peer's buffer waits in this side's, which is larger.
    setBuffer(of: taken, SO_RCVBUF, bytes: 32_768)
    setBuffer(of: caller, SO_SNDBUF, bytes: 200_000)
    let chunk = String(repeating: "x", count: 1 << 16)
    var sent = 0
    while case .moved(let count) = caller.write(chunk) { sent += count }
    caller.close()
    var (received, last) = (0, Transfer.wouldBlock)
    while true {
      last = taken.readText(room: 1 << 20).0
      if case .moved(let count) = last {
        received += count
      } else if last == .wouldBlock {
        awaitReady(taken, POLLIN)
      } else {
        break
      }
    }
    #expect(last == (isReset ? .broken(ECONNRESET) : .ended))
    #expect(isReset ? received < sent : received == sent, "\(received) of \(sent)")
  }

  private func setBuffer(of socket: Loop.Socket, _ which: Int32, bytes: Int32) {
    var bytes = bytes
    #expect(setsockopt(socket.descriptor, SOL_SOCKET, which, &bytes, 4) == 0)
  }

  @Test func `a read from a descriptor that is none is broken`() {
    #expect(Loop.Socket(adopting: -1).readText().0 == .broken(EBADF))
    #expect(Loop.Socket(adopting: -1).write("x") == .broken(EBADF))
  }
}

// MARK: Listening and connecting

extension SocketTests {
  /// A listening socket on a free port, closed with this object.
  private final class Place {
    let socket: Loop.Socket
    let address: Address

    init(_ host: String) throws {
      socket = try SocketAddress.resolve(.tcp(host: host, port: 0)).bind(sharingPort: false)
      try socket.listen(backlog: 8)
      address = .tcp(host: host, port: try socket.localPort())
    }

    deinit { socket.close() }
  }

  private func listen(_ host: String = "127.0.0.1") throws -> Place { try Place(host) }

  private func awaitReady(_ socket: Loop.Socket, _ events: Int32) {
    var entry = pollfd(fd: socket.descriptor, events: Int16(events), revents: 0)
    #expect(poll(&entry, 1, 5_000) == 1, "the socket was not ready within 5 s")
  }

  private func accept(_ listener: Loop.Socket) throws -> Loop.Socket {
    awaitReady(listener, POLLIN)
    return try #require(try listener.accept())
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func `a connect succeeds and both ends talk`(host: String) throws {
    let place = try listen(host)
    #expect(try place.socket.accept() == nil)
    let caller = try SocketAddress.resolve(place.address).connect()
    defer { caller.close() }
    awaitReady(caller, POLLOUT)
    #expect(caller.connectOutcome() == 0)
    let taken = try accept(place.socket)
    defer { taken.close() }
    #expect(caller.write("ping") == .moved(4))
    awaitReady(taken, POLLIN)
    #expect(taken.readText() == (.moved(4), "ping"))
    for socket in [caller, taken] {
      #expect(socket.readText().0 == .wouldBlock)
      #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC == FD_CLOEXEC)
    }
    #expect(try place.socket.accept() == nil)
  }

  @Test func `a connect to a port without a listener is refused`() throws {
    let bound = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: 0)).bind(sharingPort: false)
    defer { bound.close() }
    let address = Address.tcp(host: "127.0.0.1", port: try bound.localPort())
    let caller = try SocketAddress.resolve(address).connect()
    defer { caller.close() }
    awaitReady(caller, POLLOUT)
    #expect(caller.connectOutcome() == ECONNREFUSED)
  }

  @Test func `a connect to a path that is not there is refused at once`() throws {
    let address = try SocketAddress.resolve(.unix(path: "/nonexistent/redis.sock"))
    let error = try #require(throws: SystemError.self) { try address.connect() }
    #expect(error.call == "connect" && error.number == ENOENT)
  }

  @Test func `a port has one listener, or several that share it`() throws {
    let any = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: 0))
    let alone = try any.bind(sharingPort: false)
    let shared = try any.bind(sharingPort: true)
    defer { [alone, shared].forEach { $0.close() } }
    let alonePort = try alone.localPort()
    let sharedPort = try shared.localPort()
    #expect(alonePort > 0 && sharedPort > 0 && alonePort != sharedPort)
    try alone.listen(backlog: 1)
    let taken = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: alonePort))
    for sharing in [false, true] {
      let error = try #require(throws: SystemError.self) { try taken.bind(sharingPort: sharing) }
      #expect(error.number == EADDRINUSE)
    }
    let another = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: sharedPort))
      .bind(sharingPort: true)
    #expect(try another.localPort() == sharedPort)
    another.close()
  }

  @Test(arguments: [0, 108, 4_096])
  func `a path that the kernel cannot take is refused with its length`(bytes: Int) throws {
    let path = String(repeating: "p", count: bytes)
    let error = try #require(throws: SystemError.self) {
      try SocketAddress.resolve(.unix(path: path))
    }
    #expect(error.number == ENAMETOOLONG)
    #expect(error.description.contains("\(bytes) bytes"))
  }

  @Test func `a path of 107 bytes can be bound and connected to`() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/" + String(repeating: "p", count: 106 - folder.path.utf8.count)
    #expect(path.utf8.count == 107)
    let address = try SocketAddress.resolve(.unix(path: path))
    let listener = try address.bind(sharingPort: false)
    defer { listener.close() }
    try listener.listen(backlog: 1)
    let caller = try address.connect()
    defer { caller.close() }
    #expect(caller.connectOutcome() == 0)
    try accept(listener).close()
  }

  @Test(
    arguments: [
      (.tcp(host: "h", port: 1), "h:1"), (.tcp(host: "::1", port: 65_535), "[::1]:65535"),
      (.tcp(host: "127.0.0.1", port: 0), "127.0.0.1:0"), (.unix(path: "/r.sock"), "unix:///r.sock"),
    ] as [(Address, String)])
  func `an address is written as people write it`(address: Address, text: String) {
    #expect(address.description == text)
  }

  @Test func `a failed call's error has its name and reason`() {
    #expect(SystemError("bind", EADDRINUSE).description == "bind: Address already in use")
    #expect(SystemError("x", 12_345).description.hasPrefix("x: "))
    let error = #expect(throws: SystemError.self) {
      try systemCall("close") { Glibc.close(-1) }
    }
    #expect(error?.number == EBADF && error?.call == "close")
  }

  @Test func `an interrupted call is made again`() throws {
    var tries = 0
    let result: Int32 = try systemCall("test") {
      tries += 1
      errno = EINTR
      return tries < 3 ? -1 : 7
    }
    #expect(result == 7 && tries == 3)
  }
}
