// Owns: the tests of callers' addresses: how they read, and which of them count as one.

import Testing

@testable import Loop

struct PeerAddressTests {
  private func v6(_ bytes: [Int: UInt8]) -> PeerAddress? {
    PeerAddress((0..<16).map { bytes[$0] ?? 0 })
  }

  @Test func `an address reads as people write it`() {
    #expect(PeerAddress([127, 0, 0, 1])?.description == "127.0.0.1")
    #expect(PeerAddress([255, 254, 0, 9])?.description == "255.254.0.9")
    #expect(v6([15: 1])?.description == "::1")
    #expect(v6([0: 0x20, 1: 0x01, 15: 7])?.description == "2001::7")
  }

  @Test func `an IPv4 address counts as itself, also when it is written as IPv6`() {
    let plain = PeerAddress([10, 0, 0, 1])
    #expect(v6([10: 0xFF, 11: 0xFF, 12: 10, 15: 1]) == plain)
    #expect(plain?.host == plain)
    #expect(PeerAddress([10, 0, 0, 2]) != plain)
  }

  @Test func `IPv6 addresses of one network count as one host`() {
    let first = v6([0: 0x20, 7: 1, 15: 1])
    #expect(first?.host == v6([0: 0x20, 7: 1, 8: 9])?.host)
    #expect(first?.host != v6([0: 0x20, 7: 2, 15: 1])?.host)
    #expect(first != v6([0: 0x20, 7: 1, 15: 2]))
  }

  @Test(arguments: [0, 1, 3, 5, 15, 17])
  func `any other number of bytes is no address`(count: Int) {
    #expect(PeerAddress([UInt8](repeating: 1, count: count)) == nil)
  }
}
