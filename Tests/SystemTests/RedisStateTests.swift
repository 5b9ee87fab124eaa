// A Redis that runs but rejects commands: read-only, loading, full, busy, guarded, of another size.

import Foundation
import Glibc
import Testing

extension SystemSuites {
  @Suite struct RedisStates {
    /// Waits for the first LOCK that is granted.
    private func awaitService(_ client: LineClient) throws {
      try eventually("service again", within: .seconds(5), every: 20) {
        try client.request("LOCK \(Lab.device()) a").isOK
      }
    }

    /// Expects `unavailable` for a LOCK, and that the connection is in order.
    private func expectUnavailable(
      _ client: LineClient, at place: SourceLocation = #_sourceLocation
    ) throws {
      let start = ContinuousClock.now
      let reply = try client.request("LOCK \(Lab.device()) a")
      expect(reply, "ERR", "unavailable", at: place)
      #expect(!reply.text.isEmpty, sourceLocation: place)
      #expect(elapsedMs(since: start) < 600, sourceLocation: place)
      #expect(try client.request("PING").raw == "OK", sourceLocation: place)
    }

    @Test func `a Redis that became a replica is unavailable until it is a master again`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      try awaitService(client)
      try lab.redis.command("REPLICAOF", "127.0.0.1", "1")
      for _ in 0..<5 { try expectUnavailable(client) }
      try lab.redis.command("REPLICAOF", "NO", "ONE")
      try awaitService(client)
    }

    @Test func `a Redis that asks for a password is unavailable until it does not`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(["--redis", redis.adminURL])
      defer { worker.kill() }
      let client = try worker.connect()
      try awaitService(client)
      let operatorClient = try RedisClient(path: redis.path)
      try operatorClient.command("CONFIG", "SET", "requirepass", "s3cret")
      try operatorClient.command("CLIENT", "KILL", "TYPE", "normal")
      try eventually("the worker noticing") {
        try client.request("LOCK \(Lab.device()) a").code == "unavailable"
      }
      for _ in 0..<5 { try expectUnavailable(client) }
      try operatorClient.command("CONFIG", "SET", "requirepass", "")
      try awaitService(client)
    }

    @Test func `a Redis with no connection to spare is unavailable until it has one`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      try awaitService(client)
      let operatorClient = try RedisClient(path: lab.redis.path)
      try operatorClient.command("CONFIG", "SET", "maxclients", "1")
      try operatorClient.command("CLIENT", "KILL", "TYPE", "normal")
      try operatorClient.command("CLIENT", "KILL", "TYPE", "pubsub")
      try eventually("the worker noticing") {
        try client.request("LOCK \(Lab.device()) a").code == "unavailable"
      }
      for _ in 0..<5 { try expectUnavailable(client) }
      try operatorClient.command("CONFIG", "SET", "maxclients", "1000")
      try awaitService(client)
    }

    @Test func `a Redis that is loading is unavailable until it has loaded`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      let lines = (0..<400).map { "LOCK \(device)-\($0) a\n" }.joined()
      _ = try client.exchange(Array(lines.utf8), lines: 400, within: .seconds(5))
      try lab.redis.command("SAVE")
      lab.redis.kill()
      // Microseconds for each key: the load takes a second or two.
      try lab.redis.start(
        ["--key-load-delay", "1500", "--loading-process-events-interval-bytes", "1024"],
        untilLoaded: false)
      var loading = 0
      try eventually("the end of the loading", within: .seconds(10), every: 10) {
        let reply = try client.request("LOCK \(Lab.device()) a")
        if reply.isOK { return true }
        #expect(reply.isOutage, "\(reply)")
        loading += reply.code == "unavailable" ? 1 : 0
        return false
      }
      #expect(loading > 0)
      #expect(try client.request("HOLDER \(device)-399").string("agent") == "a")
    }

    @Test func `a full Redis takes no lock but renews and frees them`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      let devices = (0..<3).map { _ in Lab.device() }
      let grants = try devices.map { try Grant(client.request("LOCK \($0) a")) }
      try lab.redis.command("CONFIG", "SET", "maxmemory", "1")
      for _ in 0..<3 { try expectUnavailable(client) }
      expect(try client.request("HOLDER \(devices[0])"), "OK")
      expect(try client.request("RENEW \(devices[0]) a token=\(grants[0].token)"), "OK")
      expect(try client.request("UNLOCK \(devices[0]) a"), "OK")
      expect(try client.request("UNLOCK \(devices[1]) a token=\(grants[1].token) req=full"), "OK")
      expect(try client.request("CLEAR \(devices[2])"), "OK")
      for device in devices { expect(try client.request("HOLDER \(device)"), "NONE") }
      try lab.redis.command("CONFIG", "SET", "maxmemory", "0")
      expect(try client.request("LOCK \(devices[0]) b"), "OK")
    }

    @Test func `a Redis that is busy with a script is reported as an outage`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let redis = lab.redis
      let client = try lab.connect()
      try awaitService(client)
      try redis.command("CONFIG", "SET", "busy-reply-threshold", "20")
      let script = Background {
        try RedisClient(path: redis.path).command(
          ["EVAL", "while true do end", "0"], within: .seconds(30))
      }
      try eventually("the script's start") {
        try RedisClient(path: redis.path).command("PING") != .text("PONG")
      }
      for _ in 0..<5 {
        let reply = try client.request("LOCK \(Lab.device()) a")
        #expect(reply.isOutage, "\(reply)")
      }
      try redis.command("SCRIPT", "KILL")
      _ = try script.join()
      try awaitService(client)
    }

    @Test(arguments: ["64 1", "256 2", "256"])
    func `a namespace of another layout is refused`(layout: String) throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      try redis.command("SET", "lk:partitions", layout)
      let starting = try Starting(["--redis", redis.url])
      defer { starting.child.end() }
      let ending = try starting.awaitEnd()
      #expect(ending != .exited(0))
      guard case .exited = ending else {
        Issue.record("it crashed: \(ending)")
        return
      }
      #expect(starting.output.isEmpty)
      for word in ["\(layout.prefix { $0 != " " }) partitions", "this version has 256", "layout 1"]
      {
        #expect(starting.log.contains(word), "\(starting.log)")
      }
      #expect(try redis.command("GET", "lk:partitions") == .text(layout))
      // Another namespace has a layout of its own.
      let worker = try WorkerProcess(on: redis, ["--namespace", "fresh"])
      defer { worker.kill() }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      #expect(try redis.command("GET", "fresh:partitions") == .text("256 1"))
    }

    @Test func `a worker waits for a Redis that is not there yet`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      redis.kill()
      let starting = try Starting(["--redis", redis.url])
      defer { starting.child.end() }
      pause(ms: 1_000)
      #expect(starting.output.isEmpty, "ready without Redis")
      #expect(starting.child.check() == nil, "it gave up: \(starting.log)")
      try redis.start()
      #expect(try starting.awaitReadyLine(within: .seconds(5)).hasPrefix("ready listen="))
    }

    @Test func `a worker that waits for Redis can be stopped`() throws {
      let redis = try RedisServer()
      redis.stop()
      let starting = try Starting(["--redis", redis.url])
      defer { starting.child.end() }
      try eventually("the worker's start") { starting.log.contains("msg=starting") }
      starting.child.signal(SIGTERM)
      #expect(try starting.awaitEnd(within: .seconds(3)) == .exited(0))
      #expect(starting.output.isEmpty)
    }
  }
}
