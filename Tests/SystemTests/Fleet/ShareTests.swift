// Owns: the tests of sessions that are shared with other users: what each role allows, on whatever
// device, and what becomes of a role that ends.

import Foundation
import Testing

extension SystemSuites.Fleet {
  @Suite struct Shares {
    private static let principals: [(name: String, grants: [String])] =
      [
        ("root", ["--rights", "read,write,operate", "--links", "*"]),
        ("ada", ["--rights", "read,write", "--links", "user=ada,tag=*"]),
      ]
      // Their own devices are others.
      + ["bob", "carl"].map {
        ($0, ["--rights", "read,write", "--devices", "\($0)-*", "--links", "user=\($0),tag=*"])
      } + [("some", ["--rights", "read,write", "--devices", "some", "--links", "user=c*,user=d"])]

    private func start(_ flags: [String] = []) throws -> (Lab, PrincipalsFile) {
      let file = try PrincipalsFile(Self.principals)
      let arguments = ["--auth", file.path, "--http", "127.0.0.1:0"] + flags
      return (try Lab(workers: [arguments, arguments]), file)
    }

    /// A session of ada's with all that one may have.
    private func open(_ device: String, _ ada: LineClient) throws -> String {
      let address = "\(device)/\(try ada.request("OPEN \(device) {\"k\":1}").string("session"))"
      for request in [
        "SAY \(address) [{\"m\":1},{\"m\":2}]", "CHAT \(address) name=c", "PUT \(address) k {}",
        "LINK \(address) tag t", "SWITCH \(address)/1",
      ] {
        expect(try ada.request(request), "OK", "", "\(request)")
      }
      return address
    }

    // MARK: Roles

    private static let reading: Set = [
      "GET", "HISTORY", "CHATS", "KEYS", "TAKE", "WATCH", "EXPORT",
    ]
    private static let owning: Set = ["SHARE", "UNSHARE", "DELETE", "TICKET"]

    /// The requests of every verb with an address, each with the role that it needs.
    static let requests: [(line: String, role: String)] = {
      let lines =
        UserRequests.addressed.filter { !["LINK", "COPY"].contains($0.verb) }.flatMap(\.lines)
        + UserRequests.ofChats + UserRequests.ofSessions + [
          "LINK A tag t2", "COPY A bob-1", "LINK A user bob", "UNLINK A user bob",
          "SET A link.user=bob", "SET A user=bob", "LINK A user eve",
        ]
      return lines.map { line in
        let verb = String(line.prefix { $0 != " " })
        let isOwners = owning.contains(verb) || line.contains(/[ .]user[ =]/)
        let role = isOwners ? "own" : reading.contains(verb) ? "read" : "write"
        return (line.replacingOccurrences(of: "§", with: ""), role)
      }
    }()

    private func isRefused(_ reply: Reply) -> Bool { reply.code == "forbidden" }

    @Test(arguments: ["read", "write", "own"])
    func `a role allows its verbs, on devices that are not the user's`(role: String) throws {
      let (lab, file) = try start(["--max-user-sessions", "1000"])
      defer { lab.stop() }
      let (ada, root) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "root")
      )
      let bob = try file.connect(lab.worker, as: "bob")
      let http = try HTTPLineClient(httpPort: lab.worker.httpPort, secret: file.secret("bob"))
      let ranks = ["read": 1, "write": 2, "own": 3]
      var address = ""
      for (number, (line, needed)) in Self.requests.enumerated() {
        // What one request does is not to change what the next is answered.
        if address.isEmpty {
          address = try open("dev-\(number)", ada)
          expect(try ada.request("SHARE \(address) user=bob role=\(role)"), "OK")
        }
        let request = line.replacing(/\ A\b/) { _ in " \(address)" }
        let isAllowed = (ranks[role] ?? 0) >= (ranks[needed] ?? 3)
        // Links to other users are not bob's to make, whatever his role is.
        let isOther = line.contains("eve") || line.contains(/[ .]user[ =]ada/)
        let reply = try ask(number % 2 == 0 ? bob : http, request)
        #expect(isRefused(reply) == (isOther || !isAllowed), "\(request): \(reply)")
        #expect(reply.word != "NONE", "\(request): \(reply)")
        if role == "read", !line.contains("user=") {
          let asBob = request.replacing(#/ \{|$/#, maxReplacements: 1) { " as=bob\($0.0)" }
          let second = try ask(root, asBob)
          #expect(isRefused(second) != isAllowed, "\(asBob): \(second)")
        }
        if isAllowed, needed != "read" { address = "" }
      }
    }

    /// Sends a request; a watch ends with its reply.
    private func ask(_ client: LineClient, _ line: String) throws -> Reply {
      let reply = try client.request(line)
      guard line.hasPrefix("WATCH"), reply.isOK, !(client is HTTPLineClient) else { return reply }
      try client.sendLine("UNWATCH")
      while try !client.reply().isOK {}
      return reply
    }

    @Test func `a shared session is in nothing of the user's`() throws {
      let (lab, file) = try start()
      defer { lab.stop() }
      let (ada, bob) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob")
      )
      let address = try open("bob-1", ada)
      let session = String(address.dropFirst(6))
      expect(try ada.request("SHARE \(address) user=bob role=own"), "OK")
      for (request, reply) in [
        ("LIST bob-1 count=yes", "OK {\"sessions\":[],\"cursor\":null,\"total\":0}"),
        ("LIST user=bob", "OK {\"sessions\":[],\"cursor\":null}"),
        ("LIST tag=t", "OK {\"sessions\":[],\"cursor\":null}"), ("GET bob-1", "NONE"),
        ("GET bob-1/current", "NONE"), ("GET user=bob", "NONE"), ("SAY bob-1 {}", "NONE"),
        ("EVENTS bob-1", "OK {\"events\":[]}"),
      ] {
        #expect(try bob.request(request).raw == reply, "\(request)")
      }
      let report = try bob.request("REPORT user=bob")
      #expect(try report.word == "NONE" || report.int("sessions") == 0)
      let own = try bob.request("RECOVER bob-1 hint=\(session)")
      #expect(try own.string("hint") == "gone" && own.string("how") == "new")
      // Another's device has nothing for bob but what is shared.
      let other = try open("dev-1", ada)
      for request in ["GET dev-1", "LIST dev-1", "LOCK dev-1 x", "HOLDER dev-1", "EVENTS dev-1"] {
        expect(try bob.request(request), "ERR", "forbidden", "\(request)")
      }
      expect(try bob.request("GET \(other)"), "NONE")
      expect(try bob.request("GET dev-1/01J0000000000000000000000A"), "NONE")
      expect(try ada.request("SHARE \(other) user=bob"), "OK")
      #expect(try bob.request("GET \(other)").string("device") == "dev-1")
      // Principals of several users, one of whom has a share; bob sees no other share than his.
      expect(try ada.request("SHARE \(other) user=carl role=write"), "OK")
      let some = try file.connect(lab.worker, as: "some")
      expect(try some.request("SAY \(other) {}"), "OK")
      #expect(try !bob.request("GET \(other)").raw.contains("carl"))
      #expect(try !bob.request("EXPORT \(other)").raw.contains("carl"))
      #expect(try ada.request("GET \(other)").raw.contains("carl"))
    }

    @Test func `no user's link is cut by another, and tickets end with their issuer's role`()
      throws
    {
      let (lab, file) = try start(["--max-user-sessions", "100"])
      defer { lab.stop() }
      let (ada, bob, root) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob"),
        try file.connect(lab.worker, as: "root")
      )
      func users(_ address: String) throws -> Set<String> {
        guard case .array(let names)? = try root.request("GET \(address)").json()["links"]?["user"]
        else { return [] }
        return Set(names.compactMap(\.string))
      }
      let address = try open("dev-1", ada)
      let device = try open("bob-2", ada)
      for address in [address, device] {
        expect(try ada.request("SHARE \(address) user=bob role=own"), "OK")
      }
      let ticket = try bob.request("TICKET \(address) role=write").string("ticket")
      let holder = try lab.connect()
      expect(try holder.request("AUTH ticket \(ticket)"), "OK")
      expect(try holder.request("SAY \(address) {}"), "OK")
      let export = try ada.request("EXPORT \(device)").raw.dropFirst(3)
      let moved = export.replacingOccurrences(of: "\"user\":[\"ada\"]", with: "\"user\":[\"bob\"]")
      #expect(moved != export)
      expect(try bob.request("IMPORT replace=yes \(moved)"), "OK")
      #expect(try users(device) == ["ada", "bob"])
      expect(try bob.request("SET \(address) link.user=bob"), "OK")
      #expect(try users(address) == ["ada", "bob"])
      expect(try ada.request("SET \(address) user=ada"), "OK")
      #expect(try users(address) == ["ada", "bob"])
      expect(try bob.request("UNLINK \(address) user ada"), "ERR", "forbidden")
      expect(try ada.request("UNSHARE \(address) user=bob"), "OK")
      expect(try holder.request("SAY \(address) {}"), "OK")
      // Who is not limited to users may replace them all.
      expect(try root.request("SET \(address) user=ada as=ada"), "OK")
      #expect(try users(address) == ["ada"])
      expect(try holder.request("SAY \(address) {}"), "NONE")
      expect(try ada.request("SHARE \(address) user=bob role=own"), "OK")
      expect(try holder.request("GET \(address)"), "OK")
      expect(try ada.request("SHARE \(address) user=bob role=write"), "OK")
      expect(try holder.request("GET \(address)"), "NONE")
    }

    // MARK: What becomes of shares

    @Test func `shares go with exports and not with copies, and are bounded`() throws {
      let (lab, file) = try start(["--max-shares", "2"])
      defer { lab.stop() }
      let (ada, bob, carl) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob"),
        try file.connect(lab.worker, as: "carl")
      )
      let address = try open("dev-1", ada)
      expect(try ada.request("SHARE \(address) user=bob role=write until=1h"), "OK")
      expect(try ada.request("SHARE \(address) user=carl"), "OK")
      let full = try ada.request("SHARE \(address) user=dora")
      #expect(full.raw == "ERR quota quota exceeded: 2 of 2 shares of this session")
      expect(try ada.request("SHARE \(address) user=carl role=write"), "OK")
      expectBadRequest(try ada.request("SHARE \(address) user=dora role=root"), naming: "role=")
      expectBadRequest(try ada.request("SHARE \(address)"), naming: "user=")
      expectBadRequest(try ada.request("SHARE \(address) user=x until=0"), naming: "until=")
      expectBadRequest(try ada.request("UNSHARE \(address)"), naming: "user=")
      expectBadRequest(try ada.request("SHARE \(address)/1 user=x"), naming: "chat")
      let shares = try ada.request("GET \(address)").json()["shares"]
      let export = String(try ada.request("EXPORT \(address)").raw.dropFirst(3))
      // It is deleted, and comes back with them.
      expect(try ada.request("DELETE \(address)"), "OK")
      expect(try bob.request("GET \(address)"), "NONE")
      let restored = try ada.request("IMPORT \(export)").json()["shares"]
      #expect(restored != nil && restored == shares)
      expect(try bob.request("SAY \(address) {}"), "OK")
      #expect(try !ada.request("IMPORT as-new=yes \(export)").raw.contains("shares"))
      #expect(try !ada.request("COPY \(address) dev-2").raw.contains("shares"))
      // A copy is the user's who makes it.
      let copy = try bob.request("COPY \(address) bob-1")
      #expect(copy.raw.contains("\"links\":{\"tag\":[\"t\"],\"user\":[\"bob\"]}"), "\(copy)")
      // Only an owner replaces a session.
      let mine = export.replacingOccurrences(of: "[\"ada\"]", with: "[\"bob\"]")
      expect(try bob.request("IMPORT replace=yes \(mine)"), "ERR", "forbidden")
      for (from, to) in [
        ("\"role\":\"write\"", "\"role\":\"root\""), ("\"user\":\"carl\"", "\"user\":\"bob\""),
        ("\"user\":\"carl\"", "\"user\":\"c d\""),
        ("\"until\":null}]", "\"until\":null},{\"user\":\"d\",\"role\":\"own\"}]"),
      ] {
        let wrong = export.replacingOccurrences(of: from, with: to)
        #expect(wrong != export)
        expect(try ada.request("IMPORT replace=yes \(wrong)"), "ERR", "", "\(to)")
      }
      // Another user's session, its shares the same.
      let root = try file.connect(lab.worker, as: "root")
      expect(try root.request("SET \(address) user=dora"), "OK")
      expect(try ada.request("GET \(address)"), "NONE")
      expect(try carl.request("SAY \(address) {}"), "OK")
      expect(try root.request("CLOSE \(address)"), "OK")
      expect(try carl.request("GET \(address)"), "OK")
      for user in ["bob", "none-such"] {
        expect(try root.request("UNSHARE \(address) user=\(user)"), "OK")
      }
      expect(try bob.request("GET \(address)"), "NONE")
    }

    // MARK: The end of a role

    @Test func `a watch ends with the role, with one last line, on every worker`() throws {
      let (lab, file) = try start()
      defer { lab.stop() }
      let ada = try file.connect(lab.workers[1], as: "ada")
      let address = try open("dev-1", ada)
      func watch(_ options: String = "") throws -> LineClient {
        let bob = try file.connect(lab.workers[0], as: "bob")
        expect(try bob.request("WATCH \(address)\(options)"), "OK")
        return bob
      }
      expect(try ada.request("SHARE \(address) user=bob"), "OK")
      let (events, changes) = (try watch(), try watch(" changes=yes"))
      let stream = try HTTPClient(port: lab.workers[0].httpPort)
      try stream.send(
        "GET", "/v1/watch/dev-1?session=\(address.dropFirst(6))",
        ["Authorization: Bearer \(file.secret("bob"))"])
      #expect(try stream.head().0 == 200)
      let waiting = try file.connect(lab.workers[0], as: "bob")
      try waiting.sendLine("HISTORY \(address) after=2 wait=20s")
      try eventually("a request waits") {
        try lab.workers[0].metric("latchkey_change_waiters") == 1
      }
      // Other shares end nothing, and are not bob's to see.
      for request in ["SHARE", "UNSHARE"] {
        expect(try ada.request("\(request) \(address) user=carl"), "OK")
      }
      for request in ["PAUSE \(address)", "SET \(address) {\"k\":2}"] {
        expect(try ada.request(request), "OK", "", "\(request)")
      }
      // No order is promised between the log and changes.
      #expect(try events.reply().string("type") == "session.paused")
      let seen = try (0..<2).map { _ in try changes.reply().string("type") }
      #expect(Set(seen) == ["session.paused", "session.changed"])
      for request in [
        "UNSHARE \(address) user=bob", "SAY \(address) {\"secret\":1}", "CLOSE \(address)",
      ] {
        expect(try ada.request(request), "OK", "", "\(request)")
      }
      #expect(try waiting.reply().raw == "NONE")
      for client in [events, changes] {
        let last = try client.reply()
        #expect(
          last.raw == "EVENT {\"type\":\"watch.ended\",\"device\":\"dev-1\",\"session\":"
            + "\"\(address.dropFirst(6))\",\"reason\":\"forbidden\"}")
        expect(try client.request("PING"), "OK")
      }
      var lines: [String] = []
      repeat { lines = try stream.event() } while !"\(lines)".contains("watch.ended")
      #expect(stream.isClosed())
    }

    @Test func `a share ends at its time, and its watches with it`() throws {
      let (lab, file) = try start()
      defer { lab.stop() }
      let ada = try file.connect(lab.workers[1], as: "ada")
      let address = try open("dev-1", ada)
      expect(try ada.request("SHARE \(address) user=bob until=800ms"), "OK")
      let bob = try file.connect(lab.workers[0], as: "bob")
      expect(try bob.request("WATCH \(address)"), "OK")
      let last = try bob.reply()
      #expect(try last.string("type") == "watch.ended" && last.string("reason") == "forbidden")
      for request in ["GET \(address)", "WATCH \(address)", "SAY \(address) {}"] {
        expect(try bob.request(request), "NONE", "", "\(request)")
      }
      // One that is deleted has no watches of others.
      expect(try ada.request("SHARE \(address) user=bob"), "OK")
      expect(try bob.request("WATCH \(address)"), "OK")
      expect(try ada.request("DELETE \(address)"), "OK")
      #expect(try bob.reply().string("type") == "watch.ended")
    }
  }
}
