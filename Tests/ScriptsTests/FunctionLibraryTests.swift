// Owns: the tests of the library of functions: its names, what Redis makes of it, and that nothing
// passes from one call to the next.

import Scripts
import SessionModel
import Testing
import TestSupport

struct FunctionLibraryTests {
  private static let constants = ScriptBench.constants
  private let server: BareRedis
  private let redis: BareRedisClient

  init() throws {
    server = try BareRedis()
    redis = try BareRedisClient(path: server.path)
  }

  private func load(_ library: FunctionLibrary) throws -> RedisAnswer {
    try redis.command("FUNCTION", "LOAD", String(decoding: library.text, as: UTF8.self))
  }

  @Test func `Redis takes the library, with the flags of each script`() throws {
    let library = FunctionLibrary(Self.constants, user: "0 lk")
    #expect(try load(library) == .text(library.name))
    let list = try redis.command("FUNCTION", "LIST", "LIBRARYNAME", library.prefix + "*").items
    #expect(list.count == 1)
    let functions = try #require(list.first?.items.last?.items)
    #expect(functions.count == Script.allCases.count)
    for function in functions {
      let name = try #require(function.items[1].string)
      let script = try #require(Script.allCases.first { library.function($0) == name })
      let flags = Set(function.items[5].items.compactMap(\.string))
      #expect(flags.contains("no-writes") == script.isReadOnly, "\(name)")
      #expect(flags.contains("allow-oom") == script.isAllowedWhenFull, "\(name)")
    }
  }

  @Test func `libraries of other settings or users live beside it`() throws {
    var other = Self.constants
    other.sessionsMax = 2
    let libraries = [
      FunctionLibrary(Self.constants, user: "0 a"), FunctionLibrary(other, user: "0 a"),
      FunctionLibrary(Self.constants, user: "0 b"), FunctionLibrary(Self.constants, user: "1 a"),
    ]
    for library in libraries { #expect(try load(library) == .text(library.name)) }
    #expect(Set(libraries.map(\.name)).count == 4)
    #expect(libraries[0].prefix == libraries[1].prefix)
    #expect(Set(libraries.map(\.prefix)).count == 3)
    let again = FunctionLibrary(Self.constants, user: "0 a")
    #expect(again.name == libraries[0].name && again.text == libraries[0].text)
    for library in libraries {
      let name = library.function(.holder)
      #expect(try redis.command("FCALL", name, "1", "x:{000}", "d") == .array([.text("NONE")]))
    }
  }

  @Test func `a call finds nothing of the one before it, though that one failed`() throws {
    let bench = try ScriptBench(way: .functions)
    // A renewal's deadline is kept for the length of a call: in the next one time has gone on.
    try bench.run(.lock, "d", "a", "60000", "", "")
    let first = try bench.held("d").endsAt
    try eventually("a later renewal") {
      try bench.run(.lock, "d", "a", "60000", "", "")
      return try bench.held("d").endsAt > first
    }
    // Fewer requests than before, and none of the arguments that came with them.
    _ = try bench.call(.holder, keys: [bench.base, bench.base, bench.base], ["d", "e", "f"])
    #expect(try bench.call(.holder, keys: [bench.base], ["e"]) == .array([.text("NONE")]))
    // Without its arguments it fails within Redis.
    #expect("\(try bench.call(.reap, keys: [bench.base], []))".contains("ERR"))
    #expect(try bench.run(.holder, "d").word == "OK")
  }
}
