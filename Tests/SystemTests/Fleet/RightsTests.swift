// Owns: the tests of rights: every verb of HELP, with and without the right and the pattern that it
// needs.

import Foundation
import Testing

/// The requests that test a verb against a principal's rights.
private struct VerbCase: Sendable {
  let verb: String
  /// On devices and links that the principal may see.
  let own: [String]
  /// On those that it may not see.
  let foreign: [String]

  init(_ verb: String, own: [String], foreign: [String] = []) {
    (self.verb, self.own, self.foreign) = (verb, own, foreign)
  }

  /// A verb whose first word is a device or an address, and whose rest is as given.
  static func device(_ verb: String, _ rest: String = "") -> VerbCase {
    VerbCase(verb, own: ["\(verb) a-1\(rest)"], foreign: ["\(verb) b-1\(rest)"])
  }

  static let all: [VerbCase] = [
    device("LOCK", " x"), device("RENEW", " x token=1"), device("UNLOCK", " x"),
    device("HANDOFF", " x y"), device("SEIZE", " x"), device("CLEAR"), device("HOLDER"),
    VerbCase(
      "OPEN", own: ["OPEN a-1", "OPEN a-1 user=a-u"], foreign: ["OPEN b-1", "OPEN a-1 user=b-u"]),
    VerbCase(
      "TURN", own: ["TURN a-1", "TURN a-1 user=a-u", "TURN a-1 agent=x"],
      foreign: ["TURN b-1", "TURN a-1 user=b-u"]),
    device("DONE", " turn=1"),
    device("PART", " turn=1 {}"),
    device("GET"),
    VerbCase(
      "SET", own: ["SET a-1 {\"k\":1}"],
      foreign: ["SET b-1 {\"k\":2}", "SET a-1 user=b-u", "SET b-1 user=a-u"]),
    device("TOUCH"), device("PAUSE"), device("RESUME"), device("CLOSE"),
    VerbCase(
      "RECOVER", own: ["RECOVER a-1", "RECOVER a-1 user=a-u", "RECOVER user=a-u on=a-1"],
      foreign: [
        "RECOVER b-1", "RECOVER a-1 user=b-u", "RECOVER b-1/current", "RECOVER user=a-u on=b-1",
        "RECOVER user=b-u on=a-1",
      ]),
    device("ARCHIVE"), device("DELETE"),
    VerbCase(
      "LINK", own: ["LINK a-1 user a-u"],
      foreign: ["LINK b-1 user a-u", "LINK a-1 user b-u", "LINK a-1 tag a-u"]),
    VerbCase(
      "UNLINK", own: ["UNLINK a-1 user a-u"],
      foreign: ["UNLINK b-1 user a-u", "UNLINK a-1 user b-u"]),
    VerbCase(
      "SHARE", own: ["SHARE a-1 user=a-u", "SHARE a-1 user=b-u"], foreign: ["SHARE b-1 user=a-u"]),
    device("UNSHARE", " user=a-u"), device("TICKET"),
    VerbCase(
      "LIST", own: ["LIST a-1", "LIST user=a-u"], foreign: ["LIST b-1", "LIST user=b-u"]),
    device("CHAT"), device("SWITCH", "/current/1"), device("CHATS"), device("SAY", " {\"m\":1}"),
    device("HISTORY"), device("POP"), device("FORGET"), device("AMEND", " seq=1 {\"m\":2}"),
    device("APPLY", " {\"set\":{\"m\":1}}"), device("PUT", " k {\"m\":1}"), device("TAKE", " k"),
    device("DROP", " k"), device("KEYS"),
    VerbCase("WATCH", own: ["WATCH a-1", "WATCH *"], foreign: ["WATCH b-1"]),
    VerbCase("UNWATCH", own: ["UNWATCH"]),
    VerbCase("TELL", own: ["TELL a-1 t {}"], foreign: ["TELL b-1 t {}"]),
    VerbCase("EVENTS", own: ["EVENTS a-1"], foreign: ["EVENTS b-1", "EVENTS * group=g"]),
    VerbCase("ACK", own: [], foreign: ["ACK g 0a3-1-1"]),
    VerbCase("HOOK", own: [], foreign: ["HOOK h url=http://127.0.0.1:9/"]),
    VerbCase("HOOKS", own: [], foreign: ["HOOKS"]),
    VerbCase("UNHOOK", own: [], foreign: ["UNHOOK h"]),
    VerbCase("STATS", own: [], foreign: ["STATS"]),
    VerbCase("LOCKS", own: [], foreign: ["LOCKS"]),
    VerbCase(
      "REPORT", own: ["REPORT a-1", "REPORT user=a-u"],
      foreign: ["REPORT b-1", "REPORT user=b-u", "REPORT agent=x"]),
    device("EXPORT"),
    VerbCase(
      "IMPORT", own: [exported("a-1"), exported("a-1", links: #"{"user":["a-u"]}"#)],
      foreign: [
        exported("b-1"), exported("a-1", links: #"{"user":["b-u"]}"#),
        exported("a-1", links: #"{"tag":["a-u"]}"#),
      ]),
    VerbCase("INFO", own: ["INFO"]),
    VerbCase(
      "COPY", own: ["COPY a-1 a-2"], foreign: ["COPY b-1 a-1", "COPY a-1 b-1", "COPY b-1 b-2"]),
    VerbCase(
      "PROFILE", own: ["PROFILE user=a-u"],
      foreign: ["PROFILE user=b-u", "PROFILE tag=a-u", "PROFILE user=b-u {\"n\":1}"]),
  ]

  /// A session as EXPORT gives it.
  private static func exported(_ device: String, links: String = "{}") -> String {
    #"IMPORT replace=yes {"format":1,"device":"\#(device)","session":"01J0000000000000000000000A","#
      + #""state":"active","rev":1,"clocks":[0,0,0,0,60000,0],"created_at":1795233692477,"#
      + #""active_at":1795233692477,"born_at":1795233692477,"since":1795233692477,"thread":"t","#
      + #""chat":1,"links":\#(links),"fields":{},"chats":[{"seq":0,"messages":[]}]}"#
  }

  /// Those that are open to every connection.
  static let open = ["PING", "AUTH", "HELP", "QUIT"]
}

extension SystemSuites.Fleet {
  @Suite struct Rights {
    private static let mine = ["--devices", "a-*", "--links", "user=a-*"]
    private static let principals: [(name: String, grants: [String])] = [
      ("root", ["--rights", "read,write,operate"]),
      ("mine", ["--rights", "read,write,operate"] + mine),
      ("reader", ["--rights", "read"]), ("writer", ["--rights", "write"]),
      ("operator", ["--rights", "operate"]),
      ("clerk", ["--rights", "read"] + mine),
    ]

    /// A worker that knows them, and a connection of the first.
    private func start() throws -> (Lab, PrincipalsFile, root: LineClient) {
      let file = try PrincipalsFile(Self.principals)
      let lab = try Lab(
        workers: [["--auth", file.path, "--request-timeout", "10s", "--http", "127.0.0.1:0"]])
      return (lab, file, try file.connect(lab.worker, as: "root"))
    }

    /// The state of a device that only root may touch.
    private func state(_ root: LineClient) throws -> [String] {
      try ["HOLDER b-1", "GET b-1", "CHATS b-1", "HISTORY b-1", "EVENTS b-1"].map { request in
        // The rest of a TTL is less each time.
        try root.request(request).raw.replacing(/"ttl_ms":[0-9]+/, with: "")
      }
    }

    /// A connection of a principal, or of none, by each wire.
    private func byBoth(
      _ verb: String, _ file: PrincipalsFile, _ worker: WorkerProcess, as name: String?
    ) throws -> [LineClient] {
      let line = try name.map { try file.connect(worker, as: $0) } ?? worker.connect()
      // By HTTP a watch ends with its connection.
      guard verb != "UNWATCH" else { return [line] }
      let secret = name.map { file.secret($0) }
      return [line, try HTTPLineClient(httpPort: worker.httpPort, secret: secret)]
    }

    @Test func `each verb is limited to the devices, the links and the rights of a principal`()
      throws
    {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      expect(try root.request("LOCK b-1 x"), "OK")
      expect(try root.request("OPEN b-1 user=b-u {\"k\":1}"), "OK")
      expect(try root.request("SAY b-1 {\"m\":1}"), "OK")
      let before = try state(root)
      guard case .array(let names) = try root.request("HELP").json()["verbs"] else {
        throw Failure("HELP lists no verbs")
      }
      let verbs = Set(names.compactMap(\.string))
      let tried = VerbCase.all.map(\.verb) + VerbCase.open
      #expect(verbs.symmetricDifference(tried) == [], "each verb has to be tried here")
      for test in VerbCase.all {
        try tryPatterns(test, file, lab.worker)
        let rights = try root.request("HELP \(test.verb)").string("rights")
        for name in ["reader", "writer", "operator"] {
          try tryRights(test, of: name, rights, file, lab.worker)
        }
        for anonymous in try byBoth(test.verb, file, lab.worker, as: nil) {
          for request in test.own + test.foreign {
            expect(try anonymous.request(request), "ERR", "auth_required", "\(request)")
          }
        }
      }
      #expect(try state(root) == before, "a principal has changed a device without the right")
    }

    private func tryPatterns(
      _ test: VerbCase, _ file: PrincipalsFile, _ worker: WorkerProcess
    ) throws {
      for client in try byBoth(test.verb, file, worker, as: "mine") {
        for request in test.own {
          let reply = try client.request(request)
          #expect(!["forbidden", "auth_required"].contains(reply.code), "\(request): \(reply)")
        }
        for request in test.foreign {
          expect(try client.request(request), "ERR", "forbidden", "\(request)")
        }
      }
    }

    private func tryRights(
      _ test: VerbCase, of name: String, _ needed: String, _ file: PrincipalsFile,
      _ worker: WorkerProcess
    ) throws {
      let has = ["reader": "read", "writer": "write", "operator": "operate"][name]
      for client in try byBoth(test.verb, file, worker, as: name) {
        for request in test.own {
          let reply = try client.request(request)
          if needed == "known" || needed == has {
            #expect(reply.code != "forbidden", "\(name): \(request): \(reply)")
          } else {
            expect(reply, "ERR", "forbidden", "\(name): \(request)")
          }
        }
      }
    }

    @Test func `lists and reports show only entries that the caller may see`() throws {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      for number in 0..<5 {
        for owner in ["a", "b"] {
          let device = "\(owner)-\(number)"
          expect(try root.request("OPEN \(device) user=a-u name=\(device)"), "OK")
        }
      }
      let mine = try file.connect(lab.worker, as: "mine")
      #expect(try mine.request("REPORT user=a-u").int("sessions") == 5)
      #expect(try root.request("REPORT user=a-u").int("sessions") == 10)
      for request in ["LIST user=a-u", "LIST *"] {
        for limit in [1, 4, 50] {
          #expect(try listed(mine, request, limit) == (0..<5).map { "a-\($0)" }, "\(request)")
        }
      }
      #expect(try listed(root, "LIST *", 3).count == 10)
      // All sessions are an operator's to list, also where only some are shown.
      let clerk = try file.connect(lab.worker, as: "clerk")
      expect(try clerk.request("LIST *"), "ERR", "forbidden")
      #expect(try listed(clerk, "LIST user=a-u", 50).count == 5)
    }

    /// The devices of a list, sorted; read a page at a time.
    private func listed(_ client: LineClient, _ request: String, _ limit: Int) throws -> [String] {
      var devices: [String] = []
      var cursor = ""
      while true {
        let reply = try client.request("\(request) limit=\(limit)\(cursor)")
        guard case .array(let sessions) = try reply.json()["sessions"] else {
          throw Failure("no list: \(reply)")
        }
        devices += sessions.compactMap { $0["device"]?.string }
        guard let next = try reply.json()["cursor"]?.string else { return devices.sorted() }
        #expect(!next.contains("b-") || devices.contains { $0.hasPrefix("b-") }, "\(next)")
        cursor = " cursor=\(next)"
      }
    }

    @Test func `RECOVER gives a caller of one user that user's sessions`() throws {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      for (name, users) in [
        ("ada", "user=ada"), ("bob", "user=bob"), ("both", "user=ada,user=bob"),
      ] {
        try file.add(name, ["--rights", "read,write", "--links", users])
      }
      try file.write()
      lab.worker.signal(SIGHUP)
      let hers = try root.request("OPEN a-9 user=ada {\"secret\":1}").string("session")
      let foreign = try root.request("OPEN a-8 user=ada").string("session")
      try eventually("bob is known", within: .seconds(5)) {
        try lab.connect().request("AUTH \(file.secret("bob"))").isOK
      }
      let bob = try file.connect(lab.worker, as: "bob")
      let his = try bob.request("RECOVER a-9 hint=\(hers)")
      #expect(try his.string("how") == "new" && his.string("hint") == "gone")
      #expect(his.raw.contains("\"links\":{\"user\":[\"bob\"]}") && !his.raw.contains("secret"))
      #expect(try bob.request("RECOVER a-9").string("session") == his.string("session"))
      #expect(try bob.request("RECOVER a-9 hint=\(foreign)").string("hint") == "gone")
      expect(try bob.request("RECOVER a-9 user=ada"), "ERR", "forbidden")
      let ada = try file.connect(lab.worker, as: "ada")
      #expect(try ada.request("RECOVER a-9").string("session") == hers)
      let both = try file.connect(lab.worker, as: "both")
      expectBadRequest(try both.request("RECOVER a-9"), naming: "user")
      #expect(try both.request("RECOVER a-9 user=ada").string("session") == hers)
    }

    @Test func `a watch of all shows the events of the caller's devices`() throws {
      let (lab, file, root) = try start()
      defer { lab.stop() }
      let mine = try file.connect(lab.worker, as: "mine")
      #expect(try mine.request("WATCH *").raw == "OK")
      for device in ["b-1", "a-1", "b-2", "a-2"] {
        expect(try root.request("LOCK \(device) x"), "OK")
        expect(try root.request("SEIZE \(device) y"), "OK")
      }
      let seen = try (0..<2).map { _ in try mine.reply().string("device") }
      #expect(Set(seen) == ["a-1", "a-2"])
      #expect(try mine.request("PING").raw == "OK", "an event of another device was shown")
    }
  }
}
