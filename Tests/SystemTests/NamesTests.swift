// Section 2 in every verb that takes a name: its characters, its greatest length, and that two
// spellings of one name are equal.

import Foundation
import Testing

extension SystemSuites {
  @Suite(
    .lab(workers: [
      ["--request-timeout", "10s"], ["--device-ids", "uuid", "--request-timeout", "10s"],
    ])
  ) struct Names {
    private static let alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+-%~!*'()"

    /// Names that an interpreter, a pattern, a bound of a range or a format could take for its own.
    private static let tricky = [
      "!*'()", "(", "((", "(inf", "+inf", "-inf", "-", "+", "*a", "a*", "**", "%s%d%1%%", "%", "%0",
      "'", "''", ".", "..", "~", "@", ":", "%2F%20%2A", "%(%w+)%1", ")", "!", "0", "current", "1",
      "__proto__", "%2A", alphabet,
    ]

    /// A request of every verb that takes a name, with the expected reply.
    private func use(_ name: String, _ client: LineClient, round: Int) throws {
      let (device, agent) = ("\(name)\(round)", String(name.prefix(120)))
      let shown = Comment(rawValue: name)
      #expect(
        try Grant(client.request("LOCK \(device) \(agent) req=\(name)")).agent == agent, shown)
      #expect(try client.request("HOLDER \(device)").string("agent") == agent, shown)
      let handed = try client.request("HANDOFF \(device) \(agent) x\(agent) {\"a\":1}")
      #expect(try Grant(handed).agent == "x\(agent)", shown)
      let report = try client.request("REPORT agent=\(agent)")
      #expect(try report.string("agent") == agent && report.int("ended") >= 1, shown)
      expect(try client.request("UNLOCK \(device) x\(agent)"), "OK", "", shown)
      let opened = try client.request("OPEN \(device) user=\(name) req=o\(name.prefix(500))")
      let session = try opened.string("session")
      #expect(try opened.string("device") == device, shown)
      expect(try client.request("LINK \(device) \(name) \(name)"), "OK", "", shown)
      let links = try client.request("GET \(device)/\(session)").json()["links"]
      #expect(links?[name] == .array([.string(name)]), shown)
      #expect(links?["user"] == .array([.string(name)]), shown)
      for list in ["LIST \(device)", "LIST user=\(name)", "LIST \"\(name)=\(name)\""] {
        let found = try client.request(list)
        #expect(found.raw.contains("\"session\":\"\(session)\""), "\(list): \(found)")
      }
      #expect(try client.request("REPORT user=\(name)").string("user") == name, shown)
      let export = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("DELETE \(device)"), "OK", "", shown)
      expect(try client.request("IMPORT \(export)"), "OK", "", shown)
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == export, shown)
      expect(try client.request("UNLINK \(device) \(name) \(name)"), "OK", "", shown)
      expect(try client.request("SET \(device) user=u\(round)"), "OK", "", shown)
      #expect(try client.request("LIST user=\(name)").raw.hasPrefix("OK {\"sessions\":[],"), shown)
      guard case .array(let events)? = try client.request("EVENTS \(device)").json()["events"]
      else {
        throw Failure("no events of \(name)")
      }
      #expect(events.count == 4 && events.allSatisfy { $0["device"] == .string(device) }, shown)
      #expect(
        events.first?["agent"] == .string(agent) && events.first?["to"] == .string("x\(agent)"))
      expect(try client.request("CLOSE \(device)"), "OK", "", shown)
    }

    @Test func `the output of encodeURIComponent is a name in every verb`() throws {
      let client = try Lab.current.connect()
      for (round, name) in Self.tricky.enumerated() where name != "current" {
        try use(name, client, round: round)
      }
      // All of them stand in the lists and the figures of the fleet.
      let names = Self.tricky.filter { $0 != "current" }
      let stats = try client.request("STATS").json()
      #expect(stats["devices"]?.int ?? 0 >= names.count, "\(stats)")
      var listed = 0
      var cursor = ""
      repeat {
        let page = try client.request("LIST * limit=7\(cursor)")
        listed += ShownRecord.all(in: page).count
        let next = try page.json()["cursor"]?.string
        cursor = next.map { " cursor=\($0)" } ?? ""
      } while !cursor.isEmpty && listed < 1_000
      #expect(listed >= names.count)
      for group in ["(", "%", "g'*"] {
        let given = try client.request("EVENTS * group=\(group) limit=1000")
        let ids = given.raw.matches(of: /"id":"([^"]+)"/).map { String($0.1) }
        #expect(ids.count > 4 * names.count)
        #expect(try client.request("ACK \(group) \(ids[0])").int("acked") == 1)
      }
    }

    @Test
    func `a name of 512 bytes is accepted everywhere, and one of 513 is rejected with the limit`()
      throws
    {
      let client = try Lab.current.connect()
      let long = String(String(repeating: Self.alphabet, count: 7).prefix(511))
      // The device has one byte more, and what stands before an id elsewhere is left out.
      try use(String(long.prefix(508)), client, round: 7_001)
      let most = long + "x"
      #expect(most.utf8.count == 512)
      let opened = try client.request("OPEN \(most) user=\(most) req=\(most)")
      let session = try opened.string("session")
      expect(try client.request("LINK \(most) \(most) \(most)"), "OK")
      // More sessions than a page, so that the cursor has the device in it.
      expect(try client.request("OPEN \(most) user=\(most)"), "OK")
      let page = try client.request("LIST user=\(most) limit=1")
      let cursor = try page.string("cursor")
      #expect(cursor.utf8.count > 512)
      let rest = try client.request("LIST user=\(most) limit=1 cursor=\(cursor)")
      #expect(rest.raw.contains(session))
      for line in [
        "LOCK \(most)x a", "OPEN d user=\(most)x", "LOCK d a req=\(most)x",
        "LINK \(most) \(most)x a",
        "LINK \(most) a \(most)x", "LIST \(most)x", "LIST a=\(most)x", "EVENTS * group=\(most)x",
        "WATCH \(most)x", "REPORT user=\(most)x", "GET \(most)x/current", "LIST a-\(most)=b",
      ] {
        expectBadRequest(
          try client.request(line), naming: " bytes, and 512 are allowed: shorten it")
      }
    }

    // MARK: Spellings

    private func invert(_ text: String) -> String {
      String(text.map { $0.isUppercase ? Character($0.lowercased()) : Character($0.uppercased()) })
    }

    @Test func `a UUID in capitals is the same device in every verb`() throws {
      let client = try Lab.current.connect(1)
      let watcher = try Lab.current.connect(1)
      let lower = UUID().uuidString.lowercased()
      let upper = lower.uppercased()
      expect(try watcher.request("WATCH \(upper)"), "OK")
      expect(try client.request("LOCK \(upper) a"), "OK")
      expect(try client.request("LOCK \(lower) b"), "HELD")
      expect(try client.request("LOCK \"\(upper)\" b"), "HELD")
      expect(try client.request("HANDOFF \(lower) a b"), "OK")
      #expect(try client.request("HOLDER \(upper)").string("agent") == "b")
      #expect(try watcher.reply().shows("device", as: "\"\(lower)\""))
      let opened = try client.request("OPEN \(upper) user=U {\"A\":1}")
      #expect(try opened.string("device") == lower)
      let session = try opened.string("session")
      for address in [upper, lower, "\(upper)/current", "\(upper)/\(session)"] {
        #expect(try client.request("GET \(address)").string("session") == session)
        expect(try client.request("SAY \(address) {\"Text\":\"A\"}"), "OK")
        expect(try client.request("SET \(address) {\"A\":2}"), "OK")
      }
      #expect(
        try client.request("HISTORY \(upper)/current/1 last=1").raw.contains("\"Text\":\"A\""))
      for device in [upper, lower] {
        let listed = try client.request("LIST \(device)")
        #expect(listed.raw.contains(session) && listed.shows("device", as: "\"\(lower)\""))
        let events = try client.request("EVENTS \(device)")
        #expect(events.raw.contains("lock.handed_off") && events.raw.contains("session.opened"))
      }
      // Of one device a request id is used once, however the device is spelt.
      let first = try client.request("SAY \(upper) req=r {}")
      #expect(try client.request("SAY \(lower) req=r {}").raw == first.raw)
      // IMPORT of another program's text.
      let export = String(try client.request("EXPORT \(upper)").raw.dropFirst(3))
      expect(try client.request("DELETE \(upper)"), "OK")
      let changed = export.replacing("\"device\":\"\(lower)\"", with: "\"device\":\"\(upper)\"")
      #expect(changed != export)
      let imported = try client.request("IMPORT \(changed)")
      #expect(try imported.string("device") == lower)
      #expect(String(try client.request("EXPORT \(lower)").raw.dropFirst(3)) == export)
      expect(try client.request("CLEAR \(upper)"), "OK")
      expect(try client.request("HOLDER \(lower)"), "NONE")
      expect(
        try client.request("HOOK uuids url=http://127.0.0.1:9/ devices=\(upper.prefix(8))*"), "OK")
      let hooks = try client.request("HOOKS").raw
      #expect(hooks.contains("\"devices\":\"\(lower.prefix(8))*\""), "\(hooks)")
      expect(try client.request("UNHOOK uuids"), "OK")
      // Where every id is a device, they are two.
      let any = try Lab.current.connect(0)
      expect(try any.request("LOCK \(upper) a"), "OK")
      expect(try any.request("LOCK \(lower) b"), "OK")
    }

    @Test func `rights to a UUID hold in capitals too`() throws {
      let lower = UUID().uuidString.lowercased()
      let file = try PrincipalsFile([
        ("app", ["--rights", "read,write", "--devices", lower.uppercased(), "--links", "*"])
      ])
      let worker = try WorkerProcess(
        on: Lab.current.redis,
        ["--auth", file.path, "--device-ids", "uuid", "--request-timeout", "10s"])
      defer { worker.kill() }
      let client = try worker.connect()
      expect(try client.request("AUTH \(file.secret("app"))"), "OK")
      for device in [lower, lower.uppercased()] {
        expect(try client.request("OPEN \(device)"), "OK")
        expect(try client.request("GET \(device)"), "OK")
      }
      expect(try client.request("GET \(UUID().uuidString)"), "ERR", "forbidden")
    }

    @Test func `ids that differ in a letter's case, or in an escape, are two`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device("%2Fcase")
      for other in [device, invert(device), device.replacing("%2F", with: "%2f")] {
        expect(try client.request("LOCK \(other) a"), "OK")
        expect(try client.request("LOCK \(other) A"), "HELD")
      }
    }

    @Test func `a role is compared unescaped`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      for message in [
        #"{"role":"user"}"#, #"{"role":"assistant"}"#, #"{"\u0072ole":"us\u0065r"}"#,
        #"{"r\u006fle":"assistant"}"#, #"{"role":"\u0075\u0073\u0065\u0072"}"#,
        #"{"role":"\ud800"}"#,
      ] {
        expect(try client.request("SAY \(device) \(message)"), "OK")
      }
      #expect(try client.request("REPORT \(device)").int("answers") == 3)
    }

    // MARK: JSON

    @Test func `the output of JSON.stringify comes back byte for byte wherever it is stored`()
      throws
    {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let raw = (UInt32(0x7F)...0x9F).compactMap { Unicode.Scalar($0) }.map { String($0) }.joined()
      let text = "\"\(raw)\u{2028}\u{FEFF}\\ud83d\\u0000\\b é😀\""
      let name = "\"\(raw)\u{2028} é\""
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("HANDOFF \(device) a b [\(text)]"), "OK")
      #expect(try client.request("HOLDER \(device)").shows("note", as: "[\(text)]"))
      let options = "name=\(name) thread=\(name) phase=\(name) step=\(name)"
      expect(try client.request("OPEN \(device) \(options) {\(name):\(text)}"), "OK")
      expect(try client.request("SAY \(device) {\(text):\(text)}"), "OK")
      expect(try client.request("CHAT \(device) name=\(name) [\(text)]"), "OK")
      expect(try client.request("SAY \(device)/current/1 {\"a\":[\(text)]}"), "OK")
      func check() throws {
        let record = try client.request("GET \(device)").raw
        for member in ["name", "thread", "phase", "step"] {
          #expect(record.contains("\"\(member)\":\(name)"))
        }
        #expect(record.contains("{\(name):\(text)}"))
        let chats = try client.request("CHATS \(device)").raw
        #expect(chats.contains("\"name\":\(name)") && chats.contains("\"config\":[\(text)]"))
        let history = try client.request("HISTORY \(device)/current/1").raw
        #expect(history.contains("{\(text):\(text)}") && history.contains("{\"a\":[\(text)]}"))
      }
      try check()
      let export = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("IMPORT \(export)"), "OK")
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == export)
      try check()
      expect(try client.request("PAUSE \(device) reason=\(name)"), "OK")
      #expect(try client.request("GET \(device)").shows("reason", as: name))
      // Outside of a string it is invisible, so it is rejected as a mistake.
      for line in [
        "PAUSE \(device) reason=\(raw)", "SAY \(device) {\(raw)}", "GET \(device)\(raw)",
      ] {
        expectBadRequest(try client.request(line), naming: "control character U+007F at byte")
      }
    }

    @Test func `bytes are counted from the beginning of the line`() throws {
      let client = try Lab.current.connect()
      for (line, at) in [
        ("SAY d {\"a\":1,}", 13), ("SAY d [", 7), ("SAY \"d\\x\" {}", 7), ("SAY d {} x", 9),
        ("SAY d [\u{FEFF}]", 7), ("SAY  d", 3), ("SET d name=\"\\ud800\"", 12),
        ("IMPORT {\"format\":1,}", 19),
      ] {
        expectBadRequest(try client.request(line), naming: "at byte \(at)", "\(line)")
      }
    }

    @Test func `a byte order mark is named, and the next line is read`() throws {
      let client = try Lab.current.connect()
      for line in ["\u{FEFF}PING", "SAY d \u{FEFF}{}"] {
        expectBadRequest(try client.request(line), naming: "byte order mark (U+FEFF) at byte")
      }
      #expect(try client.request("PING").raw == "OK")
    }
  }
}
