// Bad input to the verbs of sessions and chats: each is rejected clearly, and changes nothing.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-sessions", "2"]])) struct SessionBadInput {
    /// A client and a device with a session that no bad request may touch.
    private struct Bench {
      let client: LineClient
      let device = Lab.device()
      let record: String

      init() throws {
        client = try Lab.current.connect()
        expect(try client.request("OPEN \(device) name=n {\"kept\":[1, 2]}"), "OK")
        expect(try client.request("SAY \(device) {\"kept\":true}"), "OK")
        record = try client.request("GET \(device)").raw
      }

      func expectUntouched(
        _ comment: Comment? = nil, at place: SourceLocation = #_sourceLocation
      ) throws {
        #expect(try client.request("GET \(device)").raw == record, comment, sourceLocation: place)
      }
    }

    /// The requests that store a payload, up to it.
    private static let stores = ["OPEN", "SET", "SAY", "CHAT", "RECOVER"]

    @Test(arguments: stores)
    func `almost-JSON is stored by none of the verbs`(verb: String) throws {
      let bench = try Bench()
      for text in PayloadCases.bad {
        expectBadRequest(try bench.client.request("\(verb) \(bench.device) \(text)"))
      }
      try bench.expectUntouched()
    }

    @Test(arguments: stores)
    func `64 levels are stored and 65 are not`(verb: String) throws {
      let bench = try Bench()
      func nested(_ depth: Int) -> String {
        "{\"deep\":" + String(repeating: "[", count: depth - 1)
          + String(repeating: "]", count: depth - 1) + "}"
      }
      let refused = try bench.client.request("\(verb) \(bench.device) \(nested(65))")
      expectBadRequest(refused, naming: "deeper than 64 levels")
      // However deep it is, the text has the same limit.
      for depth in [70, 80, 10_000] {
        let refused = try bench.client.request("\(verb) \(bench.device) \(nested(depth))")
        expectBadRequest(refused, naming: "deeper than 64 levels")
      }
      try bench.expectUntouched()
      expect(try bench.client.request("\(verb) \(bench.device) \(nested(64))"), "OK")
    }

    @Test func `a member that stands twice counts as its last value, however it is written`() throws
    {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      expect(try client.request("SET \(device) {\"a\":1,\"a\":2}"), "OK")
      #expect(try client.request("GET \(device)").shows("a", as: "2"))
      expect(try client.request("SET \(device) {\"a\":3,\"\\u0061\":4}"), "OK")
      #expect(try client.request("GET \(device)").shows("a", as: "4"))
      expect(try client.request("SET \(device) {\"a\":5,\"a\":null}"), "OK")
      #expect(!(try client.request("GET \(device)").raw.contains("\"a\":")))
      // One member, so one place among those of a session.
      let many = (0..<140).map { "\"b\":\($0)" }.joined(separator: ",")
      expect(try client.request("SET \(device) {\(many)}"), "OK")
      #expect(try client.request("GET \(device)").shows("b", as: "139"))
      // A message is the caller's, whole.
      expect(try client.request("SAY \(device) {\"a\":1,\"a\":2}"), "OK")
      #expect(try client.request("POP \(device)").shows("message", as: "{\"a\":1,\"a\":2}"))
    }

    @Test func `128 members make a session and 129 do not`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let members = (0..<128).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
      for verb in ["OPEN", "RECOVER"] {
        expect(try client.request("\(verb) \(device) {\(members),\"one\":1}"), "ERR", "quota")
        expect(try client.request("GET \(device)"), "NONE")
      }
      #expect(try client.request("LIST \(device)").raw == "OK {\"sessions\":[],\"cursor\":null}")
      expect(try client.request("OPEN \(device) name=n phase=p step=s {\(members)}"), "OK")
      #expect(try client.request("GET \(device)").shows("m127", as: "127"))
      // Too many members are rejected before they are parsed.
      let more = (0..<600).map { "\"m\($0)\":null" }.joined(separator: ",")
      #expect(
        try client.request("SET \(device) {\(more)}").raw
          == "ERR quota quota exceeded: 513 of 512 fields of one request")
      #expect(try client.request("GET \(device)").shows("m0", as: "0"))
    }

    @Test func `a value, a message and a name have as many bytes as they may and not one more`()
      throws
    {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      // A field is its JSON, quotes included; a message is the whole object.
      let field = String(repeating: "x", count: (256 << 10) - 2)
      let message = String(repeating: "x", count: (256 << 10) - 8)
      let name = String(repeating: "n", count: 1_024)
      for (bad, good) in [
        ("SET \(device) {\"v\":\"\(field)x\"}", "SET \(device) {\"v\":\"\(field)\"}"),
        ("SET \(device) {\"\(name)n\":1}", "SET \(device) {\"\(name)\":1}"),
        ("SAY \(device) {\"v\":\"\(message)x\"}", "SAY \(device) {\"v\":\"\(message)\"}"),
        ("SAY \(device) [{},{\"v\":\"\(message)x\"}]", "SAY \(device) [{},{\"v\":\"\(message)\"}]"),
      ] {
        expect(try client.request(bad), "ERR", "too_large")
        if bad.hasPrefix("SET"), bad.utf8.count > 10_000 { try bench.expectUntouched() }
        expect(try client.request(good), "OK")
      }
      #expect(try client.request("GET \(device)").shows("v", as: "\"\(field)\""))
      #expect(try client.request("GET \(device)").int("messages") == 4)
    }

    @Test(arguments: [
      "hint=01ARZ3NDEKTSV4RRFFQ69G5FAV", "user=u", "name=x", "thread=x", "phase=x", "step=x",
      "idle=1h", "abandon=1h", "archive=1h", "life=1h", "keep=1h", "warn=1h", "fenced=yes",
      "{\"kept\":1}",
    ])
    func `options of a new session are rejected where a session is named`(rest: String) throws {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      let session = try client.request("GET \(device)").string("session")
      for address in ["\(device)/current", "\(device)/\(session)"] {
        let name = rest.hasPrefix("{") ? "payload" : String(rest.prefix { $0 != "=" })
        expectBadRequest(try client.request("RECOVER \(address) \(rest)"), naming: name)
      }
      try bench.expectUntouched()
      expect(try client.request("RECOVER \(device)/current req=r"), "OK")
      expect(try client.request("RECOVER \(device) \(rest)"), "OK")
    }

    @Test func `ten thousand messages are said at once and one more is too many`() throws {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      func said(_ count: Int) throws -> Reply {
        let messages = Array(repeating: "{}", count: count).joined(separator: ",")
        return try client.request("SAY \(device) [\(messages)]")
      }
      expect(try said(10_001), "ERR", "too_large")
      // As many as fit a line would block Redis for all requests.
      expect(try said(340_000), "ERR", "too_large")
      try bench.expectUntouched()
      #expect(try said(10_000).int("seq") == 10_001)
    }

    @Test(arguments: [400, 4_000])
    func `numbers of any length are kept digit for digit`(digits: Int) throws {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      let whole = String(repeating: "1234567890", count: digits / 10)
      for number in [whole, "-\(whole)", "0.\(whole)", "\(whole)e-\(whole)", "1e\(whole)"] {
        expect(try client.request("SET \(device) {\"v\":\(number)}"), "OK")
        #expect(try client.request("GET \(device)").shows("v", as: number))
        expect(try client.request("SAY \(device) {\"v\":\(number)}"), "OK")
        #expect(try client.request("POP \(device)").shows("message", as: "{\"v\":\(number)}"))
      }
      // As an option a number has an end.
      for option in ["rev=\(whole)", "token=\(whole)"] {
        expectBadRequest(
          try client.request("SET \(device) \(option) {\"v\":1}"),
          naming: String(option.prefix { $0 != "=" }))
      }
      expectBadRequest(try client.request("HISTORY \(device) after=\(whole)"))
      expectBadRequest(try client.request("HISTORY \(device)/current/\(whole)"))
    }

    @Test func `half of a surrogate pair is kept in a payload, and is no text of an option`() throws
    {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      for value in [#""\ud800""#, #""\udc00\ud800""#, #"["\udfff",{"\ud83d":1}]"#] {
        expect(try client.request("SET \(device) {\"v\":\(value)}"), "OK")
        #expect(try client.request("GET \(device)").shows("v", as: value))
        expect(try client.request("SAY \(device) {\"v\":\(value)}"), "OK")
        #expect(try client.request("POP \(device)").shows("message", as: "{\"v\":\(value)}"))
      }
      for name in [#"\ud800"#, #"\udc00\ud800"#, #"a\udfffb"#] {
        expect(try client.request("SET \(device) {\"\(name)\":1}"), "OK")
        #expect(try client.request("GET \(device)").shows(name, as: "1"))
        // In another spelling it is the same name.
        let spelt = name.replacing("ud", with: "uD").replacing("a", with: #"\u0061"#)
        expect(try client.request("SET \(device) {\"\(spelt)\":2}"), "OK")
        #expect(try client.request("GET \(device)").shows(name, as: "2"))
      }
      let export = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("IMPORT replace=yes \(export)"), "OK")
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == export)
      let before = try client.request("GET \(device)").raw
      for name in [#"\ud800"#, #"\udc00\ud800"#, #"a\udfffb"#] {
        expectBadRequest(try client.request("SET \(device) name=\"\(name)\""))
        expectBadRequest(try client.request("PAUSE \(device) reason=\"\(name)\""))
      }
      #expect(try client.request("GET \(device)").raw == before)
    }

    @Test func `an empty object changes nothing, and an array is no set of members`() throws {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      let rev = try client.request("GET \(device)").int("rev")
      #expect(try client.request("SET \(device) {}").int("rev") == rev)
      #expect(try client.request("SET \(device)").int("rev") == rev)
      for rest in ["OPEN % []", "SET % []", "SET % [{}]", "RECOVER % []", "SAY % [[]]"]
        + ["SAY % [{},1]", "SAY % [null]", "SAY %"]
      {
        expectBadRequest(try client.request(rest.replacing("%", with: device)))
      }
      #expect(try client.request("GET \(device)").int("messages") == 1)
      #expect(try client.request("SAY \(device) {}").int("seq") == 2)
      #expect(try client.request("POP \(device)").shows("message", as: "{}"))
    }

    @Test func `another device's session is found by no verb`() throws {
      let bench = try Bench()
      let client = bench.client
      let mine = try client.request("GET \(bench.device)").string("session")
      let other = Lab.device()
      expect(try client.request("OPEN \(other)"), "OK")
      for line in Self.addressed("\(other)/\(mine)") {
        expect(try client.request(line), "NONE", "", "\(line)")
      }
      // As a hint it has no effect: the device's own session is found.
      let recovered = try client.request("RECOVER \(other) hint=\(mine)")
      #expect(try recovered.string("how") == "latest")
      try bench.expectUntouched()
    }

    @Test func `there is no current session where none was opened, or it was deleted`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      for address in [device, "\(device)/current"] {
        for line in Self.addressed(address) where !line.hasPrefix("RECOVER \(device) ") {
          if line == "RECOVER \(device)" { continue }
          expect(try client.request(line), "NONE", "", "\(line)")
        }
      }
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request("DELETE \(device)"), "OK")
      for line in Self.addressed("\(device)/current") {
        expect(try client.request(line), "NONE", "", "\(line)")
      }
    }

    /// A request of each verb that takes the address of a session.
    private static func addressed(_ address: String) -> [String] {
      [
        "GET", "TOUCH", "PAUSE", "RESUME", "CLOSE", "RECOVER", "ARCHIVE", "DELETE", "CHAT",
        "CHATS", "HISTORY", "POP", "FORGET", "SET", "REPORT",
      ].map { "\($0) \(address)" }
        + ["SWITCH \(address.contains("/") ? address : "\(address)/current")/1"]
        + [
          "SAY \(address) {}", "AMEND \(address) seq=1 {}", "LINK \(address) tag t",
          "UNLINK \(address) tag t",
        ]
    }

    @Test(arguments: [
      "d/", "/current", "d//current", "d/current/", "d/current/1/1", "d/CURRENT", "d/x",
      "d/01ARZ3NDEKTSV4RRFFQ69G5FA", "d/01ARZ3NDEKTSV4RRFFQ69G5FAVX",
      "d/01arz3ndektsv4rrffq69g5fav", "d/81ARZ3NDEKTSV4RRFFQ69G5FAV", "d/current/0",
      "d/current/01", "d/current/-1", "d/current/1.0", "d/current/1000000", "d/current/x",
      "\"d/current\\u0000\"", "d/current/１",
    ])
    func `an invalid address is rejected`(address: String) throws {
      let client = try Lab.current.connect()
      expectBadRequest(try client.request("HISTORY \(address)"))
    }

    @Test func `a cursor that no LIST gave is refused or leads nowhere else`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      for _ in 0..<2 { expect(try client.request("OPEN \(device) user=\(device)"), "OK") }
      let page = try client.request("LIST \(device) limit=1")
      let real = try page.string("cursor")
      for forged in ["x", "0", "null", "\(real)x", real.lowercased(), "%00", "-", "..", "~~~~"] {
        expectBadRequest(try client.request("LIST \(device) cursor=\(forged)"), naming: "cursor")
        expectBadRequest(
          try client.request("LIST user=\(device) cursor=\(forged)"), naming: "cursor")
      }
      for forged in ["x", "999.x", "-1", "256", "0.0.0", "00000000000000000000000000000000001"] {
        expectBadRequest(try client.request("LIST * cursor=\(forged)"), naming: "cursor")
      }
      // One that could be is a place in the order: it shows this device's sessions and no others.
      let (first, last) = (
        String(repeating: "0", count: 26), "7" + String(repeating: "Z", count: 25)
      )
      for (cursor, count) in [(first, 0), (last, 2)] {
        let reply = try client.request("LIST \(device) cursor=\(cursor)")
        #expect(ShownRecord.all(in: reply).count == count)
      }
      for option in ["limit=0", "limit=1001", "limit=-1", "state=open", "state=", "cursor="] {
        expectBadRequest(try client.request("LIST \(device) \(option)"))
      }
    }

    @Test
    func `an illegal transition is named, not kept under its idempotency key, and has no event`()
      throws
    {
      let bench = try Bench()
      let (client, device) = (bench.client, bench.device)
      expect(try client.request("RESUME \(device) req=a"), "ERR", "illegal_state")
      expect(try client.request("PAUSE \(device)"), "OK")
      // The rejected request is allowed now: a rejection is not kept under the key.
      expect(try client.request("RESUME \(device) req=a"), "OK")
      expect(try client.request("PAUSE \(device)"), "OK")
      expect(try client.request("RESUME \(device) req=a"), "OK")
      #expect(try client.request("GET \(device)").string("state") == "paused")
      expect(try client.request("OPEN \(device) req=b"), "OK")
      expect(try client.request("OPEN \(device) req=c"), "ERR", "quota")
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(try client.request("OPEN \(device) req=c"), "OK")
      let log = try client.request("EVENTS \(device)").json()
      guard case .array(let events)? = log["events"] else { throw Failure("no events") }
      #expect(
        events.compactMap { $0["type"]?.string } == [
          "session.opened", "session.paused", "session.resumed", "session.paused",
          "session.opened", "session.closed", "session.opened",
        ])
    }
  }
}
