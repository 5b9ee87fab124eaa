// Owns: the tests of AUTH: accepted and rejected secrets, and principals that change.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite struct Auth {
    private static let all = ["--rights", "read,write,operate"]

    private func start(
      _ more: [String] = [], _ principals: [(name: String, grants: [String])]
    ) throws -> (Lab, PrincipalsFile) {
      let file = try PrincipalsFile(principals)
      return (try Lab(workers: [["--auth", file.path, "--request-timeout", "10s"] + more]), file)
    }

    private func reload(_ worker: WorkerProcess, _ message: String) throws {
      let before = worker.log.components(separatedBy: message).count
      worker.signal(SIGHUP)
      try eventually("'\(message)' in the log") {
        worker.log.components(separatedBy: message).count > before
      }
    }

    @Test func `an idempotency key is its principal's own`() throws {
      let (lab, file) = try start([], [("one", Self.all), ("two", Self.all)])
      defer { lab.stop() }
      let one = try file.connect(lab.worker, as: "one")
      let two = try file.connect(lab.worker, as: "two")
      let device = Lab.device()
      let line = "SEIZE \(device) a req=r"
      let (first, other) = (try one.request(line), try two.request(line))
      #expect(try other.int("token") > first.int("token"))
      expect(try two.request("OPEN \(device) req=s"), "OK")
      expect(try one.request("CLOSE \(device) req=s"), "OK", "", "no conflict")
      #expect(try two.request(line).raw == other.raw)
      // The connection does not matter.
      #expect(try file.connect(lab.worker, as: "one").request(line).raw == first.raw)
      expect(try one.request("OPEN \(device) req=r"), "ERR", "conflict")
    }

    // MARK: Getting in

    @Test func `a caller may ask only after it has sent a secret`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let client = try lab.connect()
      for line in ["PING", "HELP", "HELP LOCK"] { #expect(try client.request(line).isOK) }
      for line in ["LOCK d a", "INFO", "WATCH *", "STATS"] {
        expect(try client.request(line), "ERR", "auth_required")
      }
      // Requests behind the AUTH are done with its rights.
      try client.send(Array("AUTH \(file.secret("app"))\nLOCK d a\n".utf8))
      #expect(try client.reply().raw == "OK {\"name\":\"app\"}")
      expect(try client.reply(), "OK")
    }

    @Test func `a secret may come a byte at a time, and a longer line behind it`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let client = try lab.connect()
      for byte in Array("AUTH \(file.secret("app"))\n".utf8) { try client.send([byte]) }
      #expect(try client.reply().isOK)
      let note = String(repeating: "n", count: 10_000)
      let more = "AUTH \(file.secret("app"))\nLOCK d a\nHANDOFF d a b {\"note\":\"\(note)\"}\n"
      let other = try lab.connect()
      try other.send(Array(more.utf8))
      for _ in 0..<3 { expect(try other.reply(), "OK") }
    }

    @Test func `a caller that floods without AUTH is cut off as well`() throws {
      let (lab, _) = try start(
        ["--auth-timeout", "300ms", "--unread-timeout", "1s", "--max-unread", "64KiB"],
        [("app", Self.all)])
      defer { lab.stop() }
      let client = try lab.connect()
      let asked = Array(repeating: Array("HELP\n".utf8), count: 20_000).flatMap { $0 }
      try eventually("the end of the flood", within: .seconds(20), every: 20) {
        _ = try? client.socket.sendSome(asked[...])
        return try lab.worker.metric("latchkey_connections") == 0
      }
    }

    @Test func `a third wrong secret ends the connection, and a right one starts anew`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let client = try lab.connect()
      for _ in 0..<2 { expect(try client.request("AUTH app.hunter2"), "ERR", "forbidden") }
      #expect(try client.request("AUTH \(file.secret("app"))").isOK)
      for _ in 0..<2 { expect(try client.request("AUTH unknown.hunter2"), "ERR", "forbidden") }
      // The earlier principal stays in force.
      expect(try client.request("LOCK d a"), "OK")
      try client.send(Array("AUTH hunter2\nLOCK d b\n".utf8))
      expect(try client.reply(), "ERR", "forbidden")
      #expect(client.isClosed())
      #expect(try lab.worker.metric("latchkey_auth_failures_total") == 5)
      #expect(try lab.worker.metric("latchkey_principals") == 1)
      #expect(lab.worker.log.contains("from=127.0.0.1"))
    }

    @Test func `no secret is in a reply or a log, whatever is wrong with the line`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let secret = file.secret("app")
      let random = String(secret.dropFirst(4))
      var shown = ""
      for line in [
        "AUTH \(secret) more", "AUTH x \(random)", "AUTH a=b \(random)", "AUTH \(random)=x",
        "auth {\"\(random)\":1}", "AUTH \"\(random)", "AUTH \(random)", "AUTH  \(secret)",
        "Auth \(secret)\u{7f}",
      ] {
        let client = try lab.connect()
        let reply = try client.request(line)
        expect(reply, "ERR")
        shown += reply.raw
      }
      let client = try file.connect(lab.worker, as: "app")
      shown += try client.request("INFO").raw + lab.worker.get("/metrics").body + lab.worker.log
      #expect(!shown.contains(random.prefix(16)))
      let hash = try String(contentsOfFile: file.path, encoding: .utf8).split(separator: ":").last
      #expect(!shown.contains(try #require(hash).prefix(16)))
    }

    @Test func `before AUTH a line is short, and after it as long as any`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let client = try lab.connect()
      let text = { (bytes: Int) in "AUTH " + String(repeating: "x", count: bytes - 5) }
      expect(try client.request(text(4_097)), "ERR", "too_large")
      expectBadRequest(try client.request(text(4_096)))
      #expect(try client.request("AUTH \(file.secret("app"))").isOK)
      let note = String(repeating: "n", count: 100_000)
      expect(try client.request("OPEN d {\"note\":\"\(note)\"}"), "OK")
    }

    @Test func `a caller without AUTH is cut off in time, and one with it may stay`() throws {
      let (lab, file) = try start(
        ["--auth-timeout", "1s", "--http", "127.0.0.1:0"], [("app", Self.all)])
      defer { lab.stop() }
      let known = try file.connect(lab.worker, as: "app")
      let silent = try lab.connect()
      let (new, kept) = (try lab.worker.http(), try lab.worker.http())
      #expect(try kept.get("/v1/PING").status == 200)
      let busy = Background {
        let client = try lab.connect()
        while let reply = try? client.request("PING") {
          if reply.code == "auth_required" { return client.isClosed() }
        }
        return false
      }
      expect(try silent.reply(), "ERR", "auth_required")
      #expect(silent.isClosed())
      // By HTTP too; where a response would be taken for that of a next request, without words.
      let response = try new.response()
      #expect(response.status == 408 && response.body.contains("Authorization"), "\(response)")
      #expect(new.isClosed() && kept.isClosed())
      #expect(try busy.join())
      for socket in [silent.socket, new.socket, kept.socket] { socket.close() }
      try eventually("those without words being counted") {
        try lab.worker.metric("latchkey_connections_closed_total{reason=\"unauthenticated\"}") == 4
      }
      expect(try known.request("LOCK d a"), "OK")
    }

    // MARK: Reading the file again

    @Test func `a reload keeps the connections of the principals that stay`() throws {
      let (lab, file) = try start(
        [], [("stays", Self.all), ("goes", Self.all), ("shrinks", Self.all)])
      defer { lab.stop() }
      let clients = try ["stays", "goes", "shrinks"].map { try file.connect(lab.worker, as: $0) }
      let watchers = try ["stays", "goes", "shrinks"].map { name in
        let client = try file.connect(lab.worker, as: name)
        #expect(try client.request("WATCH b-1").isOK)
        return client
      }
      // A caller who waits for a lock does not get it after that.
      expect(try clients[0].request("LOCK b-2 x"), "OK")
      let queued = try file.connect(lab.worker, as: "goes")
      try queued.sendLine("LOCK b-2 y wait=1h")
      try eventually("one in the queue") {
        try clients[0].request("HOLDER b-2").shows("waiting", as: "1")
      }
      let waiter = try file.connect(lab.worker, as: "goes")
      try waiter.sendLine("EVENTS b-1 wait=1h")
      try eventually("one that waits") {
        try lab.worker.metric("latchkey_event_waiters") == 1
      }
      file.remove("goes")
      try file.change("shrinks", ["--rights", "read,write", "--devices", "a-*"])
      try file.add("comes", Self.all)
      try file.write()
      try reload(lab.worker, "the principals were read again")
      expect(try waiter.reply(), "ERR", "forbidden")
      expect(try queued.reply(), "ERR", "forbidden")
      expect(try clients[0].request("LOCK b-1 x"), "OK")
      expect(try clients[1].request("LOCK b-1 x"), "ERR", "auth_required")
      expect(try clients[2].request("LOCK b-1 x"), "ERR", "forbidden")
      expect(try clients[2].request("LOCK a-1 x"), "OK")
      // A watch that is not allowed any more ends with its connection.
      for watcher in watchers.dropFirst() {
        let last = "EVENT {\"type\":\"watch.ended\",\"reason\":\"forbidden\"}"
        #expect(try watcher.reply().raw == last)
        #expect(watcher.isClosed())
      }
      expect(try file.connect(lab.worker, as: "comes").request("SEIZE b-1 y"), "OK")
      #expect(try watchers[0].reply().string("type") == "lock.seized")
      #expect(try lab.worker.metric("latchkey_auth_reload_failed") == 0)
      // A principal that was removed can be added again.
      try file.add("goes", Self.all)
      try file.write()
      try reload(lab.worker, "the principals were read again")
      expect(try clients[1].request("AUTH \(file.secret("goes"))"), "OK")
      expect(try clients[1].request("LOCK b-1 x"), "HELD")
    }

    @Test func `a file that is broken or gone changes nothing`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let client = try file.connect(lab.worker, as: "app")
      for text in ["app hunter2\n", "", nil] {
        if let text {
          try text.write(toFile: file.path, atomically: true, encoding: .utf8)
        } else {
          try FileManager.default.removeItem(atPath: file.path)
        }
        try reload(lab.worker, "could not be read again")
        #expect(try lab.worker.metric("latchkey_auth_reload_failed") == 1)
        #expect(try client.request("LOCK d a").isOK)
        #expect(try file.connect(lab.worker, as: "app").request("LOCK d a").isOK)
      }
      #expect(!lab.worker.log.contains("hunter2"))
      try file.write()
      try reload(lab.worker, "the principals were read again")
      #expect(try lab.worker.metric("latchkey_auth_reload_failed") == 0)
    }

    // MARK: Starting

    @Test func `other machines are let in with AUTH, or when that is asked for`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let open = ["--redis", redis.url, "--listen", "0.0.0.0:0"]
      let refused = try Starting(open)
      defer { refused.child.end() }
      #expect(try refused.awaitEnd() == .exited(1))
      #expect(refused.log.contains("--auth") && refused.log.contains("--insecure"))
      let file = try PrincipalsFile([("app", [])])
      for flags in [["--insecure"], ["--auth", file.path]] {
        let starting = try Starting(open + flags)
        defer { starting.child.end() }
        let line = try starting.awaitReadyLine(within: .seconds(10))
        #expect(line.contains("listen=0.0.0.0:"))
      }
    }

    @Test func `a file that cannot be read keeps the worker from starting`() throws {
      let file = try PrincipalsFile([("app", [])])
      try "app hunter2 rights=read\n".write(toFile: file.path, atomically: true, encoding: .utf8)
      for (path, word) in [(file.path, "line 1"), ("/nonexistent", "/nonexistent")] {
        let starting = try Starting(["--redis", "unix:///nonexistent", "--auth", path])
        defer { starting.child.end() }
        #expect(try starting.awaitEnd() == .exited(1))
        #expect(starting.log.contains("--auth: ") && starting.log.contains(word))
        #expect(!starting.log.contains("hunter2"))
      }
    }

    @Test func `SIGHUP does no harm to a worker that has no such file`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      try reload(lab.worker, "SIGHUP")
      #expect(try lab.connect().request("PING").raw == "OK")
    }

    // MARK: The program

    @Test func `call and watch take a secret from a file or the environment`() throws {
      let (lab, file) = try start([], [("app", Self.all)])
      defer { lab.stop() }
      let path = "\(file.path).secret"
      try "\(file.secret("app"))\n".write(toFile: path, atomically: true, encoding: .utf8)
      let to = ["--to", "127.0.0.1:\(lab.worker.listenPort)"]
      let given = try ProgramRun(["call"] + to + ["--secret-file", path, "LOCK", "d", "a"])
      #expect(given.status == 0 && given.output.hasPrefix("OK "), "\(given)")
      let held = try ProgramRun(
        ["call"] + to + ["LOCK", "d", "b"], environment: ["LATCHKEY_SECRET": file.secret("app")])
      #expect(held.status == 1)
      let none = try ProgramRun(["call"] + to + ["HOLDER", "d"])
      #expect(none.status == 2 && none.output.hasPrefix("ERR auth_required"))
      for command in [["call"] + to + ["PING"], ["watch"] + to] {
        let wrong = try ProgramRun(command, environment: ["LATCHKEY_SECRET": "app.hunter2"])
        #expect(wrong.status == 2 && wrong.errors.hasPrefix("ERR forbidden"), "\(wrong)")
        let two = try ProgramRun(command, environment: ["LATCHKEY_SECRET": "app hunter2"])
        #expect(two.status == 2 && !two.errors.contains("hunter2"))
      }
      let missing = try ProgramRun(["call", "--secret-file", "/nonexistent", "PING"])
      #expect(missing.status == 2 && missing.errors.contains("/nonexistent"))
    }

    @Test func `latchkey secret says what is wrong with its arguments`() throws {
      for arguments in [
        [], ["a b"], ["a", "b"], ["a", "--rights", "all"], ["a", "--devices", "/"],
        ["a", "--what"],
        ["a", "--rights"], ["a", "--secret-file", "/nonexistent"],
      ] {
        let run = try ProgramRun(["secret"] + arguments)
        #expect(run.status == 2 && run.output.isEmpty && !run.errors.isEmpty, "\(arguments)")
      }
    }
  }
}
