// The figures of the fleet from outside: STATS over sessions of all kinds, the same in /metrics of
// each worker, and what they cost Redis.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct FleetFigures {
    private let lab: Lab
    private let client: LineClient

    /// Redis is on this machine.
    private static var nowMs: Int { Int(Date().timeIntervalSince1970 * 1_000) }

    init() throws {
      lab = try Lab.current
      client = try lab.connect()
    }

    /// The part of STATS about sessions, which both workers must show alike.
    private func sessions() throws -> JSON {
      let found = try (0..<2).map { try lab.connect($0).request("STATS").json()["sessions"] }
      #expect(found[0] == found[1])
      return try #require(found[0])
    }

    private func expectChats(_ count: Int, after line: String) throws {
      let reply = try client.request(line)
      #expect(reply.isOK, "\(line): \(reply)")
      #expect(try sessions()["live_chats"]?.int == count, "\(line)")
    }

    @Test func `STATS has the chats of live sessions, and the ages of all`() throws {
      #expect(try sessions()["oldest_at"] == .null && sessions()["newest_at"] == .null)
      let (a, b, c) = (Lab.device(), Lab.device(), Lab.device())
      try expectChats(1, after: "OPEN \(a)")
      let opened = try client.request("GET \(a)").int("created_at")
      try expectChats(1, after: "OPEN \(b) chat=none")
      try expectChats(2, after: "CHAT \(a)")
      try expectChats(3, after: "SAY \(a)/current/@side {\"n\":1}")
      try expectChats(2, after: "DELETE \(a)/current/1")
      try expectChats(3, after: "SAY \(b) {\"n\":1}")
      try expectChats(3, after: "PAUSE \(a)")
      try expectChats(1, after: "CLOSE \(a)")
      try expectChats(2, after: "OPEN \(c)")
      try expectChats(3, after: "CHAT \(c)")
      let export = try client.request("EXPORT \(c)").raw.dropFirst("OK ".count)
      try expectChats(5, after: "COPY \(c) \(Lab.device())")
      try expectChats(3, after: "ARCHIVE \(c)")
      try expectChats(5, after: "RECOVER \(c)/current archived=yes")
      try expectChats(5, after: "IMPORT replace=yes \(export)")
      try expectChats(3, after: "DELETE \(c)")
      let now = try sessions()
      let wanted = [
        "active": 2, "paused": 0, "abandoned": 0, "archived": 0, "completed": 1, "failed": 0,
        "closed": 1, "expired": 0,
      ]
      for (name, count) in wanted { #expect(now[name]?.int == count, "\(name): \(now)") }
      #expect(now["oldest_at"]?.int == opened)
      try expectChats(4, after: "OPEN \(c)")
      let newest = try client.request("GET \(c)").int("created_at")
      #expect(try sessions()["newest_at"]?.int == newest)
      #expect(try client.request("DELETE \(a)").isOK)
      #expect(try sessions()["oldest_at"]?.int ?? 0 >= opened)
    }

    @Test func `STATS says for how long the locks of now are held`() throws {
      let agent = Lab.device("agent")
      let devices = [Lab.device(), Lab.device()]
      for device in devices { expect(try client.request("LOCK \(device) \(agent)"), "OK") }
      let acquired = try devices.map { try client.request("HOLDER \($0)").int("acquired_at") }
      expect(try client.request("SEIZE \(devices[1]) \(agent)-2"), "OK")
      let seized = try client.request("HOLDER \(devices[1])").int("acquired_at")
      let sum = acquired[0] + seized
      try eventually("a mean over 20 ms") {
        let before = Self.nowMs
        let mean = try client.request("STATS").json()["locks"]?["held_now_ms_mean"]?.int ?? -1
        let after = Self.nowMs
        #expect((before - sum / 2 - 1...after - sum / 2 + 1).contains(mean), "\(mean)")
        return mean > 20
      }
      for device in devices { expect(try client.request("CLEAR \(device)"), "OK") }
      #expect(try client.request("STATS").json()["locks"]?["held_now_ms_mean"] == .int(0))
    }

    @Test func `each worker's metrics are those of the fleet, whichever counts`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      for number in 0..<3 { expect(try client.request("LOCK d\(number) meter"), "OK") }
      expect(try client.request("UNLOCK d2 meter"), "OK")
      expect(try client.request("SEIZE d1 other"), "OK")
      expect(try client.request("OPEN d1 user=ada"), "OK")
      expect(try client.request("TURN d1 ttl=1h {\"n\":1}"), "OK")
      let second = try WorkerProcess(on: lab.redis, [])
      defer { second.kill() }
      let wanted = [
        "latchkey_locks_held{agent=\"meter\"} 1\n", "latchkey_locks_held{agent=\"other\"} 1\n",
        "latchkey_lock_endings_total{how=\"released\"} 1\n",
        "latchkey_lock_endings_total{how=\"seized\"} 1\n",
        "latchkey_lock_endings_total{how=\"abandoned\"} 0\n", "latchkey_turns_running 1\n",
        "latchkey_turns_begun_total 1\n", "latchkey_sessions{state=\"active\"} 1\n",
        "latchkey_sessions_opened_total 1\n", "latchkey_live_chats 1\n", "latchkey_users 1\n",
        "latchkey_newest_session_timestamp_seconds 1",
      ]
      func missing(_ worker: WorkerProcess) throws -> [String] {
        let page = try worker.get("/metrics").body
        return wanted.filter { !page.contains($0) }
      }
      for worker in [lab.worker, second] {
        try eventually("the fleet's figures", within: .seconds(60)) { try missing(worker).isEmpty }
      }
      let started =
        try PrometheusPage(second.get("/metrics").body).families
        .first { $0.name == "process_start_time_seconds" }?.samples.first?.value ?? 0
      #expect(abs(Date().timeIntervalSince1970 - started) < 30, "\(started)")
      // The one that is left counts at once, whichever has counted before.
      let port = second.listenPort
      _ = try lab.worker.terminate()
      let left = try LineClient(port: port)
      expect(try left.request("CLEAR d0"), "OK")
      try eventually("a figure of the worker that is left", within: .seconds(60)) {
        try second.get("/metrics").body.contains("latchkey_lock_endings_total{how=\"cleared\"} 1\n")
      }
    }

    @Test func `no call for the figures is long, with many agents and sessions`() throws {
      // All of them may take longer than a request usually may.
      let lab = try Lab(workers: [["--request-timeout", "10s"]])
      defer { lab.stop() }
      let script = """
        for p = 0, 255 do
          local base = string.format('lk:{%03x}', p)
          for n = 1, 300 do
            if n <= 40 then redis.call('HSET', base .. ':ledger', 'held:agent-' .. n, '1') end
            redis.call('HSET', base .. ':ledger', 'agent:agent-' .. n, '1 2 3 0')
            redis.call('ZADD', base .. ':sessions', '0',
              'd' .. n .. string.format('/01KB%022d', p * 300 + n))
          end
        end
        """
      try lab.redis.command("EVAL", script, "0")
      try lab.redis.command("CONFIG", "RESETSTAT")
      let locks = try lab.connect().request("STATS").json()["locks"]
      #expect(locks?["held"] == .int(10_240))
      #expect((locks?["by_agent"]?.names ?? []).count == 40)
      #expect(locks?["by_agent"]?["agent-7"] == .int(256))
      let info = try lab.redis.command("INFO", "commandstats")
      for name in ["fcall", "evalsha"] {
        let line = "\(info)".firstMatch(of: try Regex("cmdstat_\(name):calls=(\\d+),usec=(\\d+)"))
        guard let line, let calls = Int("\(line[1].substring ?? "")"),
          let us = Int("\(line[2].substring ?? "")")
        else { continue }
        // With heartbeats, reaps and the census, which are short.
        #expect(us / max(1, calls) < 5_000, "\(name): \(us) us in \(calls) calls")
      }
    }
  }
}
