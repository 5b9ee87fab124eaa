// Owns: the attacks on deadlines themselves: ten thousand at once, renewals that race them, locks
// without a reaper; and the ways in which deadlines are met, cause by cause.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite struct Storms {
    private static let count = 10_000

    /// Takes locks that all expire at one moment.
    private static func lockAll(
      _ devices: ArraySlice<String>, _ client: LineClient, endsAt: Int
    ) throws -> [CallRecord] {
      var calls: [CallRecord] = []
      for start in stride(from: devices.startIndex, to: devices.endIndex, by: 250) {
        let part = devices[start..<min(start + 250, devices.endIndex)]
        let ttlMs = max(10, endsAt - nowUnixMs())
        var made = part.map { device in
          CallRecord(verb: .lock, device: device, agent: "a", ttlMs: ttlMs)
        }
        let invokedUs = nowUnixUs()
        let lines = Array((made.map(\.line).joined(separator: "\n") + "\n").utf8)
        let replies = try client.exchange(lines, lines: made.count, within: .seconds(20))
        let returnedUs = nowUnixUs()
        for (index, raw) in replies.enumerated() {
          made[index].invokedUs = invokedUs
          made[index].returnedUs = returnedUs
          made[index].outcome = CallOutcome(Reply(raw: raw))
        }
        calls += made
      }
      return calls
    }

    @Test func `ten thousand locks with one deadline end once each`() throws {
      let cluster = try TestCluster(workers: 2)
      defer { cluster.stop() }
      let prefix = Lab.device("storm")
      let devices = (0..<Self.count).map { "\(prefix)-\($0)" }
      let endsAt = nowUnixMs() + 5_000
      let calls = try inParallel(2) { index in
        let half = Self.count / 2
        return try Self.lockAll(
          devices[(index * half)..<((index + 1) * half)], cluster.connect(index), endsAt: endsAt)
      }.flatMap { $0 }
      #expect(calls.allSatisfy { $0.confirmed != nil })
      #expect(nowUnixMs() < endsAt, "the locks took too long to be taken")
      try cluster.awaitSilence(within: .seconds(20))
      let events = try cluster.connect().eventLog(of: devices)
      #expect(TestCluster.judge(calls, events) == ["lock.abandoned": Self.count])
      let late = events.map { $0.place.ms - $0.at }.sorted()
      print("lateness of the storm: p50 \(late[late.count / 2]) ms, max \(late.last ?? 0) ms")
    }

    @Test func `renewals that race the deadline either win or come too late`() throws {
      let cluster = try TestCluster(workers: 2)
      defer { cluster.stop() }
      var plan = ChaosWorkload.Plan.devices(6)
      plan.agents = 1
      plan.weights = [.lock: 30, .renew: 70]
      plan.ttlMs = 10...25
      plan.pauseMs = 0...18
      let workload = cluster.workload(plan, "renewals that race the deadline")
      try workload.awaitDone(600)
      let types = try cluster.judge(workload)
      #expect(types["lock.abandoned", default: 0] > 30, "\(types)")
    }
  }

  /// A reaper that does nothing: a deadline is met only by the next request to the lock.
  private static let noReaper = PlantedBug(
    "no reaper",
    [
      .init(
        within: "", find: "local due, failure = due_members(base, limit)",
        replacement: "do return {-1, 0, {}, {}, {}} end local due, failure")
    ])

  @Suite struct Unreaped {
    private let proxy: ScriptProxy
    private let cluster: TestCluster

    init() throws {
      let made = Shared<ScriptProxy?>(nil)
      cluster = try TestCluster(
        workers: 1,
        through: { redis in
          let proxy = try ScriptProxy(before: redis, noReaper)
          made.value = proxy
          return proxy.url
        })
      proxy = try #require(made.value)
      #expect(proxy.plantedCount > 0)
    }

    /// An expired lock whose end was not noticed yet.
    private func expired(_ client: LineClient) throws -> (device: String, grant: Grant) {
      let device = Lab.device("unreaped")
      let grant = try Grant(client.request("LOCK \(device) a ttl=20ms"))
      try eventually("the deadline") { nowUnixMs() > grant.acquiredAt + 20 }
      expect(try client.request("HOLDER \(device)"), "NONE")
      #expect(try client.eventLog(of: [device]).isEmpty, "HOLDER must not change anything")
      return (device, grant)
    }

    @Test(
      arguments: [
        ("LOCK DEV a", "OK"), ("LOCK DEV b", "OK"), ("LOCK DEV a token=TOKEN", "STALE"),
        ("RENEW DEV a token=TOKEN", "NONE"), ("UNLOCK DEV a", "NONE"), ("HANDOFF DEV a b", "NONE"),
        ("SEIZE DEV b", "OK"), ("CLEAR DEV", "NONE"),
      ])
    func `a request to an expired lock writes the event of its end first`(
      request: String, word: String
    ) throws {
      defer {
        proxy.stop()
        cluster.stop()
      }
      let client = try cluster.connect()
      let (device, grant) = try expired(client)
      let reply = try client.request(
        request.replacingOccurrences(of: "DEV", with: device)
          .replacingOccurrences(of: "TOKEN", with: "\(grant.token)"))
      expect(reply, word)
      let events = try client.eventLog(of: [device])
      #expect(events.map(\.type) == ["lock.abandoned"])
      #expect(events.map(\.token) == [grant.token])
      #expect(events.map(\.at) == [grant.acquiredAt + 20])
      #expect(events.map(\.heldMs) == [20] && events.map(\.agent) == ["a"])
      guard let next = try? Grant(reply) else { return }
      #expect(next.token > grant.token && next.acquiredAt >= grant.acquiredAt + 20)
      #expect(!next.renewed)
      if request.hasPrefix("SEIZE") { #expect(try reply.json()["seized_from"] == .null) }
    }

    @Test func `without any reaper requests write the event of every end that they meet`() throws {
      defer {
        proxy.stop()
        cluster.stop()
      }
      let workload = cluster.workload(.devices(12), "no reaper")
      try workload.awaitDone(400)
      let calls = try workload.stop()
      // Locks without a later request are ended by the first worker that can reap.
      // Its settings differ, so it loads a library of its own instead of the changed one.
      let healthy = try WorkerProcess(
        on: cluster.redis, ["--events-max", "100000", "--req-keep", "11m"])
      defer { healthy.kill() }
      try cluster.awaitSilence()
      TestCluster.judge(calls, try healthy.connect().eventLog(of: workload.plan.devices))
    }
  }

  @Suite struct Index {
    @Test func `renewing does not write the index unless the deadline comes nearer`() throws {
      let cluster = try TestCluster(workers: 1)
      defer { cluster.stop() }
      let client = try cluster.connect()
      let device = Lab.device()
      let redis = try RedisClient(path: cluster.redis.path)
      func score() throws -> Int? {
        for key in try TestCluster.keys("due", redis) {
          guard case .text(let text) = try redis.command("ZSCORE", key, "l:\(device)") else {
            continue
          }
          return Int(text)
        }
        return nil
      }
      let grant = try Grant(client.request("LOCK \(device) a ttl=60s"))
      let first = grant.acquiredAt + 60_000
      #expect(try score() == first)
      for request in ["RENEW \(device) a token=\(grant.token) ttl=", "LOCK \(device) a ttl="] {
        #expect(try Grant(client.request(request + "90s")).renewed)
        #expect(try score() == first, "\(request)")
      }
      expect(try client.request("LOCK \(device) b ttl=1h"), "HELD")
      #expect(try score() == first)
      #expect(try Grant(client.request("LOCK \(device) a ttl=30s")).renewed)
      let nearer = try #require(try score())
      #expect(nearer < first)
      #expect(try Grant(client.request("RENEW \(device) a token=\(grant.token) ttl=2h")).renewed)
      #expect(try score() == nearer)
    }
  }

  @Suite struct Causes {
    /// Takes locks through a worker that is killed at once; another one must write their endings.
    private func orphan(
      _ ttl: String, redis: [String], sweep: String, within limit: Duration
    ) throws -> (met: (String) throws -> Double, stop: () -> Void) {
      let cluster = try TestCluster(workers: 0, redis: redis)
      let heir = try cluster.addWorker(["--sweep", sweep])
      try cluster.addWorker()
      try cluster.awaitWorkers(2)
      let devices = (0..<64).map { _ in Lab.device("orphan") }
      let lines = devices.map { "LOCK \($0) a ttl=\(ttl)\n" }.joined()
      let grants = try cluster.connect(1).exchange(
        Array(lines.utf8), lines: devices.count, within: .seconds(5))
      cluster.kill(1)
      #expect(grants.allSatisfy { $0.hasPrefix("OK") })
      try cluster.awaitSilence(within: limit)
      let events = try cluster.connect().eventLog(of: devices)
      #expect(events.count == devices.count)
      return (
        { try heir.metric("latchkey_deadlines_met_total", "cause=\"\($0)\"") }, { cluster.stop() }
      )
    }

    @Test func `a notification reports deadlines that a dead worker knew alone`() throws {
      let (met, stop) = try orphan(
        "200ms", redis: TestCluster.notifying, sweep: "10m", within: .milliseconds(2_500))
      defer { stop() }
      #expect(try met("notification") > 0)
    }

    @Test func `the sweep finds deadlines that a dead worker knew alone`() throws {
      let (met, stop) = try orphan("100ms", redis: [], sweep: "1s", within: .seconds(5))
      defer { stop() }
      #expect(try met("sweep") > 0)
      #expect(try met("notification") == 0)
    }
  }
}
