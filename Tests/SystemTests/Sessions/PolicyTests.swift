// Owns: the tests of named policies: the clocks and limits that they give, what a limit of live
// sessions does, how they are changed later; of lives that end at a moment; and of the limit of
// all live sessions.

import Foundation
import Testing

extension SystemSuites {
  @Suite(
    .lab(workers: [
      [
        "--max-messages", "4", "--idle", "20m", "--policy",
        "short:idle=2h,warn=0,max-chats=2,max-messages=2,full=refuse", "--policy", "bare:",
        "--policy", "one:max-sessions=2,max-user-sessions=2,at-most=evict", "--policy",
        "few:max-sessions=1,max-user-sessions=1",
      ]
    ])) struct Policies
  {
    private func client() throws -> (LineClient, String) {
      (try Lab.current.connect(), Lab.device())
    }

    private func state(_ client: LineClient, _ address: String) throws -> String {
      let record = try client.request("GET \(address)")
      return try record.string("state") + " \(record.json()["reason"]?.string ?? "")"
    }

    @Test func `a session has the clocks and the limits of its policy`() throws {
      let (client, device) = try client()
      let opened = try client.request("OPEN \(device) policy=short abandon=3h")
      #expect(try opened.string("policy") == "short")
      let clocks = try opened.json()["clocks"]
      #expect(clocks?["idle_ms"]?.int == 7_200_000 && clocks?["abandon_ms"]?.int == 10_800_000)
      #expect(clocks?["warn_ms"]?.int == 0 && clocks?["archive_ms"]?.int == 604_800_000)
      expect(try client.request("SAY \(device) [{},{}]"), "OK")
      let full = try client.request("SAY \(device) {}")
      expect(full, "ERR", "quota")
      #expect(full.text == "quota exceeded: 2 of 2 messages in this chat")
      expect(try client.request("SAY \(device)/current/@second {}"), "OK")
      let chats = try client.request("CHAT \(device)")
      #expect(chats.text == "quota exceeded: 2 of 2 chats in this session")
      // A chat's own limits stand before those of the policy.
      expect(try client.request("DELETE \(device)/current/2"), "OK")
      expect(try client.request("CHAT \(device) max-messages=1"), "OK")
      expect(try client.request("SAY \(device) [{},{}]"), "ERR", "quota")
      expect(try client.request("DELETE \(device)/current/3"), "OK")
      expect(try client.request("CHAT \(device) full=trim"), "OK")
      #expect(try client.request("SAY \(device) [{},{},{}]").int("trimmed") == 1)
      let copy = try client.request("COPY \(device) \(device).copy")
      #expect(try copy.string("policy") == "short")
      expect(try client.request("SAY \(device).copy/current/1 {}"), "ERR", "quota")
      #expect(try client.request("SAY \(device).copy {}").int("trimmed") == 1)
    }

    @Test func `a policy is named by every verb that makes a session, and by no other`() throws {
      let (client, device) = try client()
      for line in [
        "OPEN \(device) policy=nothing", "RECOVER \(device) policy=nothing",
        "TURN \(device) session-policy=nothing", "TURN \(device) policy=short",
        "SET \(device) policy=nothing", "SET \(device)/current/1 policy=short",
        "RECOVER \(device)/current policy=short", "OPEN \(device) session-policy=short",
      ] { expectBadRequest(try client.request(line), naming: "policy") }
      expect(try client.request("GET \(device)"), "NONE")
      let turn = try client.request("TURN \(device) session-policy=short {}")
      #expect(try turn.string("how") == "new")
      #expect(try client.request("GET \(device)").string("policy") == "short")
      let found = try client.request("RECOVER \(device) policy=bare expires_at=9999999999999")
      #expect(found.shows("ignored", as: "[\"policy\",\"expires_at\"]"))
      #expect(try found.string("policy") == "short")
      #expect(try client.request("RECOVER \(device).2 policy=bare").string("policy") == "bare")
    }

    @Test func `SET changes the policy, and the deadlines move in the same step`() throws {
      let (client, device) = try client()
      expect(try client.request("OPEN \(device) idle=1h life=5h"), "OK")
      let rev = try client.request("SET \(device) policy=short life=6h").int("rev")
      let record = try client.request("GET \(device)")
      #expect(try record.string("policy") == "short" && record.int("rev") == rev)
      #expect(try record.int("idle_at") - record.int("active_at") == 7_200_000)
      #expect(try record.int("life_at") - record.int("created_at") == 21_600_000)
      expect(try client.request("SAY \(device) [{},{},{}]"), "ERR", "quota")
      expect(try client.request("SET \(device) policy=bare"), "OK")
      #expect(try client.request("GET \(device)").json()["clocks"]?["idle_ms"]?.int == 1_200_000)
      #expect(try client.request("SAY \(device) [{},{},{},{},{}]").int("trimmed") == 1)
      expect(try client.request("SET \(device) idle=50ms"), "OK")
      try eventually("the session is paused", within: .seconds(5)) {
        try client.request("GET \(device)").string("state") == "paused"
      }
    }

    @Test func `an export has the policy with its limits, whatever the importing worker knows`()
      throws
    {
      let (client, device) = try client()
      expect(try client.request("OPEN \(device) policy=short"), "OK")
      expect(try client.request("CHAT \(device) max-messages=1"), "OK")
      let export = try client.request("EXPORT \(device)").raw.dropFirst(3)
      let policy =
        "\"policy\":{\"name\":\"short\",\"max_sessions\":0,\"max_user_sessions\":0,"
        + "\"max_chats\":2,\"max_messages\":2,\"full\":\"refuse\",\"at_most\":\"refuse\"}"
      #expect(export.contains(policy) && export.contains("\"max_messages\":1,\"full\":null"))
      let unknown = export.replacing("\"name\":\"short\"", with: "\"name\":\"elsewhere\"")
      expect(try client.request("IMPORT replace=yes \(unknown)"), "OK")
      #expect(try client.request("GET \(device)").string("policy") == "elsewhere")
      expect(try client.request("SAY \(device)/current/1 [{},{},{}]"), "ERR", "quota")
      #expect(try client.request("EXPORT \(device)").raw.contains("\"name\":\"elsewhere\""))
      for (part, bad) in [
        ("\"refuse\",\"at_most\"", "\"keep\",\"at_most\""),
        ("\"max_chats\":2", "\"max_chats\":1001"),
        ("\"max_sessions\":0,", ""), ("\"max_sessions\":0", "\"most\":1,\"max_sessions\":0"),
      ] {
        let line = "IMPORT replace=yes " + export.replacing(part, with: bad)
        expectBadRequest(try client.request(line), "\(bad)")
      }
    }

    @Test func `a device's limit closes the session that was active longest ago`() throws {
      let (client, device) = try client()
      let ids = try (0..<2).map { _ in
        try client.request("OPEN \(device) policy=one").string("session")
      }
      let second = try client.request("GET \(device)/\(ids[1])").int("active_at")
      try eventually("the first one was active last", within: .seconds(5)) {
        expect(try client.request("TOUCH \(device)/\(ids[0])"), "OK")
        return try client.request("GET \(device)/\(ids[0])").int("active_at") > second
      }
      let third = try client.request("OPEN \(device) policy=one").string("session")
      #expect(try state(client, "\(device)/\(ids[1])") == "completed evicted")
      #expect(try state(client, "\(device)/\(ids[0])") == "active ")
      // Other policies count all live sessions of the device, whatever theirs are.
      let few = try client.request("OPEN \(device) policy=few")
      #expect(few.text == "quota exceeded: 2 of 1 live sessions on this device")
      // One that comes back makes room in the same way.
      expect(try client.request("PAUSE \(device)/\(third)"), "OK")
      expect(try client.request("SET \(device)/\(third) abandon=10ms"), "OK")
      try eventually("it is abandoned", within: .seconds(5)) {
        try state(client, "\(device)/\(third)").hasPrefix("abandoned")
      }
      let fourth = try client.request("OPEN \(device) policy=one").string("session")
      expect(try client.request("SET \(device)/\(third) {}"), "ERR", "illegal_state")
      expect(try client.request("RECOVER \(device)/\(third)"), "OK")
      #expect(try state(client, "\(device)/\(ids[0])") == "completed evicted")
      #expect(try state(client, "\(device)/\(fourth)") == "active ")
      let closed = try client.request("EVENTS \(device)").raw
        .matches(of: /session.closed[^}]*"reason":"evicted"/).count
      #expect(closed == 2)
    }

    @Test func `a user's limit closes that user's session, and never are there more`() throws {
      let lab = try Lab.current
      let (client, device) = try client()
      let user = Lab.device("user")
      func live() throws -> Int { try client.request("REPORT user=\(user)").int("live") }
      var ids: [String] = []
      for n in 0..<4 {
        let line = "OPEN \(device).\(n) user=\(user) policy=one"
        ids.append(try client.request(line).string("session"))
        #expect(try live() == min(n + 1, 2))
      }
      #expect(try state(client, "\(device).0/\(ids[0])") == "completed evicted")
      #expect(try state(client, "\(device).1/\(ids[1])") == "completed evicted")
      let full = try client.request("OPEN \(device).5 user=\(user) policy=few")
      #expect(full.text == "quota exceeded: 1 of 1 live sessions of user \(user)")
      // So does a link that is made later.
      expect(try client.request("OPEN \(device).6 policy=one"), "OK")
      expect(try client.request("SET \(device).6 user=\(user)"), "OK")
      #expect(try live() == 2)
      let replies = try inParallel(6) { n in
        try lab.connect().request("OPEN \(device).r\(n) user=\(user) policy=one")
      }
      #expect(replies.contains { $0.word == "OK" })
      #expect(replies.allSatisfy { $0.word == "OK" || $0.code == "quota" }, "\(replies)")
      #expect(try live() == 2)
    }

    @Test func `a life may end at a moment`() throws {
      let (client, device) = try client()
      let now = try client.request("OPEN \(device)").int("created_at")
      let at = now + 3_600_000
      let opened = try client.request("OPEN \(device) expires_at=\(at) policy=short")
      #expect(try opened.int("life_at") == at)
      #expect(try client.request("SET \(device) expires_at=\(at + 7)").word == "OK")
      #expect(try client.request("GET \(device)").int("life_at") == at + 7)
      let most = now + 315_360_000_000
      for line in [
        "OPEN \(device) expires_at=\(now)", "OPEN \(device) expires_at=\(most + 60_000)",
        "OPEN \(device) expires_at=\(at) life=1h", "SET \(device) expires_at=\(now)",
        "OPEN \(device) expires_at=x", "SET \(device)/current/1 expires_at=\(at)",
      ] { expectBadRequest(try client.request(line), naming: "expires_at") }
      #expect(try client.request("GET \(device)").int("life_at") == at + 7)
      expect(try client.request("OPEN \(device) expires_at=\(most - 60_000)"), "OK")
      let soon = try client.request("OPEN \(device).2")
      expect(
        try client.request("SET \(device).2 expires_at=\(soon.int("created_at") + 400)"), "OK")
      try eventually("it has expired", within: .seconds(5)) {
        try client.request("GET \(device).2").string("state") == "expired"
      }
    }

    @Test func `all live sessions together have a limit, which counts those of every worker`()
      throws
    {
      let lab = try Lab(workers: [["--max-live", "3"], []])
      defer { lab.stop() }
      let (client, other) = (try lab.connect(0), try lab.connect(1))
      let device = Lab.device()
      expect(try other.request("OPEN \(device).0"), "OK")
      let export = try other.request("EXPORT \(device).0").raw.dropFirst(3)
      for n in 1..<3 { expect(try other.request("OPEN \(device).\(n)"), "OK") }
      expect(try other.request("OPEN \(device).3 idle=10ms abandon=20ms"), "OK")
      try eventually("the limit is known", within: .seconds(5)) {
        let reply = try client.request("OPEN \(device).new")
        if reply.isOK { expect(try client.request("DELETE \(device).new"), "OK") }
        return reply.code == "quota"
      }
      try eventually("it is abandoned", within: .seconds(5)) {
        try other.request("GET \(device).3").string("state") == "abandoned"
      }
      let id = try other.request("GET \(device).3").string("session")
      for line in [
        "OPEN \(device).5", "RECOVER \(device).5", "RECOVER \(device).3/\(id)",
        "RECOVER \(device).3", "TURN \(device).5 {}", "COPY \(device).0 \(device).5",
        "IMPORT " + export.replacing("\"device\":\"\(device).0\"", with: "\"device\":\"x\""),
      ] {
        let reply = try client.request(line)
        expect(reply, "ERR", "quota", "\(line.prefix(40))")
        #expect(reply.text.hasSuffix(" of 3 live sessions in all"), "\(reply)")
      }
      expect(try client.request("RECOVER \(device).0"), "OK")
      expect(try client.request("TURN \(device).1 {}"), "OK")
      expect(try client.request("CLOSE \(device).2"), "OK")
      try eventually("there is room", within: .seconds(5)) {
        try client.request("RECOVER \(device).3/\(id)").word == "OK"
      }
    }
  }
}
