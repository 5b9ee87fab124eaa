// Keys beside the records that are corrupt in Redis: a reply never shows less than there is, and no
// change is made in part.

import Testing

extension SystemSuites {
  @Suite(.lab()) struct CorruptKeys {
    private func current(_ client: LineClient, _ device: String) throws -> String {
      try client.request("GET \(device)").string("session")
    }

    /// The keys that match a pattern behind the partition's tag.
    private func keys(_ pattern: String) throws -> [String] {
      let reply = try Lab.current.redis.command("KEYS", "lk:*:\(pattern)")
      guard case .array(let found) = reply else { throw Failure("no keys: \(reply)") }
      return found.compactMap(\.string)
    }

    private func key(_ pattern: String) throws -> String {
      guard let key = try keys(pattern).first else { throw Failure("no key \(pattern)") }
      return key
    }

    /// Has a text in a key's place while the body runs.
    private func corrupting(_ key: String, _ body: () throws -> Void) throws {
      let redis = try Lab.current.redis
      try redis.command("RENAME", key, "aside")
      try redis.command("SET", key, "x")
      defer { _ = try? redis.command("RENAME", "aside", key) }
      try body()
    }

    /// The key of the device's line, which is in a hash of its partition.
    private func linesKey(of device: String) throws -> String {
      let redis = try Lab.current.redis
      let found = try keys("devices").first {
        try redis.command("HEXISTS", $0, device) == .integer(1)
      }
      guard let found else { throw Failure("no line of \(device)") }
      return found
    }

    // MARK: Lists

    @Test func `sessions that cannot be listed are an error, not an empty list`() throws {
      let (client, user) = (try Lab.current.connect(), Lab.device("user"))
      let opened = try client.request("OPEN \(Lab.device()) user=\(user)").string("session")
      try corrupting(key("link:user/\(user)")) {
        for request in ["LIST user=\(user)", "REPORT user=\(user)"] {
          expect(try client.request(request), "ERR", "internal")
        }
      }
      #expect(try client.request("LIST user=\(user)").raw.contains(opened))
      #expect(try client.request("REPORT user=\(user)").int("sessions") == 1)
      let found = try keys("sessions").first {
        "\(try Lab.current.redis.command("ZRANGE", $0, "0", "-1"))".contains(opened)
      }
      let hinting = "RECOVER \(Lab.device()) hint=\(opened)"
      try corrupting(#require(found)) {
        for request in ["LIST *", hinting] {
          expect(try client.request(request), "ERR", "internal")
        }
      }
      #expect(try client.request(hinting).string("hint") == "elsewhere")
    }

    // MARK: Imports

    private func liveCount(_ client: LineClient) throws -> Int {
      try client.request("STATS").json()["sessions"]?["active"]?.int ?? -1
    }

    @Test func `an import over a corrupt session respects its fence`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      expect(try client.request("OPEN \(device) fenced=yes {\"old\":1}"), "OK")
      let session = try current(client, device)
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      let token = try client.request("LOCK \(device) a").int("token")
      expect(try client.request("SAY \(device) token=\(token) {\"n\":1}"), "OK")
      let (redis, live) = (try Lab.current.redis, try liveCount(client))
      let record = try key("session:\(device)/\(session)")
      try redis.command("HSET", record, "clocks", "x")
      let before = try redis.command("HGETALL", record)
      for refused in ["", " token=\(token - 1)"] {
        expect(try client.request("IMPORT replace=yes\(refused) \(exported)"), "STALE")
      }
      #expect(try redis.command("HGETALL", record) == before)
      #expect(try redis.command("LLEN", "\(record)/1") == .integer(1))
      expect(try client.request("IMPORT replace=yes token=\(token) \(exported)"), "OK")
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == exported)
      #expect(try liveCount(client) == live)
      // It takes its own place on a device that has no other one left.
      for _ in 1..<50 { expect(try client.request("OPEN \(device)"), "OK") }
      expect(try client.request("OPEN \(device)"), "ERR", "quota")
      try redis.command("HSET", record, "clocks", "x")
      expect(try client.request("IMPORT replace=yes token=\(token) \(exported)"), "OK")
      #expect(try liveCount(client) == live + 49)
    }

    // MARK: Lines of devices

    @Test(arguments: [
      "1 nosuch\"session", "99 x", "0 x", "x", "", "1 a/b", "60 S", "2 SESSION", "-1 SESSION",
      "3 A B C",
    ])
    func `a device's line is believed only as far as its sessions are there`(line: String) throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let opened = try client.request("OPEN \(device)").string("session")
      let key = try linesKey(of: device)
      func corrupt() throws {
        try Lab.current.redis.command(
          "HSET", key, device, line.replacing("SESSION", with: opened))
      }
      try corrupt()
      for request in ["GET", "CHATS", "HISTORY", "REPORT", "TOUCH", "EXPORT"] {
        expect(try client.request("\(request) \(device)"), "OK")
      }
      #expect(try current(client, device) == opened)
      let second = try client.request("OPEN \(device)").string("session")
      #expect(
        try Lab.current.redis.command("HGET", key, device) == .text("2 \(second) \(opened)"))
      try corrupt()
      expect(try client.request("CLOSE \(device)/\(second)"), "OK")
      #expect(try current(client, device) == opened)
      try corrupt()
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("GET \(device)/\(opened)"), "NONE")
    }

    @Test func `sessions are counted before one more is refused`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let opened = try client.request("OPEN \(device)").string("session")
      let key = try linesKey(of: device)
      let others = (1...49).map { " X\($0)" }.joined()
      try Lab.current.redis.command("HSET", key, device, "50 \(opened)\(others)")
      let second = try client.request("OPEN \(device)").string("session")
      #expect(
        try Lab.current.redis.command("HGET", key, device) == .text("2 \(second) \(opened)"))
    }

    @Test func `STATS names what depends on a corrupt key`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      for (key, name) in [(try linesKey(of: device), "devices"), (try key("ledger"), "ledger")] {
        try corrupting(key) {
          let stats = try client.request("STATS")
          #expect(stats.isOK && stats.raw.hasSuffix(",\"damaged\":[\"\(name)\"]}"), "\(stats)")
        }
      }
      #expect(!(try client.request("STATS").raw.contains("damaged")))
    }

    // MARK: Chats

    @Test(arguments: ["{\"a\":", "{\"a\":1,\"b\"}", "[1", "{\"a\":1} x", "{\"a\":\n1}", ""])
    func `a corrupt configuration is replaced by what is set`(config: String) throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let opened = try client.request("OPEN \(device)").string("session")
      let record = try key("session:\(device)/\(opened)")
      try Lab.current.redis.command("HSET", record, "c:1", config, "n:1", "\"a\"b\"")
      let set = try client.request("SET \(device)/current/1 {\"b\":2}")
      #expect(set.raw == "OK {\"chat\":1,\"name\":null,\"damaged\":[\"name\"]}")
      expect(try client.request("SET \(device)/current/1 name=n"), "OK")
      let chat = try client.request("GET \(device)/current/1")
      #expect(chat.shows("config", as: "{\"b\":2}") && chat.shows("name", as: "\"n\""))
      #expect(!chat.raw.contains("damaged"))
    }
  }
}
