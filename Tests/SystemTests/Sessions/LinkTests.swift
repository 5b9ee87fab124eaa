// Links: users and their quota, tags, lists and reports; and entries that are reconciled after a
// worker has died between any two steps.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-user-sessions", "2", "--max-links", "3"]])) struct SessionLinks {
    private func names(_ reply: Reply, _ member: String = "device") throws -> [String] {
      guard case .array(let sessions) = try reply.json()["sessions"] else {
        throw Failure("no list: \(reply)")
      }
      return sessions.compactMap { $0[member]?.string }
    }

    /// All pages of a list; the cursor of each asks for the next.
    private func pages(_ client: LineClient, _ list: String, limit: Int) throws -> [[String]] {
      var found: [[String]] = []
      var cursor = ""
      for _ in 0..<1_000 {
        let reply = try client.request("LIST \(list) limit=\(limit)\(cursor)")
        found.append(try names(reply))
        guard let next = try reply.json()["cursor"]?.string else { return found }
        cursor = " cursor=\(next)"
      }
      throw Failure("the list has no end")
    }

    @Test func `a session is listed by each of its links, newest first, until it is gone`() throws {
      let client = try Lab.current.connect()
      let tag = Lab.device("tag")
      let devices = (0..<5).map { _ in Lab.device() }
      for device in devices {
        expect(try client.request("OPEN \(device)"), "OK")
        expect(try client.request("LINK \(device) tag \(tag)"), "OK")
        expect(try client.request("LINK \(device) tag \(tag)"), "OK")
      }
      #expect(try pages(client, "tag=\(tag)", limit: 2).flatMap { $0 } == devices.reversed())
      expect(try client.request("UNLINK \(devices[1]) tag \(tag)"), "OK")
      expect(try client.request("UNLINK \(devices[1]) tag \(tag)"), "OK")
      expect(try client.request("DELETE \(devices[2])"), "OK")
      expect(try client.request("PAUSE \(devices[3])"), "OK")
      let left = [devices[4], devices[3], devices[0]]
      #expect(try names(client.request("LIST tag=\(tag)")) == left)
      #expect(try names(client.request("LIST tag=\(tag) state=paused")) == [devices[3]])
      #expect(try names(client.request("LIST \"tag=\(tag)\" limit=1")) == [devices[4]])
      let record = try client.request("GET \(devices[0])")
      #expect(record.raw.contains("\"links\":{\"tag\":[\"\(tag)\"]}"))
    }

    @Test func `every session is listed once, however it is paged`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      let client = try lab.connect()
      let devices = (0..<40).map { _ in Lab.device() }
      for device in devices {
        expect(try client.request("OPEN \(device)"), "OK")
        expect(try client.request("OPEN \(device)"), "OK")
      }
      for limit in [1, 7, 1_000] {
        let found = try pages(client, "*", limit: limit)
        #expect(found.allSatisfy { $0.count <= limit })
        #expect(found.flatMap { $0 }.sorted() == (devices + devices).sorted(), "limit \(limit)")
      }
    }

    @Test func `a corrupt session is listed with its valid parts, beside whole ones`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let (device, user) = (Lab.device(), Lab.device("user"))
      var sessions: [String] = []
      for _ in 0..<2 {
        let opened = try client.request("OPEN \(device) user=\(user)")
        sessions.append(try opened.string("session"))
      }
      let keys = try lab.redis.command("KEYS", "lk:*:session:\(device)/\(sessions[0])")
      guard case .array(let found) = keys, let key = found.first?.string else {
        throw Failure("no record in Redis: \(keys)")
      }
      try lab.redis.command("HDEL", key, "clocks")
      func count() throws -> Double {
        let families = try PrometheusPage(lab.worker.get("/metrics").body).families
        let family = families.first { $0.name == "latchkey_corrupt_values_total" }
        return try #require(family?.samples.first?.value)
      }
      let before = try count()
      for list in ["LIST \(device)", "LIST user=\(user)", "LIST * limit=1000"] {
        let reply = try client.request(list)
        #expect(reply.raw.contains("{\"session\":\"\(sessions[0])\""), "\(list): \(reply)")
        #expect(reply.raw.contains("{\"session\":\"\(sessions[1])\""), "\(list): \(reply)")
        let damaged = "\"damaged\":[\"idle_at\",\"abandon_at\",\"life_at\",\"clocks.idle_ms\","
        #expect(reply.raw.contains(damaged), "\(list): \(reply)")
      }
      let report = try client.request("REPORT user=\(user)")
      #expect(try report.int("sessions") == 1, "\(report)")
      #expect(report.shows("damaged", as: "[\"\(device)/\(sessions[0])\"]"), "\(report)")
      #expect(try count() == before + 28)
      expect(try client.request("SET \(device)/\(sessions[0]) {}"), "ERR", "illegal_state")
      expect(try client.request("DELETE \(device)/\(sessions[0])"), "OK")
      #expect(try !client.request("LIST \(device)").raw.contains("damaged"))
    }

    @Test func `a page ends when it has grown large, and Redis sends little more`() throws {
      let lab = try Lab(workers: [["--request-timeout", "20s"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      let value = String(repeating: "x", count: 260_000)
      for _ in 0..<5 {
        expect(try client.request("OPEN \(device)"), "OK")
        for member in 0..<3 {
          expect(try client.request("SET \(device) {\"m\(member)\":\"\(value)\"}"), "OK")
        }
        expect(try client.request("LINK \(device) tag large"), "OK")
      }
      func sentByRedis() throws -> Int {
        let stats = try RedisClient(path: lab.redis.path).command("INFO", "stats").string ?? ""
        let name = "total_net_output_bytes:"
        let line = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
        return Int(line?.dropFirst(name.count) ?? "") ?? 0
      }
      for list in [device, "tag=large", "*"] {
        let before = try sentByRedis()
        let first = try client.request("LIST \(list)")
        #expect(1 << 20..<2 << 20 ~= first.raw.utf8.count, "\(list): \(first.raw.utf8.count)")
        #expect(try sentByRedis() - before < 3 << 20, "\(list)")
        #expect(try pages(client, list, limit: 50).map(\.count) == [2, 2, 1], "\(list)")
      }
    }

    @Test(arguments: [
      "*=x", "=x", "tag=", "tag", "tag=a b", "tag=a tag=b", "tag=a state=none", "tag=a limit=0",
    ])
    func `an invalid list is rejected`(list: String) throws {
      let reply = try Lab.current.connect().request("LIST \(list)")
      if list == "tag" { expect(reply, "OK") } else { expect(reply, "ERR", "bad_request") }
    }

    @Test(arguments: ["tag=x", "*", "dev-1"])
    func `a forged cursor is refused`(list: String) throws {
      let client = try Lab.current.connect()
      for cursor in ["x", "zzz", "100.", "0a3.x.y", "..", "01J0000000000000000000000A.", "\"a b\""]
      {
        expect(try client.request("LIST \(list) cursor=\(cursor)"), "ERR", "bad_request")
      }
    }

    @Test func `a user's limit of live sessions holds for every caller and verb`() throws {
      let client = try Lab.current.connect()
      let user = Lab.device("user")
      let devices = (0..<4).map { _ in Lab.device() }
      expect(try client.request("OPEN \(devices[0]) user=\(user)"), "OK")
      expect(try client.request("OPEN \(devices[1])"), "OK")
      expect(try client.request("SET \(devices[1]) user=\(user) {\"a\":1}"), "OK")
      expect(try client.request("OPEN \(devices[2]) user=\(user)"), "ERR", "quota")
      expect(try client.request("GET \(devices[2])"), "NONE")
      expect(try client.request("OPEN \(devices[2])"), "OK")
      expect(try client.request("SET \(devices[2]) user=\(user) {\"a\":1}"), "ERR", "quota")
      #expect(try !client.request("GET \(devices[2])").raw.contains("\"a\":1"))
      expect(try client.request("LINK \(devices[2]) user \(user)"), "ERR", "quota")
      expect(try client.request("RECOVER \(devices[3]) user=\(user)"), "ERR", "quota")
      // Once more for the same session takes no further place.
      expect(try client.request("SET \(devices[1]) user=\(user)"), "OK")
      // A place comes free when a session is live no more.
      expect(try client.request("CLOSE \(devices[0])"), "OK")
      let recovered = try client.request("RECOVER \(devices[3]) user=\(user)")
      #expect(try recovered.string("how") == "new")
      let report = try client.request("REPORT user=\(user)")
      #expect(try report.int("sessions") == 3 && report.int("live") == 2)
      // Another user takes the first one's place in the record.
      expect(try client.request("SET \(devices[1]) user=\(user)-2"), "OK")
      #expect(try names(client.request("LIST user=\(user)-2")) == [devices[1]])
      expect(try client.request("LINK \(devices[2]) user \(user)"), "OK")
    }

    @Test func `a place comes free with its session, however soon`() throws {
      let client = try Lab.current.connect()
      let user = Lab.device("user")
      for _ in 0..<6 {
        let device = Lab.device()
        expect(try client.request("OPEN \(device) user=\(user)"), "OK")
        expect(try client.request("DELETE \(device)"), "OK")
      }
      for _ in 0..<6 {
        let device = Lab.device()
        expect(try client.request("OPEN \(device) user=\(user)"), "OK")
        expect(try client.request("UNLINK \(device) user \(user)"), "OK")
      }
      for number in 0..<6 {
        let device = Lab.device()
        expect(try client.request("OPEN \(device) user=\(user)"), "OK")
        expect(try client.request("SET \(device) user=\(user)-\(number)"), "OK")
      }
      #expect(try client.request("REPORT user=\(user)").int("sessions") == 0)
    }

    @Test func `of many that ask at once no more than the quota get a session`() throws {
      let lab = try Lab(workers: [["--max-user-sessions", "3"], ["--max-user-sessions", "3"]])
      defer { lab.stop() }
      let callers = (0..<12).map { number in
        let worker = lab.workers[number % 2]
        let device = Lab.device()
        return Background { try worker.connect().request("OPEN \(device) user=ada").word }
      }
      let words = try callers.map { try $0.join() }
      #expect(words.filter { $0 == "OK" }.count == 3, "\(words)")
      #expect(try lab.connect().request("REPORT user=ada").int("live") == 3)
    }

    @Test func `a retry gets the first session, and takes no second place`() throws {
      let client = try Lab.current.connect()
      let (user, device) = (Lab.device("user"), Lab.device())
      let first = try client.request("OPEN \(device) user=\(user) req=r1")
      for _ in 0..<4 {
        #expect(try client.request("OPEN \(device) user=\(user) req=r1").raw == first.raw)
        let other = try client.request("OPEN \(device) user=\(user) req=r1 name=x")
        expect(other, "ERR", "conflict")
      }
      #expect(try client.request("REPORT user=\(user)").int("sessions") == 1)
      expect(try client.request("OPEN \(device) user=\(user)"), "OK")
    }

    @Test func `the links of a session have a limit of bytes too`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      // A line each: kind, ref and two more bytes, and 32 KiB together.
      func ref(_ number: Int, _ bytes: Int) -> String {
        "\(100 + number)" + String(repeating: "r", count: bytes - 3)
      }
      for number in 0..<64 {
        expect(try client.request("LINK \(device) kind \(ref(number, 506))"), "OK", "", "\(number)")
      }
      let full = try client.request("LINK \(device) k r")
      #expect(
        full.raw == "ERR quota quota exceeded: 32772 of 32768 bytes of links of this session")
      expect(try client.request("SET \(device) user=u"), "ERR", "quota")
      expect(try client.request("LINK \(device) kind \(ref(0, 506))"), "OK", "", "it is there")
      expect(try client.request("UNLINK \(device) kind \(ref(0, 506))"), "OK")
      expect(try client.request("LINK \(device) kind \(ref(0, 506))"), "OK")
    }

    @Test func `links have their own limit, and need a session and its token`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("LINK \(device) tag a"), "NONE")
      expect(try client.request("OPEN \(device)"), "OK")
      for tag in ["a", "b", "c"] { expect(try client.request("LINK \(device) tag \(tag)"), "OK") }
      let full = "ERR quota quota exceeded: 4 of 3 links of this session"
      #expect(try client.request("LINK \(device) tag d").raw == full)
      #expect(try client.request("SET \(device) link.tag=a,b,c,d").raw == full)
      expect(try client.request("LINK \(device) tag a token=5"), "STALE")
      expect(try client.request("UNLINK \(device) tag a token=5"), "STALE")
      expect(try client.request("LINK \(device) t/g a"), "ERR", "bad_request")
    }

    @Test func `requests behind one of several steps see its effect`() throws {
      let client = try Lab.current.connect()
      let (user, device) = (Lab.device("user"), Lab.device())
      try client.sendLine(
        "OPEN \(device) user=\(user)\nGET \(device)\nSET \(device) {\"a\":1}\nLIST user=\(user)\n"
          + "DELETE \(device)\nLIST user=\(user)\nGET \(device)")
      let replies = try client.replies(7)
      #expect(replies.map(\.word) == ["OK", "OK", "OK", "OK", "OK", "OK", "NONE"])
      #expect(try names(replies[3]) == [device])
      #expect(replies[3].raw.contains("\"fields\":{\"a\":1}"))
      #expect(try names(replies[5]).isEmpty)
    }

    @Test func `answers are timed by the roles of messages`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      for message in [
        "{\"role\":\"bot\"}", "{\"role\":\"user\"}", "{\"role\":\"user\",\"x\":1}", "{\"x\":1}",
        "{\"x\":{\"role\":\"bot\"}}", "{\"role\":\"bot\"}", "{\"role\":\"bot\"}",
      ] {
        expect(try client.request("SAY \(device) \(message)"), "OK")
      }
      let report = try client.request("REPORT \(device)")
      #expect(try report.int("answers") == 1 && report.int("messages") == 7)
      expect(try client.request("REPORT \(Lab.device())"), "NONE")
      expect(try client.request("REPORT"), "ERR", "bad_request")
      expect(try client.request("REPORT \(device) agent=a"), "ERR", "bad_request")
    }
  }

  @Suite struct LinksHeal {
    /// The traces of links in Redis: entries, live marks, users, and entries of the outbox.
    private func traces(_ redis: RedisServer) throws -> [String: Int] {
      let client = try RedisClient(path: redis.path)
      var found: [String: Int] = [:]
      for (name, pattern) in [
        ("entries", "lk:*:link:*"), ("live", "lk:*:live:*"), ("users", "lk:*:users"),
      ] {
        guard case .array(let keys) = try client.command("KEYS", pattern) else { continue }
        for case .text(let key) in keys {
          let count = try client.command(name == "entries" ? "ZCARD" : "SCARD", key)
          if case .integer(let number) = count { found[name, default: 0] += number }
        }
      }
      guard case .array(let indexes) = try client.command("KEYS", "lk:*:due") else { return found }
      for case .text(let key) in indexes {
        guard case .array(let members) = try client.command("ZRANGE", key, "0", "-1") else {
          continue
        }
        for case .text(let member) in members where member.hasPrefix("k:") {
          found["notes", default: 0] += 1
        }
      }
      return found
    }

    /// Lets the only worker die at a failpoint of `OPEN user=`, and another one go on.
    private func dieAt(_ failpoint: String) throws -> (Lab, WorkerProcess) {
      let lab = try Lab(workers: [])
      let doomed = try WorkerProcess(
        ["--redis", lab.redis.url, "--sweep", "200ms"], environment: ["FAILPOINT": failpoint])
      let reply = try? doomed.connect().request("OPEN dev-1 user=ada")
      if failpoint != "informed" { #expect(reply == nil) }
      #expect(try doomed.wait(within: .seconds(20)) == .signalled(SIGKILL))
      return (lab, try WorkerProcess(on: lab.redis, ["--sweep", "200ms"]))
    }

    @Test func `a reservation without a session is removed`() throws {
      let (lab, worker) = try dieAt("reserved")
      defer {
        worker.kill()
        lab.stop()
      }
      let client = try worker.connect()
      expect(try client.request("GET dev-1"), "NONE")
      #expect(try client.request("LIST user=ada").raw == "OK {\"sessions\":[],\"cursor\":null}")
      // Its session may still be written, until the reservation's deadline.
      #expect(try traces(lab.redis) == ["entries": 1, "live": 1, "users": 1])
      try eventually("a reservation that is removed", within: .seconds(30), every: 100) {
        try traces(lab.redis) == [:]
      }
    }

    @Test func `a session keeps a reservation that was not confirmed`() throws {
      let (lab, worker) = try dieAt("linked")
      defer {
        worker.kill()
        lab.stop()
      }
      let client = try worker.connect()
      expect(try client.request("GET dev-1"), "OK")
      let settled = ["entries": 1, "live": 1, "users": 1]
      try eventually("the outbox entry of the link", within: .seconds(20)) {
        try traces(lab.redis) == settled
      }
      expect(try client.request("DELETE dev-1"), "OK")
      try eventually("the end of all traces", within: .seconds(20)) {
        try traces(lab.redis) == [:]
      }
    }

    @Test func `the outbox entries of UNLINK and DELETE are delivered by the next sweep`() throws {
      let lab = try Lab(workers: [["--sweep", "2s"]])
      defer { lab.stop() }
      let client = try lab.connect()
      for device in ["dev-1", "dev-2"] {
        expect(try client.request("OPEN \(device) user=ada"), "OK")
        expect(try client.request("LINK \(device) tag red"), "OK")
      }
      try eventually("four links that are delivered", within: .seconds(5)) {
        try traces(lab.redis) == ["entries": 4, "live": 2, "users": 1]
      }
      expect(try client.request("UNLINK dev-1 tag red"), "OK")
      expect(try client.request("DELETE dev-2"), "OK")
      // Delivered later, but no LIST shows them meanwhile.
      #expect(try !client.request("LIST tag=red").raw.contains("dev-"))
      #expect(try !client.request("LIST user=ada").raw.contains("dev-2"))
      try eventually("the end of their outbox entries", within: .seconds(5)) {
        try traces(lab.redis) == ["entries": 1, "live": 1, "users": 1]
      }
    }

    @Test func `an outbox entry that was delivered and not removed is delivered again`() throws {
      let (lab, worker) = try dieAt("informed")
      defer {
        worker.kill()
        lab.stop()
      }
      let client = try worker.connect()
      expect(try client.request("CLOSE dev-1"), "OK")
      // Live no more, but kept: an entry without a mark.
      try eventually("the session's present state", within: .seconds(20)) {
        try traces(lab.redis) == ["entries": 1, "users": 1]
      }
    }
  }
}
