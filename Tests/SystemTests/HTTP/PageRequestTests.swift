// Owns: the tests of the page's resources by raw requests: who may ask, from where, and how much.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct PageRequestTests {
    private static let marker = "Latchkey-Page: 1"

    private func http(_ worker: WorkerProcess) throws -> HTTPClient {
      try HTTPClient(port: worker.adminPort)
    }

    /// A request with its own header Host.
    private func ask(
      _ worker: WorkerProcess, _ method: String, _ path: String, host: String,
      _ headers: [String] = [], body: String = ""
    ) throws -> Int {
      let client = try http(worker)
      let lines = ["\(method) \(path) HTTP/1.1", "Host: \(host)"] + headers
      let length = method == "POST" ? ["Content-Length: \(body.utf8.count)"] : []
      try client.send((lines + length).joined(separator: "\r\n") + "\r\n\r\n" + body)
      return try client.response().status
    }

    @Test func `the page and its resources are for its own origin, by a name that is known`()
      throws
    {
      let lab = try Lab(workers: [["--admin-hosts", "ops.example"]])
      defer { lab.stop() }
      let worker = lab.worker
      let own = "127.0.0.1:\(worker.adminPort)"
      let page = try worker.get("/")
      #expect(page.status == 200)
      #expect(page.body.contains("<title>Latchkey</title>"))
      let policy = page.headers["content-security-policy"] ?? ""
      #expect(policy.hasPrefix("default-src 'none'; script-src 'nonce-"))
      #expect(policy.contains("frame-ancestors 'none'"))
      #expect(page.headers["cache-control"] == "no-store")
      #expect(page.headers["x-content-type-options"] == "nosniff")
      #expect(try worker.get("/").body != page.body, "a nonce is used once")
      for (host, status) in [
        ("localhost:1", 200), ("[::1]:1", 200), ("OPS.example", 200), ("10.0.0.1:80", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("1.2.3.4.5", 403),
      ] {
        #expect(try ask(worker, "GET", "/", host: host) == status, "\(host)")
        #expect(
          try ask(worker, "GET", "/page/overview", host: host, [Self.marker]) == status, "\(host)")
      }
      for (headers, status) in [
        ([Self.marker], 200), ([], 403), (["Latchkey-Page: 0"], 403),
        ([Self.marker, "Origin: http://\(own)", "Sec-Fetch-Site: same-origin"], 200),
        ([Self.marker, "Origin: http://evil.example"], 403),
        ([Self.marker, "Origin: null"], 403),
        ([Self.marker, "Sec-Fetch-Site: cross-site"], 403),
        ([Self.marker, "Sec-Fetch-Site: same-site"], 403),
      ] {
        for (method, path) in [("GET", "/page/overview"), ("POST", "/page/call")] {
          #expect(
            try ask(worker, method, path, host: own, headers, body: "INFO") == status,
            "\(path) \(headers)")
        }
      }
      #expect(try ask(worker, "GET", "/page/call", host: own, [Self.marker]) == 405)
      #expect(try ask(worker, "GET", "/page/nothing", host: own, [Self.marker]) == 404)
      #expect(try ask(worker, "POST", "/metrics", host: own) == 405)
      #expect(try worker.get("/healthz").status == 200)
      let second = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
      let length = "Content-Length: \(second.utf8.count)"
      #expect(try ask(worker, "GET", "/healthz", host: own, [length], body: second) == 400)
    }

    @Test func `a request is one line of the page's verbs, and is answered as any caller's`()
      throws
    {
      let lab = try Lab(workers: [["--max-connections", "2"]])
      defer { lab.stop() }
      let client = try http(lab.worker)
      func call(_ line: String) throws -> HTTPClient.Response {
        try client.post("/page/call", [Self.marker], line)
      }
      let others = [try lab.connect(), try lab.connect()]
      expect(try others[0].request("LOCK dev-1 scheduling"), "OK")
      // A worker that is full shows itself all the same.
      #expect(try call("HOLDER dev-1").body.hasPrefix("OK {\"agent\":\"scheduling\""))
      #expect(try call("HOLDER dev-2").body == "NONE\n")
      #expect(try call("HOLDER").body.hasPrefix("ERR bad_request "))
      for line in ["", "LOCK dev-1 a", "AUTH x", "HOLDER dev-1\nCLEAR dev-1", "QUIT", "WATCH *"] {
        #expect(try call(line).status == 400, "\(line)")
      }
      #expect(try call("HOLDER " + String(repeating: "x", count: 9_000)).status != 200)
      #expect(try others[1].request("HOLDER dev-1").raw.contains("scheduling"))
      let overview = try JSON(http(lab.worker).get("/page/overview", [Self.marker]).body)
      #expect(overview["requests"]?["HOLDER"] != nil)
      #expect(overview["now"]?["connections"]?.int ?? 0 >= 2)
    }

    @Test func `the audit has each action of a person, with the browser's address`() throws {
      let path = "\(try Scratch.folder("audit"))/audit"
      let lab = try Lab(workers: [["--audit", path]])
      defer { lab.stop() }
      expect(try lab.connect().request("OPEN dev-1"), "OK")
      let client = try http(lab.worker)
      for line in ["GET dev-1", "CLOSE dev-1 completed reason=operator", "EXPORT dev-1"] {
        #expect(try client.post("/page/call", [Self.marker], line).body.hasPrefix("OK"), "\(line)")
      }
      let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
      #expect(lines.map { $0.contains("verb=CLOSE") } == [true, false])
      for line in lines {
        #expect(line.contains("from=127.0.0.1 wire=page") && line.contains("outcome=ok"), "\(line)")
      }
    }

    @Test func `events come as a stream that outlives the time of a request`() throws {
      let lab = try Lab(workers: [["--admin-timeout", "1s"]])
      defer { lab.stop() }
      let stream = try http(lab.worker)
      try stream.send("GET", "/page/events", [Self.marker])
      let (status, headers) = try stream.head()
      #expect(status == 200)
      #expect(headers["content-type"] == "text/event-stream")
      let began = ContinuousClock.now
      try eventually("more than the time of a request") {
        ContinuousClock.now - began > .milliseconds(1_500)
      }
      expect(try lab.connect().request("LOCK dev-1 scheduling ttl=50ms"), "OK")
      try eventually("the event") {
        try stream.event().contains { $0.contains("lock.abandoned") }
      }
    }

    @Test func `where other machines reach the port the page asks who calls`() throws {
      let file = try PrincipalsFile([
        ("ops", ["--rights", "read,write,operate"]), ("reader", ["--rights", "read"]),
        ("ada", ["--rights", "read,write,operate", "--links", "user=ada"]),
      ])
      let audit = "\(try Scratch.folder("audit"))/audit"
      let flags = ["--auth", file.path, "--admin", "0.0.0.0:0", "--audit", audit]
      let lab = try Lab(workers: [])
      defer { lab.stop() }
      func worker(_ more: [String]) throws -> (WorkerPorts, Starting) {
        let starting = try Starting(["--redis", lab.redis.url] + flags + more)
        let line = try starting.awaitReadyLine(within: .seconds(10))
        return (try WorkerPorts(line), starting)
      }
      let (closed, one) = try worker([])
      defer { one.child.end() }
      for path in ["/", "/page/overview"] {
        let answer = try HTTPClient(port: closed.admin).get(path, [Self.marker])
        #expect(answer.status == 403)
        #expect(answer.body.contains("--admin-auth"))
      }
      #expect(try HTTPReply.get("/readyz", port: closed.admin).status == 200)
      let (open, two) = try worker(["--admin-auth", "ops", "--admin-auth", "ada"])
      defer { two.child.end() }
      func status(_ secret: String?) throws -> Int {
        let headers = [Self.marker] + (secret.map { ["Authorization: Bearer \($0)"] } ?? [])
        return try HTTPClient(port: open.admin).get("/page/overview", headers).status
      }
      #expect(try HTTPReply.get("/", port: open.admin).status == 200)
      #expect(try status(nil) == 401)
      #expect(try status("ops.wrong") == 401)
      #expect(try status(file.secret("reader")) == 403)
      #expect(try status(file.secret("ops")) == 200)
      // What is about all users is not for one who is limited to some.
      #expect(try status(file.secret("ada")) == 403)
      let lines = try String(contentsOfFile: audit, encoding: .utf8).split(separator: "\n")
        .filter { $0.contains("audit=refused") && $0.contains("from=127.0.0.1 wire=page") }
      for part in [
        "who=- ", "who=reader issuer=- from=127.0.0.1 wire=page verb=AUTH",
        "who=ada issuer=- from=127.0.0.1",
      ] {
        #expect(lines.contains { $0.contains(part) }, "\(part): \(lines)")
      }
      // One principal leaves places to the others, and to its own requests.
      let secret = [Self.marker, "Authorization: Bearer \(file.secret("ops"))"]
      let streams = try (0..<17).map { _ in
        let client = try HTTPClient(port: open.admin)
        try client.send("GET", "/page/events", secret)
        return (client, try client.head().0)
      }
      #expect(streams.map(\.1) == [Int](repeating: 200, count: 16) + [503])
      #expect(
        try HTTPClient(port: open.admin).post("/page/call", secret, "INFO").body.hasPrefix("OK"))
      let run = try ProgramRun(["serve", "--admin-auth", "ops"])
      #expect(run.status != 0)
      #expect(run.errors.contains("--admin-auth needs --auth"))
    }
  }
}

/// The ports of a ready line, on whatever address.
private struct WorkerPorts {
  let admin: Int

  init(_ line: String) throws {
    guard let match = line.firstMatch(of: /admin=[^ ]*:([0-9]+)/), let port = Int(match.1) else {
      throw Failure("no admin= in \(line)")
    }
    admin = port
  }
}
