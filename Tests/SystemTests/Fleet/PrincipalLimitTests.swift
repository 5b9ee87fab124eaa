// Owns: the tests of what one principal may ask of a worker, and of how its operator sees it.

import Foundation
import Testing

extension SystemSuites.Fleet {
  @Suite struct PrincipalLimits {
    @Test func `a principal that asks for too much is refused, and no other`() throws {
      let rights = ["--rights", "read,write"]
      let file = try PrincipalsFile([
        ("fast", rights + ["--rate", "100"]), ("many", rights + ["--connections", "2"]),
        ("patient", rights + ["--waiters", "1"]), ("calm", rights),
      ])
      let lab = try Lab(workers: [["--auth", file.path, "--request-timeout", "10s"]])
      defer { lab.stop() }
      let worker = lab.worker
      let calm = try file.connect(worker, as: "calm")

      // Ten may come at once.
      let fast = try file.connect(worker, as: "fast")
      let device = Lab.device()
      try fast.send(Array(String(repeating: "HOLDER \(device)\n", count: 60).utf8))
      let replies = try fast.replies(60)
      let refused = replies.filter { $0.raw.hasPrefix("ERR overloaded rate limited: ") }
      #expect(replies.prefix(10).allSatisfy { $0.raw == "NONE" })
      #expect(refused.count >= 40)
      #expect(refused.first?.raw.contains("fast may send 100 requests a second") == true)
      expect(try fast.request("PING"), "OK")
      expect(try calm.request("HOLDER \(device)"), "NONE")

      let two = try (0..<2).map { _ in try file.connect(worker, as: "many") }
      let third = try worker.connect()
      let reply = try third.request("AUTH \(file.secret("many"))")
      #expect(reply.raw.hasPrefix("ERR overloaded quota exceeded: 2 of 2 connections"), "\(reply)")
      expect(try third.request("HOLDER \(device)"), "ERR", "auth_required")
      two[0].socket.close()
      try eventually("room for another connection") {
        try third.request("AUTH \(file.secret("many"))").isOK
      }
      expect(try third.request("HOLDER \(device)"), "NONE")

      let patient = try (0..<2).map { _ in try file.connect(worker, as: "patient") }
      try patient[0].sendLine("EVENTS \(device) wait=1m")
      try eventually("the first one waiting") { try worker.metric("latchkey_event_waiters") == 1 }
      let wait = try patient[1].request("EVENTS \(device) wait=1m")
      #expect(wait.raw.hasPrefix("ERR quota quota exceeded: 1 of 1 waiting"), "\(wait)")
      expect(try patient[1].request("EVENTS \(device)"), "OK")
      try calm.sendLine("EVENTS \(device) wait=1m")
      try eventually("another principal's waiting") {
        try worker.metric("latchkey_event_waiters") == 2
      }

      for (name, limit) in [("fast", "rate"), ("many", "connections"), ("patient", "waiters")] {
        let labels = "principal=\"\(name)\",limit=\"\(limit)\""
        #expect(try worker.metric("latchkey_principal_limited_total", labels) > 0)
        try eventually("a line about \(name) in the log") {
          worker.log.contains("a principal has met its limit")
            && worker.log.contains("principal=\(name)")
        }
      }
    }

    /// Two workers, and the principals `few`, which may have two of each, and `calm`.
    private func labOfFew() throws -> (Lab, PrincipalsFile) {
      let rights = ["--rights", "read,write,operate"]
      let file = try PrincipalsFile([
        ("few", rights + ["--locks", "2", "--sessions", "2"]), ("calm", rights),
      ])
      let arguments = ["--auth", file.path, "--request-timeout", "10s"]
      return (try Lab(workers: [arguments, arguments]), file)
    }

    private func expectRefusals(of kind: String, by worker: WorkerProcess) throws {
      let labels = "principal=\"few\",limit=\"\(kind)\""
      #expect(try worker.metric("latchkey_principal_limited_total", labels) > 0)
      #expect(worker.log.contains("limit=\(kind)"))
    }

    @Test func `a principal has as many locks as it may, on all workers`() throws {
      let (lab, file) = try labOfFew()
      defer { lab.stop() }
      let workers = lab.workers
      let few = try workers.map { try file.connect($0, as: "few") }
      let calm = try file.connect(workers[0], as: "calm")
      let devices = (0..<4).map { _ in Lab.device() }

      // Those of one worker count at the other one.
      for (place, device) in devices.prefix(2).enumerated() {
        expect(try few[place].request("LOCK \(device) a ttl=1h"), "OK")
      }
      func refused(_ place: Int, _ line: String, _ text: String) throws {
        try eventually("a refusal of \(line)") {
          let reply = try few[place].request(line)
          if reply.isOK { _ = try few[place].request("UNLOCK \(devices[2]) a") }
          return reply.raw.hasPrefix("ERR quota quota exceeded: 2 of 2 \(text) of this principal")
        }
      }
      for place in 0..<2 { try refused(place, "LOCK \(devices[2]) a", "locks") }
      expect(try few[0].request("LOCK \(devices[2]) a wait=1s"), "ERR", "quota")
      expect(try few[0].request("SEIZE \(devices[2]) a"), "ERR", "quota")
      expect(try few[0].request("TURN \(devices[2]) agent=a"), "ERR", "quota")
      expect(try few[0].request("HOLDER \(devices[2])"), "NONE")
      // What it has it may keep, renew and hand on; and no other principal is limited.
      expect(try few[1].request("LOCK \(devices[0]) a ttl=30m"), "OK")
      let renewal = try few[0].request("LOCK \(devices[0]) a")
      #expect(renewal.shows("ttl_ms", as: "1800000") && renewal.shows("renewed", as: "true"))
      expect(try few[0].request("HANDOFF \(devices[0]) a b"), "OK")
      expect(try calm.request("LOCK \(devices[3]) a"), "OK")
      expect(try few[1].request("UNLOCK \(devices[0]) b"), "OK")
      try eventually("room for another lock") {
        try few[0].request("LOCK \(devices[2]) a").isOK
      }
      // One that another principal seizes is its own no more.
      expect(try calm.request("SEIZE \(devices[1]) z"), "OK")
      expect(try few[0].request("UNLOCK \(devices[2]) a"), "OK")
      try eventually("no lock of it") {
        try owned("locks:", lab) == [0, 2]
      }
      try expectRefusals(of: "locks", by: workers[0])
    }

    @Test func `a principal has as many live sessions as it may, on all workers`() throws {
      let (lab, file) = try labOfFew()
      defer { lab.stop() }
      let workers = lab.workers
      let few = try workers.map { try file.connect($0, as: "few") }
      let calm = try file.connect(workers[0], as: "calm")
      let devices = (0..<4).map { _ in Lab.device() }
      var ids: [String] = []
      for place in 0..<2 {
        let opened = try few[place].request("OPEN \(devices[place]) user=u\(place)")
        ids.append(try opened.string("session"))
      }
      try eventually("a refusal of OPEN") {
        let reply = try few[1].request("OPEN \(devices[2])")
        if reply.isOK { _ = try few[1].request("DELETE \(devices[2])") }
        return reply.raw.hasPrefix(
          "ERR quota quota exceeded: 2 of 2 live sessions of this principal")
      }
      expect(try few[1].request("RECOVER \(devices[2])"), "ERR", "quota")
      expect(try few[0].request("PAUSE \(devices[0])/\(ids[0])"), "OK")
      expect(try few[0].request("RESUME \(devices[0])/\(ids[0])"), "OK")
      expect(try calm.request("OPEN \(devices[3])"), "OK")
      expect(try few[0].request("CLOSE \(devices[0])/\(ids[0])"), "OK")
      expect(try few[0].request("DELETE \(devices[1])/\(ids[1])"), "OK")
      try eventually("room for another session") {
        try few[0].request("OPEN \(devices[2])").isOK
      }
      try expectRefusals(of: "sessions", by: workers[1])
    }

    /// What the ledgers count for each principal that has something, or had it.
    private func owned(_ prefix: String, _ lab: Lab) throws -> [Int] {
      let script = """
        local sums, list = {}, {}
        for p = 0, 255 do
          local ledger = redis.call('HGETALL', string.format('lk:{%03x}:ledger', p))
          for n = 1, #ledger, 2 do
            if string.sub(ledger[n], 1, #ARGV[1]) == ARGV[1] then
              sums[ledger[n]] = (sums[ledger[n]] or 0) + ledger[n + 1]
            end
          end
        end
        for _, sum in pairs(sums) do list[#list + 1] = string.format('%d', sum) end
        table.sort(list)
        return table.concat(list, ' ')
        """
      guard case .text(let text) = try lab.redis.command("EVAL", script, "0", prefix) else {
        throw Failure("no text")
      }
      return text.split(separator: " ").compactMap { Int($0) }
    }

    @Test func `a principal that writes too much is refused, and no other`() throws {
      let rights = ["--rights", "read,write"]
      let file = try PrincipalsFile([
        ("heavy", rights + ["--written", "20000"]), ("loud", rights + ["--events", "5"]),
        ("calm", rights),
      ])
      let lab = try Lab(workers: [["--auth", file.path]])
      defer { lab.stop() }
      let (heavy, loud) = (
        try file.connect(lab.worker, as: "heavy"), try file.connect(lab.worker, as: "loud")
      )
      let calm = try file.connect(lab.worker, as: "calm")
      let device = Lab.device()
      expect(try calm.request("OPEN \(device)"), "OK")
      let said = "SAY \(device) {\"text\":\"\(String(repeating: "x", count: 30_000))\"}"
      expect(try heavy.request(said), "OK")
      let refusal = try heavy.request("TOUCH \(device)")
      #expect(
        refusal.raw.hasPrefix(
          "ERR overloaded rate limited: principal heavy may send 20000 bytes a second"),
        "\(refusal)")
      expect(try heavy.request("GET \(device)"), "OK")
      expect(try calm.request(said), "OK")
      // One device's seizures push no others' events out of the log.
      try loud.send(
        Array((0..<40).map { "SEIZE \(device) a\($0)\n" }.joined().utf8))
      let replies = try loud.replies(40)
      #expect(replies.count { $0.isOK } < 20)
      #expect(
        replies.last?.raw.hasPrefix(
          "ERR overloaded rate limited: principal loud may send 5 requests a second that write")
          == true)
      expect(try loud.request("LOCK \(Lab.device()) a"), "OK")
      expect(try calm.request("SEIZE \(device) b"), "OK")
    }
  }
}
