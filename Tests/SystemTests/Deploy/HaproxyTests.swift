// HAProxy as it is deployed, before three workers: the distribution of callers, and the errors that
// callers see when workers die, hang, lose their Redis and are replaced.

import Foundation
import Glibc
import TestSupport
import Testing

extension SystemSuites.Deploy {
  @Suite struct Haproxy {
    @Test func `HAProxy has nothing to complain of in its configuration`() throws {
      let path = Project.root.appending(path: "\(Balancer.folder)/haproxy.cfg").path
      // The lines for HTTP and TLS, as its comments advise.
      let withHTTP = "\(try Scratch.folder("haproxy"))/haproxy.cfg"
      let text = try String(contentsOfFile: path, encoding: .utf8)
      let changed = text.replacing(
        /#(?=frontend |backend |    [a-z])/.anchorsMatchLineEndings(), with: "")
      #expect(changed.contains("\nfrontend latchkey-http\n    bind"))
      #expect(changed.contains("\nfrontend latchkey-tls\n    bind"))
      try changed.write(toFile: withHTTP, atomically: true, encoding: .utf8)
      let certificates = try Certificates()
      var environment = [
        "LATCHKEY_CALLERS": "1000", "LATCHKEY_HTTP_BIND": "127.0.0.1:5280",
        "LATCHKEY_TLS_BIND": "127.0.0.1:5279",
        "LATCHKEY_TLS_CERT": try Self.bundle("haproxy", of: certificates),
      ]
      for number in 1...3 { environment["LATCHKEY_HTTP_\(number)"] = "127.0.0.1:528\(number)" }
      for file in [path, withHTTP] {
        let run = try ToolRun("haproxy", ["-c", "-dW", "-f", file], environment: environment)
        #expect(run.status == 0, "\(run)")
        #expect(!run.output.contains("WARNING"), "\(run)")
      }
    }

    /// A certificate for 127.0.0.1 and its key in one file.
    private static func bundle(_ name: String, of certificates: Certificates) throws -> String {
      try certificates.make(name, for: "IP:127.0.0.1")
      let path = certificates.path("\(name).bundle")
      let text = try ["pem", "key"].map {
        try String(contentsOfFile: certificates.path("\(name).\($0)"), encoding: .utf8)
      }
      try text.joined().write(toFile: path, atomically: true, encoding: .utf8)
      return path
    }

    @Test func `callers come by TLS that ends at HAProxy, or at a worker behind it`() throws {
      let certificates = try Certificates()
      let bundle = try Self.bundle("haproxy", of: certificates)
      let port = try TestSocket.freePort()
      try certificates.make("worker", for: "IP:127.0.0.1")
      func granted(at port: Int) throws {
        let run = try ProgramRun([
          "call", "--to", "127.0.0.1:\(port)", "--tls-ca", certificates.authority, "LOCK",
          Lab.device(), "a",
        ])
        #expect(run.status == 0 && run.output.hasPrefix("OK"), "\(run)")
      }
      let ending = try Balancer { text in
        text.replacing(/#(?=frontend latchkey-tls)/, with: "")
          .replacing(
            /#(?=    (bind "\$\{LATCHKEY_TLS|use_backend|default_backend workers))/, with: ""
          )
          .replacing("${LATCHKEY_TLS_BIND}", with: "127.0.0.1:\(port)")
          .replacing("${LATCHKEY_TLS_CERT}", with: bundle)
      }
      defer { ending.stop() }
      try granted(at: port)
      expect(try ending.connect().request("PING"), "OK")
      let passing = try Balancer([
        "--tls-cert", certificates.path("worker.pem"), "--tls-key", certificates.path("worker.key"),
      ])
      defer { passing.stop() }
      try granted(at: passing.port)
    }

    @Test func `the checks notice a drain before the worker stops to accept`() throws {
      let line = try #require(
        try Project.text("\(Balancer.folder)/haproxy.cfg").split(separator: "\n")
          .first { $0.contains("default-server check") })
      let words = line.split(separator: " ")
      func word(after name: String) throws -> Substring {
        words[try #require(words.firstIndex(of: name[...])) + 1]
      }
      let inter = try #require(ServeFlags.milliseconds(try word(after: "inter")))
      let fast = try #require(ServeFlags.milliseconds(try word(after: "fastinter")))
      let fall = try #require(Int(try word(after: "fall")))
      let flags = try ServeFlags()
      let unit = try Project.text("deploy/systemd/latchkey@.service")
      let delay = try #require(unit.firstMatch(of: /LATCHKEY_DRAIN_DELAY=(\w+)/)?.1)
      // Twice over, for checks that take their time.
      #expect(2 * (inter + (fall - 1) * fast) < (ServeFlags.milliseconds(delay) ?? 0))
      let connections = try #require(Int(try word(after: "maxconn")))
      #expect(try connections < flags.number("--max-connections-per-address"))
    }

    @Test func `connections go to the worker that has the fewest`() throws {
      let balancer = try Balancer()
      defer { balancer.stop() }
      let clients = try (0..<9).map { _ in try balancer.connect() }
      let names = try clients.map { try $0.request("INFO").string("worker") }
      let shares = Dictionary(grouping: names) { $0 }.mapValues(\.count)
      #expect(shares.count == 3 && shares.values.allSatisfy { $0 == 3 }, "\(shares)")
      // A watch goes through, and so does the reply to a caller that has said its last word.
      let device = Lab.device()
      #expect(try clients[0].request("WATCH \(device)").raw == "OK")
      expect(try clients[1].request("LOCK \(device) a"), "OK")
      expect(try clients[1].request("CLEAR \(device)"), "OK")
      #expect(try clients[0].readLine()?.contains("lock.cleared") == true)
      try clients[2].sendLine("HOLDER \(device)")
      clients[2].socket.halfClose()
      #expect(try clients[2].reply().raw == "NONE")
      #expect(clients[2].isClosed())
    }

    @Test func `a worker that dies costs its own connections only, and is used again later`() throws
    {
      let balancer = try Balancer()
      defer { balancer.stop() }
      let load = LockLoad(threads: 6) { try balancer.connect() }
      try load.awaitAcknowledged(300)
      balancer[0].kill()
      try load.awaitAcknowledged(300)
      try balancer.awaitUp([false, true, true])
      try balancer.restart(0)
      try balancer.awaitUp([true, true, true])
      let client = try eventually("a connection to the new worker") {
        let client = try balancer.connect()
        let name = try client.request("INFO").string("worker")
        return try name == balancer.name(0) ? client : nil
      }
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(
        report.codes["lost", default: 0] <= 12, "more than can have been connected: \(report.codes)"
      )
      #expect(report.codes.filter { $0.key != "lost" } == [:])
      try expectKept(report.acknowledged, client)
    }

    @Test func `with the PROXY protocol on both sides workers see the callers' addresses`() throws {
      let balancer = try Balancer(["--proxy-protocol"]) { text in
        let line = "\n    # default-server send-proxy-v2\n"
        try #require(text.contains(line))
        return text.replacingOccurrences(of: line, with: "\n    default-server send-proxy-v2\n")
      }
      defer { balancer.stop() }
      for _ in 0..<6 {
        expect(try balancer.connect().request("LOCK \(Lab.device()) a"), "OK")
      }
      // A connection that bypasses HAProxy is rejected.
      let stranger = try balancer[0].connect()
      try stranger.sendLine("LOCK \(Lab.device()) a")
      expectBadRequest(try stranger.reply(), naming: "PROXY")
      #expect(stranger.isClosed(within: .seconds(10)))
    }

    @Test func `a worker that hangs gets no new caller until it goes on`() throws {
      let balancer = try Balancer()
      defer { balancer.stop() }
      let frozen = try balancer.name(0)
      try balancer[0].freeze()
      try balancer.awaitUp([false, true, true])
      for _ in 0..<6 {
        #expect(try balancer.connect().request("INFO").string("worker") != frozen)
      }
      balancer[0].thaw()
      try balancer.awaitUp([true, true, true])
    }

    @Test func `while Redis is away, all callers get an error and stay connected`() throws {
      let balancer = try Balancer(["--drain-delay", "3s"])
      defer { balancer.stop() }
      let client = try eventually("a connection to a worker that stays") {
        let client = try balancer.connect()
        return try client.request("INFO").string("worker") == balancer.name(1) ? client : nil
      }
      var rounds = Rounds(1)
      while rounds.next() {
        try expectErrorsWhileRedisIsAway(balancer, client)
      }
    }

    private func expectErrorsWhileRedisIsAway(
      _ balancer: Balancer, _ client: LineClient
    ) throws {
      expect(try client.request("LOCK \(Lab.device()) a"), "OK")
      balancer.redis.kill()
      // New callers too, also while HAProxy notices it of one worker after another.
      var replies: [Reply] = []
      try eventually("HAProxy to find no worker ready", within: .seconds(20)) {
        replies.append(try balancer.connect().request("LOCK \(Lab.device()) a"))
        return try balancer.up() == [false, false, false]
      }
      for _ in 0..<12 {
        replies.append(try balancer.connect().request("LOCK \(Lab.device()) a"))
      }
      let wrong = replies.filter { !$0.isOutage }
      #expect(wrong.isEmpty, "\(wrong)")
      expect(try client.request("LOCK \(Lab.device()) a"), "ERR", "unavailable")
      // A worker that drains meanwhile gets no caller of these either.
      balancer[0].signal(SIGTERM)
      #expect(try balancer[0].wait(within: .seconds(20)) == .exited(0))
      for _ in 0..<6 {
        expect(try balancer.connect().request("LOCK \(Lab.device()) a"), "ERR", "unavailable")
      }
      try balancer.redis.start()
      try balancer.restart(0)
      try balancer.awaitUp([true, true, true])
      try eventually("service on the old connection", within: .seconds(10)) {
        try client.request("LOCK \(Lab.device()) a").isOK
      }
      expect(try balancer.connect().request("LOCK \(Lab.device()) a"), "OK")
    }
  }
}
