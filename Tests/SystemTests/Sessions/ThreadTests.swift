// Threads: a name that was given is one session's, on whatever device, until its record is gone;
// and the reservations of a change, of which all are made or none.

import Foundation
import Testing

extension SystemSuites {
  private static let quotas = ["--max-user-sessions", "2", "--max-sessions", "3"]

  @Suite(.lab(workers: [quotas, quotas])) struct ThreadTests {
    private func sessions(_ list: String, _ client: LineClient) throws -> [String] {
      let reply = try client.request("LIST \(list)")
      expect(reply, "OK")
      return ShownRecord.all(in: reply).map(\.id)
    }

    @Test func `a thread is one session's on whatever device, until its record is gone`() throws {
      let lab = try Lab.current
      let (client, other) = (try lab.connect(0), try lab.connect(1))
      let (device, second, thread) = (Lab.device(), Lab.device(), Lab.device("thread"))
      let opened = try client.request("OPEN \(device) thread=\(thread)")
      #expect(try opened.string("thread") == thread)
      #expect(opened.raw.contains("\"links\":{}"), "a caller does not see the reservation")
      let session = try opened.string("session")
      for line in [
        "OPEN \(second) thread=\(thread)", "OPEN \(device) thread=\(thread)",
        "RECOVER \(second) thread=\(thread) {\"a\":1}",
      ] {
        expect(try other.request(line), "ERR", "conflict", "\(line)")
      }
      expect(try other.request("GET \(second)"), "NONE")
      #expect(try sessions("thread=\(thread)", other) == [session])
      #expect(try sessions("thread=\(thread) state=paused", other) == [])
      #expect(try other.request("RECOVER \(device) thread=\(thread)").string("how") == "latest")
      // Kept is not gone.
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(try other.request("RECOVER \(device) thread=\(thread)"), "ERR", "conflict")
      #expect(try sessions("thread=\(thread)", client) == [session])
      expect(try client.request("DELETE \(device)/\(session)"), "OK")
      #expect(try sessions("thread=\(thread)", client) == [])
      let again = try other.request("RECOVER \(second) thread=\(thread)")
      #expect(try again.string("how") == "new")
      #expect(try sessions("thread=\(thread)", client) == [again.string("session")])
      expect(try client.request("OPEN \(device) thread=\(thread)"), "ERR", "conflict")
    }

    @Test func `a thread is any text of up to 512 bytes, compared byte by byte`() throws {
      let client = try Lab.current.connect()
      let run = Lab.device("thread")
      let threads = [
        "\(run) a", "\(run)%20a", "\(run)%2520a", "\(run)/a", "\(run) é \"q\" \\", "\(run)*",
        "\(run)\u{1F600}", String(repeating: "é", count: 256 - run.utf8.count / 2) + run,
      ].map { Array($0.utf8).count > 512 ? String($0.dropFirst()) : $0 }
      for thread in threads {
        let word = try quoted(thread)
        let opened = try client.request("OPEN \(Lab.device()) thread=\(word)")
        #expect(try opened.string("thread") == thread)
        expect(
          try client.request("OPEN \(Lab.device()) thread=\(word)"), "ERR", "conflict", "\(thread)")
        let listed = try sessions(quoted("thread=\(thread)"), client)
        #expect(listed == [try opened.string("session")], "\(thread)")
      }
      let long = try client.request(
        "OPEN \(Lab.device()) thread=\(String(repeating: "x", count: 513))")
      expect(long, "ERR", "bad_request")
      #expect(long.raw.contains("512"), "\(long)")
      for request in ["LINK \(run) thread x", "UNLINK \(run) thread x", "LIST thread="] {
        expect(try client.request(request), "ERR", "bad_request", "\(request)")
      }
    }

    private func quoted(_ text: String) throws -> String {
      let data = try JSONSerialization.data(withJSONObject: text, options: .fragmentsAllowed)
      return String(decoding: data, as: UTF8.self)
    }

    @Test func `of several who open a thread at once through two workers one gets it`() throws {
      let lab = try Lab.current
      for round in 0..<10 {
        let thread = Lab.device("race")
        let replies = try inParallel(6) { number in
          let client = try lab.connect(number % 2)
          let verb = number < 3 ? "OPEN" : "RECOVER"
          return try client.request("\(verb) \(Lab.device()) thread=\(thread) user=\(thread)")
        }
        let words = replies.map(\.word)
        #expect(words.filter { $0 == "OK" }.count == 1, "round \(round): \(replies)")
        #expect(replies.filter { $0.code == "conflict" }.count == 5, "round \(round): \(replies)")
        let report = try lab.connect().request("REPORT user=\(thread)")
        #expect(try report.int("sessions") == 1 && report.int("live") == 1, "\(report)")
      }
    }

    @Test func `of several who recover a thread of one device at once one makes it`() throws {
      let lab = try Lab.current
      for round in 0..<10 {
        let (device, thread) = (Lab.device(), Lab.device("race"))
        let line = "RECOVER \(device) thread=\(thread) user=\(thread)"
        let replies = try inParallel(6) { try lab.connect($0 % 2).request(line) }
        #expect(Set(try replies.map { try $0.string("session") }).count == 1, "round \(round)")
        #expect(try replies.count { try $0.string("how") == "new" } == 1, "round \(round)")
        let report = try lab.connect().request("REPORT user=\(thread)")
        #expect(try report.int("sessions") == 1 && report.int("live") == 1, "\(report)")
      }
    }

    @Test func `a retry of the winner is its OK, and no conflict`() throws {
      let lab = try Lab.current
      let (device, thread) = (Lab.device(), Lab.device("thread"))
      let line = "OPEN \(device) thread=\(thread) req=r"
      let first = try lab.connect(0).request(line)
      expect(first, "OK")
      for worker in 0...1 { #expect(try lab.connect(worker).request(line).raw == first.raw) }
      let other = "OPEN \(Lab.device()) thread=\(thread) req=r"
      expect(try lab.connect(1).request(other), "ERR", "conflict")
    }

    @Test func `of the same request many times at once each gets the reply of the first`() throws {
      let lab = try Lab.current
      for round in 0..<6 {
        let (device, name) = (Lab.device(), Lab.device("same"))
        // A user may have two live sessions here, a device three.
        let rest = ["thread=\(name)", "user=\(name)", "thread=\(name) user=\(name)"][round % 3]
        let line = "\(round < 3 ? "OPEN" : "RECOVER") \(device) \(rest) req=r {\"a\":1}"
        let replies = try inParallel(12) { try lab.connect($0 % 2).request(line) }
        // One that has waited as long as it may for those that are under way says so.
        let answered = replies.filter { $0.code != "unavailable" }
        #expect(Set(answered.map(\.raw)).count == 1, "\(line): \(replies)")
        expect(try #require(answered.first), "OK")
        #expect(rest.hasPrefix("user") || answered.count == replies.count, "\(line): \(replies)")
        for worker in 0...1 {
          #expect(try lab.connect(worker).request(line).raw == answered.first?.raw)
        }
        let list = rest.hasPrefix("thread") ? "thread=\(name)" : "user=\(name)"
        #expect(try sessions(list, lab.connect()).count == 1)
      }
    }

    @Test func `the same request at a user's quota gets the reply of the first`() throws {
      let lab = try Lab.current
      let user = Lab.device("quota")
      expect(try lab.connect().request("OPEN \(Lab.device()) user=\(user)"), "OK")
      let line = "OPEN \(Lab.device()) user=\(user) req=r"
      let replies = try inParallel(6) { try lab.connect($0 % 2).request(line) }
      let answered = replies.filter { $0.code != "unavailable" }
      #expect(Set(answered.map(\.raw)).count == 1, "\(replies)")
      expect(try #require(answered.first), "OK")
    }

    @Test func `a thread whose record has gone by its TTL is free at once`() throws {
      let client = try Lab.current.connect()
      for _ in 0..<3 {
        let (device, thread) = (Lab.device(), Lab.device("thread"))
        expect(try client.request("OPEN \(device) thread=\(thread) keep=50ms"), "OK")
        expect(try client.request("CLOSE \(device)"), "OK")
        try eventually("the end of the record", within: .seconds(5)) {
          try client.request("GET \(device)").word == "NONE"
        }
        expect(try client.request("OPEN \(Lab.device()) thread=\(thread)"), "OK")
      }
    }

    @Test func `a thread is free as soon as its session is deleted, however soon`() throws {
      let lab = try Lab.current
      let (client, thread) = (try lab.connect(0), Lab.device("thread"))
      for _ in 0..<6 {
        let device = Lab.device()
        try client.sendLine("OPEN \(device) thread=\(thread)\nDELETE \(device)")
        let replies = try client.replies(2)
        #expect(replies.map(\.word) == ["OK", "OK"], "\(replies)")
      }
    }

    @Test func `an imported session takes its thread, and gives back the one that it replaces`()
      throws
    {
      let client = try Lab.current.connect()
      let (device, second, thread) = (Lab.device(), Lab.device(), Lab.device("thread"))
      let opened = try client.request("OPEN \(device) thread=\(thread)").string("session")
      let exported = String(try client.request("EXPORT \(device)").raw.dropFirst(3))
      let elsewhere = exported.replacing("\"\(device)\"", with: "\"\(second)\"")
      expect(try client.request("IMPORT \(elsewhere)"), "ERR", "conflict")
      expect(try client.request("GET \(second)"), "NONE")
      expect(try client.request("IMPORT \(exported)"), "ERR", "illegal_state")
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      #expect(try sessions("thread=\(thread)", client) == [opened])
      let renamed = exported.replacing(
        "\"thread\":\"\(thread)\"", with: "\"thread\":\"\(thread) 2\"")
      expect(try client.request("IMPORT replace=yes req=r \(renamed)"), "OK")
      expect(try client.request("IMPORT replace=yes req=r \(renamed)"), "OK")
      #expect(try sessions("thread=\(thread)", client) == [])
      #expect(try sessions("\"thread=\(thread) 2\"", client) == [opened])
      expect(try client.request("OPEN \(second) thread=\(thread)"), "OK")
      expect(try client.request("IMPORT replace=yes \(exported)"), "ERR", "conflict")
      #expect(try client.request("GET \(device)").string("thread") == "\(thread) 2")
    }

    // MARK: Several reservations

    @Test func `if one reservation fails, the others are given back`() throws {
      let client = try Lab.current.connect()
      let (user, thread, taken) = (Lab.device("user"), Lab.device("thread"), Lab.device("taken"))
      expect(try client.request("OPEN \(Lab.device()) thread=\(taken)"), "OK")
      for _ in 0..<3 {
        let line = "OPEN \(Lab.device()) user=\(user) thread=\(taken)"
        expect(try client.request(line), "ERR", "conflict")
      }
      #expect(try client.request("REPORT user=\(user)").int("sessions") == 0)
      expect(try client.request("OPEN \(Lab.device()) user=\(user)"), "OK")
      expect(try client.request("OPEN \(Lab.device()) user=\(user)"), "OK")
      let full = try client.request("OPEN \(Lab.device()) user=\(user) thread=\(thread)")
      expect(full, "ERR", "quota")
      #expect(full.raw.contains("quota exceeded: 2 of 2 live sessions of user \(user)"), "\(full)")
      expect(try client.request("OPEN \(Lab.device()) thread=\(thread)"), "OK")
    }

    @Test func `a session whose fields are refused leaves no reservation`() throws {
      let client = try Lab.current.connect()
      let (user, thread) = (Lab.device("user"), Lab.device("thread"))
      let fields = (0..<129).map { "\"m\($0)\":1" }.joined(separator: ",")
      let line = "OPEN \(Lab.device()) user=\(user) thread=\(thread) {\(fields)}"
      for _ in 0..<3 { expect(try client.request(line), "ERR", "quota") }
      expect(try client.request("OPEN \(Lab.device()) user=\(user) thread=\(thread)"), "OK")
    }

    @Test func `RECOVER of a session that is not live is held against the device's quota`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let abandoned = try client.request("OPEN \(device) abandon=10ms idle=0").string("session")
      try eventually("abandonment", within: .seconds(10)) {
        try client.request("GET \(device)/\(abandoned)").raw.contains("\"state\":\"abandoned\"")
      }
      let archived = try client.request("OPEN \(device)").string("session")
      expect(try client.request("ARCHIVE \(device)/\(archived)"), "OK")
      let live = try (0..<3).map { _ in try client.request("OPEN \(device)").string("session") }
      let requests = [
        "RECOVER \(device)/\(abandoned)", "RECOVER \(device)/\(archived) archived=yes",
        "RECOVER \(device) hint=\(abandoned)",
      ]
      for line in requests {
        let reply = try client.request(line)
        expect(reply, "ERR", "quota", "\(line)")
        #expect(reply.raw.contains("quota exceeded: 3 of 3 live sessions on this device"))
      }
      expect(try client.request("RECOVER \(device)/\(live[0])"), "OK", "", "it is live")
      expect(try client.request("CLOSE \(device)/\(live[0])"), "OK")
      expect(try client.request(requests[0]), "OK")
      expect(try client.request(requests[1]), "ERR", "quota")
    }

    @Test func `RECOVER of a session that is not live is held against its user's quota`() throws {
      let client = try Lab.current.connect()
      let (device, user) = (Lab.device(), Lab.device("user"))
      let first = try client.request("OPEN \(device) user=\(user)").string("session")
      expect(try client.request("ARCHIVE \(device)/\(first)"), "OK")
      for _ in 0..<2 { expect(try client.request("OPEN \(Lab.device()) user=\(user)"), "OK") }
      let line = "RECOVER \(device)/\(first) archived=yes"
      for _ in 0..<3 { expect(try client.request(line), "ERR", "quota") }
      #expect(try client.request("GET \(device)/\(first)").string("state") == "archived")
      #expect(try client.request("REPORT user=\(user)").int("live") == 2)
      // It has another user now, who has room.
      expect(try client.request("LINK \(device)/\(first) user \(user)-2"), "OK")
      expect(try client.request("UNLINK \(device)/\(first) user \(user)"), "OK")
      expect(try client.request(line), "OK")
      for _ in 0..<2 { expect(try client.request(line), "OK", "", "it is live") }
      #expect(try client.request("REPORT user=\(user)-2").int("live") == 1)
      expect(try client.request("OPEN \(Lab.device()) user=\(user)-2"), "OK")
      expect(try client.request("OPEN \(Lab.device()) user=\(user)-2"), "ERR", "quota")
    }

    @Test func `an imported live session is held against its user's quota`() throws {
      let client = try Lab.current.connect()
      let (device, user) = (Lab.device(), Lab.device("user"))
      expect(try client.request("OPEN \(device) user=\(user)"), "OK")
      expect(try client.request("LINK \(device) tag \(user)"), "OK")
      let exported = String(try client.request("EXPORT \(device)").raw.dropFirst(3))
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      expect(try client.request("DELETE \(device)"), "OK")
      for _ in 0..<2 { expect(try client.request("OPEN \(Lab.device()) user=\(user)"), "OK") }
      expect(try client.request("IMPORT \(exported)"), "ERR", "quota")
      expect(try client.request("GET \(device)"), "NONE")
      #expect(try sessions("tag=\(user)", client) == [])
      // Of one that is not live no quota is asked.
      let closed = exported.replacing("\"state\":\"active\"", with: "\"state\":\"completed\"")
      expect(try client.request("IMPORT \(closed)"), "OK")
      #expect(try sessions("tag=\(user)", client).count == 1)
    }
  }

  @Suite struct ThreadsHeal {
    /// Lets the only worker die at a failpoint of `OPEN thread=`, and another one go on.
    private func dieAt(_ failpoint: String, _ line: String) throws -> (Lab, WorkerProcess) {
      let lab = try Lab(workers: [])
      let doomed = try WorkerProcess(
        ["--redis", lab.redis.url, "--sweep", "200ms"], environment: ["FAILPOINT": failpoint])
      #expect((try? doomed.connect().request(line)) == nil)
      #expect(try doomed.wait(within: .seconds(20)) == .signalled(SIGKILL))
      return (lab, try WorkerProcess(on: lab.redis, ["--sweep", "200ms"]))
    }

    private func entries(_ redis: RedisServer) throws -> [String] {
      let client = try RedisClient(path: redis.path)
      return try client.command("KEYS", "lk:*:link:*").items.compactMap(\.string)
    }

    @Test func `a thread of a worker that died before the session was made is free soon`() throws {
      let line = "OPEN dev-1 thread=t user=ada req=r"
      let (lab, worker) = try dieAt("reserved", line)
      defer {
        worker.kill()
        lab.stop()
      }
      let client = try worker.connect()
      #expect(try entries(lab.redis).count == 2)
      // Its session may still be written, until the reservations' deadline: no definite answer.
      let early = try client.request("OPEN dev-2 thread=t")
      expect(early, "ERR", "unavailable")
      #expect(early.raw.contains("retry"), "\(early)")
      expect(try client.request("GET dev-1"), "NONE")
      try eventually("the retry's session", within: .seconds(30), every: 100) {
        try client.request(line).isOK
      }
      expect(try client.request("OPEN dev-2 thread=t"), "ERR", "conflict")
      expect(try client.request("DELETE dev-1"), "OK")
      try eventually("the end of all reservations", within: .seconds(30), every: 100) {
        try entries(lab.redis) == []
      }
    }

    @Test func `a thread stays taken if the worker died after the session was made`() throws {
      let line = "OPEN dev-1 thread=t user=ada req=r"
      let (lab, worker) = try dieAt("linked", line)
      defer {
        worker.kill()
        lab.stop()
      }
      let client = try worker.connect()
      expect(try client.request("OPEN dev-2 thread=t"), "ERR", "conflict")
      let retried = try client.request(line)
      #expect(try retried.string("thread") == "t")
      #expect(try client.request("GET dev-1").string("session") == retried.string("session"))
      expect(try client.request("DELETE dev-1"), "OK")
      try eventually("the thread is free", within: .seconds(20), every: 100) {
        try client.request("OPEN dev-2 thread=t").isOK
      }
    }
  }
}
