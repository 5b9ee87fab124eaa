// Connections that speak another protocol: a web page can have a browser send bytes of its choice
// to a port of this machine, behind a request line of HTTP.

import Foundation
import Testing

extension SystemSuites {
  @Suite(
    .lab(workers: [
      ["--request-timeout", "10s"], ["--request-timeout", "10s", "--proxy-protocol"],
    ]))
  struct OtherProtocols {
    private static let proxyHeader = "PROXY TCP4 10.0.0.1 127.0.0.1 80 5282\r\n"

    /// The request of a browser for a form, with lines of the page's choice as its body.
    private static func post(_ body: String) -> String {
      "POST / HTTP/1.1\r\nHost: 127.0.0.1:5282\r\nContent-Type: text/plain\r\n"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// Expects one error, and then the end.
    private func expectClosed(
      _ client: LineClient, naming name: String, at place: SourceLocation = #_sourceLocation
    ) throws {
      expectBadRequest(try client.reply(), naming: name, at: place)
      let more = try client.readLine(within: .seconds(5))
      #expect(more == nil && client.isClosed(), "\(more ?? "")", sourceLocation: place)
    }

    @Test(arguments: [false, true])
    func `a page's POST to a worker changes nothing, and is logged with the address`(
      isByteByByte: Bool
    ) throws {
      let lab = try Lab.current
      let victim = Lab.device()
      expect(try lab.connect().request("LOCK \(victim) a"), "OK")
      let request = Array(Self.post("CLEAR \(victim)\nCLEAR \(victim)\r\n").utf8)
      let client = try lab.connect()
      if isByteByByte {
        // Once the protocol is known, the worker may close the connection.
        for byte in request.prefix(20) { try client.send([byte]) }
      } else {
        try client.send(request)
      }
      try expectClosed(client, naming: "HTTP request")
      expect(try lab.connect().request("HOLDER \(victim)"), "OK")
      try eventually("a line in the log") {
        lab.worker.log.contains("protocol=HTTP from=127.0.0.1 ")
      }
    }

    static let starts: [(String, naming: String)] = [
      ("GET /CLEAR HTTP/1.1\r\n", "HTTP"), ("OPTIONS * HTTP/1.1\r\n", "HTTP"), ("GET /\n", "HTTP"),
      ("CLEAR /x HTTP/1.1\r\n", "HTTP"), ("Host: example.org\r\n", "colon"), ("MAIL: x\n", "colon"),
      ("*2\r\n$5\r\nCLEAR\r\n", "RESP"), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY"),
      ("\u{16}\u{3}\u{1}\u{2}\n\u{1}", "TLS"), ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "TLS"),
    ]

    @Test(arguments: starts)
    func `each protocol is named, and nothing behind its first line is looked at`(
      start: String, name: String
    ) throws {
      let lab = try Lab.current
      let victim = Lab.device()
      expect(try lab.connect().request("LOCK \(victim) a"), "OK")
      let reason = "latchkey_connections_closed_total{reason=\"other_protocol\"}"
      let before = try lab.worker.metric(reason)
      let client = try lab.connect()
      try client.send(Array("\r\n\(start)CLEAR \(victim)\nPING\n".utf8))
      try expectClosed(client, naming: name)
      // Behind a proxy the first line is the one after its header.
      let behind = try lab.connect(1)
      try behind.send(Array("\(Self.proxyHeader)\(start)CLEAR \(victim)\nPING\n".utf8))
      try expectClosed(behind, naming: name)
      let slow = try lab.connect(1)
      for byte in Array(Self.proxyHeader.utf8) { try slow.send([byte]) }
      for byte in Array(start.utf8.prefix(30)) { try slow.send([byte]) }
      try expectClosed(slow, naming: name)
      expect(try lab.connect().request("HOLDER \(victim)"), "OK")
      try eventually("the closed connection in the figures") {
        try lab.worker.metric(reason) > before
      }
      #expect(lab.workers[1].log.contains("from=10.0.0.1 "))
    }

    @Test func `a caller without AUTH gets no further with a line that is too long`() throws {
      let file = try PrincipalsFile([("app", ["--rights", "read,write,operate"])])
      let worker = try WorkerProcess(on: Lab.current.redis, ["--auth", file.path])
      defer { worker.kill() }
      let long = String(repeating: "x", count: 5_000)
      let client = try worker.connect()
      try client.send(Array("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\nPING\n".utf8))
      try expectClosed(client, naming: "HTTP")
      // A method over the limit of a line: the bytes after it show the protocol.
      let other = try worker.connect()
      try other.send(Array("\(long) / HTTP/1.1\r\nHost: a\r\n\r\nPING\n".utf8))
      let reply = try other.reply()
      expect(reply, "ERR", "too_large")
      #expect(reply.text == "this line may have 4096 bytes at most before AUTH")
      try expectClosed(other, naming: "colon")
      let app = try worker.connect()
      try app.send(Array("\(long)\nAUTH \(file.secret("app"))\n\(long)\nPING\n".utf8))
      #expect(
        try app.replies(4).map { $0.code.isEmpty ? $0.word : $0.code } == [
          "too_large", "OK", "unknown_verb", "OK",
        ])
    }

    @Test func `many of them fill no log`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      for _ in 0..<200 {
        let client = try lab.connect()
        try client.send(Array("GET / HTTP/1.1\r\n".utf8))
        try expectClosed(client, naming: "HTTP")
      }
      let lines = lab.worker.log.split(separator: "\n").filter { $0.contains("protocol=HTTP") }
      #expect((1...32).contains(lines.count), "\(lines.count) lines")
    }

    @Test func `later on a connection each of their lines is an error, and it goes on`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      #expect(try client.request("PING").raw == "OK")
      try client.send(Array(Self.post("HOLDER d\n").utf8))
      let words = try client.replies(5).map(\.word)
      #expect(words == ["ERR", "ERR", "ERR", "ERR", "NONE"])
      #expect(try client.request("PING").raw == "OK")
    }
  }
}
