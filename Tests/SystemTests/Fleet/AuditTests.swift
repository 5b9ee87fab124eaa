// Owns: the tests of --audit.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite struct Audits {
    /// The lines of an audit, without their times and addresses.
    private func lines(_ path: String) throws -> [String] {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      return text.split(separator: "\n").map { line in
        line.split(separator: " ").filter { !$0.hasPrefix("time=") && !$0.hasPrefix("from=") }
          .joined(separator: " ")
      }
    }

    /// A flood has a bound, and is counted, also of what would be privileged.
    ///
    /// Without a later request there is a line about those without one.
    private func flood(from callers: [(request: String, client: LineClient)], _ path: String) throws
    {
      let (count, before) = (3_000, try lines(path).count)
      for caller in callers {
        let requests = Array(String(repeating: caller.request, count: count).utf8)
        _ = try caller.client.exchange(requests, lines: count, within: .seconds(30))
      }
      let prefix = "audit=unlisted count="
      try eventually("lines about those without one") {
        let flood = try lines(path).dropFirst(before)
        let unlisted = flood.filter { $0.hasPrefix(prefix) }
        let counted = unlisted.compactMap { Int($0.dropFirst(prefix.utf8.count)) }.reduce(0, +)
        return !unlisted.isEmpty
          && flood.count - unlisted.count + counted == count * callers.count
      }
    }

    @Test func `refused and privileged requests have a line each, without content`() throws {
      let file = try PrincipalsFile([
        ("app", ["--rights", "read,write", "--devices", "a-*"]),
        ("boss", ["--rights", "read,write,operate", "--links", "*"]),
      ])
      let path = "\(file.path).audit"
      let lab = try Lab(workers: [
        ["--auth", file.path, "--http", "127.0.0.1:0", "--audit", path, "--log-level", "debug"]
      ])
      defer { lab.stop() }
      let unknown = try lab.connect()
      expect(try unknown.request("AUTH app.hush-secret"), "ERR", "forbidden")
      expect(try unknown.request("HOLDER a-1"), "ERR", "auth_required")
      let app = try file.connect(lab.worker, as: "app")
      expect(try app.request("OPEN a-1 {\"hush\":1}"), "OK")
      expect(try app.request("GET a-2"), "NONE")
      expect(try app.request("SAY b-1 {\"hush\":1}"), "ERR", "forbidden")
      expect(try app.request("STATS"), "ERR", "forbidden")
      expect(try app.request("SEIZE a-1 hush"), "OK")
      let boss = try file.connect(lab.worker, as: "boss")
      expect(try boss.request("CLEAR a-1"), "OK")
      expect(try boss.request("EXPORT a-1"), "OK")
      expect(try boss.request("LIST *"), "OK")
      expect(try boss.request("EVENTS * group=g"), "OK")
      expect(try boss.request("REPORT agent=hush"), "OK")
      expect(try boss.request("LOCK a-1 hush"), "OK")
      expect(try boss.request("GET user=hush"), "NONE")
      let http = try lab.worker.http()
      #expect(try http.get("/v1/HOLDER/a-1").status == 401)
      let bearer = ["Authorization: Bearer \(file.secret("app"))"]
      #expect(try http.get("/v1/HOLDER/c-1", bearer).status == 403)
      #expect(
        try lines(path) == [
          "audit=refused who=- issuer=- wire=line verb=AUTH device=- outcome=forbidden",
          "audit=refused who=- issuer=- wire=line verb=HOLDER device=a-1 outcome=auth_required",
          "audit=refused who=app issuer=- wire=line verb=SAY device=b-1 outcome=forbidden",
          "audit=refused who=app issuer=- wire=line verb=STATS device=- outcome=forbidden",
          "audit=privileged who=app issuer=- wire=line verb=SEIZE device=a-1 outcome=ok",
          "audit=privileged who=boss issuer=- wire=line verb=CLEAR device=a-1 outcome=ok",
          "audit=privileged who=boss issuer=- wire=line verb=EXPORT device=a-1 outcome=ok",
          "audit=privileged who=boss issuer=- wire=line verb=LIST device=* outcome=ok",
          "audit=privileged who=boss issuer=- wire=line verb=EVENTS device=* outcome=ok",
          "audit=privileged who=boss issuer=- wire=line verb=REPORT device=- outcome=ok",
          "audit=refused who=- issuer=- wire=http verb=- device=- outcome=auth_required",
          "audit=refused who=app issuer=- wire=http verb=HOLDER device=c-1 outcome=forbidden",
        ])
      try flood(from: [("CLEAR b\n", lab.connect()), ("HOLDER b\n", app)], path)
      // Renamed, and opened anew.
      let moved = "\(path).1"
      #expect(rename(path, moved) == 0)
      lab.worker.signal(SIGHUP)
      try eventually("the new file") { FileManager.default.fileExists(atPath: path) }
      expect(try boss.request("CLEAR a-1"), "OK")
      #expect(try lines(path).last?.contains("verb=CLEAR") == true)
      let all = try String(contentsOfFile: moved, encoding: .utf8) + lines(path).joined()
      #expect(!all.contains("hush"))
      #expect(try lab.worker.metric("latchkey_audit_failures_total") == 0)
    }

    @Test func `a request by a ticket has a line that names the ticket and its issuer`() throws {
      let (issuer, file) = (
        try TokenIssuer([.hs256]), try PrincipalsFile([("app", ["--rights", "read,write"])])
      )
      let path = "\(file.path).audit"
      let lab = try Lab(workers: [
        [
          "--auth", file.path, "--jwt-keys", issuer.path, "--http", "127.0.0.1:0", "--audit", path,
        ], ["--audit", path],
      ])
      defer { lab.stop() }
      // An id of any text has only characters that are bare in a line.
      let ada = try lab.connect()
      expect(try ada.request("AUTH jwt \(issuer.token(#"a\" b=c"#, .hs256))"), "OK")
      let issuers = [
        ("app", try file.connect(lab.worker, as: "app"), "dev-1"),
        ("jwt:a%22%20b%3Dc", ada, "dev-2"),
      ]
      var wanted: [String] = []
      for (name, client, device) in issuers {
        let session = try client.request("OPEN \(device)").string("session")
        let ticket = try client.request("TICKET \(device)/\(session)").string("ticket")
        let holder = try lab.connect()
        expect(try holder.request("AUTH ticket \(ticket)"), "OK")
        expect(try holder.request("EXPORT \(device)"), "OK")
        expect(try holder.request("SAY \(device) {\"hush\":1}"), "ERR", "forbidden")
        let bearer = ["Authorization: Bearer \(ticket)"]
        #expect(try lab.worker.http().get("/v1/export/\(device)", bearer).status == 200)
        let who = "who=ticket:\(session)#MARK issuer=\(name)"
        wanted += [
          "audit=privileged who=\(name) issuer=- wire=line verb=TICKET device=\(device) outcome=ok",
          "audit=privileged \(who) wire=line verb=EXPORT device=\(device) outcome=ok",
          "audit=refused \(who) wire=line verb=SAY device=\(device) outcome=forbidden",
          "audit=privileged \(who) wire=http verb=EXPORT device=\(device) outcome=ok",
        ]
      }
      // Where all may call, a ticket has no issuer.
      let anyone = try lab.connect(1)
      let session = try anyone.request("OPEN dev-3").string("session")
      let ticket = try anyone.request("TICKET dev-3").string("ticket")
      expect(try anyone.request("AUTH ticket \(ticket)"), "OK")
      expect(try anyone.request("EXPORT dev-3"), "OK")
      wanted += [
        "audit=privileged who=- issuer=- wire=line verb=TICKET device=dev-3 outcome=ok",
        "audit=privileged who=ticket:\(session)#MARK issuer=- wire=line verb=EXPORT device=dev-3 "
          + "outcome=ok",
      ]
      let found = try lines(path).map { $0.replacing(/#[0-9a-f]+/, with: "#MARK") }
      #expect(found == wanted)
    }

    @Test func `an audit that cannot be opened keeps the worker from starting`() throws {
      for path in ["/nonexistent/audit", "/dev/null", "/"] {
        let starting = try Starting(["--redis", "unix:///nonexistent", "--audit", path])
        defer { starting.child.end() }
        #expect(try starting.awaitEnd() == .exited(1))
        #expect(starting.log.contains("--audit: ") && starting.log.contains(path))
      }
    }
  }
}
