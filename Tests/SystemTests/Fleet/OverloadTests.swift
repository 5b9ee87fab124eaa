// Owns: the tests of a Redis that answers less than is asked: what is refused, and that those who
// ask for little are not.

import Foundation
import Testing

extension SystemSuites.Fleet {
  @Suite struct Overload {
    private static let refusals = "latchkey_queue_refusals_total"

    @Test func `what Redis would answer too late is refused at once, but not of who asks little`()
      throws
    {
      let file = try PrincipalsFile([
        ("heavy", ["--rights", "read,write"]), ("calm", ["--rights", "read,write"]),
      ])
      // Nothing is refused while answers take less than a twentieth of the time-out.
      let lab = try Lab(workers: [
        ["--auth", file.path, "--threads", "1", "--request-timeout", "10s"]
      ])
      defer { lab.stop() }
      let worker = lab.worker
      let device = Lab.device()
      let (heavy, calm) = (
        try (0..<40).map { _ in try file.connect(worker, as: "heavy") },
        try file.connect(worker, as: "calm")
      )
      expect(try calm.request("LOCK \(device) a"), "OK")
      try lab.redis.freeze()
      defer { lab.redis.thaw() }
      // So many may wait while Redis pauses.
      for (number, client) in heavy.enumerated() {
        let lines = (0..<30).map { "LOCK \(device)-\(number)-\($0) a\n" }.joined()
        try client.send(Array(lines.utf8))
      }
      let probes = try (0..<20).map { _ in try file.connect(worker, as: "heavy") }
      var sent = 0
      try eventually("a refusal", every: 50) {
        // Those before it wait for Redis.
        try #require(sent < probes.count, "none of them is refused")
        try probes[sent].sendLine("LOCK \(device)-p\(sent) a")
        sent += 1
        return try probes[sent - 1].readLine(within: .milliseconds(20)).map {
          $0.hasPrefix("ERR overloaded Redis is behind")
        } ?? false
      }
      let began = ContinuousClock.now
      let refused = try file.connect(worker, as: "heavy")
      expect(try refused.request("LOCK \(device)-r a"), "ERR", "overloaded")
      expect(try refused.request("EVENTS \(device)"), "ERR", "overloaded")
      #expect(elapsedMs(since: began) < 1_000, "far less than Redis' silence")
      #expect(try refused.request("PING").isOK)
      #expect(try worker.metric(Self.refusals) == 3)

      try calm.sendLine("LOCK \(device) a")
      try eventually("its being admitted") {
        try worker.metric("latchkey_requests_in_flight") == 1_200 + sent
      }
      lab.redis.thaw()
      expect(try calm.reply(), "OK")
      for client in heavy { #expect(try client.replies(30).allSatisfy { $0.isOK }) }
      try eventually("service as before") { try refused.request("LOCK \(device)-r a").isOK }
      let settled = try worker.metric(Self.refusals)
      for client in heavy { expect(try client.request("HOLDER \(device)"), "OK") }
      #expect(try worker.metric(Self.refusals) == settled)
    }

    @Test func `1,000 connections × 1,024 LOCKs: who asks for one at a time is served beside them`()
      throws
    {
      let lab = try Lab(workers: [["--threads", "1", "--request-timeout", "60s"]])
      defer { lab.stop() }
      let device = Lab.device()
      let pipelines = try (0..<50).map { _ in try lab.connect() }
      let lines = (0..<300).map { "LOCK \(device)-\($0) a\n" }.joined()
      try lab.redis.freeze()
      defer { lab.redis.thaw() }
      for client in pipelines { try client.send(Array(lines.utf8)) }
      let inFlight = "latchkey_requests_in_flight"
      try eventually("a full room") { try lab.worker.metric(inFlight) >= 1_024 }
      let calm = try lab.connect()
      try calm.sendLine("LOCK \(device)-calm a")
      try eventually("its connection") { try lab.worker.metric("latchkey_connections") == 51 }
      #expect(try lab.worker.metric(inFlight) <= 4_096 + 51)
      lab.redis.thaw()
      expect(try calm.reply(within: .seconds(20)), "OK")
      let served = try lab.worker.metric("latchkey_requests_total{verb=\"LOCK\",outcome=\"ok\"}")
      #expect(served < 12_000, "it waited for most of 15,000 others")
      for client in pipelines {
        #expect(try client.replies(300, within: .seconds(20)).allSatisfy { $0.isOK })
      }
    }
  }
}
