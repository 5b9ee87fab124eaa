// The state machine of sessions, every (state, event) cell, against a real worker and Redis.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab()) struct SessionStates {
    private static let verbs =
      ["PAUSE", "RESUME", "CLOSE", "CLOSE failed", "RECOVER", "ARCHIVE"]
      + [
        "TOUCH", "SET", "SAY", "CHAT", "SWITCH", "POP", "FORGET", "AMEND", "PUT", "DROP", "APPLY",
        "DELETE",
      ]

    /// The state after each verb in each state, or nil for illegal_state.
    private static let cells: [String: [String: String]] = [
      "active": [
        "PAUSE": "paused", "CLOSE": "completed", "CLOSE failed": "failed", "RECOVER": "active",
        "ARCHIVE": "archived", "TOUCH": "active", "SET": "active", "SAY": "active",
        "CHAT": "active", "SWITCH": "active", "POP": "active", "FORGET": "active",
        "AMEND": "active",
        "PUT": "active", "DROP": "active", "APPLY": "active", "DELETE": "gone",
      ],
      "paused": [
        "RESUME": "active", "CLOSE": "completed", "CLOSE failed": "failed", "RECOVER": "active",
        "ARCHIVE": "archived", "TOUCH": "paused", "SET": "paused", "SAY": "paused",
        "CHAT": "paused", "SWITCH": "paused", "POP": "paused", "FORGET": "paused",
        "AMEND": "paused",
        "PUT": "paused", "DROP": "paused", "APPLY": "paused", "DELETE": "gone",
      ],
      "abandoned": ["RECOVER": "active", "ARCHIVE": "archived", "DELETE": "gone"],
      "archived": ["ARCHIVE": "archived", "DELETE": "gone"],
      "completed": ["CLOSE": "completed", "ARCHIVE": "archived", "DELETE": "gone"],
      "failed": ["CLOSE failed": "failed", "ARCHIVE": "archived", "DELETE": "gone"],
      "expired": ["ARCHIVE": "archived", "DELETE": "gone"],
    ]

    /// A session in that state, by the shortest way there.
    private func session(in state: String, on client: LineClient) throws -> String {
      let device = Lab.device()
      let clocks = [
        "abandoned": " idle=0 warn=0 abandon=20ms", "expired": " idle=0 warn=0 life=20ms",
      ]
      let opened = try client.request("OPEN \(device)\(clocks[state] ?? "")")
      expect(opened, "OK")
      let address = "\(device)/\(try opened.string("session"))"
      let way = [
        "paused": "PAUSE \(address)", "archived": "ARCHIVE \(address)",
        "completed": "CLOSE \(address)", "failed": "CLOSE \(address) failed",
      ]
      if let line = way[state] { expect(try client.request(line), "OK") }
      try eventually("\(address) is \(state)") {
        try client.request("GET \(address)").string("state") == state
      }
      return address
    }

    private func line(_ verb: String, _ address: String) -> String {
      let words = verb.split(separator: " ")
      let chat = verb == "SWITCH" ? "/1" : ""
      let start = ([String(words[0]), address + chat] + words.dropFirst().map(String.init))
      let payload =
        [
          "SET": " {\"a\":1}", "SAY": " {\"text\":\"hi\"}",
          "AMEND": " seq=1 {\"n\":2}", "PUT": " k {\"n\":2}", "DROP": " k",
          "APPLY": " {\"say\":{}}",
        ][verb] ?? ""
      return start.joined(separator: " ") + payload
    }

    @Test(arguments: [
      "active", "paused", "abandoned", "archived", "completed", "failed", "expired",
    ])
    func `every verb moves a session as the table says, or is illegal there`(
      state: String
    ) throws {
      let client = try Lab.current.connect()
      for verb in Self.verbs {
        let address = try session(in: state, on: client)
        if ["POP", "AMEND"].contains(verb), LIVE.contains(state) {
          expect(try client.request("SAY \(address) {\"n\":1}"), "OK")
        }
        let reply = try client.request(line(verb, address))
        let after = try client.request("GET \(address)")
        guard let wanted = Self.cells[state]?[verb] else {
          expect(reply, "ERR", "illegal_state", "\(verb) of a session that is \(state)")
          #expect(reply.text.contains(state), "the text names the state: \(reply)")
          #expect(reply.text.contains(verb.prefix { $0 != " " }), "and the verb: \(reply)")
          #expect(try after.string("state") == state)
          continue
        }
        expect(reply, "OK", "", "\(verb) of a session that is \(state)")
        if wanted == "gone" {
          expect(after, "NONE")
        } else {
          #expect(try after.string("state") == wanted, "\(verb) of \(state)")
        }
      }
    }

    private let LIVE = ["active", "paused"]

    @Test
    func `the clocks change a session's state in stages, each with one event at its deadline`()
      throws
    {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let opened = try client.request(
        "OPEN \(device) idle=200ms abandon=500ms archive=200ms keep=200ms life=1h warn=100ms")
      let start = try opened.int("created_at")
      try eventually("the record has gone") {
        try client.request("GET \(device)").word == "NONE"
      }
      let wanted = [
        ("session.opened", 0), ("session.expiring", 100), ("session.paused", 200),
        ("session.abandoned", 500), ("session.archived", 700),
      ]
      let events = try eventsOf(device, client)
      #expect(events.map { $0["type"]?.string } == wanted.map(\.0))
      #expect(events.map { ($0["at"]?.int ?? 0) - start } == wanted.map(\.1))
    }

    @Test
    func `life ends a session that is in use, and recovery gives an abandoned one a new life`()
      throws
    {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let opened = try client.request("OPEN \(device) life=300ms idle=0 warn=0")
      let end = try opened.int("life_at")
      try eventually("it has expired") {
        let reply = try client.request("GET \(device)")
        if try reply.string("state") == "expired" { return true }
        _ = try client.request("TOUCH \(device)")
        return false
      }
      #expect(try eventsOf(device, client).last?["at"]?.int == end)

      let other = Lab.device()
      expect(try client.request("OPEN \(other) abandon=50ms life=1h idle=0 warn=0"), "OK")
      try eventually("it is abandoned") {
        try client.request("GET \(other)").string("state") == "abandoned"
      }
      let recovered = try client.request("RECOVER \(other)/current")
      #expect(try recovered.int("life_at") - recovered.int("active_at") == 3_600_000)
    }

    @Test func `activity moves idle away and does not write the deadline index`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let opened = try client.request("OPEN \(device) idle=10m")
      let session = try opened.string("session")
      let redis = try Lab.current.redis
      guard case .array(let keys) = try redis.command("KEYS", "lk:*:session:\(device)/*"),
        let base = keys.first?.string?.split(separator: ":session:").first
      else { throw Failure("no record in Redis") }
      let score = { try redis.command("ZSCORE", "\(base):due", "a:\(device)/\(session)") }
      let before = try score().string
      let touched = try client.request("TOUCH \(device)/current")
      expect(try client.request("SAY \(device) {\"n\":1}"), "OK")
      expect(try client.request("SET \(device) {\"n\":1}"), "OK")
      #expect(try score().string == before)
      #expect(try touched.int("idle_at") >= opened.int("idle_at"))
      let read = try client.request("GET \(device)")
      #expect(try client.request("GET \(device)").int("active_at") == read.int("active_at"))
    }

    private func eventsOf(_ device: String, _ client: LineClient) throws -> [JSON] {
      guard case .array(let events)? = try client.request("EVENTS \(device)").json()["events"]
      else { throw Failure("no events") }
      return events
    }
  }
}
