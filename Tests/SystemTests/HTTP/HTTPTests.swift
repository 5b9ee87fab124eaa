// Owns: the tests of HTTP as callers meet it: routes, statuses, lines, streams of events, pages of
// browsers, and what attacks a reader of HTTP.

import Foundation
import TestSupport
import Testing

extension SystemSuites {
  @Suite(
    .lab(workers: [
      [
        "--http", "127.0.0.1:0", "--http-origins", "null,https://app.example",
        "--request-timeout", "10s", "--max-record", "2MiB",
      ],
      ["--http", "127.0.0.1:0", "--line-timeout", "300ms", "--proxy-protocol"],
    ])
  ) struct HTTP {
    func connect() throws -> HTTPClient { try Lab.current.worker.http() }

    @Test func `each reply has its status, and its JSON as the body`() throws {
      let (http, device) = (try connect(), Lab.device())
      let granted = try http.post("/v1/LOCK/\(device)/a?ttl=1h")
      #expect(granted.status == 200 && granted.headers["content-type"] == "application/json")
      #expect(try Grant(Reply(raw: granted.line)).ttlMs == 3_600_000)
      let rows: [(String, String, String?, Int, String)] = [
        ("GET", "/v1/HOLDER/\(device)", nil, 200, "OK"),
        ("POST", "/v1/holder/\(device)", nil, 200, "OK"),
        ("GET", "/v1/HOLDER/\(device)-x", nil, 404, "NONE"),
        ("POST", "/v1/LOCK/\(device)/b", nil, 423, "HELD"),
        ("POST", "/v1/RENEW/\(device)/a?token=7", nil, 412, "STALE"),
        ("POST", "/v1/UNLOCK/\(device)/a", nil, 200, "OK"),
        ("GET", "/v1/LOCK/\(device)/b", nil, 405, "ERR bad_request"),
        ("GET", "/v1/ACK/g/1", nil, 405, "ERR bad_request"),
        ("GET", "/v1/EVENTS/*?limit=1&GROUP=g", nil, 405, "ERR bad_request"),
        ("GET", "/v1/EVENTS/*?%67roup=g", nil, 405, "ERR bad_request"),
        ("GET", "/v1/EVENTS/\(device)?limit=1", nil, 200, "OK"),
        ("POST", "/v1/WATCH/\(device)", nil, 405, "ERR bad_request"),
        ("PUT", "/v1/LOCK/\(device)/b", nil, 405, "ERR bad_request"),
        ("POST", "/v1/AUTH/x", nil, 400, "ERR bad_request by HTTP a secret comes"),
        ("POST", "/v1/NOPE", nil, 404, "ERR unknown_verb"),
        ("POST", "/v2", nil, 404, "ERR unknown_verb"),
        ("POST", "/v1/LOCK/\(device)", nil, 400, "ERR bad_request"),
        ("POST", "/v1/LOCK/\(device)/a?x=1", nil, 400, "ERR bad_request"),
        ("GET", "/v1/PING", "{}", 400, "ERR bad_request"),
        ("POST", "/v1/OPEN/\(device)", "{\"a\":}", 400, "ERR bad_request"),
        ("POST", "/v1/OPEN/\(device)", "{\n\t\"a\": 1\n}\n", 200, "OK"),
        ("POST", "/v1/OPEN/\(device)-u?user=u%20\(device)", "{}", 200, "OK"),
        ("GET", "/v1/GET?user=u%20\(device)", nil, 200, "OK"),
        ("POST", "/v1/SAY?%75ser=u%20\(device)", "{\"m\":1}", 200, "OK"),
        ("GET", "/v1/GET?user=u%20\(device)-x", nil, 404, "NONE"),
        ("POST", "/v1/SAY/\(device)?chat=9", "{\"m\":1}", 404, "NONE"),
        ("POST", "/v1/PUT/\(device)/a%20%22b%2F?if=absent", "\"text rev=7\"", 200, "OK"),
        ("POST", "/v1/PUT/\(device)/a%20%22b%2F?if=absent", "\"text\"", 412, "STALE"),
        ("GET", "/v1/TAKE/\(device)/a%20%22b%2F?session=current", nil, 200, "OK"),
        ("POST", "/v1/TURN/\(device)", "{\"m\":1}", 200, "OK"),
        ("POST", "/v1/TURN/\(device)?policy=reject", "{\"m\":2}", 409, "BUSY"),
      ]
      for (method, target, body, status, line) in rows {
        let response = try http.ask(method, target, body: body)
        let name = "\(method) \(target): \(response)"
        #expect(response.status == status && response.line.hasPrefix(line), "\(name)")
        #expect(response.reply == line.prefix { $0 != " " }, "\(name)")
        #expect((response.headers["allow"] != nil) == (status == 405), "\(name)")
      }
      let taken = try http.get("/v1/TAKE/\(device)/a%20%22b%2F")
      #expect(taken.body.contains(#""key":"a \"b/""#) && taken.body.contains(#""text rev=7""#))
      #expect(try http.get("/v1/PING").body == "{}")
    }

    @Test func `an idempotency key is req, and each wire knows the other's`() throws {
      let (http, device) = (try connect(), Lab.device())
      let key = ["Idempotency-Key: \"k 1\""]
      let first = try http.post("/v1/SEIZE/\(device)/a", key)
      #expect(try http.post("/v1/SEIZE/\(device)/a", key).line == first.line)
      #expect(
        try Lab.current.connect().request("SEIZE \(device) a req=k%201").raw == first.line)
      let other = try http.post("/v1/SEIZE/\(device)/b", key)
      #expect(other.status == 409 && other.line.hasPrefix("ERR conflict"), "\(other)")
      #expect(try http.post("/v1/SEIZE/\(device)/a?req=x", key).status == 400)
      #expect(try http.post("/v1/HOLDER/\(device)", key).status == 400)
    }

    @Test func `a trace is in the events of its request, and is no part of it`() throws {
      let (http, device) = (try connect(), Lab.device())
      let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
      let key = "Idempotency-Key: k"
      #expect(try http.post("/v1/LOCK/\(device)/a").status == 200)
      let target = "/v1/SEIZE/\(device)/b"
      let first = try http.post(target, [key, "traceparent: \(parent)1"])
      #expect(first.status == 200)
      for other in [["traceparent: \(parent)0"], ["traceparent: nonsense"], []] {
        #expect(try http.post(target, [key] + other).line == first.line, "\(other)")
      }
      #expect(try http.post(target + "?trace=nonsense").status == 400)
      #expect(try http.post("/v1/SEIZE/\(device)/c", ["traceparent: \(parent)1"]).status == 200)
      #expect(try http.post("/v1/OPEN/\(device)", ["traceparent: \(parent)1"], "{}").status == 200)
      #expect(try http.post("/v1/CLEAR/\(device)").status == 200)
      let events = try http.get("/v1/EVENTS/\(device)").body
      #expect(events.components(separatedBy: "\"trace\":\"\(parent)1\"").count == 4, "\(events)")
      #expect(events.components(separatedBy: "\"type\":").count == 5, "\(events)")
    }

    @Test func `requests that are sent at once are answered in their order`() throws {
      let (http, device) = (try connect(), Lab.device())
      var (wanted, text) = ([Int](), "")
      for index in 0..<300 {
        let agent = index % 3 == 0 ? "a" : "b"
        text += "POST /v1/LOCK/\(device)/\(agent) HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        wanted.append(agent == "a" ? 200 : 423)
        if index % 7 == 0 {
          text += "GET /v1/nope HTTP/1.1\r\nHost: h\r\n\r\n"
          wanted.append(404)
        }
      }
      try http.send(text)
      #expect(try wanted.map { _ in try http.response().status } == wanted)
      // The last one says that it is.
      let last = try http.post("/v1/PING", ["Connection: close"])
      #expect(last.status == 200 && last.headers["connection"] == "close" && http.isClosed())
    }

    @Test func `lines in a body are answered with lines, whatever comes first`() throws {
      let (http, device) = (try connect(), Lab.device())
      let lines = [
        "LOCK \(device) a", "HOLDER \(device)", "", "NOPE", "OPEN \(device)", "AUTH x", "WATCH *",
        "QUIT", "SAY \(device) {\"m\":1}", "GET \(device)",
      ]
      let words = ["OK", "OK", "ERR", "OK", "ERR", "ERR", "ERR", "OK", "OK"]
      let body = lines.joined(separator: "\n")
      let response = try http.post("/v1/lines", [], body)
      #expect(response.headers["content-type"] == "text/plain; charset=utf-8")
      let replies = response.body.split(separator: "\n").map { Reply(raw: String($0)) }
      #expect(replies.map(\.word) == words, "\(response.body)")
      #expect(replies[4].raw.contains("by HTTP a secret comes"))
      // A piece at a time, in chunks, with the next request right behind.
      try http.send("POST /v1/lines HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
      for byte in "PING\nHOLDER \(device)\n".utf8 {
        try http.send("1\r\n\(String(UnicodeScalar(byte)))\r\n")
      }
      try http.send("0\r\n\r\nGET /v1/PING HTTP/1.1\r\nHost: h\r\n\r\n")
      #expect(try http.response().body.hasPrefix("OK\nOK {\"agent\":\"a\""))
      #expect(try http.response().status == 200)
      let many = try http.post(
        "/v1/lines", ["Connection: close"], String(repeating: "PING\n", count: 3_000))
      #expect(many.body == String(repeating: "OK\n", count: 3_000) && http.isClosed())
    }

    // MARK: Events

    @Test func `events are a stream that is resumed by the last id`() throws {
      let (device, line) = (Lab.device(), try Lab.current.connect())
      let stream = try connect()
      try stream.send("GET", "/v1/watch/\(device)?changes=yes&types=lock.seized,chat.said")
      let (status, headers) = try stream.head()
      #expect(status == 200 && headers["content-type"] == "text/event-stream")
      expect(try line.request("OPEN \(device)"), "OK")
      expect(try line.request("SAY \(device) {\"m\":1}"), "OK")
      let said = try stream.event()
      #expect(said.count == 1 && said[0].hasPrefix("data: {\"type\":\"chat.said\""), "\(said)")
      var seized: [[String]] = []
      for agent in ["a", "b", "c"] { expect(try line.request("SEIZE \(device) \(agent)"), "OK") }
      for _ in 0..<2 { seized.append(try stream.event()) }
      let id = seized[0][0].dropFirst(4)
      #expect(seized[0][0].hasPrefix("id: ") && seized[0][1].contains("\"id\":\"\(id)\""))

      // It begins again behind that event, whatever `after=` says.
      let resumed = try connect()
      let again = "/v1/watch/\(device)?types=lock.seized&after=\(id)"
      try resumed.send("GET", again, ["Last-Event-ID: \(id)"])
      #expect(try resumed.head().0 == 200)
      #expect(try resumed.event() == seized[1])
      // A request behind a stream is none.
      try resumed.send("POST", "/v1/CLEAR/\(device)")
      expect(try line.request("SEIZE \(device) d"), "OK")
      #expect(try resumed.event().last?.contains("\"to\":\"d\"") == true)
      expect(try line.request("HOLDER \(device)"), "OK")

      let bad = try connect()
      let refused = try bad.get("/v1/watch/\(device)?after=x")
      #expect(refused.status == 400 && refused.headers["connection"] == "close" && bad.isClosed())
      #expect(
        try connect().get("/v1/watch/\(device)?session=01J0000000000000000000000A").status == 404)
    }

    // MARK: Pages

    @Test func `pages may call whose origin is listed, and no others`() throws {
      let (http, device) = (try connect(), Lab.device())
      let target = "/v1/LOCK/\(device)/a"
      let refused = [
        ["Origin: https://evil.example"], ["Origin: https://APP.example"],
        ["Origin: https://app.example.evil"], ["Origin:"], ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site"],
        // A name that was rebound to this machine.
        ["Sec-Fetch-Site: same-origin"],
      ]
      for headers in refused {
        let response = try http.post(target, headers)
        #expect(response.status == 403 && response.line.hasPrefix("ERR forbidden"), "\(headers)")
        #expect(response.headers["access-control-allow-origin"] == nil)
      }
      let asked = ["Access-Control-Request-Method: POST"]
      #expect(try http.ask("OPTIONS", target, asked + [refused[0][0]]).status == 403)
      #expect(try http.ask("OPTIONS", target, asked).status == 405)
      #expect(try http.get("/v1/HOLDER/\(device)").status == 404, "nothing was done")

      for origin in ["null", "https://app.example"] {
        let headers = ["Origin: \(origin)"]
        let preflight = try http.ask("OPTIONS", target, headers + asked)
        #expect(preflight.status == 204 && preflight.headers["access-control-max-age"] != nil)
        #expect(preflight.headers["access-control-allow-origin"] == origin)
        let granted = try http.post(target, headers + ["Sec-Fetch-Site: cross-site"])
        #expect(granted.status == 200 && granted.headers["vary"] == "Origin")
        #expect(granted.headers["access-control-allow-origin"] == origin)
        let lines = try http.post("/v1/lines", headers, "PING")
        #expect(lines.headers["access-control-allow-origin"] == origin)
        let stream = try connect()
        try stream.send("GET", "/v1/watch/\(device)", headers)
        #expect(try stream.head().1["access-control-allow-origin"] == origin)
      }
      #expect(try http.post(target, ["Sec-Fetch-Site: none"]).status == 200)
    }

    // MARK: Attacks

    private static let attacks: [(String, Int)] = [
      ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
      ("Content-Length: 0\r\nContent-Length: 60\r\n\r\n", 400),
      ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
      ("X: a\r\n Transfer-Encoding: chunked\r\n\r\n", 400),
      ("Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n", 400), ("Upgrade: h2c\r\n\r\n", 400),
      ("X: \(String(repeating: "x", count: 20_000))\r\n\r\n", 413),
    ]

    @Test func `nothing that is smuggled behind a request is done`() throws {
      let (lab, victim) = (try Lab.current, Lab.device())
      let hidden = "POST /v1/SEIZE/\(victim)/x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
      for (rest, status) in Self.attacks {
        let http = try connect()
        try http.send("POST /v1/PING HTTP/1.1\r\nHost: h\r\n\(rest)\(hidden)")
        let response = try http.response()
        #expect(response.status == status && response.headers["connection"] == "close", "\(rest)")
        #expect(http.isClosed(), "\(rest)")
      }
      for start in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let http = try connect()
        try http.send(start + hidden)
        #expect(try http.response().status == 505)
        #expect(http.isClosed())
      }
      for line in ["SEIZE \(victim) x\n", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "\u{16}\u{3}"]
      {
        let http = try connect()
        try http.send(line + hidden)
        #expect(try http.response().status == 400)
        #expect(http.isClosed())
      }
      expect(try lab.connect().request("HOLDER \(victim)"), "NONE")
      try eventually("a line in the log") {
        lab.worker.log.contains("\"a connection that sent malformed HTTP was closed\"")
      }
    }

    @Test func `a body over the limit is refused, and the next request is served`() throws {
      let http = try connect()
      let big = String(repeating: "x", count: 1_100_000)
      #expect(try http.post("/v1/OPEN/\(Lab.device())", [], "{\"a\":\"\(big)\"}").status == 413)
      #expect(try http.get("/v1/PING").status == 200)
      // Its length is not known before.
      try http.send("POST /v1/OPEN/d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
      for _ in 0..<17 {
        try http.send("10000\r\n" + String(repeating: "x", count: 65_536) + "\r\n")
      }
      try http.send("0\r\n\r\n")
      #expect(try http.response().status == 413)
      let long = try http.post("/v1/lines", [], "PING\n\(big)\nPING")
      #expect(long.body.hasPrefix("OK\nERR too_large ") && long.body.hasSuffix("\nOK\n"))
      // A large one is read beside the loop.
      let value = String(repeating: "y", count: 200_000)
      let device = Lab.device()
      let fields = "{\"a\":\"\(value)\",\"b\":\"\(value)\"}"
      #expect(try http.post("/v1/OPEN/\(device)", [], fields).status == 200)
      #expect(try http.get("/v1/GET/\(device)?fields=b").body.contains(value))
      let asked = try connect()
      try asked.send(
        "POST /v1/SET/\(device) HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n"
          + "Expect: 100-continue\r\n\r\n")
      #expect(try asked.head().0 == 100)
      try asked.send("{\"c\":1}")
      #expect(try asked.response().status == 200)
      try asked.send(
        "POST /v1/SET/\(device) HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n"
          + "Expect: 100-continue\r\n\r\n")
      #expect(try asked.response().status == 413)
    }

    @Test func `a request that does not end has its time, and so has one behind a proxy`() throws {
      let worker = try Lab.current.workers[1]
      let header = "PROXY TCP4 10.0.0.1 127.0.0.1 80 5284\r\n"
      let proxied = try worker.http()
      try proxied.send(header)
      #expect(try proxied.get("/v1/PING").status == 200)
      for start in [
        "POST /v1/PI", "POST /v1/OPEN/d HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
      ] {
        let http = try worker.http()
        try http.send(header + start)
        let response = try http.response()
        #expect(response.status == 408 && response.headers["connection"] == "close")
        #expect(http.isClosed())
      }
      // The response to lines is over: the next request has one of its own.
      let later = try worker.http()
      try later.send(header)
      #expect(try later.post("/v1/lines", [], "PING").body == "OK\n")
      try later.send("POST /v1/PI")
      #expect(try later.response().status == 408)
      let plain = try worker.http()
      try plain.send("GET /v1/PING HTTP/1.1\r\nHost: h\r\n\r\n")
      #expect(try plain.response().status == 400)
      #expect(plain.isClosed())
    }

    // MARK: The wire's name

    @Test func `metrics name the wire`() throws {
      let (lab, series) = (try Lab.current, "latchkey_wire_requests_total{wire=\"http\"}")
      let before = try lab.worker.metric(series)
      let http = try connect()
      _ = try http.get("/v1/PING")
      #expect(try lab.worker.metric(series) == before + 1)
      #expect(try lab.worker.metric("latchkey_wire_connections{wire=\"http\"}") >= 1)
    }
  }

  @Suite struct HTTPCallers {
    @Test func `each request has the rights of its secret, on one connection too`() throws {
      let file = try PrincipalsFile([
        ("one", ["--rights", "read,write", "--devices", "a-*"]),
        ("two", ["--rights", "read,write", "--devices", "b-*"]),
      ])
      let lab = try Lab(
        workers: [
          [
            "--auth", file.path, "--threads", "1", "--http", "127.0.0.1:0", "--log-level", "debug",
            "--log-format",
            "json",
          ]
        ])
      defer { lab.stop() }
      let http = try lab.worker.http()
      func bearer(_ name: String) -> [String] { ["Authorization: Bearer \(file.secret(name))"] }
      let anonymous = try http.get("/v1/HOLDER/a-1")
      #expect(anonymous.status == 401 && anonymous.headers["www-authenticate"] == "Bearer")
      #expect(try http.get("/v1/PING").status == 200)
      #expect(try http.post("/v1/lines", [], "PING").status == 401)
      #expect(try http.get("/v1/HOLDER/a-1", ["Authorization: Basic eDp5"]).status == 401)
      // All at once, in turns: what one has asked is done with its rights alone.
      for name in ["one", "two", "one"] {
        for device in ["a-1", "b-1"] {
          try http.send("POST", "/v1/LOCK/\(device)/x", bearer(name) + ["Idempotency-Key: k"])
        }
      }
      #expect(
        try (0..<6).map { _ in try http.response().status } == [200, 403, 403, 200, 200, 403])
      let lines = try http.post("/v1/lines", bearer("two"), "HOLDER b-1\nHOLDER a-1\nINFO")
      let words = lines.body.split(separator: "\n").map { $0.prefix(13) }
      #expect(
        words == ["OK {\"agent\":\"x", "ERR forbidden", "OK {\"version\""].map { $0.prefix(13) })
      #expect(try http.get("/v1/HOLDER/b-1").status == 401, "the secret was the other request's")

      let stream = try lab.worker.http()
      try stream.send("GET", "/v1/watch/*", bearer("one"))
      #expect(try stream.head().0 == 200)
      let guesser = try lab.worker.http()
      for last in [false, false, true] {
        let response = try guesser.get("/v1/PING", ["Authorization: Bearer one:no"])
        #expect(response.status == 403 && (response.headers["connection"] == "close") == last)
      }
      #expect(guesser.isClosed())
      // A stream of a principal that is gone ends, and its secret is good for nothing.
      file.remove("one")
      try file.write()
      lab.worker.signal(SIGHUP)
      #expect(
        try stream.event().contains("data: {\"type\":\"watch.ended\",\"reason\":\"forbidden\"}"))
      #expect(stream.isClosed())
      #expect(try http.get("/v1/HOLDER/a-1", bearer("one")).status == 403)
      let logged = lab.worker.log.split(separator: "\n")
      #expect(logged.allSatisfy { (try? JSON(String($0))) != nil }, "each line is JSON")
      #expect(logged.contains { $0.contains("\"wire\":\"http\",\"verb\":\"LOCK\"") })
      #expect(!lab.worker.log.contains(file.secret("two")))
    }

    @Test func `HTTP is reached by TLS, and its last responses say so`() throws {
      let certificates = try Certificates()
      try certificates.make("worker", for: "DNS:localhost,IP:127.0.0.1")
      let lab = try Lab(
        workers: [
          [
            "--tls-cert", certificates.path("worker.pem"), "--tls-key",
            certificates.path("worker.key"), "--http", "127.0.0.1:0",
          ], ["--http", "127.0.0.1:0", "--drain-delay", "20s"],
        ])
      defer { lab.stop() }
      let url = "https://localhost:\(lab.worker.httpPort)/v1/LOCK/d/a"
      let curl = try ProgramRun(
        command: [
          "/usr/bin/curl", "-sS", "-X", "POST", "--cacert", certificates.authority, url, url,
        ])
      #expect(curl.status == 0 && curl.output.contains("\"renewed\":true"), "\(curl)")
      let plain = try lab.worker.http()
      try plain.send("GET /v1/PING HTTP/1.1\r\nHost: h\r\n\r\n")
      let refused = try plain.response()
      #expect(refused.status == 400 && refused.body.contains("TLS"), "\(refused)")

      let draining = lab.workers[1]
      let http = try draining.http()
      #expect(try http.get("/v1/PING").headers["connection"] == nil)
      draining.signal(SIGTERM)
      try eventually("the worker says that it is stopping") {
        try http.get("/v1/PING").headers["connection"] == "close"
      }
      #expect(http.isClosed())
    }
  }
}
