// A Redis that is not fit: `serve` refuses it in the doctor's words before it says that it is
// ready, waits for what can pass by itself, and says so when it finds one under way.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct Fitness {
    /// Of the doctor's report on a Redis, the problems that a check found.
    private func problems(_ url: String, _ check: String) throws -> [(text: String, fix: String)] {
      let run = try ProgramRun(["doctor", "--json", "--redis", url])
      #expect([1, 3].contains(run.status), "\(run.output)\(run.errors)")
      let report = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any]
      let findings = report?["findings"] as? [[String: Any]] ?? []
      return findings.filter { $0["level"] as? String == "bad" && $0["check"] as? String == check }
        .map { ($0["text"] as? String ?? "", $0["fix"] as? String ?? "") }
    }

    /// Expects that a worker does not start, with the doctor's text for this check.
    private func expectRefused(
      _ url: String, _ check: String, at place: SourceLocation = #_sourceLocation
    ) throws {
      let problems = try problems(url, check)
      #expect(!problems.isEmpty, "the doctor finds nothing", sourceLocation: place)
      let starting = try Starting(["--redis", url])
      defer { starting.child.end() }
      #expect(try starting.awaitEnd() == .exited(1), sourceLocation: place)
      #expect(starting.output.isEmpty, "ready on an unfit Redis", sourceLocation: place)
      let log = starting.log.replacingOccurrences(of: #"\""#, with: "\"")
      for (text, fix) in problems {
        #expect(log.contains(text) && log.contains(fix), "\(text)\n\(log)", sourceLocation: place)
      }
    }

    @Test(arguments: [
      "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
      "volatile-random", "volatile-ttl",
    ])
    func `a Redis that may evict is refused, also by a user with the least rights`(
      policy: String
    ) throws {
      let redis = try RedisServer(
        .init(extra: ["--maxmemory", "100mb", "--maxmemory-policy", policy]))
      defer { redis.stop() }
      try expectRefused(redis.adminURL, "eviction")
      if policy == "allkeys-lru" { try expectRefused(redis.url, "eviction") }
    }

    @Test func `a node of a cluster without slots is waited for`() throws {
      let redis = try RedisServer(
        .init(
          listens: true,
          extra: ["--cluster-enabled", "yes", "--cluster-port", "\(TestSocket.freePort())"]))
      defer { redis.stop() }
      let starting = try Starting(["--redis", redis.adminURL])
      defer { starting.child.end() }
      try eventually("the cause") { starting.log.contains("none of them") }
      try redis.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
      #expect(try starting.awaitReadyLine(within: .seconds(10)).contains("redis-cluster://"))
    }

    @Test func `a user that Redis rejects, or that lacks a right, is refused`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      try expectRefused("unix://latchkey:wrong-hush@\(redis.path)", "connection")
      try expectRefused("unix://stranger:wrong-hush@\(redis.path)", "connection")
      try redis.command("ACL", "SETUSER", "latchkey", "-xadd", "-zadd")
      try expectRefused(redis.url, "permissions")
      try redis.command("ACL", "SETUSER", "latchkey", "+xadd", "+zadd", "resetkeys", "~other:*")
      try expectRefused(redis.url, "permissions")
      try redis.command("CONFIG", "SET", "requirepass", "s3cret-word")
      try expectRefused(redis.adminURL, "connection")
    }

    @Test func `a database or a namespace that cannot be used is refused`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      try expectRefused("\(redis.adminURL)?db=99", "namespace")
      try redis.command("SET", "lk:partitions", "256 99")
      try expectRefused(redis.adminURL, "namespace")
    }

    @Test func `without the right to INFO it serves, and warns of the missing figures`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      try redis.command("ACL", "SETUSER", "latchkey", "-info")
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      #expect(worker.log.contains("check=eviction"), "\(worker.log)")
      #expect(worker.log.contains("+info"), "\(worker.log)")
    }

    @Test func `its checks at the start leave nothing behind`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      #expect(try redis.command("KEYS", "*doctor*") == .array([]))
    }

    @Test func `a replica is waited for until it is a master`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      try redis.command("REPLICAOF", "127.0.0.1", "1")
      let starting = try Starting(["--redis", redis.url])
      defer { starting.child.end() }
      try eventually("a word of the worker about it") { starting.log.contains("check=role") }
      #expect(starting.log.contains("a replica"), "\(starting.log)")
      #expect(starting.output.isEmpty && starting.child.check() == nil)
      try redis.command("REPLICAOF", "NO", "ONE")
      _ = try starting.awaitReadyLine(within: .seconds(5))
    }

    @Test func `a full Redis is served from`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      try redis.command("CONFIG", "SET", "maxmemory", "1")
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "ERR", "unavailable")
    }

    @Test func `a Redis that has become unfit makes a running worker unready, until it is fit`()
      throws
    {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      try eventually("readiness") { try worker.get("/readyz").status == 200 }
      let admin = try RedisClient(path: redis.path)
      try admin.command("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
      try admin.command("CLIENT", "KILL", "TYPE", "normal")
      try eventually("the policy on /readyz") {
        try worker.get("/readyz").body.contains("maxmemory-policy is allkeys-lru")
      }
      // The same from the program, as a container's probe.
      func health(_ more: String...) throws -> ProgramRun {
        try ProgramRun(["health", "--admin", "127.0.0.1:\(worker.adminPort)"] + more)
      }
      let unfit = try health()
      #expect(unfit.status == 1 && unfit.output.contains("maxmemory-policy is allkeys-lru"))
      #expect(try health("--live").status == 0)
      #expect(worker.log.contains("redis is not fit any more"), "\(worker.log)")
      #expect(worker.isRunning)
      try admin.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
      try eventually("readiness again", within: .seconds(15)) {
        try worker.get("/readyz").status == 200
      }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
    }

    @Test func `an eviction policy that is set while a worker runs is noticed without a reconnect`()
      throws
    {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      try eventually("readiness") { try worker.get("/readyz").status == 200 }
      #expect(try worker.metric("latchkey_redis_fit", "") == 1)
      try redis.command("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "volatile-lru")
      try eventually("the policy on /readyz", within: .seconds(10)) {
        try worker.get("/readyz").body.contains("maxmemory-policy is volatile-lru")
      }
      #expect(try worker.metric("latchkey_redis_fit", "") == 0)
      #expect(worker.log.contains("redis is not fit any more"), "\(worker.log)")
      // Callers that still come are served.
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      try redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
      try eventually("readiness again", within: .seconds(10)) {
        try worker.get("/readyz").status == 200
      }
      #expect(try worker.metric("latchkey_redis_fit", "") == 1)
    }

    @Test func `a cluster node in the place of its Redis is not served from`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let proxy = try FakeRedis(before: redis)
      defer { proxy.stop() }
      let worker = try WorkerProcess(["--redis", proxy.url])
      defer { worker.kill() }
      let client = try worker.connect()
      try eventually("service") { try client.request("LOCK \(Lab.device()) a").isOK }
      // HELLO's reply, of which only the mode is another.
      proxy.play { reply in
        guard case .array(let parts) = reply, parts.contains(.text("standalone")) else {
          return .pass
        }
        return .replace("*4\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$7\r\ncluster\r\n")
      }
      try redis.command("CLIENT", "KILL", "TYPE", "normal")
      try eventually("the worker naming it") {
        let reply = try client.request("LOCK \(Lab.device()) a")
        return reply.code == "unavailable" && reply.text.contains("Redis Cluster")
      }
      proxy.play(.pass)
      try eventually("service again") { try client.request("LOCK \(Lab.device()) a").isOK }
    }

    @Test(arguments: [
      ("rediss://u:hush-word@h:1?a=b", "options"), ("redis-ring://u:hush-word@h", "redis://"),
      ("redis://u:hush-word@h:1?ssl=1", "options"), ("redis://h:1/x", "database"),
      ("redis://hush-word@h:1", "redis://USER:PASSWORD@HOST:PORT"), ("h:6379", "redis://"),
      ("\"redis://u:hush-word@h:1", "quote"), ("redis://u:hush-word%@h:1", "%25"),
    ])
    func `a URL that cannot be used is rejected with a remedy, and without its secret`(
      url: String, words: String
    ) throws {
      for command in ["serve", "doctor"] {
        let run = try ProgramRun([command], environment: ["REDIS_URL": url])
        #expect(run.status == 2)
        #expect(run.errors.contains(words), "\(run.errors)")
        #expect(run.errors.contains("REDIS_URL"), "\(run.errors)")
        #expect(!run.errors.contains("hush-word"))
      }
    }

    @Test func `a URL with quotes and space around it is the same URL`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      for url in ["'\(redis.url)'", " \(redis.url)\n", "\"\(redis.url)\" "] {
        let worker = try WorkerProcess([], environment: ["REDIS_URL": url])
        worker.kill()
        #expect(worker.readyLine.hasSuffix("redis=\(redis.adminURL)"), "\(worker.readyLine)")
      }
    }
  }
}
