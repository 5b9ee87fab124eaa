// Owns: the tests of the library of functions: its names, its functions in Redis, and that no state
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

  private func load(
    _ library: FunctionLibrary, generation: String = "1"
  ) throws -> RedisAnswer {
    let text = String(decoding: library.text(generation: generation), as: UTF8.self)
    return try redis.command("FUNCTION", "LOAD", text)
  }

  @Test func `Redis takes the library, with the flags of each script`() throws {
    let library = FunctionLibrary.of(Self.constants, user: "0 lk")
    #expect(try load(library) == .text(library.name))
    let list = try redis.command("FUNCTION", "LIST", "LIBRARYNAME", library.prefix + "*").items
    #expect(list.count == 1)
    let functions = try #require(list.first?.items.last?.items)
    #expect(functions.count == Script.allCases.count)
    for function in functions {
      let name = try #require(function.items[1].string)
      let script = try #require(
        Script.allCases.first { library.function($0, generation: "1") == name })
      let flags = Set(function.items[5].items.compactMap(\.string))
      #expect(flags.contains("no-writes") == script.isReadOnly, "\(name)")
      #expect(flags.contains("allow-oom") == script.isAllowedWhenFull, "\(name)")
    }
  }

  @Test func `libraries of other settings or users live beside it`() throws {
    var other = Self.constants
    other.sessionsMax = 2
    let libraries = [
      FunctionLibrary.of(Self.constants, user: "0 a"), FunctionLibrary.of(other, user: "0 a"),
      FunctionLibrary.of(Self.constants, user: "0 b"),
      FunctionLibrary.of(Self.constants, user: "1 a"),
    ]
    for library in libraries { #expect(try load(library) == .text(library.name)) }
    #expect(Set(libraries.map(\.name)).count == 4)
    #expect(libraries[0].prefix == libraries[1].prefix)
    #expect(Set(libraries.map(\.prefix)).count == 3)
    let again = FunctionLibrary.of(Self.constants, user: "0 a")
    #expect(again.name == libraries[0].name)
    for library in libraries {
      let name = library.function(.holder, generation: "1")
      #expect(try redis.command("FCALL", name, "1", "x:{000}", "d") == .array([.text("NONE")]))
    }
  }

  @Test func `a library is loaded once, and all its names but one end with its loader`()
    throws
  {
    let library = FunctionLibrary.of(Self.constants, user: "0 lk")
    #expect(try load(library, generation: "a1") == .text(library.name))
    #expect("\(try load(library, generation: "b2"))".contains("already exists"))
    let hello = library.function(.hello, generation: "")
    let answer = try redis.command("FCALL", hello, "1", "lk:partitions", "256 1")
    #expect(answer == .array([.text("256 1"), .text("a1")]))
    for (generation, isThere) in [("a1", true), ("b2", false)] {
      let name = library.function(.holder, generation: generation)
      let answer = try redis.command("FCALL", name, "1", "x:{000}", "d")
      #expect(("\(answer)".contains("ERR Function not found")) == !isThere)
    }
  }

  @Test func `a library is stale when no heartbeat has named it for long`() throws {
    let bench = try ScriptBench()
    let (workers, canary, key) = (bench.base + ":w", bench.base + ":c", bench.base + ":libraries")
    func stale(_ names: String...) throws -> [String] {
      try bench.call(.staleLibraries, keys: [key], ["60000"] + names).items.compactMap(\.string)
    }
    _ = try bench.call(.heartbeat, keys: [workers, canary, key], ["w", "3000", "250", "used"])
    _ = try bench.call(.heartbeat, keys: [workers, canary, key], ["v", "3000", "250", ""])
    try bench.redis.command("ZADD", key, "\(try bench.nowMs() - 61_000)", "old")
    try bench.redis.command("ZADD", key, "\(try bench.nowMs() - 30_000)", "late")
    #expect(try stale("used", "old", "late", "new") == ["old"])
    // It was met for the first time, so that its worker may still come.
    #expect(try stale("new") == [])
    let names = try bench.redis.command("ZRANGE", key, "0", "-1").items.compactMap(\.string)
    #expect(Set(names) == ["used", "late", "new"])
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
