// Owns: the tests of the notices to a service manager.

import Glibc
import Testing

@testable import Loop

struct ServiceNoticeTests {
  /// A datagram socket that is bound to a name, as a service manager's is.
  private final class Receiver {
    let descriptor: Int32

    /// A name that begins with an @ is abstract.
    init(_ name: String) throws {
      descriptor = socket(
        AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let bytes = Array(name.utf8).map { $0 == UInt8(ascii: "@") ? 0 : $0 }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
      let size = MemoryLayout.size(ofValue: address) - MemoryLayout.size(ofValue: address.sun_path)
      let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(size + bytes.count))
        }
      }
      try #require(bound == 0)
    }

    deinit { close(descriptor) }

    /// The next notice, without waiting: on one machine the sender delivers a datagram itself.
    func receive() -> String? {
      var bytes = [UInt8](repeating: 0, count: 64)
      let count = recv(descriptor, &bytes, bytes.count, 0)
      return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
  }

  private static func name() -> String { "lk-notice-\(getpid())-\(UInt32.random(in: 0 ... .max))" }

  @Test func `a message goes to an abstract socket and to one with a path`() throws {
    let path = "/tmp/\(Self.name())"
    defer { unlink(path) }
    for name in ["@" + Self.name(), path] {
      let receiver = try Receiver(name)
      #expect(receiver.receive() == nil)
      try ServiceNotice.ready.send(to: name)
      #expect(receiver.receive() == "READY=1")
      try ServiceNotice.stopping.send(to: name)
      #expect(receiver.receive() == "STOPPING=1")
    }
  }

  @Test(arguments: ["", "@", String(repeating: "x", count: 200), "/nonexistent/notify"])
  func `a place that cannot be is an error`(place: String) {
    #expect(throws: SystemError.self) { try ServiceNotice.ready.send(to: place) }
  }

  @Test func `nothing is sent without a notice socket`() throws {
    try #require(getenv("NOTIFY_SOCKET") == nil)
    try ServiceNotice.ready.send()
  }
}
