// Owns: the tests of a worker whose Redis is named by real sentinels: failovers by crash and by
// plan, a master that wakes up deposed, sentinels that are cut off, and wrong settings.

import Foundation
import TestSupport
import Testing

extension SystemSuites {
  @Suite struct Sentinels {
    /// By when a new master serves, from the first sentinel's word on.
    private static let servesWithin = Duration.seconds(2)

    /// Asks for locks until one is granted.
    private func awaitLock(_ client: LineClient, within limit: Duration) throws {
      try eventually("a lock again", within: limit, every: 10) {
        let reply = try client.request("LOCK \(Lab.device()) a")
        #expect(reply.isOK || reply.isOutage, "\(reply)")
        return reply.isOK
      }
    }

    @Test func `a master that crashes is replaced, and what comes back of it is not used`() throws {
      let set = try SentinelSet()
      defer { set.stop() }
      let worker = try WorkerProcess(["--redis", set.url, "--threads", "2"])
      defer { worker.kill() }
      let ports = set.sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
      #expect(worker.readyLine.contains("redis=redis-sentinel://\(ports)/mymaster"))
      let client = try worker.connect()
      #expect(try client.request("INFO").raw.contains(#""mode":"sentinel""#))
      let doctor = try ProgramRun(["doctor", "--redis", set.url], within: .seconds(20))
      #expect(doctor.status == 0, "\(doctor)")
      #expect(doctor.output.contains("sentinel: 3 of 3 answer, and name 127.0.0.1:"), "\(doctor)")

      let kept = try Grant(client.request("LOCK kept a"))
      try set.awaitReplicated(from: 0)
      // What is granted now does not reach the replica.
      try set.servers[1].command("REPLICAOF", "127.0.0.1", "1")
      let lost = try Grant(client.request("LOCK lost a"))
      set.servers[0].kill()
      try set.awaitFailover(from: 0)
      try awaitLock(client, within: Self.servesWithin)
      expect(try client.request("RENEW kept a token=\(kept.token)"), "OK")
      let again = try Grant(client.request("LOCK lost b"))
      #expect(again.token > lost.token)

      // The old master is one again for a moment, of nothing.
      try set.servers[0].start()
      let deadline = Deadline(within: .seconds(10))
      while !set.isReplica(0) {
        #expect(try set.connections(at: 0) == 0)
        #expect(try client.request("HOLDER kept").isOK)
        guard !deadline.isOver else { throw Failure("the old master does not follow") }
        pause(ms: 10)
      }
      try eventually("readiness") { try worker.get("/readyz").status == 200 }
      #expect(try worker.metric("latchkey_redis_master_changes_total", "") == 1)
      #expect(try worker.metric("latchkey_sentinels_answering", "") == 3)
      #expect(try worker.metric("latchkey_redis_mode", #"mode="sentinel""#) == 1)
    }

    @Test func `a master that sleeps, and a stale sentinel, are left, and stay left`() throws {
      let set = try SentinelSet()
      defer { set.stop() }
      let worker = try WorkerProcess(["--redis", set.url, "--threads", "2"])
      defer { worker.kill() }
      let client = try worker.connect()
      let before = try Grant(client.request("LOCK dev a"))
      try set.awaitReplicated(from: 0)
      // The replica will be promoted without the functions.
      if Engine.hasFunctions {
        try set.servers[1].command("CONFIG", "SET", "replica-read-only", "no")
        try set.servers[1].command("FUNCTION", "FLUSH")
      }
      try set.sentinels[0].freeze()
      try set.servers[0].freeze()
      try set.awaitFailover(from: 0, by: [1, 2])
      try awaitLock(client, within: Self.servesWithin)
      let taken = try Grant(client.request("SEIZE dev b"))
      #expect(taken.token > before.token)
      set.servers[0].thaw()
      set.sentinels[0].thaw()
      let deadline = Deadline(within: .seconds(10))
      var isDemoted = false
      while try !isDemoted || set.master(of: 0) != 1 {
        #expect(try client.request("HOLDER dev").string("agent") == "b")
        #expect(try set.connections(at: 0) == 0)
        guard !deadline.isOver else { throw Failure("the old master does not follow") }
        isDemoted = set.isReplica(0)
        pause(ms: 10)
      }
      try set.awaitHealth()

      // A planned failover cuts no connection by itself, and the old master answers on.
      try set.failOver(from: 1)
      try eventually("no connection at the deposed master", within: .seconds(1)) {
        try set.connections(at: 1) == 0
      }
      try awaitLock(client, within: Self.servesWithin)
      expect(try client.request("RENEW dev b token=\(taken.token)"), "OK")
    }

    /// Minutes of it are part of scripts/soak.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["LATCHKEY_TEST_SECONDS"] != nil))
    func `with acks of replicas many failovers lose nothing that a caller was given`() throws {
      let set = try SentinelSet()
      defer { set.stop() }
      let worker = try WorkerProcess(["--redis", set.url, "--replica-acks", "1"])
      defer { worker.kill() }
      let load = LockLoad { try worker.connect() }
      var (master, isCrash, rounds) = (0, true, Rounds(2))
      while rounds.next() {
        try load.awaitAcknowledged(100)
        let old = set.servers[master]
        if isCrash { old.kill() } else { try old.freeze() }
        try set.awaitFailover(from: master)
        if isCrash { try old.start() } else { old.thaw() }
        try set.awaitHealth()
        (master, isCrash) = (1 - master, !isCrash)
      }
      try load.awaitAcknowledged(200)
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(report.codes["unavailable", default: 0] > 0, "\(report.codes)")
      try eventually("readiness") { try worker.get("/readyz").status == 200 }
      try expectKept(report.acknowledged, worker.connect())
    }

    @Test func `sentinels with a password, and wrong settings, in words`() throws {
      let redis = try RedisServer(.init(listens: true))
      let other = try RedisServer(.init(listens: true))
      defer { for server in [redis, other] { server.stop() } }
      let sentinel = try SentinelProcess(master: redis.port, more: ["requirepass sesame"])
      let open = try SentinelProcess(master: other.port)
      defer { for process in [sentinel, open] { process.kill() } }
      let folder = try Scratch.folder("secrets")
      for (name, text) in [("right", "sesame"), ("wrong", "hunter2")] {
        try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
      }
      let here = "redis-sentinel://latchkey:least-rights@127.0.0.1:\(sentinel.port)"
      let password = ["--sentinel-password-file", "\(folder)/right"]
      let worker = try WorkerProcess(["--redis", "\(here)/mymaster"] + password)
      expect(try worker.connect().request("LOCK dev a"), "OK")
      #expect(try redis.command("DBSIZE") != .integer(0))
      worker.kill()

      let rows: [([String], String)] = [
        (["--redis", "\(here)/mymaster"], "give the sentinels' login as --sentinel-user"),
        (
          ["--redis", "\(here)/mymaster", "--sentinel-password-file", "\(folder)/wrong"],
          "give the sentinels' login as --sentinel-user"
        ),
        (["--redis", "\(here)/other"] + password, "the sentinels watch no master named other"),
        (["--redis", "\(here)/mymaster", "--sentinel-password-file", "/none"], "open /none"),
        (["--redis", redis.url] + password, "are for sentinels: give --redis redis-sentinel://"),
      ]
      for (arguments, reason) in rows {
        let starting = try Starting(arguments)
        #expect(try starting.awaitEnd() != .exited(0))
        #expect(starting.log.contains(reason), "\(arguments): \(starting.log)")
        #expect(!starting.log.contains("hunter2"))
      }
      let doctor = try ProgramRun(["doctor", "--redis", "\(here)/other"] + password)
      #expect(doctor.status == 3 && doctor.output.contains("watch no master named other"))

      // The sentinel of another set knows the name, but not that master.
      let both = "\(here),127.0.0.1:\(open.port)/mymaster"
      let mixed = try ProgramRun(["doctor", "--redis", both] + password)
      #expect(mixed.output.contains("names another master"), "\(mixed)")
    }
  }
}
