// EXPORT and IMPORT: whole sessions, out and back, byte for byte, or refused as a whole.

import Foundation
import Testing

extension SystemSuites {
  @Suite(
    .lab(workers: [["--max-messages", "10000", "--request-timeout", "20s", "--max-record", "2MiB"]])
  )
  struct Backups {
    private func body(_ reply: Reply) -> String { String(reply.raw.dropFirst(3)) }

    @Test func `ten thousand messages go out and come back byte for byte`() throws {
      let client = try Lab.current.connect()
      let (device, user) = (Lab.device(), Lab.device("user"))
      expect(
        try client.request(
          "OPEN \(device) user=\(user) name=\"a \\\"b\\\"\" {\"x\":1e400,\"y\":{},\"gone\":[]}"),
        "OK")
      expect(try client.request("SET \(device) phase=p {\"gone\":null,\"é\":\"\\u00e9 \"}"), "OK")
      expect(try client.request("LINK \(device) tag urgent"), "OK")
      expect(try client.request("CHAT \(device) name=second {\"model\":[1, 2]}"), "OK")
      for page in 0..<100 {
        let messages = (0..<100).map {
          "{\"role\":\"user\",\"n\":\(page * 100 + $0), \"t\":\"\\/\"}"
        }
        expect(try client.request("SAY \(device) [\(messages.joined(separator: ","))]"), "OK")
      }
      let before = try client.request("EXPORT \(device)")
      expect(before, "OK")
      #expect(before.raw.utf8.count > 500_000)
      let record = try client.request("GET \(device)")
      expect(try client.request("IMPORT \(body(before))"), "ERR", "illegal_state")
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("EXPORT \(device)"), "NONE")
      #expect(try client.request("IMPORT \(body(before))").raw == record.raw)
      #expect(try client.request("EXPORT \(device)").raw == before.raw)
      #expect(try client.request("GET \(device)").raw == record.raw)
      #expect(try client.request("LIST user=\(user)").raw.contains(device))
      // In the place of its changed version.
      expect(try client.request("SET \(device) {\"x\":2}"), "OK")
      expect(try client.request("FORGET \(device)"), "OK")
      #expect(try client.request("IMPORT replace=yes \(body(before))").raw == record.raw)
      #expect(try client.request("EXPORT \(device)").raw == before.raw)
      // And beside it, under an id of its own.
      let ids = [record, try client.request("IMPORT as-new=yes \(body(before))")].map { reply in
        ShownRecord.all(in: reply).first?.id ?? ""
      }
      let (old, new) = (ids[0], ids[1])
      #expect(new != old)
      let wanted = before.raw.replacingOccurrences(of: old, with: new)
      #expect(try client.request("EXPORT \(device)/\(new)").raw == wanted)
      expectBadRequest(
        try client.request("IMPORT as-new=yes replace=yes {}"), naming: "exclude each other")
      for (part, wrong, text) in [
        ("\"fenced\":false", "\"fenced\":\"yes\"", "fenced is neither true nor false"),
        ("\"thread\":\"\(old)\"", "\"thread\":\"\"", "thread must have 1 to 512 bytes"),
      ] {
        let changed = body(before).replacing(part, with: wrong)
        #expect(changed != body(before))
        expectBadRequest(try client.request("IMPORT as-new=yes \(changed)"), naming: text)
      }
    }

    @Test func `a chat's configuration is as long as it may be, and goes out and back`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      let text = String(repeating: "x", count: (256 << 10) - 8)
      expect(try client.request("CHAT \(device) {\"v\":\"\(text)x\"}"), "ERR", "too_large")
      #expect(try client.request("GET \(device)").int("chats") == 1)
      expect(try client.request("CHAT \(device) {\"v\":\"\(text)\"}"), "OK")
      let before = try client.request("EXPORT \(device)")
      expect(try client.request("IMPORT replace=yes \(body(before))"), "OK")
      #expect(try client.request("EXPORT \(device)").raw == before.raw)
    }

    @Test func `a session that never had a chat goes out and back, and gets its first one`() throws
    {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) chat=none {\"a\":1}"), "OK")
      let before = try client.request("EXPORT \(device)")
      let record = try client.request("GET \(device)")
      expect(try client.request("DELETE \(device)"), "OK")
      #expect(try client.request("IMPORT \(body(before))").raw == record.raw)
      #expect(try client.request("EXPORT \(device)").raw == before.raw)
      #expect(try client.request("SAY \(device) {}").raw == "OK {\"seq\":1,\"chat\":1}")
    }

    @Test func `it goes to another Redis, and goes on there`() throws {
      let other = try Lab(workers: [[]])
      defer { other.stop() }
      let (client, there) = (try Lab.current.connect(), try other.connect())
      let device = Lab.device()
      expect(try client.request("OPEN \(device) idle=1h {\"a\":1}"), "OK")
      expect(try client.request("SAY \(device) {\"n\":1}"), "OK")
      expect(try there.request("IMPORT \(body(try client.request("EXPORT \(device)")))"), "OK")
      expect(try there.request("GET \(device)/current"), "OK")
      #expect(try there.request("SAY \(device) {\"n\":2}").int("seq") == 2)
      let stats = try there.request("STATS")
      #expect(stats.raw.contains("\"active\":1"))
      let events = try there.request("EVENTS \(device)")
      #expect(events.raw.contains("session.opened"))
    }

    @Test func `clocks that expired meanwhile act at once, and ended sessions stay ended`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) idle=10ms warn=0 abandon=0 life=0 keep=1h"), "OK")
      let exported = body(try client.request("EXPORT \(device)"))
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("IMPORT \(exported)"), "OK")
      try eventually("the pause that was overdue") {
        try client.request("GET \(device)").string("state") == "paused"
      }
      expect(try client.request("CLOSE \(device)"), "OK")
      let closed = body(try client.request("EXPORT \(device)"))
      let past = closed.replacing(/"since":[0-9]+/, with: "\"since\":1500000000000")
      expect(try client.request("IMPORT replace=yes \(past)"), "ERR", "illegal_state")
    }

    @Test func `an export of a version with a clock less, or more, is taken`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) idle=1h keep=1h warn=1m"), "OK")
      let exported = body(try client.request("EXPORT \(device)"))
      for (last, warnMs) in [("", 0), (",60000", 60_000), (",60000,7", 60_000)] {
        let other = exported.replacing(/"clocks":\[(\d+,\d+,\d+,\d+,\d+),60000\]/) {
          "\"clocks\":[\($0.1)\(last)]"
        }
        #expect((other == exported) == (last == ",60000"))
        expect(try client.request("IMPORT replace=yes \(other)"), "OK")
        let record = try client.request("GET \(device)")
        #expect(record.raw.contains("\"keep_ms\":3600000,\"warn_ms\":\(warnMs)}"), "\(record)")
      }
      let short = exported.replacing(/"clocks":\[(\d+,\d+,\d+,\d+),.*?\]/) {
        "\"clocks\":[\($0.1)]"
      }
      expect(try client.request("IMPORT replace=yes \(short)"), "ERR", "bad_request")
    }

    @Test func `a token is checked, and a fenced session is not replaced without one`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let token = try client.request("LOCK \(device) a").int("token")
      expect(try client.request("OPEN \(device) fenced=yes token=\(token)"), "OK")
      let exported = body(try client.request("EXPORT \(device)"))
      expect(try client.request("IMPORT replace=yes \(exported)"), "STALE")
      expect(try client.request("IMPORT replace=yes token=\(token - 1) \(exported)"), "STALE")
      expect(try client.request("IMPORT replace=yes token=\(token) \(exported)"), "OK")
    }

    @Test func `an import over a limit is rejected whole, and the connection goes on`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      let big = "{\"t\":\"\(String(repeating: "x", count: 200_000))\"}"
      for _ in 0..<11 { expect(try client.request("SAY \(device) \(big)"), "OK") }
      let reply = try client.request("EXPORT \(device)")
      expect(reply, "ERR", "too_large")
      let line = "IMPORT {\"a\":\"\(String(repeating: "x", count: 2 << 20))\"}"
      expect(try client.request(line), "ERR", "too_large")
      expect(try client.request("IMPORTS {\"a\":\"\(big)\"}"), "ERR", "bad_request")
      expect(try client.request("PING"), "OK")
    }

    @Test func `the largest session that goes out comes back in, and one byte more does neither`()
      throws
    {
      let (client, device, most) = (try Lab.current.connect(), Lab.device(), 2 << 20)
      let token = try client.request("LOCK \(device) a").int("token")
      expect(try client.request("OPEN \(device) fenced=yes token=\(token)"), "OK")
      let long = "{\"t\":\"\(String(repeating: "x", count: 240_000))\"}"
      for _ in 0..<8 { expect(try client.request("SAY \(device) token=\(token) \(long)"), "OK") }
      func pad(_ bytes: Int) throws -> Reply {
        let json = "{\"pad\":\"\(String(repeating: "p", count: bytes))\"}"
        expect(try client.request("SET \(device) token=\(token) \(json)"), "OK")
        return try client.request("EXPORT \(device)")
      }
      let bytes = 1_000 + most - body(try pad(1_000)).utf8.count
      let whole = try pad(bytes)
      expect(whole, "OK")
      #expect(body(whole).utf8.count == most)
      let req = String(repeating: "r", count: 128)
      let words = "IMPORT replace=yes token=\(token) req=\(req)"
      expect(try client.request("\(words) \(body(whole))"), "OK")
      #expect(try client.request("EXPORT \(device)").raw == whole.raw)
      let over = body(whole).replacing("ppp", with: "pppp", maxReplacements: 1)
      expect(try client.request("IMPORT replace=yes token=\(token) \(over)"), "ERR", "too_large")
      expect(try pad(bytes + 1), "ERR", "too_large")
      expect(try client.request("PING"), "OK")
    }

    @Test(arguments: [
      ("\"format\":1", "\"format\":2"), ("\"session\":\"", "\"session\":\"x"),
      ("\"state\":\"active\"", "\"state\":\"asleep\""), ("\"rev\":1", "\"rev\":-1"),
      ("\"clocks\":[", "\"clocks\":[1,"), ("\"chat\":1", "\"chat\":2"),
      ("\"seq\":2", "\"seq\":1"), ("\"message\":{", "\"message\":["),
      ("\"at\":1", "\"at\":1.5,\"x\":1"),
      ("\"fields\":{", "\"fields\":{\"b\":[],"), ("\"links\":{", "\"links\":{\"a b\":[],"),
      ("\"created_at\":1", "\"created_at\":\"1\",\"x\":1"),
    ])
    func `members that no export has are rejected`(change: (was: String, is: String)) throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) {\"a\":1}"), "OK")
      expect(try client.request("SAY \(device) [{\"n\":[1]},{\"n\":[2]}]"), "OK")
      let exported = body(try client.request("EXPORT \(device)"))
      let reply = try client.request("EXPORT \(device)")
      #expect(exported.contains(change.was), "\(exported)")
      let broken = exported.replacing(change.was, with: change.is, maxReplacements: 1)
      expect(try client.request("IMPORT replace=yes \(broken)"), "ERR")
      #expect(try client.request("EXPORT \(device)").raw == reply.raw)
    }

    @Test func `a text is imported as long as it may be said, however it is written`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) name=\"%\""), "OK")
      let exported = body(try client.request("EXPORT \(device)"))
      for letter in ["x", "\\u0001", "\\u00e9", "é"] {
        let count = letter.hasSuffix("9") || letter == "é" ? 2_048 : 4_096
        let name = String(repeating: letter, count: count)
        let over = exported.replacing("%", with: name + letter)
        expect(try client.request("IMPORT replace=yes \(over)"), "ERR", "bad_request")
        expectBadRequest(try client.request("SET \(device) name=\"\(name)\(letter)\""))
        let whole = exported.replacing("%", with: name)
        expect(try client.request("IMPORT replace=yes \(whole)"), "OK")
        #expect(try client.request("EXPORT \(device)").raw == "OK \(whole)")
        expect(try client.request("SET \(device) name=\"\(name)\""), "OK")
        let again = body(try client.request("EXPORT \(device)"))
        expect(try client.request("IMPORT replace=yes \(again)"), "OK")
      }
    }

    @Test func `numbers are imported as far as the scripts can count on from them`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) {\"a\":1}"), "OK")
      expect(try client.request("SAY \(device) {\"n\":1}"), "OK")
      let first = body(try client.request("EXPORT \(device)"))
      let most = "9999999999999"
      // A field has no later revision than its session.
      let late = first.replacing("\"rev\":1", with: "\"rev\":\(most)")
      expect(
        try client.request("IMPORT replace=yes \(first.replacing("\"a\":[1,", with: "\"a\":[2,"))"),
        "ERR", "bad_request")
      let counts = [
        (first, "\"rev\":1", "\"rev\":"), (late, "\"a\":[1,", "\"a\":["),
        (first, "\"seq\":1,", "\"seq\":"),
      ]
      for (exported, was, name) in counts {
        #expect(exported.contains(was), "\(exported)")
        let end = was.hasSuffix(",") ? "," : ""
        let over = exported.replacing(
          was, with: "\(name)10000000000000\(end)", maxReplacements: 1)
        expect(try client.request("IMPORT replace=yes \(over)"), "ERR", "bad_request")
        let at = exported.replacing(was, with: "\(name)\(most)\(end)", maxReplacements: 1)
        expect(try client.request("IMPORT replace=yes \(at)"), "OK")
        expect(try client.request("SET \(device) {\"b\":2}"), "OK")
        expect(try client.request("SET \(device) {\"a\":3}"), "OK")
        let said = try client.request("SAY \(device) {\"n\":2}").int("seq")
        #expect(try client.request("HISTORY \(device) last=1").raw.contains("\"seq\":\(said),"))
        let record = try client.request("GET \(device)")
        #expect(record.raw.contains("\"fields\":{\"a\":3,\"b\":2}"), "\(record)")
        expect(try client.request("EXPORT \(device)"), "OK")
      }
    }

    @Test func `a message deeper than a caller may say is refused inside an export too`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      let deepest = String(repeating: "[", count: 63) + String(repeating: "]", count: 63)
      expect(try client.request("SAY \(device) {\"n\":\(deepest)}"), "OK")
      let exported = body(try client.request("EXPORT \(device)"))
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      let deeper = exported.replacing(deepest, with: "[\(deepest)]")
      expect(try client.request("IMPORT replace=yes \(deeper)"), "ERR", "bad_request")
      expect(try client.request("SAY \(device) {\"n\":[\(deepest)]}"), "ERR", "bad_request")
    }
  }
}
