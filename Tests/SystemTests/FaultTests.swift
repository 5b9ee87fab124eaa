// Processes that die, hang and come back, under load: acknowledged writes persist.

import Foundation
import Testing
import struct TestSupport.Seeded

/// The deadline of a request (500 ms) and the lateness that the design allows (100 ms).
private let answerMsMax = 600.0

/// Waits until the worker grants locks again.
private func awaitService(
  _ client: LineClient, within limit: Duration = .seconds(5)
) throws {
  try eventually("service again", within: limit, every: 20) {
    let reply = try client.request("LOCK \(Lab.device("again")) a")
    #expect(reply.isOK || reply.isOutage, "\(reply)")
    return reply.isOK
  }
}

extension SystemSuites {
  @Suite struct Faults {
    @Test func `no acknowledged lock is lost when Redis is killed and comes back`() throws {
      let lab = try Lab(.durable)
      defer { lab.stop() }
      let worker = lab.worker
      let load = LockLoad { try worker.connect() }
      let client = try lab.connect()
      try load.awaitAcknowledged(300)
      lab.redis.kill()
      try eventually("the worker noticing") {
        try client.request("LOCK \(Lab.device()) a").code == "unavailable"
      }
      for _ in 0..<20 {
        let start = ContinuousClock.now
        expect(try client.request("LOCK \(Lab.device()) a"), "ERR", "unavailable")
        #expect(elapsedMs(since: start) < 200)
      }
      #expect(try client.request("PING").raw == "OK")
      try lab.redis.start()
      try awaitService(client)
      try load.awaitAcknowledged(300)
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(report.codes["lost"] == nil, "a client was dropped: \(report.codes)")
      #expect(report.codes["unavailable", default: 0] > 0)
      try expectKept(report.acknowledged, client)
    }

    @Test func `a Redis that comes back empty is served again, and tokens go on growing`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      let before = try Grant(client.request("LOCK \(device) a"))
      lab.redis.kill()
      try lab.redis.start()
      try awaitService(client)
      expect(try client.request("HOLDER \(device)"), "NONE")
      expect(try client.request("RENEW \(device) a token=\(before.token)"), "NONE")
      let after = try Grant(client.request("LOCK \(device) b"))
      #expect(after.token > before.token)
    }

    @Test func `a Redis that hangs delays no request beyond its deadline and crosses no reply`()
      throws
    {
      let lab = try Lab()
      defer { lab.stop() }
      let worker = lab.worker
      let load = LockLoad { try worker.connect() }
      try load.awaitAcknowledged(200)
      try lab.redis.freeze()
      let client = try lab.connect()
      let device = Lab.device()
      let burst = (0..<200).map { "LOCK \(device)-\($0) b\($0)\n" }.joined()
      for _ in 0..<3 {
        let start = ContinuousClock.now
        let lines = try client.exchange(Array(burst.utf8), lines: 200, within: .seconds(5))
        #expect(elapsedMs(since: start) < answerMsMax)
        #expect(lines.allSatisfy { Reply(raw: $0).isOutage }, "\(Set(lines).prefix(5))")
        #expect(try client.request("PING").raw == "OK")
      }
      lab.redis.thaw()
      try awaitService(client)
      let lines = try client.exchange(Array(burst.utf8), lines: 200, within: .seconds(5))
      for (number, line) in lines.enumerated() {
        #expect(Reply(raw: line).shows("agent", as: "\"b\(number)\""), "\(line)")
      }
      try load.awaitAcknowledged(500)
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(report.slowestMs < answerMsMax)
      #expect(report.codes["unknown_outcome", default: 0] > 0, "\(report.codes)")
      #expect(report.codes["lost"] == nil, "a client was dropped: \(report.codes)")
      try expectKept(report.acknowledged, client)
    }

    @Test func `a Redis that hangs again and again does no harm`() throws {
      var random = Seeded("Redis hanging again and again")
      let lab = try Lab()
      defer { lab.stop() }
      let worker = lab.worker
      let load = LockLoad { try worker.connect() }
      for _ in 0..<6 {
        try load.awaitAcknowledged(100)
        try lab.redis.freeze()
        // As long as a deadline, more or less: replies arrive just before and just after it.
        pause(ms: UInt32.random(in: 400...600, using: &random))
        lab.redis.thaw()
      }
      try load.awaitAcknowledged(300)
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(report.slowestMs < answerMsMax)
      try expectKept(report.acknowledged, lab.connect())
    }

    @Test func `scripts that are flushed all the time fail no request`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let (redis, worker) = (lab.redis, lab.worker)
      let done = Shared(false)
      let flusher = Background {
        let client = try RedisClient(path: redis.path)
        var count = 0
        while !done.value {
          try client.command("SCRIPT", "FLUSH")
          try client.command("FUNCTION", "FLUSH")
          count += 1
        }
        return count
      }
      defer { done.value = true }
      let kept = try inParallel(4) { index in
        let client = try worker.connect()
        let device = Lab.device("flush\(index)")
        return try (0..<500).map { number in
          let reply = try client.request("LOCK \(device)-\(number) a\(number)")
          let grant = try Grant(reply)
          #expect(grant.agent == "a\(number)")
          return Acknowledged(
            device: "\(device)-\(number)", agent: grant.agent, token: grant.token)
        }
      }
      done.value = true
      #expect(try flusher.join() > 10)
      try expectKept(kept.flatMap { $0 }, lab.connect())
    }

    @Test func `no acknowledged lock is lost when a worker is killed`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let current = Shared(lab.worker)
      let load = LockLoad { try current.value.connect() }
      for _ in 0..<3 {
        try load.awaitAcknowledged(200)
        let killed = current.value
        killed.kill()
        current.value = try WorkerProcess(on: lab.redis)
      }
      try load.awaitAcknowledged(200)
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(report.codes["lost", default: 0] > 0, "no kill hit a request: \(report.codes)")
      try expectKept(report.acknowledged, current.value.connect())
      current.value.kill()
    }

    @Test func `a worker that slept longer than a lock gives the truth when it wakes`() throws {
      let lab = try Lab(workers: [[], []])
      defer { lab.stop() }
      let sleeper = try lab.connect(0)
      let other = try lab.connect(1)
      let device = Lab.device()
      let first = try Grant(sleeper.request("LOCK \(device) a ttl=100ms"))
      try lab.workers[0].freeze()
      try sleeper.sendLine("RENEW \(device) a token=\(first.token) ttl=1h")
      let second: Grant = try eventually("the end of the sleeper's lock") {
        let reply = try other.request("LOCK \(device) b ttl=1h")
        return reply.isOK ? try Grant(reply) : nil
      }
      #expect(second.token > first.token)
      lab.workers[0].thaw()
      // It may say that it was too late to ask, but not that the lock was renewed.
      let late = try sleeper.reply()
      #expect(late.word == "HELD" || late.word == "ERR", "\(late)")
      expect(try sleeper.request("UNLOCK \(device) a token=\(first.token)"), "HELD")
      #expect(try sleeper.request("HOLDER \(device)").string("agent") == "b")
    }

    @Test func `a client's connection lives on while Redis is away`() throws {
      let lab = try Lab(.durable)
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      let grant = try Grant(client.request("LOCK \(device) a"))
      for _ in 0..<3 {
        lab.redis.kill()
        try eventually("the worker noticing") { try client.request("HOLDER \(device)").isOutage }
        try lab.redis.start()
        try awaitService(client)
        expect(try client.request("RENEW \(device) a token=\(grant.token)"), "OK")
      }
    }
  }
}
