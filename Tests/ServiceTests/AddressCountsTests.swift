// Owns: the tests of the number of connections that an address may have.

import Loop
import Testing

@testable import Service

struct AddressCountsTests {
  @Test func `an address is admitted up to the limit, and again when one has left`() throws {
    let counts = AddressCounts()
    let (first, second) = (
      try #require(PeerAddress([10, 0, 0, 1])), try #require(PeerAddress([10, 0, 0, 2]))
    )
    for _ in 0..<3 { #expect(counts.admit(first, most: 3)) }
    #expect(!counts.admit(first, most: 3))
    #expect(counts.admit(second, most: 3))
    counts.release(first)
    #expect(counts.admit(first, most: 3))
    #expect(!counts.admit(first, most: 3))
    #expect(counts.hosts == 2)
  }

  @Test func `an address without connections is removed`() throws {
    let counts = AddressCounts()
    let address = try #require(PeerAddress([10, 0, 0, 1]))
    for _ in 0..<2 { #expect(counts.admit(address, most: 2)) }
    for _ in 0..<2 { counts.release(address) }
    #expect(counts.hosts == 0)
    counts.release(address)
    #expect(counts.admit(address, most: 1))
    #expect(!counts.admit(address, most: 1))
  }
}
