// Owns: the tests of several changes in one step, by APPLY and by DONE, and of clocks that are
// changed later.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-fields", "3", "--max-documents", "3"]])) struct Applies {
    private func opened(_ rest: String = "") throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)\(rest)"), "OK")
      return (client, device)
    }

    private func state(_ client: LineClient, _ device: String) throws -> [String] {
      try ["GET", "HISTORY", "KEYS"].map { verb in
        try client.request("\(verb) \(device)\(verb == "KEYS" ? " values=yes" : "")").raw
      }
    }

    @Test func `all changes are made in one step, under one revision`() throws {
      let (client, device) = try opened()
      expect(try client.request("PUT \(device) old [1]"), "OK")
      let payload =
        "{\"say\":[{\"n\":1},{\"n\":2}],\"set\":{\"a\":1.0},"
        + "\"put\":{\"k 1\":{\"x\": []},\"s\":\"t\"},"
        + "\"drop\":[\"old\",\"none\"],\"phase\":\"draft\"}"
      #expect(try client.request("APPLY \(device) \(payload)").raw == "OK {\"seq\":2,\"rev\":3}")
      let record = try client.request("GET \(device)")
      #expect(try record.int("rev") == 3 && record.string("phase") == "draft")
      #expect(record.raw.contains("\"fields\":{\"a\":1.0}"))
      let page = try client.request("KEYS \(device) values=yes").raw
        .replacing(/"at":[0-9]{13}/, with: "\"at\":T")
      #expect(
        page == "OK {\"documents\":[{\"key\":\"k 1\",\"rev\":3,\"at\":T,\"value\":{\"x\": []}},"
          + "{\"key\":\"s\",\"rev\":3,\"at\":T,\"value\":\"t\"}],\"cursor\":null}")
      #expect(try client.request("APPLY \(device) {}").raw == "OK {\"seq\":2,\"rev\":3}")
      #expect(
        try client.request("APPLY \(device) {\"drop\":[\"s\"]}").raw == "OK {\"seq\":2,\"rev\":4}")
    }

    @Test func `a change that cannot be made leaves nothing behind`() throws {
      let (client, device) = try opened()
      expect(
        try client.request("APPLY \(device) {\"say\":{},\"set\":{\"a\":1},\"put\":{\"k\":{}}}"),
        "OK")
      let before = try state(client, device)
      let rest = "\"say\":[{\"lost\":1}],\"put\":{\"k\":[1]}"
      let lines = [
        ("APPLY \(device) seq=0 {\(rest)}", "STALE"), ("APPLY \(device) seq=9 {\(rest)}", "STALE"),
        ("APPLY \(device) rev=99 {\(rest)}", "STALE"),
        ("APPLY \(device) {\"say\":{},\"say\":{}}", "ERR"),
        ("APPLY \(device) rev=1 {\(rest),\"set\":{\"a\":2}}", "STALE"),
        ("APPLY \(device) token=1 {\(rest)}", "STALE"),
        ("APPLY \(device) {\(rest),\"set\":{\"b\":1,\"c\":1,\"d\":1}}", "ERR"),
        ("APPLY \(device) {\"say\":{},\"put\":{\"1\":{},\"2\":{},\"3\":{}}}", "ERR"),
        ("APPLY \(device)/current/9 {\(rest)}", "NONE"),
        ("APPLY \(device) {\(rest),\"drop\":[\"k\"]}", "ERR"),
        ("APPLY \(device) {\(rest),\"drop\":\"k\"}", "ERR"),
        ("APPLY \(device) {\"put\":{\"k\":null}}", "ERR"), ("APPLY \(device) {\"more\":1}", "ERR"),
        ("APPLY \(device) [1]", "ERR"), ("APPLY \(device)", "ERR"),
      ]
      for (line, word) in lines {
        let reply = try client.request(line)
        #expect(reply.word == word, "\(line): \(reply)")
        #expect(try state(client, device) == before, "\(line)")
      }
      expect(try client.request("APPLY \(device) req=a seq=1 {\(rest)}"), "OK")
      let after = try state(client, device)
      expect(try client.request("APPLY \(device) req=a seq=1 {\(rest)}"), "OK")
      #expect(try state(client, device) == after)
    }

    @Test func `the first message of a session without chats makes the chat`() throws {
      let (client, device) = try opened(" chat=none")
      #expect(
        try client.request("APPLY \(device) {\"set\":{\"a\":1}}").raw == "OK {\"seq\":0,\"rev\":2}")
      #expect(try client.request("APPLY \(device) seq=0 {\"say\":{}}").int("seq") == 1)
      #expect(try client.request("GET \(device)").int("chat") == 1)
    }

    @Test func `a turn writes its documents when it ends`() throws {
      let (client, device) = try opened()
      let turn = try client.request("TURN \(device) {\"n\":1}").int("turn")
      expect(try client.request("PUT \(device) draft turn=\(turn) {}"), "OK")
      expect(try client.request("PUT \(device) draft turn=7 {}"), "STALE")
      let tooMany = "{\"put\":{\"1\":{},\"2\":{},\"3\":{}}}"
      expect(try client.request("DONE \(device) turn=\(turn) \(tooMany)"), "ERR", "quota")
      let done = "{\"say\":{\"n\":2},\"put\":{\"k\":\"v\"},\"drop\":[\"draft\"]}"
      let reply = try client.request("DONE \(device) turn=\(turn) \(done)")
      #expect(try reply.int("seq") == 2)
      let page = try client.request("KEYS \(device) values=yes")
      #expect(page.raw.contains("\"key\":\"k\"") && !page.raw.contains("draft"), "\(page)")
      expect(try client.request("PUT \(device) k turn=\(turn) {}"), "STALE")
    }

    @Test func `a copy has all that the original has, and goes its own way`() throws {
      let (client, device) = try opened(" user=\(Lab.device()) thread=\(Lab.device()) {\"a\":1.0}")
      expect(try client.request("CHAT \(device) name=n full=refuse {\"x\":[ ]}"), "OK")
      expect(try client.request("SAY \(device) [{\"n\": 1},{\"n\":2}]"), "OK")
      expect(try client.request("PUT \(device) k ttl=1h \"v\""), "OK")
      let other = Lab.device()
      let session = try client.request("GET \(device)").string("session")
      let copy = try client.request("COPY \(device)/\(session) \(other) req=c")
      let id = try copy.string("session")
      #expect(id != session)
      #expect(try copy.string("device") == other && copy.string("thread") == id)
      #expect(
        try client.request("COPY \(device)/\(session) \(other) req=c").string("session") == id)
      func plain(_ reply: Reply) -> String {
        reply.raw.replacing(id, with: "S").replacing(session, with: "S")
          .replacing(other, with: "D").replacing(device, with: "D")
          .replacing(/"thread":"[^"]*"/, with: "\"thread\":T")
          .replacing(/"floor":[0-9]*/, with: "\"floor\":0")
      }
      let originals = [try client.request("EXPORT \(device)")]
      #expect(plain(try client.request("EXPORT \(other)/\(id)")) == plain(originals[0]))
      expect(try client.request("SAY \(other) {\"n\":3}"), "OK")
      #expect(plain(try client.request("EXPORT \(device)")) == plain(originals[0]))
      let here = try client.request("COPY \(device) \(device)")
      #expect(try client.request("GET \(device)/\(here.string("session"))").int("messages") == 2)
      expect(try client.request("COPY \(Lab.device()) \(other)"), "NONE")
      for rest in ["\(device)", "\(device)/current/1 \(other)", "\(device) *"] {
        expectBadRequest(try client.request("COPY \(rest)"))
      }
    }

    @Test func `clocks are changed later, and their deadlines move in the same step`() throws {
      let (client, device) = try opened(" idle=1h")
      #expect(try client.request("GET \(device)").json()["life_at"] == .null)
      let rev = try client.request("SET \(device) life=2h idle=0").int("rev")
      var record = try client.request("GET \(device)")
      #expect(try record.int("rev") == rev)
      #expect(try record.int("life_at") == record.int("created_at") + 7_200_000)
      #expect(try record.json()["idle_at"] == .null)
      #expect(try record.json()["clocks"]?["idle_ms"]?.int == 0)
      expect(try client.request("SET \(device) idle=50ms warn=0 life=0 {\"a\":1}"), "OK")
      try eventually("it is paused", within: .seconds(10)) {
        record = try client.request("GET \(device)")
        return try record.string("state") == "paused"
      }
      expectBadRequest(try client.request("SET \(device) keep=0"), naming: "keep")
      expectBadRequest(try client.request("SET \(device)/current/1 idle=1h"), naming: "idle")
    }
  }
}
