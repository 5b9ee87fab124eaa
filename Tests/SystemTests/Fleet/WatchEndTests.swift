// Owns: the test of how watches end: whatever right it is by which a watch is allowed, with its end
// the watch is sent one last line, and nothing that happens later.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite struct WatchEnds {
    private static let grants = ["--rights", "read,write", "--links"]
    private static let principals: [(name: String, grants: [String])] =
      [("root", ["--rights", "read,write,operate", "--links", "*"])]
      + ["ada", "bob", "gone", "less", "moved"].map { ($0, grants + ["user=\($0)"]) }

    /// What the rows have in common.
    private final class Scene {
      let lab: Lab
      let file: PrincipalsFile
      let issuer: TokenIssuer
      let root: LineClient

      init() throws {
        issuer = try TokenIssuer([.hs256, .es256])
        file = try PrincipalsFile(WatchEnds.principals)
        let flags = [
          "--auth", file.path, "--jwt-keys", issuer.path, "--http", "127.0.0.1:0",
        ]
        lab = try Lab(workers: [flags, flags])
        root = try file.connect(lab.workers[1], as: "root")
      }

      func reload() throws {
        try file.write()
        lab.workers[0].signal(SIGHUP)
      }
    }

    /// One right: the words of AUTH by which a watch begins, and how the right ends.
    private struct Row: Sendable {
      let name: String
      let reason: String
      /// Whether the right is to the session alone, which the line then names.
      let namesSession: Bool
      let credential: Credential
      let end: End

      typealias Credential = @Sendable (Scene, String) throws -> String
      typealias End = @Sendable (Scene, String) throws -> Void

      init(
        _ name: String, _ reason: String = "forbidden", namesSession: Bool = true,
        by credential: @escaping Credential, until end: @escaping End
      ) {
        (self.name, self.reason, self.namesSession) = (name, reason, namesSession)
        (self.credential, self.end) = (credential, end)
      }
    }

    private static func secret(_ name: String) -> Row.Credential {
      { scene, _ in scene.file.secret(name) }
    }

    private static func shared(_ user: String, _ options: String = "") -> Row.Credential {
      { scene, address in
        expect(try scene.root.request("SHARE \(address) user=\(user)\(options)"), "OK")
        return scene.file.secret(user)
      }
    }

    private static func sending(_ requests: String...) -> Row.End {
      { scene, address in
        for request in requests {
          let line = request.replacingOccurrences(of: "§", with: address)
          expect(try scene.root.request(line), "OK", "", "\(line)")
        }
      }
    }

    private static let rows = [
      Row("UNLINK", by: secret("ada"), until: sending("UNLINK § user ada")),
      Row("SET user=", by: secret("ada"), until: sending("SET § user=zoe")),
      Row("SET link.user=", by: secret("ada"), until: sending("SET § link.user=zoe,dan")),
      Row("IMPORT replace=yes", by: secret("ada"), until: replaced),
      Row(
        "the link of a token's user", by: token(.hs256, for: 600),
        until: sending("UNLINK § user ada")),
      Row("UNSHARE", by: shared("bob"), until: sending("UNSHARE § user=bob")),
      Row("until=", by: shared("bob", " until=700ms"), until: sending()),
      Row(
        "the link of a user with a share", by: shared("ada"),
        until: sending("UNLINK § user ada", "UNSHARE § user=ada")),
      Row("UNSHARE tickets=all", by: ticket(), until: sending("UNSHARE § tickets=all")),
      Row(
        "the right of a ticket's issuer", by: ticket(" as=ada"),
        until: sending("UNLINK § user ada")),
      Row(
        "a ticket's time", "auth_required", namesSession: false, by: ticket(" ttl=700ms"),
        until: sending()),
      Row(
        "a token's time", "auth_required", namesSession: false, by: token(.hs256, for: 1.5),
        until: sending()),
      Row("a token's key", namesSession: false, by: token(.es256, for: 600)) { scene, _ in
        try scene.issuer.write([(.hs256, "HS256")])
        try scene.reload()
      },
      Row("the principal", namesSession: false, by: secret("gone")) { scene, _ in
        scene.file.remove("gone")
        try scene.reload()
      },
      Row("its devices", namesSession: false, by: secret("less")) { scene, _ in
        try scene.file.change("less", grants + ["user=less", "--devices", "other"])
        try scene.reload()
      },
      Row("its users", namesSession: false, by: secret("moved")) { scene, _ in
        try scene.file.change("moved", grants + ["user=zoe"])
        try scene.reload()
      },
    ]

    private static func token(
      _ algorithm: TokenIssuer.Algorithm, for seconds: Double
    ) -> Row.Credential {
      { scene, _ in "jwt \(try scene.issuer.token("ada", algorithm, for: seconds))" }
    }

    private static func ticket(_ options: String = "") -> Row.Credential {
      { scene, address in
        "ticket \(try scene.root.request("TICKET \(address)\(options)").string("ticket"))"
      }
    }

    private static let replaced: Row.End = { scene, address in
      let export = try scene.root.request("EXPORT \(address)").raw.dropFirst(3)
      let other = export.replacingOccurrences(of: "\"ada\"", with: "\"zoe\"")
      #expect(other != export)
      expect(try scene.root.request("IMPORT replace=yes \(other)"), "OK")
    }

    @Test func `whatever right ends, its watches are sent one last line`() throws {
      let scene = try Scene()
      defer { scene.lab.stop() }
      for (number, row) in Self.rows.enumerated() {
        let device = "end-\(number)"
        let session = try scene.root.request(
          "OPEN \(device) link.user=ada,gone,less,moved"
        ).string("session")
        let address = "\(device)/\(session)"
        let credential = try row.credential(scene, address)
        let watchers = try ["", " changes=yes"].map { options in
          let client = try scene.lab.workers[0].connect()
          expect(try client.request("AUTH \(credential)"), "OK", "", "\(row.name)")
          expect(try client.request("WATCH \(address)\(options)"), "OK", "", "\(row.name)")
          return client
        }
        let stream = try HTTPClient(port: scene.lab.workers[0].httpPort)
        let bearer = credential.split(separator: " ").last ?? ""
        try stream.send(
          "GET", "/v1/watch/\(device)?session=\(session)", ["Authorization: Bearer \(bearer)"])
        #expect(try stream.head().0 == 200, "\(row.name)")
        try row.end(scene, address)
        // A request by one's own right ends as the watch does; only then something happens.
        let place = row.namesSession ? "\"device\":\"\(device)\",\"session\":\"\(session)\"," : ""
        let line = "{\"type\":\"watch.ended\",\(place)\"reason\":\"\(row.reason)\"}"
        var last: [String] = []
        for client in watchers {
          var reply = try client.reply()
          while try reply.string("type") != "watch.ended" { reply = try client.reply() }
          last.append(reply.raw)
        }
        #expect(last == ["EVENT \(line)", "EVENT \(line)"], "\(row.name)")
        var event: [String] = []
        repeat { event = try stream.event() } while !"\(event)".contains("watch.ended")
        #expect(event.contains("data: \(line)"), "\(row.name): \(event)")
        #expect(stream.isClosed(), "\(row.name)")
        expect(try scene.root.request("CLOSE \(address)"), "OK", "", "\(row.name)")
        for client in watchers {
          // A connection without its principal is closed, and others have no event before a reply.
          if client.isClosed(within: .milliseconds(20)) { continue }
          let reply = try client.request("PING")
          #expect(reply.word != "EVENT", "\(row.name): \(reply)")
        }
      }
    }
  }
}
