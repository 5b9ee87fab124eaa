// Owns: the tests of AUTH jwt and of tokens as bearers: users, rights, the end of a token, and keys
// that are replaced.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite struct Tokens {
    private func start(
      _ issuer: TokenIssuer, _ more: [String] = [], map: String = "user=sub"
    ) throws -> Lab {
      try Lab(workers: [
        [
          "--jwt-keys", issuer.path, "--jwt-map", map, "--http", "127.0.0.1:0", "--request-timeout",
          "10s",
        ] + more
      ])
    }

    private func connect(_ lab: Lab, _ token: String, as user: String) throws -> LineClient {
      let client = try lab.connect()
      let reply = try client.request("AUTH jwt \(token)")
      guard reply.raw == "OK {\"name\":\"\(user)\"}" else { throw Failure("AUTH jwt: \(reply)") }
      return client
    }

    @Test func `a token of each algorithm is its user's, by lines and by HTTP`() throws {
      let issuer = try TokenIssuer()
      let file = try PrincipalsFile([("app", ["--rights", "read,write,operate", "--links", "*"])])
      let lab = try start(issuer, ["--auth", file.path], map: "user=sub,rights=scope,devices=did")
      defer { lab.stop() }
      expect(try lab.connect().request("LOCK d a"), "ERR", "auth_required")
      let bob = try connect(lab, try issuer.token("bob"), as: "bob")
      for algorithm in TokenIssuer.Algorithm.allCases {
        let (device, user) = (Lab.device(), "u|\(algorithm.rawValue)")
        let name = "u%7C\(algorithm.rawValue)"
        let token = try issuer.token(user, algorithm)
        let line = "OPEN \(device) req=r"
        let opened = try connect(lab, token, as: name).request(line)
        #expect(opened.shows("links", as: "{\"user\":[\"\(name)\"]}"), "\(opened)")
        // An idempotency key is its user's own, whatever the token and the wire.
        let again = try issuer.token(user, algorithm, for: 60)
        let bearer = ["Authorization: Bearer \(again)", "Idempotency-Key: r"]
        let response = try lab.worker.http().post("/v1/OPEN/\(device)", bearer)
        #expect(try JSON(response.body)["session"] == opened.json()["session"])
        let other = try bob.request(line)
        #expect(other.isOK && other.raw != opened.raw)
        expect(try bob.request("GET \(device)/\(opened.string("session"))"), "NONE")
        expect(try bob.request("LIST user=\(name)"), "ERR", "forbidden")
      }
      // Claims say what it may do.
      let reader = try connect(
        lab, try issuer.token("ada", .es256, "\"scope\":\"openid read\",\"did\":[\"a-1\",\"b-*\"]"),
        as: "ada")
      expect(try reader.request("HOLDER a-1"), "NONE")
      expect(try reader.request("LOCK a-1 x"), "ERR", "forbidden")
      expect(try reader.request("HOLDER a-2"), "ERR", "forbidden")
      expect(try reader.request("HOLDER b-2"), "NONE")
      // A secret beside, and another way on the same connection.
      expect(try reader.request("AUTH \(file.secret("app"))"), "OK")
      expect(try reader.request("LOCK a-2 x"), "OK")
      #expect(try lab.worker.metric("latchkey_jwt_keys") == 4)
    }

    @Test func `a wrong token is refused with the reason, and the third ends the connection`()
      throws
    {
      let issuer = try TokenIssuer([.es256, .hs256])
      let lab = try start(issuer, ["--jwt-aud", "cache", "--jwt-iss", "us"])
      defer { lab.stop() }
      let right = "\"aud\":\"cache\",\"iss\":\"us\""
      let client = try connect(lab, try issuer.token("ada", .es256, right), as: "ada")
      let cases = [
        (try issuer.token("ada", .es256, for: -61, right), "expired"),
        (try issuer.token("ada", .es256, "\"iss\":\"us\",\"aud\":\"x\""), "aud"),
        (try issuer.token("ada", .es256, "\"aud\":\"cache\""), "iss"),
        (try issuer.token("ada", .hs256, right, by: "ES256"), "alg"),
        (try issuer.token("ada", .hs256, right, by: "unknown"), "kid"),
        ("eyJhbGciOiJub25lIn0.e30.", "three parts"), ("x", "three parts"),
      ]
      for (token, word) in cases {
        let refused = try client.request("AUTH jwt \(token)")
        expect(refused, "ERR", "forbidden")
        #expect(refused.text.contains(word), "\(refused)")
        // The earlier principal stays in force; a right one starts anew.
        expect(try client.request("LOCK d a"), "OK")
        let again = try issuer.token("ada", .es256, right)
        expect(try client.request("AUTH JWT \(again)"), "OK")
      }
      for _ in 0..<3 { try client.sendLine("AUTH jwt \(cases[0].0)") }
      for _ in 0..<3 { expect(try client.reply(), "ERR", "forbidden") }
      #expect(client.isClosed())
      // By HTTP the same.
      let http = try lab.worker.http()
      for _ in 0..<3 {
        let refused = try http.get("/v1/HOLDER/d", ["Authorization: Bearer \(cases[0].0)"])
        #expect(refused.status == 403 && refused.line.contains("expired"), "\(refused)")
      }
      #expect(http.isClosed())
      // A token is not in the log, and no part of a malformed line in the reply.
      let signature = try #require(cases[0].0.split(separator: ".").last)
      let line = "AUTH jwt \(cases[0].0) more"
      let reply = try lab.connect().request(line)
      expect(reply, "ERR", "bad_request")
      #expect(!reply.raw.contains(signature) && !lab.worker.log.contains(signature))
      expect(try lab.connect().request("AUTH jwt \(String(repeating: "x", count: 4_090))"), "ERR")
      #expect(try lab.worker.metric("latchkey_auth_failures_total") == cases.count + 6)
    }

    @Test func `a connection is its token's until that ends, and so is what waits on it`() throws {
      let issuer = try TokenIssuer([.hs256])
      let lab = try start(issuer)
      defer { lab.stop() }
      let (device, quiet, user) = (Lab.device(), Lab.device(), "ada")
      let long = try connect(lab, try issuer.token(user, .hs256), as: user)
      expect(try long.request("LOCK \(device) holder"), "OK")
      expect(try long.request("TURN \(device) {\"a\":1}"), "OK")
      let short = try issuer.token(user, .hs256, for: 2.5)
      let waiting = try [
        "LOCK \(device) b wait=1h", "TURN \(device) wait=1h {\"a\":2}",
        "EVENTS \(quiet) wait=1h", "HISTORY \(device) after=1 wait=1h",
      ].map { line in
        let client = try connect(lab, short, as: user)
        try client.sendLine(line)
        return client
      }
      let watcher = try connect(lab, short, as: user)
      #expect(try watcher.request("WATCH \(device) changes=yes").isOK)
      let stream = try lab.worker.http()
      try stream.send("GET", "/v1/watch/\(device)", ["Authorization: Bearer \(short)"])
      #expect(try stream.head().0 == 200)
      let held = try lab.worker.http()
      try held.send(
        "GET", "/v1/EVENTS/\(quiet)?wait=1h", ["Authorization: Bearer \(short)"])
      // All of it goes on until then, and ends by itself.
      for client in waiting { expect(try client.reply(), "ERR", "auth_required") }
      #expect(
        try watcher.reply().raw == "EVENT {\"type\":\"watch.ended\",\"reason\":\"auth_required\"}")
      #expect(
        try stream.event().contains("data: {\"type\":\"watch.ended\",\"reason\":\"auth_required\"}")
      )
      #expect(stream.isClosed())
      #expect(try held.response().status == 401)
      expect(try watcher.request("HOLDER \(device)"), "ERR", "auth_required")
      let status = try held.get("/v1/HOLDER/\(device)", ["Authorization: Bearer \(short)"]).status
      #expect(status == 200, "within the minute for clocks it is good for each request")
      // Who waited is passed over, and what comes from now on is seen again.
      let next = try connect(lab, try issuer.token(user, .hs256), as: user)
      expect(try next.request("AUTH jwt \(try issuer.token(user, .hs256))"), "OK")
      expect(try watcher.request("AUTH jwt \(try issuer.token(user, .hs256))"), "OK")
      #expect(try watcher.request("WATCH \(device) types=lock.seized").isOK)
      expect(try long.request("UNLOCK \(device) holder"), "OK")
      expect(try next.request("LOCK \(device) c"), "OK")
      expect(try long.request("SEIZE \(device) holder"), "OK")
      #expect(try watcher.reply().string("type") == "lock.seized")
      #expect(try lab.worker.metric("latchkey_jwt_ended_total") == waiting.count + 3)
    }

    @Test func `keys are replaced under load, and a broken file changes nothing`() throws {
      let issuer = try TokenIssuer([.es256])
      try issuer.make(.es256, "new")
      let lab = try start(issuer)
      defer { lab.stop() }
      let old = try issuer.token("ada")
      let new = try issuer.token("ada", .es256, by: "new")
      let known = try connect(lab, old, as: "ada")
      let watcher = try connect(lab, old, as: "ada")
      #expect(try watcher.request("WATCH *").isOK)
      let (token, stops) = (Shared(old), Shared(false))
      let load = Background {
        var count = 0
        while !stops.value {
          let client = try lab.connect()
          try client.send(Array("AUTH jwt \(token.value)\nLOCK d a\n".utf8))
          for reply in try client.replies(2) where !reply.isOK { throw Failure("\(reply)") }
          count += 1
        }
        return count
      }
      expect(try lab.connect().request("AUTH jwt \(new)"), "ERR", "forbidden")
      for text in ["{\"keys\":[]}", "-----BEGIN"] {
        try issuer.write(text: text)
        lab.worker.signal(SIGHUP)
        try eventually("the refusal") { try lab.worker.metric("latchkey_jwt_reload_failed") == 1 }
      }
      #expect(lab.worker.log.contains("no key for signatures"))
      // Without a signal the file is looked at every few seconds.
      try issuer.write([(.es256, "ES256"), (.es256, "new")])
      try eventually("both keys", within: .seconds(20)) {
        try lab.worker.metric("latchkey_jwt_keys") == 2
      }
      #expect(try lab.worker.metric("latchkey_jwt_reload_failed") == 0)
      token.value = new
      expect(try lab.connect().request("AUTH jwt \(new)"), "OK")
      expect(try known.request("LOCK d a"), "OK")
      stops.value = true
      #expect(try load.join() > 0)
      try issuer.write([(.es256, "new")])
      lab.worker.signal(SIGHUP)
      // What a key has signed ends with it.
      #expect(
        try watcher.reply().raw == "EVENT {\"type\":\"watch.ended\",\"reason\":\"forbidden\"}")
      #expect(watcher.isClosed())
      // Its loop learns of it by itself.
      try eventually("its end there") { try known.request("LOCK d a").code == "auth_required" }
      expect(try known.request("AUTH jwt \(old)"), "ERR", "forbidden")
      expect(try known.request("AUTH jwt \(new)"), "OK")
    }

    @Test func `commands say who calls by a token or a ticket, and its user's limits hold`() throws
    {
      let issuer = try TokenIssuer([.hs256])
      let lab = try start(issuer, ["--jwt-limits", "connections=2,rate=1000"])
      defer { lab.stop() }
      let to = ["--to", "127.0.0.1:\(lab.worker.listenPort)"]
      let token = try issuer.token("ada", .hs256)
      let path = "\(issuer.path).token"
      try "\(token)\n".write(toFile: path, atomically: true, encoding: .utf8)
      let given = try ProgramRun(["call"] + to + ["--token-file", path, "OPEN", "d"])
      #expect(given.output.contains("\"user\":[\"ada\"]"), "\(given)")
      let ticket = try ProgramRun(
        ["call"] + to + ["--json", "TICKET", "d"], environment: ["LATCHKEY_TOKEN": token])
      let word = try JSON(ticket.output)["ticket"]?.string ?? ""
      let read = try ProgramRun(
        ["call"] + to + ["GET", "d"], environment: ["LATCHKEY_TOKEN": word])
      #expect(read.output.hasPrefix("OK {"), "\(read)")
      let both = try ProgramRun(
        ["watch"] + to + ["--token-file", path], environment: ["LATCHKEY_SECRET": "a.b"])
      #expect(both.status == 2 && both.errors.contains("not both"), "\(both)")
      let wrong = try ProgramRun(
        ["watch"] + to, environment: ["LATCHKEY_TOKEN": "hunter.2"])
      #expect(
        wrong.status == 2 && wrong.errors.hasPrefix("ERR forbidden invalid token"), "\(wrong)")
      // A user has so many connections, by whatever tokens.
      try eventually("the commands' connections are gone") {
        try lab.worker.metric("latchkey_connections") == 0
      }
      let two = try (0..<2).map { _ in try connect(lab, token, as: "ada") }
      let third = try lab.connect().request("AUTH jwt \(issuer.token("ada", .hs256, for: 60))")
      #expect(third.raw.contains("quota exceeded: 2 of 2 connections"), "\(third)")
      _ = try connect(lab, try issuer.token("bob", .hs256), as: "bob")
      withExtendedLifetime(two) {}
    }

    @Test func `a file of keys that cannot be used keeps the worker from starting`() throws {
      let issuer = try TokenIssuer([])
      let flags = ["--redis", "unix:///nonexistent", "--jwt-keys"]
      for (path, word) in [
        (issuer.path, "no key for signatures"), ("/nonexistent", "/nonexistent"),
      ] {
        let starting = try Starting(flags + [path])
        defer { starting.child.end() }
        #expect(try starting.awaitEnd() == .exited(1))
        #expect(starting.log.contains("--jwt-keys: ") && starting.log.contains(word))
      }
    }
  }
}
