// Owns: the tests that each part of an address or a request has its effect: chats in addresses, the
// current session, the search of RECOVER, and numbers that were never given out.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab()) struct SessionParts {
    private func opened(_ rest: String = "") throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)\(rest)"), "OK")
      return (client, device)
    }

    @Test func `a reserved kind is reserved in capitals too`() throws {
      let (client, device) = try opened()
      for kind in ["Agent", "THREAD", "sTate"] {
        expectBadRequest(try client.request("LINK \(device) \(kind) x"), naming: kind)
        expectBadRequest(try client.request("LIST \(kind)=x"), naming: kind)
      }
    }

    @Test func `another reason of a closed session is refused, and the same one is not`() throws {
      let (client, device) = try opened()
      for _ in 0..<2 { expect(try client.request("CLOSE \(device) failed reason=a"), "OK") }
      expect(try client.request("CLOSE \(device) failed"), "OK")
      expect(try client.request("CLOSE \(device) failed reason=b"), "ERR", "illegal_state")
      #expect(try client.request("GET \(device)").string("reason") == "a")
    }

    @Test func `an event id that was never given out is stale, and has one spelling`() throws {
      let (client, device) = try opened()
      let first = try client.request("EVENTS \(device) limit=1")
      let id = try #require(first.raw.firstMatch(of: /"id":"([^"]+)"/).map { String($0.1) })
      let tag = id.prefix(3)
      let ahead = try client.request("EVENTS \(device) after=\(tag)-9999999999999-0 wait=10s")
      expect(ahead, "STALE")
      #expect(try ahead.string("id").hasPrefix(tag))
      for other in ["\(tag)-01-0", "\(tag)-1-00", "\(tag)-99999999999999999999-0"] {
        expectBadRequest(try client.request("EVENTS \(device) after=\(other)"), naming: "after")
        expectBadRequest(try client.request("ACK g \(other)"), naming: other)
      }
    }

    @Test func `IMPORT refuses a member that it would drop, and names it`() throws {
      let (client, device) = try opened(" {\"x\":1}")
      let record = String(try client.request("EXPORT \(device)").raw.dropFirst(3))
      for (find, more) in [
        ("{\"format\":1", ",\"filds\":{}"), ("{\"format\":1", ",\"damaged\":[]"),
        ("{\"chat\":1", ",\"junk\":1"),
      ] {
        let line = record.replacing(find, with: find + more, maxReplacements: 1)
        let name = String(more.dropFirst(2).prefix { $0 != "\"" })
        expectBadRequest(try client.request("IMPORT replace=yes \(line)"), naming: name)
      }
      expect(try client.request("IMPORT replace=yes \(record)"), "OK")
    }

    // MARK: Chats

    @Test(arguments: [
      "TOUCH A", "PAUSE A", "RESUME A", "CLOSE A", "RECOVER A", "ARCHIVE A", "LINK A tag t",
      "UNLINK A tag t", "CHAT A", "CHATS A", "EXPORT A",
    ])
    func `a chat where only a session is meant is refused`(line: String) throws {
      let (client, device) = try opened()
      let before = try client.request("GET \(device)")
      for chat in ["1", "99", "current"] {
        let reply = try client.request(line.replacing(" A", with: " \(device)/current/\(chat)"))
        expectBadRequest(reply, naming: chat)
      }
      #expect(try client.request("GET \(device)").raw == before.raw)
    }

    @Test func `a chat that is not there is none, and takes no session with it`() throws {
      let (client, device) = try opened()
      let before = try client.request("GET \(device)")
      for line in ["DELETE A", "GET A", "SET A name=x", "REPORT A", "HISTORY A", "SWITCH A"] {
        expect(try client.request(line.replacing(" A", with: " \(device)/current/99")), "NONE")
      }
      #expect(try client.request("GET \(device)").raw == before.raw)
      expectBadRequest(try client.request("SWITCH \(device)"), naming: "chat")
    }

    @Test func `a removed chat takes its messages along, and its number never comes again`() throws
    {
      let (client, device) = try opened()
      for _ in 0..<2 { expect(try client.request("CHAT \(device)"), "OK") }
      expect(try client.request("SAY \(device)/current/3 {\"n\":1}"), "OK")
      expect(try client.request("DELETE \(device)/current/3"), "OK")
      var record = try client.request("GET \(device)")
      #expect(try record.int("chat") == 2 && record.int("chats") == 2)
      #expect(try record.int("messages") == 0)
      #expect(try client.request("CHAT \(device)").int("chat") == 4)
      expect(try client.request("HISTORY \(device)/current/3"), "NONE")
      expect(try client.request("SWITCH \(device)/current/1"), "OK")
      expect(try client.request("DELETE \(device)/current/1"), "OK")
      #expect(try client.request("CHATS \(device)").int("current") == 4)
      for chat in [2, 4] { expect(try client.request("DELETE \(device)/current/\(chat)"), "OK") }
      record = try client.request("GET \(device)")
      #expect(try record.json()["chat"] == .null && record.int("chats") == 0)
      for verb in ["HISTORY", "POP", "FORGET"] {
        expect(try client.request("\(verb) \(device)"), "NONE")
      }
      // An imported session keeps its chats' numbers.
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      #expect(try client.request("SAY \(device) {}").int("chat") == 5)
    }

    @Test func `a chat's configuration is merged, and no value is written anew`() throws {
      let (client, device) = try opened()
      expect(try client.request("CHAT \(device) {\"a\": 1.50, \"b\":[ ],\"c\":null}"), "OK")
      expect(
        try client.request("SET \(device)/current/2 name=n {\"b\":null,\"d\":1e40}"), "OK")
      let chat = try client.request("GET \(device)/current/2")
      #expect(chat.raw.contains("\"config\":{\"a\":1.50,\"c\":null,\"d\":1e40}"), "\(chat)")
      #expect(try chat.string("name") == "n")
      let names = [
        try client.request("CHAT \(device) name=n"),
        try client.request("SET \(device)/current/1 name=n"),
      ]
      for reply in names { expect(reply, "ERR", "conflict") }
      for option in ["user=u", "phase=p", "step=s", "rev=1"] {
        let reply = try client.request("SET \(device)/current/1 \(option)")
        expectBadRequest(reply, naming: String(option.prefix { $0 != "=" }))
      }
    }

    @Test func `of many that merge into one configuration each has its effect`() throws {
      let (client, device) = try opened()
      let (lab, writers) = (try Lab.current, 4)
      _ = try inParallel(writers) { index in
        let mine = try lab.connect()
        for round in 0..<10 {
          let line = "SET \(device)/current/1 {\"w\(index)\":\(round),\"w\(index)-\(round)\":1}"
          expect(try mine.request(line), "OK")
        }
      }
      let config = try client.request("GET \(device)/current/1").json()["config"]
      #expect(config?.names.count == writers * 11)
      for index in 0..<writers { #expect(config?["w\(index)"]?.int == 9) }
    }

    @Test func `a merge over the limit is rejected`() throws {
      let (client, device) = try opened()
      let text = String(repeating: "x", count: 150_000)
      expect(try client.request("SET \(device)/current/1 {\"a\":\"\(text)\"}"), "OK")
      expect(
        try client.request("SET \(device)/current/1 {\"b\":\"\(text)\"}"), "ERR", "too_large")
      #expect(
        try client.request("GET \(device)/current/1").json()["config"]?.names == ["a"])
    }

    // MARK: The current session

    private func open(_ client: LineClient, _ device: String) throws -> String {
      try client.request("OPEN \(device)").string("session")
    }

    private func current(_ client: LineClient, _ device: String) throws -> String {
      try client.request("GET \(device)/current").string("session")
    }

    @Test func `a live session is current as long as one lives, then the one that ended last`()
      throws
    {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let ids = try (0..<4).map { _ in try open(client, device) }
      #expect(try current(client, device) == ids[3])
      try tick(client)
      expect(try client.request("TOUCH \(device)/\(ids[1])"), "OK")
      expect(try client.request("CLOSE \(device)/\(ids[3])"), "OK")
      #expect(try current(client, device) == ids[1], "active last")
      expect(try client.request("RECOVER \(device)/\(ids[0])"), "OK")
      expect(try client.request("CLOSE \(device)/\(ids[1]) failed"), "OK")
      #expect(try current(client, device) == ids[0], "recovered last")
      expect(try client.request("DELETE \(device)"), "OK")
      #expect(try current(client, device) == ids[2])
      try tick(client)
      expect(try client.request("ARCHIVE \(device)"), "OK")
      #expect(try current(client, device) == ids[2], "ended last")
      // Archived later, but ended earlier.
      try tick(client)
      expect(try client.request("ARCHIVE \(device)/\(ids[3])"), "OK")
      expect(try client.request("DELETE \(device)/\(ids[2])"), "OK")
      #expect(try current(client, device) == ids[1])
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("GET \(device)"), "NONE")
    }

    /// Waits for Redis' next ms, so that two times are not the same.
    private func tick(_ client: LineClient) throws {
      let device = Lab.device()
      let at = try client.request("OPEN \(device)").int("created_at")
      try eventually("the clock goes on", within: .seconds(5), every: 0) {
        try client.request("OPEN \(Lab.device())").int("created_at") > at
      }
    }

    @Test func `a clock that ends the current session makes another one current`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let first = try open(client, device)
      expect(try client.request("OPEN \(device) life=50ms idle=0 warn=0"), "OK")
      try eventually("the first one is current", within: .seconds(10)) {
        try current(client, device) == first
      }
      // An imported session that lives is current only where no other one does.
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      #expect(try current(client, device) == first)
    }

    // MARK: RECOVER

    @Test func `one user is never given another one's session`() throws {
      let (client, device) = try opened(" user=ada {\"secret\":1}")
      let ada = try client.request("GET \(device)").string("session")
      let bob = try client.request("RECOVER \(device) user=bob hint=\(ada)")
      #expect(try bob.string("how") == "new" && bob.string("hint") == "other_user")
      #expect(!bob.raw.contains("secret"))
      let again = try client.request("RECOVER \(device) user=ada")
      #expect(try again.string("session") == ada && again.string("how") == "latest")
    }

    @Test func `only the thread that is asked for is recovered`() throws {
      let (client, device) = try opened(" thread=a")
      let first = try client.request("GET \(device)").string("session")
      let second = try client.request("RECOVER \(device) thread=b hint=\(first)")
      #expect(try second.string("how") == "new" && second.string("hint") == "elsewhere")
      #expect(try client.request("RECOVER \(device) thread=a").string("session") == first)
      // A session without a thread of its own goes by its id.
      let own = try open(client, device)
      expect(try client.request("OPEN \(device)"), "OK")
      #expect(try client.request("RECOVER \(device) thread=\(own)").string("session") == own)
    }

    @Test func `RECOVER says why it did not take the hint`() throws {
      let (client, device) = try opened()
      let ended = try client.request("GET \(device)").string("session")
      expect(try client.request("CLOSE \(device)"), "OK")
      let other = try client.request("OPEN \(Lab.device())").string("session")
      let gone = Lab.device()
      let deleted = try client.request("OPEN \(gone)").string("session")
      expect(try client.request("DELETE \(gone)"), "OK")
      let reasons = [
        (ended, "ended"), (other, "elsewhere"), (deleted, "gone"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "gone"), ("no-session", "gone"),
      ]
      for (hint, why) in reasons {
        let reply = try client.request("RECOVER \(device) hint=\(hint)")
        #expect(try reply.string("hint") == why, "\(hint)")
      }
      let taken = try client.request("RECOVER \(device) hint=\(try current(client, device))")
      #expect(try taken.string("how") == "hint")
      #expect(try taken.json()["hint"] == nil && taken.json()["ignored"] == nil)
    }

    @Test func `options that only a new session takes are named where none is made`() throws {
      let (client, device) = try opened()
      let options = "name=n phase=p step=s idle=1h abandon=1h archive=1h life=1h keep=1h warn=1h"
      let reply = try client.request("RECOVER \(device) \(options) fenced=yes {\"a\":1}")
      #expect(
        reply.raw.hasSuffix(
          ",\"how\":\"latest\",\"ignored\":[\"name\",\"phase\",\"step\",\"idle\",\"abandon\","
            + "\"archive\","
            + "\"life\",\"keep\",\"warn\",\"fenced\",\"payload\"]}"), "\(reply)")
      let new = try client.request("RECOVER \(Lab.device()) \(options) fenced=yes {\"a\":1}")
      #expect(new.raw.hasSuffix("\"how\":\"new\"}") && new.shows("fenced", as: "true"))
      #expect(try new.json()["clocks"]?["life_ms"]?.int == 3_600_000)
    }

    @Test func `an archived session comes back where that is asked for`() throws {
      let (client, device) = try opened()
      expect(try client.request("ARCHIVE \(device)"), "OK")
      expect(try client.request("RECOVER \(device)/current"), "ERR", "illegal_state")
      let reply = try client.request("RECOVER \(device)/current archived=yes")
      #expect(try reply.string("state") == "active")
      expectBadRequest(try client.request("RECOVER \(device) archived=yes"), naming: "archived")
    }

    // MARK: Numbers from elsewhere

    @Test func `a revision or number that was never given out is stale`() throws {
      let (client, device) = try opened()
      for rest in [" {\"a\":1}", "", " user=u"] {
        let stale = try client.request("SET \(device) rev=2\(rest)")
        expect(stale, "STALE")
        #expect(try stale.int("rev") == 1)
      }
      expect(try client.request("SAY \(device) [{},{}]"), "OK")
      expect(try client.request("FORGET \(device)"), "OK")
      expect(try client.request("HISTORY \(device) after=2"), "OK")
      let stale = try client.request("HISTORY \(device) after=3")
      expect(stale, "STALE")
      #expect(try stale.int("seq") == 2)
    }

    @Test func `a session of a later time than now is not imported`() throws {
      let (client, device) = try opened()
      let id = try current(client, device)
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      for future in ["7ZZZZZZZZZ", "02ARZ3NDEK"] {
        let line = exported.replacing(id, with: future + id.dropFirst(10))
        expect(try client.request("IMPORT \(line)"), "ERR", "bad_request")
      }
      #expect(try current(client, device) == id)
    }

    @Test func `impossible sessions are not imported`() throws {
      let (client, device) = try opened(" {\"a\":1}")
      expect(try client.request("CHAT \(device) name=n"), "OK")
      let exported = String(try client.request("EXPORT \(device)").raw.dropFirst(3))
      let changes = [
        ("\"a\":[1,", "\"a\":[9,"), ("\"rev\":2", "\"rev\":0"), ("\"floor\":0", "\"floor\":3"),
        ("\"chat\":2,\"last_chat\":2", "\"chat\":3,\"last_chat\":3"),
        ("\"last_chat\":2", "\"last_chat\":1"), ("\"name\":null", "\"name\":\"\\u006e\""),
        ("\"links\":{}", "\"links\":{\"agent\":[\"x\"]}"),
        ("{\"chat\":2,\"created_at\"", "{\"chat\":1,\"created_at\""),
      ]
      for (was, now) in changes {
        #expect(exported.contains(was), "\(was) in \(exported)")
        let line = exported.replacing(was, with: now, maxReplacements: 1)
        expect(try client.request("IMPORT replace=yes \(line)"), "ERR", "bad_request", "\(now)")
      }
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == exported)
    }

    // MARK: Lists, events, records

    @Test(arguments: [
      "agent", "device", "session", "chat", "thread", "state", "order", "since", "before", "fields",
      "count", "limit", "cursor",
    ])
    func `an invalid kind of link is invalid in every verb`(kind: String) throws {
      let (client, device) = try opened()
      expectBadRequest(try client.request("LINK \(device) \(kind) x"), naming: kind)
      expectBadRequest(try client.request("UNLINK \(device) \(kind) x"), naming: kind)
      if kind != "thread" {
        expectBadRequest(try client.request("LIST \"\(kind)=x\""), naming: kind)
      }
      #expect(
        try client.request("LIST other=\(device)").raw == "OK {\"sessions\":[],\"cursor\":null}")
    }

    @Test func `the event of a deletion has no user, reason or text`() throws {
      let (client, device) = try opened(" user=ada-lovelace {\"a\":\"text\"}")
      expect(try client.request("LINK \(device) tag secret-tag"), "OK")
      expect(try client.request("PAUSE \(device) reason=\"gone to Oslo\""), "OK")
      expect(try client.request("DELETE \(device)"), "OK")
      let events = try client.request("EVENTS \(device)")
      let last = events.raw.components(separatedBy: "{\"id\":").last ?? ""
      #expect(last.contains("session.deleted") && last.contains("\"reason\":null,\"links\":{}"))
      for text in ["ada", "Oslo", "secret", "text"] { #expect(!last.contains(text)) }
    }

    @Test func `a record says when its revision last grew`() throws {
      let (client, device) = try opened()
      for line in ["SET D {\"a\":1}", "LINK D tag t", "CHAT D", "SWITCH D/current/1", "PAUSE D"] {
        let before = try client.request("GET \(device)").int("updated_at")
        try tick(client)
        expect(try client.request("TOUCH \(device)"), "OK")
        #expect(try client.request("GET \(device)").int("updated_at") == before)
        expect(try client.request(line.replacing("D", with: device)), "OK")
        #expect(try client.request("GET \(device)").int("updated_at") > before, "\(line)")
      }
    }
  }
}
