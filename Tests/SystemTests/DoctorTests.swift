// `latchkey doctor`: finds that a Redis is fit, or its problems and their fixes, and changes
// nothing.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct Doctor {
    private static let fit = RedisServer.Options(
      appendOnly: true, extra: ["--notify-keyspace-events", "Ex"])

    @Test func `a fit Redis is found fit and is left as it was`() throws {
      let redis = try RedisServer(Self.fit)
      defer { redis.stop() }
      let before = try redis.command("CONFIG", "GET", "*")
      for run in [
        try ProgramRun(["doctor", "--redis", redis.adminURL]),
        try ProgramRun(["doctor"], environment: ["REDIS_URL": redis.adminURL]),
      ] {
        #expect(run.status == 0, "\(run.output)\(run.errors)")
        #expect(!run.output.isEmpty)
      }
      #expect(try redis.command("DBSIZE") == .integer(0))
      #expect(try redis.command("CONFIG", "GET", "*") == before)
    }

    @Test(arguments: [
      (["maxmemory-policy", "allkeys-lru"], "maxmemory-policy"),
      (["maxmemory-policy", "volatile-ttl"], "maxmemory-policy"),
    ])
    func `a setting that loses locks makes a Redis unfit`(
      setting: [String], named: String
    ) throws {
      let redis = try RedisServer(Self.fit)
      defer { redis.stop() }
      // Without a limit nothing is evicted, whatever the policy.
      try redis.command("CONFIG", "SET", "maxmemory", "100mb")
      try redis.command("CONFIG", "SET", setting[0], setting[1])
      let run = try ProgramRun(["doctor", "--redis", redis.adminURL])
      #expect(run.status != 0, "\(run.output)")
      #expect(run.output.contains(named), "\(run.output)\(run.errors)")
      #expect(run.output.contains("noeviction"), "says what to change: \(run.output)")
    }

    @Test(arguments: [
      (["notify-keyspace-events", ""], "notify-keyspace-events"),
      (["appendonly", "no"], "appendonly"),
    ])
    func `a setting that is missing is found and named`(setting: [String], named: String) throws {
      let redis = try RedisServer(Self.fit)
      defer { redis.stop() }
      try redis.command("CONFIG", "SET", setting[0], setting[1])
      let run = try ProgramRun(["doctor", "--redis", redis.adminURL])
      #expect(run.output.contains(named), "\(run.output)\(run.errors)")
    }

    @Test func `a replica is unfit`() throws {
      let redis = try RedisServer(Self.fit)
      defer { redis.stop() }
      try redis.command("REPLICAOF", "127.0.0.1", "1")
      let run = try ProgramRun(["doctor", "--redis", redis.adminURL])
      #expect(run.status != 0, "\(run.output)")
      #expect(run.output.lowercased().contains("replica"), "\(run.output)")
    }

    @Test func `a user without the rights is unfit`() throws {
      var options = Self.fit
      options.listens = true
      let redis = try RedisServer(options)
      defer { redis.stop() }
      try redis.command("ACL", "SETUSER", "small", "on", ">quiet-word", "~lk:*", "+ping", "+info")
      let url = "redis://small:quiet-word@127.0.0.1:\(redis.port)"
      let run = try ProgramRun(["doctor", "--redis", url])
      #expect(run.status != 0, "\(run.output)")
      #expect(run.output.lowercased().contains("evalsha"), "\(run.output)\(run.errors)")
      #expect(!(run.output + run.errors).contains("quiet-word"))
    }

    @Test func `a Redis that is not there or does not answer is unfit, and soon`() throws {
      let redis = try RedisServer(Self.fit)
      defer { redis.stop() }
      try redis.freeze()
      let hanging = try ProgramRun(["doctor", "--redis", redis.adminURL], within: .seconds(8))
      redis.thaw()
      #expect(hanging.status != 0)
      redis.kill()
      let gone = try ProgramRun(["doctor", "--redis", redis.adminURL], within: .seconds(8))
      #expect(gone.status != 0)
      for run in [hanging, gone] { #expect(!(run.output + run.errors).isEmpty) }
    }
  }
}
