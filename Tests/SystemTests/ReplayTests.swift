// Section 4: `req=` makes a retry safe. And the flags of workers for locks.

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

    @Test func `a replay has the kept reply, not the present state, and changes nothing`() throws {
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

    @Test func `a reply without a change is not kept, and the same key tries anew`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("UNLOCK \(device) a req=none"), "NONE")
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("LOCK \(device) b req=held"), "HELD")
      expect(try client.request("UNLOCK \(device) a token=5 req=stale"), "STALE")
      expect(try client.request("UNLOCK \(device) a req=none"), "OK")
      let grant = try Grant(client.request("LOCK \(device) b req=held"))
      #expect(grant.agent == "b" && !grant.renewed)
      // As it was never used for anything, an id may be used for another request then.
      expect(try client.request("UNLOCK \(device) b token=\(grant.token) req=stale"), "OK")
    }

    @Test func `another request under a used id is a conflict, and does nothing`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) req=x {\"a\":1}"), "OK")
      let others = [
        "CLOSE \(device) req=x", "OPEN \(device) req=x", "OPEN \(device) req=x {\"a\": 1}",
        "OPEN \(device) req=x name=n {\"a\":1}", "LOCK \(device) a req=x",
        "SEIZE \(device) a req=x",
        "SAY \(device) req=x {}", "CLEAR \(device) req=x", "DELETE \(device) req=x",
        "RECOVER \(device) req=x", "LINK \(device) tag t req=x", "SET \(device) user=u req=x",
      ]
      for other in others { expect(try client.request(other), "ERR", "conflict", "\(other)") }
      let record = try client.request("GET \(device)")
      #expect(try record.string("state") == "active" && record.int("rev") == 1)
      expect(try client.request("HOLDER \(device)"), "NONE")
    }

    @Test func `options in any order and values in any spelling are the same request`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let first = try client.request("LOCK \(device) a ttl=1m req=x")
      for same in [
        "lock \(device) a req=x ttl=60", "LOCK \"\(device)\" a TTL=60s req=\"x\"",
        "LOCK \(device) \"\\u0061\" ttl=60000ms req=x",
      ] {
        #expect(try client.request(same).raw == first.raw, "\(same)")
      }
      for other in ["LOCK \(device) a ttl=61s req=x", "LOCK \(device) a req=x"] {
        expect(try client.request(other), "ERR", "conflict", "\(other)")
      }
      let open = try client.request("OPEN \(device) name=n step=s req=o {}").string("session")
      let again = try client.request("OPEN \(device) step=\"s\" req=o name=\"n\" {}")
      #expect(try again.string("session") == open)
      // The same text in another option makes another request.
      expect(try client.request("OPEN \(device) name=s step=n req=o {}"), "ERR", "conflict")
    }

    @Test func `a retry shows the session as it is now, or NONE when it is gone`() throws {
      let lab = try Lab.current
      let client = try lab.connect(0)
      let device = Lab.device()
      let opened = try client.request("OPEN \(device) req=o {\"a\":1}").string("session")
      expect(try client.request("RECOVER \(device) hint=\(opened) req=r"), "OK")
      expect(try client.request("PAUSE \(device) req=p"), "OK")
      expect(try client.request("RESUME \(device)"), "OK")
      let chat = try client.request("CHAT \(device) name=\"two words\" req=c")
      expect(try client.request("SET \(device) {\"b\":2}"), "OK")
      let now = try client.request("GET \(device)")
      let other = try lab.connect(1)
      for line in ["OPEN \(device) req=o {\"a\":1}", "PAUSE \(device) req=p"] {
        #expect(try other.request(line).raw == now.raw, "\(line)")
      }
      let recovered = try other.request("RECOVER \(device) hint=\(opened) req=r")
      #expect(recovered.raw == now.raw.dropLast() + ",\"how\":\"hint\"}")
      #expect(try other.request("CHAT \(device) name=\"two words\" req=c").raw == chat.raw)
      #expect(try client.request("GET \(device)").raw == now.raw, "retries changed something")
      expect(try client.request("DELETE \(device)"), "OK")
      for line in [
        "OPEN \(device) req=o {\"a\":1}", "PAUSE \(device) req=p",
        "RECOVER \(device) hint=\(opened) req=r", "CHAT \(device) name=\"two words\" req=c",
      ] {
        expect(try other.request(line), "NONE", "", "\(line)")
      }
      let log = try client.request("EVENTS \(device)").raw
      #expect(log.components(separatedBy: "\"type\":\"session.").count == 5, "\(log)")
    }

    @Test func `IMPORT is done once under its id, and its retry shows the session`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let session = try client.request("OPEN \(device) {\"a\":1}").string("session")
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("DELETE \(device)"), "OK")
      let line = "IMPORT req=i \(exported)"
      #expect(try client.request(line).string("session") == session)
      expect(try client.request("SET \(device) {\"b\":2}"), "OK")
      #expect(try client.request(line).raw == client.request("GET \(device)").raw)
      let other = exported.replacing("{\"a\":", with: "{\"c\":")
      expect(try client.request("IMPORT req=i \(other)"), "ERR", "conflict")
      expect(try client.request("IMPORT replace=yes req=i \(exported)"), "ERR", "conflict")
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request(line), "NONE")
    }

    @Test func `an id costs 1 KiB at most besides its own length and the device's`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let redis = try RedisClient(path: lab.redis.path)
      let (agent, long) = (String(repeating: "a", count: 128), String(repeating: "n", count: 4_000))
      let device = Lab.device()
      let value = String(repeating: "v", count: 200_000)
      let lines = [
        "SEIZE \(device) \(agent) req=ID", "SEIZE \(device) \(agent.dropLast())b req=ID",
        "HANDOFF \(device) \(agent.dropLast())b \(agent) req=ID {\"n\":\"\(long)\"}",
        "CLEAR \(device) req=ID", "OPEN \(device) name=\(long) req=ID {\"v\":\"\(value)\"}",
        "RECOVER \(device) req=ID", "CHAT \(device) name=\(long) req=ID {\"v\":\"\(value)\"}",
        "SAY \(device) req=ID {\"v\":\"\(value)\"}", "PAUSE \(device) req=ID reason=\(long)",
        "RESUME \(device) req=ID", "TOUCH \(device) req=ID",
        "CLOSE \(device) req=ID reason=\(long)",
      ]
      for (index, line) in lines.enumerated() {
        let id = "r\(index)"
        expect(try client.request(line.replacing("ID", with: id)), "OK", "", "\(line.prefix(80))")
        let found = try redis.command("KEYS", "*:req:\(device)/\(id)")
        guard case .array(let keys) = found, let key = keys.first?.string,
          case .integer(let bytes) = try redis.command("MEMORY", "USAGE", key)
        else { throw Failure("\(line.prefix(80)): nothing is kept: \(found)") }
        #expect(bytes - id.utf8.count - device.utf8.count <= 1_024, "\(line.prefix(80))")
      }
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
      #expect(near(7_200_000).contains(try ttl("SEIZE \(device) other")))
      let seized = try Grant(client.request("SEIZE \(device) scheduling"))
      #expect(near(3_600_000).contains(seized.ttlMs))
      let renew = "RENEW \(device) scheduling token=\(seized.token)"
      #expect(near(3_600_000).contains(try ttl(renew)))
      #expect(near(50_000).contains(try ttl("\(renew) ttl=50s")))
      // From then on a request without a length gets the one that was asked for last.
      #expect(near(50_000).contains(try ttl(renew)))
      #expect(near(50_000).contains(try ttl("LOCK \(device) scheduling")))
      #expect(near(50_000).contains(try ttl("LOCK \(device) scheduling req=own")))
      #expect(near(60_000).contains(try ttl("LOCK \(device) scheduling ttl=60s")))
      #expect(near(60_000).contains(try ttl("\(renew) req=own-2")))
      // A new holder begins with its own.
      #expect(near(3_600_000).contains(try ttl("SEIZE \(device) scheduling")))
      #expect(near(90_000).contains(try ttl("HANDOFF \(device) scheduling billing")))
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
