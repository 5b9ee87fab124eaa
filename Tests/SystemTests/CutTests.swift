// A worker that is cut from Redis gives its requests up, and none of them is applied when the cut
// heals: the kernel has forgotten what it had not delivered.

import Foundation
import Glibc
import Testing

extension SystemSuites {
  @Suite(
    .enabled(
      if: CutNetwork.obstacle == nil,
      "packets cannot be dropped here: \(CutNetwork.obstacle ?? "no network namespace")"))
  struct Cuts {
    /// How long the cuts are, in seconds; `LATCHKEY_TEST_CUT_SECONDS` names one more.
    static let cuts: [Int] =
      [1, 10]
      + [ProcessInfo.processInfo.environment["LATCHKEY_TEST_CUT_SECONDS"]].compactMap {
        $0.flatMap { Int($0) }
      }

    /// A Redis that can be cut off, and a worker before it.
    private final class Site {
      let network: CutNetwork
      let redis: RedisServer
      let worker: WorkerProcess

      init() throws {
        network = try CutNetwork()
        redis = try RedisServer(
          .init(
            listens: true, command: network.command,
            extra: ["--bind", network.inside, "--protected-mode", "no"]))
        worker = try WorkerProcess(["--redis", redis.url(host: network.inside)])
      }

      deinit {
        worker.kill()
        redis.stop()
      }
    }

    /// Expects that the lock stays where it is, asking Redis without the network.
    private func expectNotApplied(
      _ site: Site, _ device: String, for limit: Duration,
      at place: SourceLocation = #_sourceLocation
    ) throws {
      let other = try WorkerProcess(on: site.redis)
      defer { other.kill() }
      let client = try other.connect()
      let deadline = Deadline(within: limit)
      while !deadline.isOver {
        let agent = try client.request("HOLDER \(device)").string("agent")
        guard agent == "a" else {
          Issue.record("the lock went to \(agent) after the cut", sourceLocation: place)
          return
        }
        pause(ms: 50)
      }
    }

    @Test(arguments: cuts) func `a SEIZE that was given up is not applied later`(
      seconds: Int
    ) throws {
      let site = try Site()
      let client = try site.worker.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a"), "OK")
      try site.network.cut()
      let start = ContinuousClock.now
      let reply = try client.request("SEIZE \(device) b")
      expect(reply, "ERR", "unknown_outcome")
      #expect(elapsedMs(since: start) < 600)
      try eventually("the end of the cut", within: .seconds(seconds + 5), every: 100) {
        let reply = try client.request("LOCK \(Lab.device()) a")
        #expect(reply.isOutage, "\(reply)")
        return elapsedMs(since: start) >= Double(seconds) * 1_000
      }
      try site.network.heal()
      try eventually("service again", within: .seconds(5), every: 20) {
        try client.request("LOCK \(Lab.device()) a").isOK
      }
      // The kernel would try again after at most as long as the cut has lasted.
      try expectNotApplied(site, device, for: .seconds(seconds + 2))
      #expect(try site.worker.metric("latchkey_redis_connection_resets_total", "") >= 1)
      #expect(try client.request("HOLDER \(device)").string("agent") == "a")
    }

    @Test(arguments: [SIGKILL, SIGSTOP])
    func `nor is that of a worker that was killed or stopped meanwhile`(number: Int32) throws {
      let site = try Site()
      let client = try site.worker.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a"), "OK")
      try site.network.cut()
      let start = ContinuousClock.now
      try client.sendLine("SEIZE \(device) b")
      try eventually("the request's being under way", every: 10) {
        try site.worker.metric("latchkey_requests_in_flight", "") == 1
      }
      site.worker.signal(number)
      try eventually("the end of the cut", within: .seconds(10), every: 50) {
        elapsedMs(since: start) >= 3_000
      }
      try site.network.heal()
      try expectNotApplied(site, device, for: .seconds(5))
      site.worker.thaw()
    }
  }
}
