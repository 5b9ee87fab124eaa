// Owns: the tests of --replica-acks: what replicas have is OK, and what they may lack is not.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct ReplicaAcks {
    @Test func `a change is OK when a replica has it, and so is the reply to its retry`() throws {
      let redis = try RedisServer(
        .init(listens: true, extra: ["--repl-diskless-sync-delay", "0"]))
      let replica = try RedisServer(
        .init(listens: true, extra: ["--replicaof", "127.0.0.1", "\(redis.port)"]))
      defer { for server in [redis, replica] { server.stop() } }
      for way in Engine.ways {
        try eventually("a replica in step", within: .seconds(10)) {
          try redis.command("WAIT", "1", "100") == .integer(1)
        }
        let worker = try WorkerProcess(on: redis, ["--replica-acks", "1", "--lua", way])
        defer { worker.kill() }
        let client = try worker.connect()
        let (dev, other) = (Lab.device(), Lab.device())
        // A replica that still loads what it was sent first reports too late.
        let granted = try eventually("a replica that reports") {
          let reply = try client.request("LOCK \(dev) a")
          return reply.isOK ? reply : nil
        }
        let grant = try Grant(granted)
        expect(try client.request("OPEN \(dev) user=ada"), "OK")

        try replica.freeze()
        let missing: [(String, String)] = [
          ("LOCK \(other) a req=first", "unknown_outcome"),
          ("LOCK \(other) a req=first", "unknown_outcome"),
          ("RENEW \(dev) a token=\(grant.token)", "unknown_outcome"),
          ("SAY \(dev) {\"t\":1}", "unknown_outcome"),
          ("OPEN \(dev) user=ada thread=t", "unknown_outcome"),
          // Nothing was changed, or nothing was asked for.
          ("LOCK \(other) b", "HELD"), ("UNLOCK \(Lab.device()) a", "NONE"),
          ("HOLDER \(other)", "OK"), ("HISTORY \(dev)", "OK"),
        ]
        for (line, word) in missing {
          let start = ContinuousClock.now
          let reply = try client.request(line)
          #expect(reply.code == word || reply.raw.hasPrefix(word), "\(way): \(line): \(reply)")
          #expect(elapsedMs(since: start) < 1_000, "\(line)")
        }
        // Pipelined requests share the wait, and keep their order.
        let lines = (0..<20).map { "LOCK \(dev)-\($0) a\n" }.joined()
        let replies = try client.exchange(Array(lines.utf8), lines: 20, within: .seconds(5))
        #expect(replies.allSatisfy { $0.contains("unknown_outcome") }, "\(replies)")
        #expect(try worker.metric("latchkey_unacknowledged_calls_total", "") > 0)
        let doctor = try ProgramRun(["doctor", "--redis", redis.adminURL, "--replica-acks", "2"])
        #expect(doctor.status == 1 && doctor.output.contains("and 1 follow"), "\(doctor)")

        replica.thaw()
        let kept = try eventually("an acknowledged retry") {
          let reply = try client.request("LOCK \(other) a req=first")
          return reply.isOK ? reply : nil
        }
        #expect(kept.shows("renewed", as: "false"), "\(kept)")
        expect(try client.request("RENEW \(dev) a token=\(grant.token)"), "OK")
        let again = try client.exchange(Array(lines.utf8), lines: 20, within: .seconds(5))
        #expect(again.allSatisfy { $0.hasPrefix("OK ") && $0.contains("\"renewed\":true") })
      }
    }

    @Test(.enabled(if: Engine.hasFunctions))
    func `each node of a cluster waits for its own replicas`() throws {
      // A replica that sleeps is not to be given up meanwhile.
      let redis = try RedisCluster(masters: 2, replicas: true, timeoutMs: 5_000)
      defer { redis.stop() }
      for node in redis.nodes.prefix(2) {
        try eventually("a replica in step", within: .seconds(10)) {
          try node.command("WAIT", "1", "100") == .integer(1)
        }
      }
      for way in Engine.ways {
        let worker = try WorkerProcess(["--redis", redis.url, "--replica-acks", "1", "--lua", way])
        defer { worker.kill() }
        #expect(try worker.metric("latchkey_redis_mode", #"mode="cluster""#) == 1)
        let client = try worker.connect()
        let devices = (0..<40).map { _ in Lab.device() }
        let lock = { (request: String) in
          let lines = devices.map { "LOCK \($0) a req=\(request)\n" }.joined()
          return try client.exchange(Array(lines.utf8), lines: devices.count, within: .seconds(5))
        }
        try eventually("replicas that report") {
          try lock("first").allSatisfy { $0.hasPrefix("OK ") }
        }

        try redis.nodes[2].freeze()
        let replies = try lock("second")
        let missing = replies.count { $0.contains("unknown_outcome") }
        #expect(0 < missing && missing < devices.count, "\(way): \(replies)")
        #expect(replies.count { $0.hasPrefix("OK ") } == devices.count - missing)

        redis.nodes[2].thaw()
        try eventually("acknowledged retries") {
          try lock("second").allSatisfy { $0.hasPrefix("OK ") }
        }
      }
    }
  }
}
