// Owns: the tests of callers behind a load balancer that sends their addresses.

import Foundation
import Testing

extension SystemSuites.Fleet {
  @Suite(
    .lab(workers: [
      ["--proxy-protocol", "--max-connections-per-address", "2", "--request-timeout", "10s"]
    ])
  ) struct Proxies {
    private static let binary: [UInt8] =
      [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 12]
      + [10, 0, 0, 9, 127, 0, 0, 1, 0, 80, 20, 162]

    private func connect(_ header: [UInt8], _ line: String = "") throws -> LineClient {
      let client = try Lab.current.connect()
      try client.send(header + Array(line.utf8))
      return client
    }

    private func text(_ address: String) -> [UInt8] {
      Array("PROXY TCP4 \(address) 127.0.0.1 80 5282\r\n".utf8)
    }

    @Test func `a request that comes with the header is answered, and so are later ones`() throws {
      for header in [Self.binary, text("10.0.0.1"), Array("PROXY UNKNOWN\r\n".utf8)] {
        let client = try connect(header, "LOCK \(Lab.device()) a\nPING\n")
        expect(try client.reply(), "OK")
        #expect(try client.reply().raw == "OK")
        expect(try client.request("LOCK \(Lab.device()) a"), "OK")
      }
    }

    @Test func `a header may come a byte at a time`() throws {
      for header in [Self.binary, text("10.0.0.2")] {
        let client = try Lab.current.connect()
        for byte in header { try client.send([byte]) }
        #expect(try client.request("PING").raw == "OK")
      }
    }

    @Test func `a connection without a header is refused and counted`() throws {
      let worker = try Lab.current.worker
      let series = "latchkey_connections_refused_total{limit=\"proxy_header\"}"
      let before = try worker.metric(series)
      let lines = ["PING\n", "PROXY TCP4 1.2.3.4\r\n", "PROXY TCP4 ::1 ::1 1 1\r\nPING\r\n"]
      for (index, line) in lines.enumerated() {
        let client = try connect([], line)
        expectBadRequest(try client.reply(), naming: "PROXY")
        #expect(client.isClosed())
        #expect(try worker.metric(series) == before + index + 1)
      }
    }

    @Test func `the address of the header is the one that is limited`() throws {
      var clients = try (0..<2).map { _ in try connect(text("10.9.9.9"), "PING\n") }
      for client in clients { #expect(try client.reply().raw == "OK") }
      let device = Lab.device()
      let third = try connect(text("10.9.9.9"), "LOCK \(device) a\n")
      #expect(try third.reply().text.contains("your address"))
      #expect(third.isClosed())
      let other = try connect(text("10.9.9.8"), "HOLDER \(device)\n")
      #expect(try other.reply().raw == "NONE")
      // A balancer that looks whether the worker lives has no limit.
      for _ in 0..<5 {
        #expect(try connect(Array("PROXY UNKNOWN\r\n".utf8), "PING\n").reply().raw == "OK")
      }
      clients.removeFirst()
      try eventually("a place that was freed") {
        try connect(text("10.9.9.9"), "PING\n").reply().raw == "OK"
      }
    }

    @Test func `a wrong secret is logged with the caller's address`() throws {
      let file = try PrincipalsFile([("app", [])])
      let lab = try Lab(workers: [
        ["--proxy-protocol", "--auth", file.path, "--request-timeout", "10s"]
      ])
      defer { lab.stop() }
      let client = try lab.connect()
      try client.send(text("10.7.7.7") + Array("AUTH app.hunter2\n".utf8))
      expect(try client.reply(), "ERR", "forbidden")
      #expect(lab.worker.log.contains("from=10.7.7.7"), "\(lab.worker.log)")
    }
  }
}
