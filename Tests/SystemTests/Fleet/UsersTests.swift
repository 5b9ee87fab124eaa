// Owns: the tests of users: what is another user's is not there, in every verb of HELP.

import Foundation
import Testing

/// The requests of every verb; `D` is the device, `A` an address on it, `§` the place of options.
enum UserRequests {
  /// Those with an address, by their verbs.
  static let addressed: [(verb: String, lines: [String])] = [
    ("GET", ["GET A§", "GET A last=5§", "GET A fields=none§", "GET A rev=1§"]),
    (
      "SET",
      ["SET A§ {\"k\":1}", "SET A phase=p idle=1h§", "SET A user=ada§", "SET A req=s§ {\"r\":1}"]
    ),
    ("TOUCH", ["TOUCH A§", "TOUCH A turn=7§", "TOUCH A token=7§"]),
    ("PAUSE", ["PAUSE A§"]), ("RESUME", ["RESUME A§"]),
    ("CHAT", ["CHAT A name=n§ {}"]), ("CHATS", ["CHATS A§"]),
    ("SAY", ["SAY A§ {\"m\":1}", "SAY A seq=0§ {\"m\":2}", "SAY A req=r§ {\"m\":3}"]),
    ("HISTORY", ["HISTORY A§", "HISTORY A after=0 wait=10ms§", "HISTORY A role=user§"]),
    ("POP", ["POP A§", "POP A count=2§"]), ("FORGET", ["FORGET A seq=1§"]),
    ("AMEND", ["AMEND A seq=1§ {}"]),
    ("PUT", ["PUT A k§ {\"d\":1}", "PUT A k if=present§ {}"]), ("TAKE", ["TAKE A k§"]),
    ("DROP", ["DROP A other§", "DROP A prefix=other§"]), ("KEYS", ["KEYS A values=yes§"]),
    ("APPLY", ["APPLY A§ {\"say\":{\"m\":4},\"set\":{\"a\":1},\"put\":{\"p\":{}}}"]),
    ("LINK", ["LINK A tag t§", "LINK A user ada§"]), ("UNLINK", ["UNLINK A tag t§"]),
    ("SHARE", ["SHARE A user=carl§", "SHARE A user=carl role=own until=1h§"]),
    ("UNSHARE", ["UNSHARE A user=carl§", "UNSHARE A tickets=all§"]),
    ("TICKET", ["TICKET A§", "TICKET A role=write ttl=1h§"]),
    ("TELL", ["TELL A typing§ {}"]), ("WATCH", ["WATCH A§"]), ("EXPORT", ["EXPORT A§"]),
    ("COPY", ["COPY A D§"]), ("REPORT", ["REPORT A§"]),
    ("CLOSE", ["CLOSE A failed§"]), ("ARCHIVE", ["ARCHIVE A§"]), ("DELETE", ["DELETE A§"]),
  ]
  /// Those with a chat behind the session.
  static let ofChats = [
    "GET A/1§", "SET A/1 name=c§ {}", "SWITCH A/1§", "REPORT A/1§", "DELETE A/1§", "SAY A/@c§ {}",
    "HISTORY A/1§", "TELL A/1 typing§ {}", "WATCH A/1§",
  ]
  static let ofSessions = ["RECOVER A§", "RECOVER A archived=yes§"]
  /// Those about the device; `S` is the session that is another's, or is not there.
  static let ofDevice: [(verb: String, lines: [String])] = [
    (
      "LIST",
      [
        "LIST D§", "LIST D count=yes§", "LIST D order=active count=yes§", "LIST D limit=1§",
        "LIST D state=active,completed§", "LIST D and.tag=t§",
      ]
    ),
    ("EVENTS", ["EVENTS D§", "EVENTS D wait=10ms§"]),
    ("DONE", ["DONE D turn=7§", "DONE D turn=7§ {\"set\":{\"x\":1}}"]),
    ("PART", ["PART D turn=7§ {}"]),
    ("RECOVER", ["RECOVER D hint=S§ {\"new\":1}"]),
    ("OPEN", ["OPEN D req=o§ {\"mine\":1}", "OPEN D req=o§ {\"mine\":1}"]),
    ("TURN", ["TURN D ttl=10m§ {\"m\":5}", "TURN D policy=rollback ttl=10m§ {\"m\":6}"]),
  ]
  /// What belongs to the device or to nothing that a user may have.
  static let others: Set = [
    "LOCK", "RENEW", "UNLOCK", "HANDOFF", "SEIZE", "CLEAR", "HOLDER", "PROFILE", "UNWATCH",
    "IMPORT", "PING", "AUTH", "HELP", "INFO", "QUIT",
  ]
  /// What covers all users at once: it is refused.
  static let refused = [
    "STATS", "LOCKS", "EVENTS * group=g", "ACK g 0a3-1-1", "REPORT agent=x",
    "HOOK h url=http://127.0.0.1:9/", "HOOKS", "UNHOOK h",
  ]

  static let verbs = Set(
    (addressed + ofDevice).map(\.verb) + refused.map { String($0.prefix { $0 != " " }) } + [
      "SWITCH"
    ]
  ).union(others)
}

extension SystemSuites.Fleet {
  @Suite struct Users {
    private static let principals: [(name: String, grants: [String])] =
      [("root", ["--rights", "read,write,operate", "--links", "*"])]
      + ["ada", "bob"].map {
        ($0, ["--rights", "read,write,operate", "--links", "user=\($0),tag=*"])
      }
      + [
        ("both", ["--rights", "read,write", "--links", "user=ada,user=bob"]),
        ("some", ["--rights", "read,write", "--links", "user=a*"]),
      ]

    private func start(
      _ more: [String] = []
    ) throws -> (Lab, PrincipalsFile, root: LineClient) {
      let file = try PrincipalsFile(Self.principals)
      let flags =
        [
          "--auth", file.path, "--policy", "one:max-sessions=1,at-most=evict", "--http",
          "127.0.0.1:0",
        ] + more
      let lab = try Lab(workers: [flags])
      return (lab, file, try file.connect(lab.worker, as: "root"))
    }

    // MARK: Not yours is not there

    /// A device on which another user has a session with all that one may have.
    private func populate(_ device: String, _ bob: LineClient) throws -> String {
      let session = try bob.request("OPEN \(device) thread=\"t \(device)\" {\"secret\":1}")
        .string("session")
      for request in [
        "SAY \(device) [{\"m\":\"secret\"},{\"m\":\"more\"}]",
        "CHAT \(device) name=c", "PUT \(device) k {\"secret\":1}", "SET \(device) phase=secret",
      ] {
        expect(try bob.request(request), "OK", "", "\(request)")
      }
      // The user of a token may link to nothing else.
      let tagged = try bob.request("LINK \(device) tag t")
      #expect(tagged.isOK || isRefused(tagged), "\(tagged)")
      return session
    }

    private func isRefused(_ reply: Reply) -> Bool { reply.code == "forbidden" }

    /// The reply without what differs from device to device and from call to call.
    private func plain(_ reply: Reply, _ names: [(String, String)]) -> String {
      var text = reply.raw
      for (name, sign) in names { text = text.replacingOccurrences(of: name, with: sign) }
      return
        text.replacing(/t~[-_~0-9A-Za-z]+/) { _ in "TICKET" }.replacing(/[0-9A-HJKMNP-TV-Z]{26}/) {
          _ in "ID"
        }
        .replacing(/[0-9a-f]{3}-[0-9]{13}-[0-9]+/) { _ in "EVENT" }
        .replacing(/[0-9]{16}/) { _ in "TOKEN" }.replacing(/[0-9]{13}/) { _ in "TIME" }
        .replacing(/(?<name>"(?:ttl|age|waited)_ms":|"(?:active|paused|idle)":)[0-9]+/) {
          "\($0.name)N"
        }
    }

    /// Sends a request; a watch ends with its reply.
    private func ask(_ client: LineClient, _ line: String) throws -> Reply {
      let reply = try client.request(line)
      // By HTTP a watch ends with its connection.
      guard line.hasPrefix("WATCH"), reply.isOK, !(client is HTTPLineClient) else { return reply }
      try client.sendLine("UNWATCH")
      while try !client.reply().isOK {}
      return reply
    }

    /// Sends the same requests about two devices, of which one has another user's session, and
    /// expects the same replies.
    private func compare(
      _ client: LineClient, _ there: (device: String, session: String),
      _ absent: (device: String, session: String), option: String
    ) throws {
      func send(_ line: String, _ address: String) throws {
        let replies = try [there, absent].map { side in
          let text = line.replacingOccurrences(of: "§", with: option)
            .replacing(/\ D\b/) { _ in " \(side.device)" }.replacing(/=S\b/) { _ in
              "=\(side.session)"
            }
            .replacing(/\ A\b/) { _ in " \(address)" }
            .replacingOccurrences(of: "@D", with: side.device)
            .replacingOccurrences(of: "@S", with: side.session)
          let reply = try ask(client, text)
          return plain(reply, [(side.session, "ID"), (side.device, "D")])
        }
        #expect(replies[0] == replies[1], "\(line) about \(address)")
        #expect(!replies[0].contains("secret"), "\(line) about \(address): \(replies[0])")
      }
      // Before the caller has a session of its own there, and with one.
      for round in 0..<2 {
        for (_, lines) in UserRequests.ofDevice.prefix(4) {
          for line in lines { try send(line, "") }
        }
        let addresses = round == 0 ? ["@D", "@D/current", "@D/@S"] : ["@D/@S"]
        for address in addresses {
          for (_, lines) in UserRequests.addressed {
            // Of a device alone these are about the device.
            for line in lines where address != "@D" || !line.hasPrefix("WATCH") {
              try send(line, address)
            }
          }
          for line in UserRequests.ofSessions where address != "@D" { try send(line, address) }
          for line in UserRequests.ofChats where address != "@D" { try send(line, address) }
        }
        for (_, lines) in UserRequests.ofDevice { for line in lines { try send(line, "") } }
      }
      // And all of them of the caller's own current session, beside the other's.
      for (_, lines) in UserRequests.addressed {
        for line in lines { try send(line, "@D/current") }
      }
      for line in UserRequests.ofChats { try send(line, "@D/current") }
      for (_, lines) in UserRequests.ofDevice.prefix(2) { for line in lines { try send(line, "") } }
    }

    /// The connection of a token's user.
    private func connect(_ lab: Lab, _ issuer: TokenIssuer, as user: String) throws -> LineClient {
      let client = try lab.connect()
      expect(try client.request("AUTH jwt \(issuer.token(user, .hs256))"), "OK")
      return client
    }

    @Test func `what is another user's is not there, in every verb`() throws {
      let issuer = try TokenIssuer([.hs256])
      let (lab, file, root) = try start(["--jwt-keys", issuer.path])
      defer { lab.stop() }
      guard case .array(let names) = try root.request("HELP").json()["verbs"] else {
        throw Failure("HELP lists no verbs")
      }
      #expect(Set(names.compactMap(\.string)).symmetricDifference(UserRequests.verbs) == [])
      let (ada, bob) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob")
      )
      // A session that is not there.
      let absent = try root.request("OPEN other").string("session")
      expect(try root.request("DELETE other"), "OK")
      let http = try HTTPLineClient(httpPort: lab.worker.httpPort, secret: file.secret("ada"))
      let (eve, dan) = (try connect(lab, issuer, as: "eve"), try connect(lab, issuer, as: "dan"))
      let sides: [(LineClient, LineClient, String, String)] = [
        (ada, bob, "", "a"), (root, bob, " as=ada", "b"), (http, bob, "", "c"),
        (eve, dan, "", "d"),
      ]
      for (client, bob, option, suffix) in sides {
        let session = try populate("d\(suffix)1", bob)
        let before = try bob.request("EXPORT d\(suffix)1/\(session)").raw
        try compare(
          client, (device: "d\(suffix)1", session: session),
          (device: "d\(suffix)2", session: absent), option: option)
        #expect(try bob.request("EXPORT d\(suffix)1/\(session)").raw == before)
        #expect(try bob.request("LIST d\(suffix)1 count=yes").int("total") == 1)
      }
      for request in UserRequests.refused {
        for client in [ada, eve] {
          expect(try client.request(request), "ERR", "forbidden", "\(request)")
        }
      }
      for request in ["GET dd1 as=dan", "OPEN dd1 user=dan", "SET dd1 user=zoe", "LIST user=dan"] {
        expect(try eve.request(request), "ERR", "forbidden", "\(request)")
      }
      for request in ["GET da1 as=bob", "OPEN da1 user=bob", "SET da1 user=carl", "LIST user=bob"] {
        expect(try ada.request(request), "ERR", "forbidden", "\(request)")
      }
    }

    // MARK: What a request makes

    @Test func `what a caller of some users makes is linked to one of them`() throws {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      let clients = try ["ada", "both", "some"].map { try file.connect(lab.worker, as: $0) }
      let (ada, both, some) = (clients[0], clients[1], clients[2])
      func users(_ reply: Reply) throws -> [String] {
        guard case .array(let names)? = try reply.json()["links"]?["user"] else { return [] }
        return names.compactMap(\.string)
      }
      #expect(try users(ada.request("OPEN m-1")) == ["ada"])
      #expect(try users(ada.request("RECOVER m-2")) == ["ada"])
      expect(try ada.request("TURN m-3 {}"), "OK")
      #expect(try users(ada.request("GET m-3")) == ["ada"])
      #expect(try users(ada.request("COPY m-1 m-4")) == ["ada"])
      let body = try ada.request("EXPORT m-1").raw.dropFirst(3)
      #expect(try users(ada.request("IMPORT as-new=yes \(body)")) == ["ada"])
      let bare = body.replacingOccurrences(of: "{\"user\":[\"ada\"]}", with: "{}")
      #expect(try users(ada.request("IMPORT as-new=yes \(bare)")) == ["ada"])
      #expect(try users(ada.request("IMPORT as-new=yes user=ada \(body)")) == ["ada"])
      #expect(try users(root.request("IMPORT as-new=yes \(bare)")) == [])
      #expect(try users(root.request("IMPORT as-new=yes user=bob \(body)")) == ["ada", "bob"])
      #expect(try users(root.request("COPY m-1 m-4 user=bob")) == ["bob"])
      expectBadRequest(try root.request("COPY m-1 m-4 user=bob as=ada"), naming: "two users")
      for line in ["IMPORT as-new=yes user=bob \(bare)", "COPY m-1 m-4 user=bob"] {
        expect(try ada.request(line), "ERR", "forbidden", "\(line)")
      }
      for (client, name) in [(both, "bob"), (some, "a7")] {
        for verb in ["OPEN", "RECOVER", "TURN"] {
          expectBadRequest(try client.request("\(verb) m-5"), naming: "user=")
        }
        expectBadRequest(try client.request("IMPORT as-new=yes \(bare)"), naming: "user=")
        #expect(
          try users(client.request("IMPORT as-new=yes user=\(name) \(bare)")) == [name])
        #expect(try users(client.request("OPEN m-5 user=\(name)")) == [name])
        #expect(try users(client.request("GET m-5")) == [name])
      }
      #expect(try users(root.request("OPEN m-6 as=ada")) == ["ada"])
      expectBadRequest(try root.request("OPEN m-6 as=ada user=bob"), naming: "as=")
      expectBadRequest(try root.request("REPORT user=ada as=ada"), naming: "as=")
      expectBadRequest(try root.request("EVENTS * group=g as=ada"), naming: "as=")
      // The id is another user's session's.
      let other = try root.request("EXPORT m-5 as=bob").raw.dropFirst(3)
        .replacingOccurrences(of: "{\"user\":[\"bob\"]}", with: "{\"user\":[\"ada\"]}")
      for option in ["", "replace=yes "] {
        expect(try ada.request("IMPORT \(option)\(other)"), "NONE")
      }
    }

    @Test func `each user has a current session, and only that is closed for room`() throws {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      let (ada, bob) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob")
      )
      let hers = try (0..<3).map { _ in try ada.request("OPEN c-1").string("session") }
      let his = try bob.request("OPEN c-1").string("session")
      func current(_ client: LineClient, _ option: String = "") throws -> String {
        try client.request("GET c-1/current\(option)").string("session")
      }
      #expect(try current(ada) == hers[2] && current(bob) == his && current(root) == his)
      expect(try ada.request("TOUCH c-1/\(hers[0])"), "OK")
      expect(try bob.request("TOUCH c-1"), "OK")
      expect(try ada.request("CLOSE c-1/\(hers[2])"), "OK")
      // Of two that were active in the same ms it is the newer one.
      try eventually("the one that was active last is current") {
        expect(try ada.request("TOUCH c-1/\(hers[0])"), "OK")
        return try current(ada) == hers[0]
      }
      #expect(try current(ada) == hers[0] && current(root, " as=ada") == hers[0])
      // At the quota of a policy another user's session stays.
      expect(try ada.request("OPEN c-2"), "OK")
      expect(try bob.request("OPEN c-2 policy=one"), "ERR", "quota")
      let second = try ada.request("OPEN c-2 policy=one").string("session")
      #expect(try ada.request("LIST c-2 state=active").raw.contains(second))
      #expect(try ada.request("LIST c-2 state=active count=yes").int("total") == 1)
      for id in hers[0..<2] { expect(try ada.request("CLOSE c-1/\(id)"), "OK") }
      #expect(try current(ada) == hers[1] && current(bob) == his)
    }

    @Test func `a retry and a turn show nothing that is another user's by then`() throws {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      let (ada, bob) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob")
      )
      let lost = try ada.request("OPEN r-1 req=a {\"n\":1}").string("session")
      #expect(try ada.request("OPEN r-1 req=a {\"n\":1}").string("session") == lost)
      expect(try root.request("SET r-1/\(lost) user=bob"), "OK")
      expect(try ada.request("OPEN r-1 req=a {\"n\":1}"), "NONE")
      expect(try bob.request("GET r-1/\(lost)"), "OK")
      // A key is its principal's own.
      expect(try bob.request("OPEN r-1 req=a {\"n\":2}"), "OK")
      // A turn in the session of another user: its number fences nothing, and takes nothing back.
      let turn = try bob.request("TURN r-2 {\"m\":\"his\"}").int("turn")
      for request in [
        "DONE r-2 turn=\(turn)", "PART r-2 turn=\(turn) {}", "DONE r-2 turn=\(turn) {\"say\":{}}",
      ] {
        #expect(try ada.request(request).raw == "STALE {\"interrupted\":false}", "\(request)")
      }
      expect(try ada.request("OPEN r-2"), "OK")
      #expect(
        try ada.request("SAY r-2 turn=\(turn) {}").raw == "STALE {\"interrupted\":false}")
      expect(try ada.request("TURN r-2 {}"), "BUSY")
      expect(try ada.request("TURN r-2 policy=rollback {\"m\":\"hers\"}"), "OK")
      #expect(try bob.request("HISTORY r-2").raw.contains("his"))
      #expect(try ada.request("HISTORY r-2").raw.contains("hers"))
      #expect(
        try bob.request("SAY r-2 turn=\(turn) {}").raw == "STALE {\"interrupted\":true}")
    }

    // MARK: Watching

    @Test func `a watch shows the caller's sessions and the device's locks, while that may be`()
      throws
    {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      let (ada, bob) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob")
      )
      let watchers = try [("ada", "WATCH w-1 changes=yes"), ("ada", "WATCH *")].map { name, line in
        let client = try file.connect(lab.worker, as: name)
        expect(try client.request(line), "OK", "", "\(line)")
        return client
      }
      expect(try root.request("WATCH w-1 changes=yes as=ada"), "OK")
      for request in [
        "OPEN w-1 {\"n\":1}", "SAY w-1 {\"m\":1}", "SET w-1 {\"n\":2}", "PUT w-1 k {}",
        "LINK w-1 tag t", "CHAT w-1", "TURN w-1 ttl=20ms {}", "PAUSE w-1",
      ] {
        expect(try bob.request(request), "OK", "", "\(request)")
      }
      try eventually("his turn has ended") {
        try bob.request("EVENTS w-1").raw.contains("turn.abandoned")
      }
      #expect(try ada.request("EVENTS w-1").raw == "OK {\"events\":[]}")
      for request in ["TELL w-1 typing {}", "DELETE w-1"] {
        expect(try bob.request(request), "OK", "", "\(request)")
      }
      let session = try ada.request("OPEN w-1").string("session")
      for request in ["SAY w-1 {\"m\":2}", "TURN w-1 ttl=20ms {}", "SEIZE w-1 x", "SEIZE w-1 y"] {
        expect(try ada.request(request), "OK", "", "\(request)")
      }
      let log = [
        "session.opened", "turn.abandoned", "lock.seized",
      ]
      for (client, changes) in zip(watchers + [root], [true, false, true]) {
        var seen: [String] = []
        while !Set(log).isSubset(of: seen) {
          let event = try client.reply()
          let type = try event.string("type")
          seen.append(type)
          #expect(event.raw.contains(session) || type.hasPrefix("lock."), "\(event)")
        }
        #expect(seen.contains("chat.said") == changes, "\(seen)")
      }
      let events = try ada.request("EVENTS w-1")
      for type in log { #expect(events.raw.contains(type), "\(events)") }
      // What was gone before comes again for those alone, too.
      let again = try file.connect(lab.worker, as: "ada")
      guard case .array(let shown)? = try events.json()["events"],
        let first = shown.first?["id"]?.string
      else { throw Failure("no events: \(events)") }
      expect(try again.request("WATCH w-1 after=\(first)"), "OK")
      for event in shown.dropFirst() {
        #expect(try again.reply().string("id") == event["id"]?.string)
      }
      // With other users a subscription is not allowed any more.
      try file.change("ada", ["--rights", "read,write", "--links", "user=carl"])
      try file.write()
      lab.worker.signal(SIGHUP)
      for client in watchers {
        try eventually("the watch has ended") { client.isClosed(within: .milliseconds(100)) }
      }
    }
  }
}
