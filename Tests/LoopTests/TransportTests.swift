// Owns: the tests of a transport: here the plain one, which wants nothing of its own.

import Testing

@testable import Loop

struct TransportTests {
  private static func read(_ transport: Transport) -> (Transfer, String) {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
    defer { room.deallocate() }
    let outcome = transport.read(into: room)
    guard case .moved(let count) = outcome else { return (outcome, "") }
    return (outcome, String(decoding: room[..<count], as: UTF8.self))
  }

  @Test func `a plain transport carries bytes at once and wants nothing for itself`() throws {
    let pair = try SocketPair()
    let (near, far) = (Transport(plain: pair.near), Transport(plain: pair.far))
    #expect(near.shakeHands() == .done)
    #expect(near.wants == .none)
    #expect(!near.hasInput)
    #expect(Array("abc".utf8).withUnsafeBytes { far.write($0) } == .moved(3))
    #expect(near.hasInput && !near.hasBufferedInput)
    #expect(Self.read(near) == (.moved(3), "abc"))
    #expect(!near.hasInput)
    withExtendedLifetime(pair) {}
  }

  @Test func `a transport that has finished writing can still be read from`() throws {
    let pair = try SocketPair()
    let (near, far) = (Transport(plain: pair.near), Transport(plain: pair.far))
    far.finishWriting()
    #expect(Self.read(near) == (.ended, ""))
    #expect(Array("x".utf8).withUnsafeBytes { near.write($0) } == .moved(1))
    #expect(Self.read(far) == (.moved(1), "x"))
    withExtendedLifetime(pair) {}
  }

  @Test(arguments: [
    (Readiness.none, Readiness.none, Readiness.none), (.read, .none, .read),
    (.none, .write, .write), (.read, .write, .both), (.both, .read, .both),
  ])
  func `the interests of two parties are combined`(
    left: Readiness, right: Readiness, both: Readiness
  ) {
    #expect(left.or(right) == both)
    #expect(right.or(left) == both)
  }
}
