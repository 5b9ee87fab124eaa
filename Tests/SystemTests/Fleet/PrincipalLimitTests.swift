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
  }
}
