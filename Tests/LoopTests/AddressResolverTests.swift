// Owns: the tests of resolving addresses without blocking a loop.

import Glibc
import Testing

@testable import Loop

struct AddressResolverTests {
  @Test(arguments: [
    Address.tcp(host: "127.0.0.1", port: 80), .tcp(host: "::1", port: 80), .unix(path: "/r.sock"),
  ])
  func `a number or a path is resolved at once`(address: Address) throws {
    let loop = try EventLoop()
    var outcomes: [AddressResolver.Outcome] = []
    let resolver = AddressResolver(loop, address) { outcomes.append($0) }
    #expect(outcomes.count == 1)
    _ = try outcomes.first?.get()
    withExtendedLifetime(resolver) {}
  }

  @Test func `a path that is too long fails at once`() throws {
    let loop = try EventLoop()
    var outcomes: [AddressResolver.Outcome] = []
    let path = String(repeating: "p", count: 200)
    let resolver = AddressResolver(loop, .unix(path: path)) { outcomes.append($0) }
    #expect(outcomes.count == 1)
    #expect(throws: SystemError.self) { try outcomes.first?.get() }
    withExtendedLifetime(resolver) {}
  }

  @Test func `a name is resolved on another thread, and its addresses come on the loop's`() throws {
    let loop = try EventLoop()
    let thread = pthread_self()
    var outcomes: [AddressResolver.Outcome] = []
    let resolver = AddressResolver(loop, .tcp(host: "localhost", port: 80)) { outcome in
      #expect(pthread_equal(pthread_self(), thread) != 0)
      outcomes.append(outcome)
      loop.stop()
    }
    #expect(outcomes.isEmpty)
    run(loop, keeping: resolver)
    #expect(outcomes.count == 1)
    _ = try outcomes.first?.get()
  }

  @Test func `a name that is none fails with the name`() throws {
    let loop = try EventLoop()
    var outcomes: [AddressResolver.Outcome] = []
    let resolver = AddressResolver(loop, .tcp(host: "no..such host", port: 80)) { outcome in
      outcomes.append(outcome)
      loop.stop()
    }
    run(loop, keeping: resolver, within: 30_000)
    let error = try #require(throws: SystemError.self) { try outcomes.first?.get() }
    #expect(error.call.hasPrefix("resolve no..such host"))
  }

  @Test func `a resolver that is gone calls back no more`() throws {
    let loop = try EventLoop()
    var resolved: [String] = []
    var first: AddressResolver? = AddressResolver(loop, .tcp(host: "localhost", port: 80)) { _ in
      resolved.append("gone")
    }
    #expect(first != nil)
    first = nil
    let second = AddressResolver(loop, .tcp(host: "localhost", port: 80)) { _ in
      resolved.append("second")
      loop.stop()
    }
    run(loop, keeping: second)
    #expect(resolved == ["second"])
  }
}
