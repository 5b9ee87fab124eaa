// The admin port and the logs: a worker's reports to its operators, and the data that must not be
// in them.

import Foundation
import Testing

/// One line of logfmt: pairs of a name and a bare or quoted value.
private func isLogfmt(_ line: Substring) -> Bool {
  (line + " ").wholeMatch(of: /([A-Za-z_][A-Za-z0-9_.]*=("([^"\\]|\\.)*"|[^ "]*) )+/) != nil
}

extension SystemSuites {
  @Suite(.lab(.durable)) struct Admin {
    @Test func `healthz and readyz say yes, other paths 404`() throws {
      let worker = try Lab.current.worker
      #expect(try worker.get("/healthz").status == 200)
      #expect(try worker.get("/readyz").status == 200)
      #expect(try worker.get("/nosuch").status == 404)
      #expect(try worker.get("/").status == 200)
    }

    @Test func `readyz follows Redis, healthz does not`() throws {
      let lab = try Lab.current
      for isKilled in [true, false] {
        if isKilled { lab.redis.kill() } else { try lab.redis.freeze() }
        try eventually("readyz saying no") { try lab.worker.get("/readyz").status == 503 }
        #expect(try lab.worker.get("/healthz").status == 200)
        if isKilled { try lab.redis.start() } else { lab.redis.thaw() }
        try eventually("readyz saying yes again") { try lab.worker.get("/readyz").status == 200 }
        try eventually("a lock again") {
          try lab.connect().request("LOCK \(Lab.device()) a").isOK
        }
      }
    }

    @Test func `acceptz says whether callers are accepted and answered, whatever Redis does`()
      throws
    {
      let lab = try Lab.current
      #expect(try lab.worker.get("/acceptz").body == "accepting\n")
      lab.redis.kill()
      try eventually("readyz saying no") { try lab.worker.get("/readyz").status == 503 }
      #expect(try lab.worker.get("/acceptz").status == 200)
      let admin = try TestSocket.freePort()
      let starting = try Starting(["--redis", lab.redis.url, "--admin", "127.0.0.1:\(admin)"])
      defer { starting.child.end() }
      try eventually("the admin port") { (try? HTTPReply.get("/healthz", port: admin)) != nil }
      #expect(try HTTPReply.get("/acceptz", port: admin).body == "starting\n")
      #expect(try HTTPReply.get("/acceptz", port: admin).status == 503)
      try lab.redis.start()
      _ = try starting.awaitReadyLine(within: .seconds(10))
      #expect(try HTTPReply.get("/acceptz", port: admin).status == 200)
      try eventually("readyz saying yes again") { try lab.worker.get("/readyz").status == 200 }
    }

    @Test func `readyz is 503 when Redis answers but runs no script`() throws {
      let lab = try Lab.current
      try lab.redis.command("REPLICAOF", "127.0.0.1", "1")
      try eventually("readyz saying no, or yes for a Redis that can not be written") {
        try lab.worker.get("/readyz").status == 503
      }
      try lab.redis.command("REPLICAOF", "NO", "ONE")
      try eventually("readyz saying yes again") { try lab.worker.get("/readyz").status == 200 }
    }

    @Test func `metrics are well-formed, count what happens and name no device`() throws {
      let lab = try Lab.current
      let before = try PrometheusPage(lab.worker.get("/metrics").body)
      let client = try lab.connect()
      let device = Lab.device("metered")
      for number in 0..<100 {
        expect(try client.request("LOCK \(device)-\(number) watchful"), "OK")
        expect(try client.request("LOCK \(device)-\(number) other"), "HELD")
        expectBadRequest(try client.request("LOCK \(device)"))
      }
      let answer = try lab.worker.get("/metrics")
      #expect(answer.status == 200)
      #expect(answer.headers["content-type"]?.hasPrefix("text/plain") == true)
      let page = try PrometheusPage(answer.body)
      #expect(page.families.count >= 5)
      #expect(page.families.allSatisfy { !$0.samples.isEmpty && !$0.help.isEmpty })
      #expect(
        page.families.allSatisfy { $0.name.hasPrefix("latchkey_") || $0.name.hasPrefix("process_") }
      )
      #expect(page.counted >= before.counted + 300)
      #expect(!answer.body.contains("metered") && !answer.body.contains("watchful"))
    }

    @Test func `the admin port survives bytes that are not HTTP`() throws {
      let lab = try Lab.current
      for text in ["PING\n", "GET\r\n\r\n", "\0\0\0\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n"] {
        let socket = try TestSocket(port: lab.worker.adminPort)
        try socket.send(Array(text.utf8))
        socket.halfClose()
        // An answer or the end: either is right.
        #expect(try socket.receive(within: .seconds(5)) != nil, "\(text)")
      }
      #expect(try lab.worker.get("/healthz").status == 200)
      #expect(lab.worker.isRunning)
    }

    @Test func `logs are logfmt, without devices, tokens and notes`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      let client = try worker.connect()
      let device = Lab.device("secretdev")
      let grant = try Grant(client.request("LOCK \(device) secretagent req=secretreq"))
      _ = try client.request(#"HANDOFF \#(device) secretagent b {"secretnote":1}"#)
      for line in [
        "LOCK \(device) b token=1", "LOCK \(device)", "LOCK \(device) a secretword=1",
        "HANDOFF \(device) a b {secretnote", "SECRETVERB \(device)", "HOLDER \(device)\u{7f}",
        "LOCK \(device) " + String(repeating: "s", count: 1 << 21), "AUTH secretauth",
      ] {
        _ = try client.request(line)
      }
      try redis.freeze()
      _ = try client.request("LOCK \(device) b")
      redis.thaw()
      redis.kill()
      try eventually("the worker noticing") { try client.request("HOLDER \(device)").isOutage }
      try redis.start()
      try eventually("service again") { try !client.request("HOLDER \(device)").isOutage }
      #expect(try worker.terminate() == .exited(0))
      let lines = worker.log.split(separator: "\n")
      #expect(lines.count >= 3, "start, outage and stop are worth a line: \(worker.log)")
      for line in lines {
        #expect(isLogfmt(line), "\(line)")
        #expect(line.contains("level="), "\(line)")
      }
      #expect(!worker.log.lowercased().contains("secret"), "\(worker.log)")
      #expect(!worker.log.contains("\(grant.token)"))
    }
  }
}
