// Owns: the tests of the limits on callers: each at its most and one beyond, and what counts it.

import Foundation
import Glibc
import Testing

extension WorkerProcess {
  /// The value of a metric, with its labels as they are shown; 0 if it is not there.
  func metric(_ series: String) throws -> Int {
    let line = try get("/metrics").body.split(separator: "\n").first { $0.hasPrefix("\(series) ") }
    return line.flatMap { Int($0.dropFirst(series.count + 1)) } ?? 0
  }
}

extension SystemSuites.Fleet {
  @Suite(
    .lab(workers: [
      ["--max-connections", "4", "--max-connections-per-address", "2"],
      ["--max-requests", "10", "--threads", "1", "--request-timeout", "10s"],
      ["--line-timeout", "300ms", "--idle-timeout", "0", "--max-line", "1KiB"],
      ["--unread-timeout", "300ms", "--max-unread", "64KiB"],
    ])
  ) struct Admission {
    @Test func `an address may have so many connections, and the others go on`() throws {
      let lab = try Lab.current
      let worker = lab.workers[0]
      var clients = try (0..<2).map { _ in try lab.connect(0) }
      for client in clients { #expect(try client.request("PING").raw == "OK") }
      for number in 1...5 {
        let further = try lab.connect(0)
        // Its request is there before it is refused, and must not cost it the reason.
        try? further.sendLine("LOCK \(Lab.device()) a")
        let reply = try further.reply()
        expect(reply, "ERR", "overloaded")
        #expect(reply.text.contains("your address"))
        #expect(further.isClosed())
        #expect(
          try worker.metric("latchkey_connections_refused_total{limit=\"address\"}") == number)
      }
      #expect(try worker.metric("latchkey_connections") == 2)
      // Another address of this machine has its own share.
      let other = try (0..<2).map { _ in try LineClient(port: worker.listenPort, from: "127.0.0.2")
      }
      for client in clients + other { #expect(try client.request("PING").raw == "OK") }
      // That makes as many as there may be in all.
      let third = try LineClient(port: worker.listenPort, from: "127.0.0.3")
      #expect(try third.reply().text.contains("too many connections;"))
      #expect(try worker.metric("latchkey_connections_refused_total{limit=\"connections\"}") == 1)
      clients.removeFirst()
      try eventually("a place that was freed") {
        (try? lab.connect(0).request("PING").raw) == "OK"
      }
    }

    @Test func `so many requests may be under way, and the next is refused at once`() throws {
      let lab = try Lab.current
      let (busy, other) = (try lab.connect(1), try lab.connect(1))
      let device = Lab.device()
      expect(try busy.request("LOCK \(device) a"), "OK")
      try lab.redis.freeze()
      defer { lab.redis.thaw() }
      try busy.send(Array((0..<10).map { "LOCK \(device)-\($0) a\n" }.joined().utf8))
      try eventually("ten requests under way") {
        try lab.workers[1].metric("latchkey_requests_in_flight") == 10
      }
      expect(try other.request("LOCK \(device)-x a"), "ERR", "overloaded")
      expect(try other.request("LOCK \(device)-x a"), "ERR", "overloaded")
      #expect(try other.request("PING").raw == "OK")
      #expect(try other.request("INFO").isOK)
      let shed = "latchkey_requests_total{verb=\"LOCK\",outcome=\"overloaded\"}"
      #expect(try lab.workers[1].metric(shed) == 2)
      lab.redis.thaw()
      for reply in try busy.replies(10) { #expect(reply.isOK || reply.isOutage, "\(reply)") }
      try eventually("service again") { try other.request("LOCK \(device)-x a").isOK }
      // Callers have their replies a moment before the turn ends, when it is counted.
      try eventually("nothing being under way") {
        try lab.workers[1].metric("latchkey_requests_in_flight") == 0
      }
      try eventually("the other workers' service", within: .seconds(10)) {
        try [0, 2, 3].allSatisfy { try lab.workers[$0].get("/readyz").status == 200 }
      }
    }

    @Test func `requests of callers that go away do not stay under way`() throws {
      let lab = try Lab.current
      for _ in 0..<3 {
        let waiters = try (0..<4).map { _ in try lab.connect(1) }
        for client in waiters {
          try client.send(Array("EVENTS \(Lab.device()) wait=1h\nEVENTS d wait=1h\n".utf8))
        }
        try eventually("four that wait") {
          try lab.workers[1].metric("latchkey_event_waiters") == 4
        }
        for client in waiters { client.socket.reset() }
        try eventually("no waiting request") {
          try lab.workers[1].metric("latchkey_requests_in_flight") == 0
        }
      }
      expect(try lab.connect(1).request("LOCK \(Lab.device()) a"), "OK")
    }

    @Test func `a partial line must end in time, and a quiet connection may stay`() throws {
      let lab = try Lab.current
      let worker = lab.workers[2]
      let (quiet, half, long) = (try lab.connect(2), try lab.connect(2), try lab.connect(2))
      #expect(try quiet.request("PING").raw == "OK")
      try half.send(Array("PING\nLOCK half-a-li".utf8))
      #expect(try half.reply().raw == "OK")
      // A line over the limit is discarded as it comes, and has to end all the same.
      try long.send([UInt8](repeating: 0x78, count: 2_000))
      expect(try long.reply(), "ERR", "too_large")
      for client in [half, long] {
        expectBadRequest(try client.reply(), naming: "300ms")
        #expect(client.isClosed())
        client.socket.close()
      }
      try eventually("both being counted") {
        try worker.metric("latchkey_connections_closed_total{reason=\"stalled\"}") == 2
      }
      #expect(try quiet.request("PING").raw == "OK")
    }

    @Test func `a caller that sends a byte now and then times out`() throws {
      let client = try Lab.current.connect(2)
      var sent = 0
      try eventually("the end of the drip", every: 20) {
        guard try client.socket.wait(for: Int16(POLLIN), Deadline(within: .zero)) == 0 else {
          return true
        }
        try client.send([0x61])
        sent += 1
        return false
      }
      #expect(sent > 0)
      expectBadRequest(try client.reply(), naming: "300ms")
    }

    @Test func `a caller that reads nothing is cut off, and one that reads slowly is not`() throws {
      let lab = try Lab.current
      let worker = lab.workers[3]
      let deaf = try lab.connect(3)
      let asked = Array(repeating: Array("HELP\n".utf8), count: 60_000).flatMap { $0 }
      var sent = 0
      try eventually("the end of the one that reads nothing", within: .seconds(20)) {
        if sent < asked.count {
          sent += (try? deaf.socket.sendSome(asked[sent...])) ?? 0
        }
        return try worker.metric("latchkey_connections_closed_total{reason=\"slow\"}") == 1
      }
      let slow = try lab.connect(3)
      try slow.send(Array(asked.prefix(5 * 2_000)))
      for _ in 0..<2_000 { #expect(try slow.reply().isOK) }
      #expect(try worker.metric("latchkey_connections_closed_total{reason=\"slow\"}") == 1)
    }

    @Test func `a second worker on a port that is in use says so and does not start`() throws {
      let lab = try Lab.current
      let address = "127.0.0.1:\(lab.worker.listenPort)"
      let second = try Starting(["--redis", lab.redis.url, "--listen", address])
      defer { second.child.end() }
      #expect(try second.awaitEnd() == .exited(1))
      #expect(second.log.contains("cannot listen on \(address)"), "\(second.log)")
      #expect(second.output.isEmpty)
    }
  }
}
