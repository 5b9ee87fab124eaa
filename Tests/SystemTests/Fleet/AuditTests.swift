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
          "audit=refused who=- wire=line verb=AUTH device=- outcome=forbidden",
          "audit=refused who=- wire=line verb=HOLDER device=a-1 outcome=auth_required",
          "audit=refused who=app wire=line verb=SAY device=b-1 outcome=forbidden",
          "audit=refused who=app wire=line verb=STATS device=- outcome=forbidden",
          "audit=privileged who=app wire=line verb=SEIZE device=a-1 outcome=ok",
          "audit=privileged who=boss wire=line verb=CLEAR device=a-1 outcome=ok",
          "audit=privileged who=boss wire=line verb=EXPORT device=a-1 outcome=ok",
          "audit=privileged who=boss wire=line verb=LIST device=* outcome=ok",
          "audit=privileged who=boss wire=line verb=EVENTS device=* outcome=ok",
          "audit=privileged who=boss wire=line verb=REPORT device=- outcome=ok",
          "audit=refused who=- wire=http verb=- device=- outcome=auth_required",
          "audit=refused who=app wire=http verb=HOLDER device=c-1 outcome=forbidden",
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
