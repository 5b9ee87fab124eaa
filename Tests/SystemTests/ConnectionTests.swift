// Section 10: the verbs about the connection itself.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct Connections {
    static let verbs = [
      "LOCK", "RENEW", "UNLOCK", "HANDOFF", "SEIZE", "CLEAR", "HOLDER", "PING", "AUTH", "HELP",
      "INFO", "QUIT",
    ]

    @Test func `PING is answered with a bare OK`() throws {
      #expect(try Lab.current.connect().request("PING").raw == "OK")
    }

    @Test func `HELP lists all verbs`() throws {
      let reply = try Lab.current.connect().request("HELP")
      expect(reply, "OK")
      let summaries = try reply.json()["summaries"]
      #expect(
        try summaries?.names.sorted() == reply.json()["verbs"]?.items.compactMap(\.string).sorted())
      for verb in Self.verbs { #expect(reply.raw.contains(verb), "\(verb) is not in \(reply.raw)") }
    }

    @Test(arguments: verbs) func `HELP describes a verb`(verb: String) throws {
      let client = try Lab.current.connect()
      let reply = try client.request("HELP \(verb)")
      expect(reply, "OK")
      #expect(!(try reply.json().names.isEmpty))
      #expect(try client.request("help \(verb.lowercased())").raw == reply.raw)
    }

    @Test func `HELP of no verb is an error`() throws {
      let client = try Lab.current.connect()
      let reply = try client.request("HELP frob")
      #expect(["bad_request", "unknown_verb"].contains(reply.code), "\(reply)")
      expectBadRequest(try client.request("HELP LOCK UNLOCK"), naming: "UNLOCK")
    }

    @Test func `INFO names version, protocol, worker and Redis`() throws {
      let lab = try Lab.current
      let client = try lab.connect(0)
      let reply = try client.request("INFO")
      expect(reply, "OK")
      let info = try reply.json()
      #expect(info["version"]?.string?.isEmpty == false)
      #expect(info["protocol"] == .int(1))
      #expect(info["worker"]?.string?.isEmpty == false)
      #expect(info["fleet"]?.string?.wholeMatch(of: /[0-9a-f]{32}/) != nil)
      #expect(info["redis"]?["state"]?.string?.isEmpty == false)
      #expect(info["redis"]?["mode"]?.string?.isEmpty == false)
      let other = try lab.connect(1).request("INFO").json()
      #expect(other["worker"] != info["worker"], "two workers have two names")
      #expect(other["fleet"] == info["fleet"], "the data has one id")
      #expect(try lab.connect(0).request("INFO").json()["worker"] == info["worker"])
    }

    @Test func `QUIT is answered and ends the connection, and nothing after it is done`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      try client.send(Array("PING\nQUIT\nLOCK \(device) a\nPING\n".utf8))
      #expect(try client.replies(2).map(\.raw) == ["OK", "OK"])
      #expect(client.isClosed())
      expect(try Lab.current.connect().request("HOLDER \(device)"), "NONE")
    }

    @Test func `QUIT waits for the requests before it`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let lines = (0..<500).map { "LOCK \(device)-\($0) a\n" }.joined() + "QUIT\n"
      try client.send(Array(lines.utf8))
      let replies = try client.replies(501)
      #expect(replies.dropLast().allSatisfy { $0.raw.hasPrefix("OK {") })
      #expect(replies.last?.raw == "OK")
      #expect(client.isClosed())
    }

    @Test func `AUTH says that none is configured`() throws {
      let client = try Lab.current.connect()
      let reply = try client.request("AUTH s3cret-word")
      expect(reply, "ERR")
      let text = reply.text.lowercased()
      #expect(text.contains("auth") && (text.contains("no") || text.contains("configured")))
      #expect(!reply.raw.contains("s3cret-word"))
      #expect(try client.request("PING").raw == "OK")
    }

    @Test func `many connections are served at once and closed ones cost nothing`() throws {
      let lab = try Lab.current
      func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(lab.worker.pid)/fd").count
      }
      let before = try descriptors()
      var clients = try (0..<500).map { _ in try lab.connect() }
      let device = Lab.device()
      for (number, client) in clients.enumerated() {
        try client.sendLine("LOCK \(device)-\(number) a\(number)")
      }
      for (number, client) in clients.enumerated() {
        #expect(try client.reply().string("agent") == "a\(number)")
      }
      clients = []
      try eventually("the worker closing what its clients closed") {
        try descriptors() <= before + 2
      }
    }
  }
  @Suite(
    .lab(workers: [
      ["--max-connections", "5"], ["--idle-timeout", "300ms", "--http", "127.0.0.1:0"],
      ["--max-pipeline", "4", "--max-unread", "1KiB"],
    ])
  ) struct ConnectionLimits {
    @Test func `a connection over the limit is rejected, and the others go on`() throws {
      let lab = try Lab.current
      var clients = try (0..<5).map { _ in try lab.connect(0) }
      for client in clients { #expect(try client.request("PING").raw == "OK") }
      for _ in 0..<20 {
        let further = try lab.connect(0)
        expect(try further.reply(), "ERR", "overloaded")
        #expect(further.isClosed())
      }
      for client in clients { #expect(try client.request("PING").raw == "OK") }
      clients.removeFirst()
      try eventually("a place that was freed") {
        (try? lab.connect(0).request("PING").raw) == "OK"
      }
    }

    @Test func `a quiet connection is closed and a busy one is not`() throws {
      let lab = try Lab.current
      let (quiet, busy) = (try lab.connect(1), try lab.connect(1))
      #expect(try quiet.request("PING").raw == "OK")
      // Empty lines are no requests.
      let http = try lab.workers[1].http()
      #expect(try http.get("/v1/PING").status == 200)
      var empty = [try lab.connect(1).socket, http.socket]
      try eventually("the end of those that send empty lines", every: 50) {
        #expect(try busy.request("PING").raw == "OK")
        empty.removeAll { (try? $0.receive(within: .zero))?.isEmpty == true }
        for socket in empty { try socket.send(Array("\r\n".utf8)) }
        return empty.isEmpty
      }
      try eventually("the end of the quiet connection", every: 50) {
        let answer = try busy.request("PING").raw
        #expect(answer == "OK")
        return quiet.isClosed(within: .zero)
      }
      #expect(try busy.request("PING").raw == "OK")
    }

    @Test func `small limits slow a pipeline down and lose nothing`() throws {
      let client = try Lab.current.connect(2)
      let device = Lab.device()
      let bytes = (0..<3_000).flatMap { Array("LOCK \(device)-\($0) a\($0)\nHELP\n".utf8) }
      let lines = try client.exchange(bytes, lines: 6_000, within: .seconds(20))
      let wrong = (0..<3_000).filter { number in
        !Reply(raw: lines[2 * number]).shows("agent", as: "\"a\(number)\"")
          || lines[2 * number + 1] != lines[1]
      }
      #expect(wrong.isEmpty, "\(wrong.count) wrong")
    }
  }
}
