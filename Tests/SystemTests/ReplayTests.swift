// Section 4: `req=` makes a retry safe. And what workers are told by flags about locks.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct Replays {
    /// Requests that change something, each with what must be done before it.
    private static let changes: [(before: String, change: String)] = [
      ("", "LOCK DEV a"), ("LOCK DEV a", "LOCK DEV a ttl=1h"), ("LOCK DEV a", "UNLOCK DEV a"),
      ("LOCK DEV a", "HANDOFF DEV a b [1]"), ("LOCK DEV a", "SEIZE DEV b"), ("", "SEIZE DEV a"),
      ("LOCK DEV a", "CLEAR DEV"),
    ]

    @Test func `the same req gives the same reply again, through any worker`() throws {
      let lab = try Lab.current
      let clients = [try lab.connect(0), try lab.connect(1)]
      for (index, (before, change)) in Self.changes.enumerated() {
        let device = Lab.device()
        if !before.isEmpty {
          expect(try clients[0].request(before.replacingOccurrences(of: "DEV", with: device)), "OK")
        }
        let words = change.replacingOccurrences(of: "DEV", with: device).split(separator: " ")
        let at = words.firstIndex { $0.hasPrefix("[") } ?? words.endIndex
        let line = (words[..<at] + ["req=r-\(index)"] + words[at...]).joined(separator: " ")
        let first = try clients[0].request(line)
        expect(first, "OK", "", "\(line)")
        let state = try clients[1].request("HOLDER \(device)")
        for client in [clients[1], clients[0], clients[1]] {
          #expect(try client.request(line).raw == first.raw, "\(line)")
        }
        let later = try clients[1].request("HOLDER \(device)")
        #expect(later.word == state.word, "\(line): \(state), then \(later)")
        guard state.isOK else { continue }
        #expect(try later.string("agent") == state.string("agent"))
        #expect(try later.int("ttl_ms") <= state.int("ttl_ms"), "the clock did not start again")
      }
    }

    @Test func `a RENEW with a req is replayed and does not renew again`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let grant = try Grant(client.request("LOCK \(device) a"))
      let renew = "RENEW \(device) a token=\(grant.token) ttl=10s req=x"
      let first = try client.request(renew)
      expect(first, "OK")
      expect(try client.request("LOCK \(device) a ttl=1h"), "OK")
      #expect(try client.request(renew).raw == first.raw)
      #expect(try client.request("HOLDER \(device)").int("ttl_ms") > 3_000_000)
    }

    @Test func `a replay tells what was, not what is, and changes nothing`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let first = try client.request("LOCK \(device) a req=one")
      let grant = try Grant(first)
      expect(try client.request("UNLOCK \(device) a"), "OK")
      #expect(try client.request("LOCK \(device) a req=one").raw == first.raw)
      expect(try client.request("HOLDER \(device)"), "NONE")
      let other = try Grant(client.request("LOCK \(device) b req=two"))
      #expect(other.token > grant.token)
      #expect(try client.request("LOCK \(device) a req=one").raw == first.raw)
      #expect(try client.request("HOLDER \(device)").string("agent") == "b")
    }

    @Test func `refusals are kept for a req too`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let none = try client.request("UNLOCK \(device) a req=none")
      expect(none, "NONE")
      expect(try client.request("LOCK \(device) a"), "OK")
      let held = try client.request("LOCK \(device) b req=held")
      expect(held, "HELD")
      let stale = try client.request("UNLOCK \(device) a token=5 req=stale")
      expect(stale, "STALE")
      #expect(try client.request("UNLOCK \(device) a req=none").raw == none.raw)
      #expect(try client.request("HOLDER \(device)").string("agent") == "a")
      expect(try client.request("UNLOCK \(device) a"), "OK")
      #expect(try client.request("LOCK \(device) b req=held").raw == held.raw)
      #expect(try client.request("UNLOCK \(device) a token=5 req=stale").raw == stale.raw)
      expect(try client.request("HOLDER \(device)"), "NONE")
    }

    @Test func `a req counts per device, and a bad request does not use it up`() throws {
      let client = try Lab.current.connect()
      let devices = [Lab.device(), Lab.device()]
      for device in devices {
        expectBadRequest(try client.request("LOCK \(device) a ttl=-1 req=same"), naming: "ttl")
        let reply = try client.request("LOCK \(device) a req=same")
        expect(reply, "OK")
        #expect(try client.request("LOCK \(device) a req=same").raw == reply.raw)
      }
      let longest = String(repeating: "r", count: 512)
      expect(try client.request("LOCK \(devices[0]) a req=\(longest)"), "OK")
      expectBadRequest(try client.request("LOCK \(devices[0]) a req=\(longest)r"), naming: "req")
      expectBadRequest(try client.request("LOCK \(devices[0]) a req=\"r 1\""), naming: "req")
      expectBadRequest(try client.request("LOCK \(devices[0]) a req="), naming: "req")
    }

    @Test func `many at once with one req get one grant`() throws {
      let lab = try Lab.current
      for _ in 0..<20 {
        let device = Lab.device()
        let replies = try inParallel(8) { index in
          try lab.connect(index % 2).request("SEIZE \(device) a req=once").raw
        }
        #expect(Set(replies).count == 1, "\(replies)")
        #expect(replies[0].hasPrefix("OK "))
      }
    }

    @Test func `a req is known after a restart of the worker`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let worker = try WorkerProcess(on: lab.redis)
      let line = "SEIZE \(device) a req=again"
      let first = try worker.connect().request(line)
      #expect(try worker.terminate() == .exited(0))
      let restarted = try WorkerProcess(on: lab.redis)
      defer { restarted.kill() }
      #expect(try restarted.connect().request(line).raw == first.raw)
    }

    @Test func `a LOCK retried after an unknown outcome is one grant`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      try lab.redis.freeze()
      let line = "LOCK \(device) a req=retry"
      let lost = try lab.connect(0).request(line)
      lab.redis.thaw()
      #expect(lost.isOutage, "\(lost)")
      let client = try lab.connect(1)
      let first: Reply = try eventually("service again") {
        let reply = try client.request(line)
        return reply.isOutage ? nil : reply
      }
      let grant = try Grant(first)
      #expect(try client.request(line).raw == first.raw)
      expect(try client.request("RENEW \(device) a token=\(grant.token)"), "OK")
    }
  }

  @Suite(
    .lab(workers: [
      ["--lock-ttl", "2h", "--agent-ttl", "scheduling=1h", "--agent-ttl", "billing=90s"],
      ["--device-ids", "uuid"], ["--namespace", "other"],
    ])
  ) struct LockSettings {
    @Test func `an agent's own ttl comes before the default, and ttl= before both`() throws {
      let client = try Lab.current.connect(0)
      let device = Lab.device()
      func ttl(_ line: String) throws -> Int { try Grant(client.request(line)).ttlMs }
      func near(_ ms: Int) -> ClosedRange<Int> { (ms - 2_000)...ms }
      #expect(near(3_600_000).contains(try ttl("LOCK \(device) scheduling")))
      #expect(near(90_000).contains(try ttl("HANDOFF \(device) scheduling billing")))
      #expect(near(7_200_000).contains(try ttl("SEIZE \(device) someone")))
      let seized = try Grant(client.request("SEIZE \(device) scheduling"))
      #expect(near(3_600_000).contains(seized.ttlMs))
      let renew = "RENEW \(device) scheduling token=\(seized.token)"
      #expect(near(5_000).contains(try ttl("\(renew) ttl=5s")))
      #expect(near(3_600_000).contains(try ttl(renew)))
    }

    @Test func `with --device-ids uuid other devices are refused`() throws {
      let client = try Lab.current.connect(1)
      let lower = UUID().uuidString.lowercased()
      expect(try client.request("LOCK \(lower) a"), "OK")
      expect(try client.request("HOLDER \(lower)"), "OK")
      let bad = [
        "dev-1", String(lower.dropLast()), lower + "0",
        lower.replacingOccurrences(of: "-", with: ""),
        lower.replacingOccurrences(of: "-", with: ":"), "g" + lower.dropFirst(), "\"{\(lower)}\"",
      ]
      for device in bad {
        for verb in ["HOLDER \(device)", "LOCK \(device) a", "CLEAR \(device)"] {
          expectBadRequest(try client.request(verb), naming: "", "\(device)")
        }
      }
    }

    @Test func `namespaces on one Redis know nothing of each other`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      expect(try lab.connect(0).request("LOCK \(device) a req=r"), "OK")
      let other = try lab.connect(2)
      expect(try other.request("HOLDER \(device)"), "NONE")
      let grant = try Grant(other.request("LOCK \(device) b req=r"))
      #expect(grant.agent == "b")
      #expect(try lab.connect(0).request("HOLDER \(device)").string("agent") == "a")
    }
  }
}
