// Records: members and their revisions, fencing, idempotency keys, chats, messages, and their
// limits.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-sessions", "3", "--max-chats", "2", "--max-messages", "5"]]))
  struct SessionRecords {
    private func opened(_ options: String = "") throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)\(options)"), "OK")
      return (client, device)
    }

    @Test func `a record has every member of the contract, null where there is no value`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let reply = try client.request("OPEN \(device) name=\"a \\\"b\\\"\" {\"x\":[],\"y\":{}}")
      let wanted: Set = [
        "session", "device", "state", "reason", "rev", "name", "thread", "phase", "step",
        "policy", "fenced", "created_at", "updated_at", "active_at", "idle_at", "abandon_at",
        "life_at", "keep_until", "clocks", "chat", "chats", "messages", "links", "fields",
      ]
      #expect(try reply.json().names == wanted)
      #expect(try reply.string("name") == "a \"b\"")
      #expect(try reply.json()["phase"] == .null)
      #expect(try reply.json()["keep_until"] == .null)
      #expect(try reply.string("session").count == 26)
      #expect(try client.request("GET \(device)/current").raw == reply.raw)
    }

    @Test(arguments: [
      "[]", "{}", "1e400", "-0", "0.10", "12345678901234567890123", "\"\\ud800\"", "\"\\u0041\"",
      "{\"b\":1,\"a\":[{},[]]}", "[1, 2 ,3]", "true", "\"é\"",
    ])
    func `a value comes back byte for byte`(value: String) throws {
      let (client, device) = try opened(" {\"v\":\(value)}")
      #expect(try client.request("GET \(device)").shows("v", as: value))
      expect(try client.request("SAY \(device) {\"v\":\(value)}"), "OK")
      let history = try client.request("HISTORY \(device)")
      #expect(history.raw.contains("\"message\":{\"v\":\(value)}"))
    }

    @Test func `two writers of different members never fail each other`() throws {
      let (client, device) = try opened(" {\"a\":1,\"b\":1}")
      let rev = try client.request("GET \(device)").int("rev")
      expect(try client.request("SET \(device) rev=\(rev) {\"a\":2}"), "OK")
      expect(try client.request("SET \(device) rev=\(rev) {\"b\":2}"), "OK")
      expect(try client.request("SET \(device) rev=\(rev) phase=p"), "OK")
      let stale = try client.request("SET \(device) rev=\(rev) {\"a\":3}")
      expect(stale, "STALE")
      #expect(try stale.int("rev") == rev + 3)
      #expect(try client.request("GET \(device)").shows("a", as: "2"))
    }

    @Test func `null removes a member, and a write of an earlier revision conflicts`() throws {
      let (client, device) = try opened(" {\"a\":1}")
      let rev = try client.request("GET \(device)").int("rev")
      expect(try client.request("SET \(device) {\"a\":null}"), "OK")
      #expect(try client.request("GET \(device)").raw.contains("\"fields\":{}"))
      expect(try client.request("SET \(device) rev=\(rev) {\"a\":5}"), "STALE")
      expect(try client.request("SET \(device) {\"a\":5}"), "OK")
    }

    @Test func `fields are counted, and one too many changes nothing`() throws {
      let (client, device) = try opened()
      let members = (1...128).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
      expect(try client.request("SET \(device) {\(members)}"), "OK")
      #expect(
        try client.request("SET \(device) {\"m1\":7,\"more\":1}").raw
          == "ERR quota quota exceeded: 129 of 128 fields")
      #expect(try client.request("GET \(device)").shows("m1", as: "1"))
      expect(try client.request("SET \(device) {\"m1\":null,\"more\":1}"), "OK")
    }

    @Test func `a field of 256 KiB is kept and one byte more is too large`() throws {
      let (client, device) = try opened()
      let text = String(repeating: "x", count: 262_142)
      expect(try client.request("SET \(device) {\"v\":\"\(text)\"}"), "OK")
      expect(try client.request("SET \(device) {\"v\":\"\(text)y\"}"), "ERR", "too_large")
      expect(try client.request("SAY \(device) {\"v\":\"\(text)\"}"), "ERR", "too_large")
    }

    @Test func `a token is checked with the write, and a fenced session takes none without`() throws
    {
      let (client, device) = try opened(" fenced=yes")
      let token = try Grant(client.request("LOCK \(device) a")).token
      for line in ["TOUCH \(device)", "SET \(device) {\"a\":1}", "SAY \(device) {\"a\":1}"] {
        expect(try client.request(line), "STALE")
        let parts = line.split(separator: " {", maxSplits: 1)
        let payload = parts.count > 1 ? " {\(parts[1])" : ""
        expect(try client.request("\(parts[0]) token=\(token)\(payload)"), "OK")
        expect(try client.request("\(parts[0]) token=\(token - 1)\(payload)"), "STALE")
      }
      expect(try client.request("SEIZE \(device) b"), "OK")
      expect(try client.request("TOUCH \(device) token=\(token)"), "STALE")
      expect(try client.request("GET \(device)"), "OK")
    }

    @Test func `a repeated request id says the same and does nothing`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let first = try client.request("OPEN \(device) req=o1 {\"a\":1}")
      #expect(try client.request("OPEN \(device) req=o1 {\"a\":1}").raw == first.raw)
      let said = try client.request("SAY \(device) req=s1 {\"n\":1}")
      #expect(try client.request("SAY \(device) req=s1 {\"n\":1}").raw == said.raw)
      #expect(try client.request("GET \(device)").int("messages") == 1)
    }

    @Test func `live sessions and chats have their quota`() throws {
      let (client, device) = try opened()
      for _ in 0..<2 { expect(try client.request("OPEN \(device)"), "OK") }
      expect(try client.request("OPEN \(device)"), "ERR", "quota")
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request("CHAT \(device) name=two"), "OK")
      expect(try client.request("CHAT \(device)"), "ERR", "quota")
    }

    @Test func `sessions are listed newest first, a page at a time`() throws {
      let (client, device) = try opened()
      for _ in 0..<2 { expect(try client.request("OPEN \(device)"), "OK") }
      var seen: [String] = []
      var cursor = ""
      repeat {
        let page = try client.request("LIST \(device) limit=2\(cursor)").json()
        guard case .array(let sessions)? = page["sessions"] else { throw Failure("no list") }
        seen += sessions.compactMap { $0["session"]?.string }
        cursor = page["cursor"]?.string.map { " cursor=\($0)" } ?? ""
      } while !cursor.isEmpty
      #expect(seen.count == 3 && seen == seen.sorted(by: >))
      expect(try client.request("DELETE \(device)"), "OK")
      #expect(try client.request("GET \(device)").string("session") == seen[1])
    }

    @Test func `a chat keeps its newest messages, in order, under numbers that only grow`() throws {
      let (client, device) = try opened()
      let several = (1...7).map { "{\"n\":\($0)}" }.joined(separator: ",")
      let said = try client.request("SAY \(device) [\(several)]")
      #expect(try said.int("seq") == 7)
      let history = try client.request("HISTORY \(device)")
      #expect(history.raw.hasPrefix("OK {\"messages\":[{\"seq\":3,"))
      #expect(try history.json()["more"]?.bool == false)
      #expect(try client.request("POP \(device)").int("seq") == 7)
      #expect(try client.request("SAY \(device) {\"n\":8}").int("seq") == 8)
      let after = try client.request("HISTORY \(device) after=4 limit=2")
      #expect(after.raw.contains("\"seq\":5") && after.raw.contains("\"seq\":6"))
      #expect(try after.json()["more"]?.bool == true)
      #expect(try client.request("FORGET \(device)").int("removed") == 5)
      #expect(try client.request("SAY \(device) {\"n\":9}").int("seq") == 9)
      expect(try client.request("CHAT \(device) {\"model\":\"m\"}"), "OK")
      expect(try client.request("SAY \(device)/current/1 {\"n\":10}"), "OK")
      expect(try client.request("SWITCH \(device)/current/1"), "OK")
      expect(try client.request("HISTORY \(device)/current/9"), "NONE")
      let chats = try client.request("CHATS \(device)")
      #expect(try chats.int("current") == 1)
      #expect(chats.raw.contains("\"config\":{\"model\":\"m\"}"))
    }

    @Test(arguments: [
      ("", [1, 2, 3, 4, 5]), ("last=0", []), ("last=2", [4, 5]), ("limit=2", [4, 5]),
      ("last=4 limit=2", [4, 5]),
      ("last=2 limit=4", [4, 5]), ("after=0", [1, 2, 3, 4, 5]), ("after=1 limit=2", [2, 3]),
      ("after=5", []), ("limit=1000", [1, 2, 3, 4, 5]),
    ])
    func `a history has no more messages than were asked for`(options: String, seqs: [Int]) throws {
      let (client, device) = try opened()
      expect(try client.request("SAY \(device) [{},{},{},{},{}]"), "OK")
      let reply = try client.request("HISTORY \(device)\(options.isEmpty ? "" : " \(options)")")
      let shown = reply.raw.matches(of: /"seq":([0-9]+)/).compactMap { Int($0.output.1) }
      #expect(shown == seqs, "\(reply)")
    }

    @Test func `what a full chat has dropped is said, and goes with an export`() throws {
      let (client, device) = try opened()
      func end(_ options: String) throws -> Substring {
        let reply = try client.request("HISTORY \(device) \(options)").raw
        guard let end = reply.range(of: "],\"more\":") else { return reply[...] }
        return reply[end.upperBound...].dropLast()
      }
      #expect(try end("last=20") == "false,\"first_seq\":null,\"last_seq\":null")
      expect(try client.request("SAY \(device) [{},{},{},{},{}]"), "OK")
      #expect(try end("after=0 limit=1") == "true,\"first_seq\":1,\"last_seq\":5")
      expect(try client.request("SAY \(device) [{},{}]"), "OK")
      let kept = "true,\"first_seq\":3,\"last_seq\":7"
      for _ in 0..<2 {
        #expect(try end("last=0") == kept)
        #expect(try end("after=1 limit=1") == kept + ",\"lost\":true")
        #expect(try end("after=2 limit=1") == kept)
        let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
        expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      }
      // What is removed on purpose is not lost.
      expect(try client.request("POP \(device)"), "OK")
      #expect(try end("after=2 limit=1") == "true,\"first_seq\":3,\"last_seq\":6")
      expect(try client.request("FORGET \(device)"), "OK")
      #expect(try end("after=1") == "false,\"first_seq\":null,\"last_seq\":null,\"lost\":true")
      #expect(try end("after=2") == "false,\"first_seq\":null,\"last_seq\":null")
    }

    @Test func `a place in a history that is none is named`() throws {
      let (client, device) = try opened()
      expectBadRequest(try client.request("HISTORY \(device) after=x"), naming: "after=")
      expectBadRequest(try client.request("HISTORY \(device) after=1 last=1"), naming: "last=")
    }

    @Test(arguments: [
      "GET %", "SET % {\"a\":1}", "TOUCH %", "SAY % {}", "CHATS %", "HISTORY %", "DELETE %",
      "POP %",
    ])
    func `there is no current session where none was opened`(line: String) throws {
      let client = try Lab.current.connect()
      let text = line.replacingOccurrences(of: "%", with: Lab.device())
      expect(try client.request(text), "NONE")
    }

    @Test func `another device's session is not found, and forms that are none are refused`() throws
    {
      let (client, device) = try opened()
      let session = try client.request("GET \(device)").string("session")
      expect(try client.request("GET \(Lab.device())/\(session)"), "NONE")
      for address in ["\(device)/x", "\(device)/", "/\(session)", "\(device)/current/0"] {
        expectBadRequest(try client.request("SAY \(address) {}"))
      }
      expectBadRequest(try client.request("GET \(device)/current/0"))
      expect(try client.request("GET \(device)/current/current"), "OK")
      expectBadRequest(try client.request("SAY \(device) [1]"))
    }
  }
}
