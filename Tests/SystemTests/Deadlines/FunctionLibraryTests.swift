// Owns: the tests of workers that share a Redis' function libraries: side by side, and cleaned up.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite(.enabled(if: Engine.hasFunctions)) struct FunctionLibraries {
    /// The libraries whose names begin so.
    private func libraries(_ redis: RedisServer, _ prefix: String = "latchkey_") throws -> [String]
    {
      try redis.command("FUNCTION", "LIST", "LIBRARYNAME", prefix + "*").items.compactMap {
        $0.items[1].string
      }
    }

    private func load(_ name: String, on redis: RedisServer) throws {
      let function = "redis.register_function('\(name)', function() return 1 end)"
      let reply = try redis.command("FUNCTION", "LOAD", "#!lua name=\(name)\n\(function)")
      #expect(reply == .text(name))
    }

    @Test func `workers with other settings have a library of their own, and serve together`()
      throws
    {
      let lab = try Lab(workers: [
        ["--lua", "function"], ["--lua", "function", "--max-chats", "3"],
      ])
      defer { lab.stop() }
      #expect(try libraries(lab.redis).count == 2)
      let device = Lab.device()
      expect(try lab.connect(0).request("LOCK \(device) a"), "OK")
      expect(try lab.connect(1).request("UNLOCK \(device) a"), "OK")
      let info = try lab.connect(0).request("INFO")
      #expect(info.raw.contains(#""lua":"function""#), "\(info)")
    }

    @Test func `a library that no worker has used for long is removed, and no other one`() throws {
      let lab = try Lab(workers: [["--lua", "function"]])
      defer { lab.stop() }
      let own = try #require(try libraries(lab.redis).first)
      let prefix = String(own.prefix(own.count - 16))
      for name in ["old", "late", "new"] { try load(prefix + name, on: lab.redis) }
      try load("latchkey_0123456789abcdef_old", on: lab.redis)
      let now = Int(Date().timeIntervalSince1970 * 1_000)
      try lab.redis.command("ZADD", "lk:{000}:libraries", "\(now - 3_600_000)", prefix + "old")
      // A worker that is late with its heartbeats, or stopped a moment ago, still has its library.
      try lab.redis.command("ZADD", "lk:{000}:libraries", "\(now - 300_000)", prefix + "late")
      let next = try WorkerProcess(on: lab.redis, ["--lua", "function"])
      defer { next.kill() }
      try eventually("the removal", within: .seconds(20)) {
        try !libraries(lab.redis).contains(prefix + "old")
      }
      let left = try libraries(lab.redis)
      #expect(Set(left) == [own, prefix + "late", prefix + "new", "latchkey_0123456789abcdef_old"])
      let known = try lab.redis.command("ZRANGE", "lk:{000}:libraries", "0", "-1").items
      #expect(Set(known.compactMap(\.string)) == [own, prefix + "late", prefix + "new"])
      try eventually("a line of the log") {
        (next.log + lab.worker.log).contains("an unused library of functions was removed")
      }
    }

    @Test func `a user without the right to functions is served by hash, and the log says so`()
      throws
    {
      var options = RedisServer.Options()
      options.listens = true
      let redis = try RedisServer(options)
      defer { redis.stop() }
      try redis.command(
        "ACL", "SETUSER", "small", "on", ">word", "~lk:*", "&*", "+@all", "-fcall", "-function")
      let url = "redis://small:word@127.0.0.1:\(redis.port)"
      let worker = try WorkerProcess(["--redis", url], environment: ["LATCHKEY_LUA": "auto"])
      defer { worker.kill() }
      let client = try worker.connect()
      expect(try client.request("LOCK \(Lab.device()) a"), "OK")
      #expect(try client.request("INFO").raw.contains(#""lua":"script""#))
      #expect(worker.log.contains("redis does not run functions: scripts are called by hash"))
      #expect(try libraries(redis) == [])
    }
  }
}
