// The log at debug: it shows the life of a connection, its requests, the connections to Redis and
// the reaps, and nothing that a log must not have.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct DebugLog {
    /// The fields of each line with this message.
    private func lines(_ log: String, _ message: String) -> [[String: String]] {
      log.split(separator: "\n").compactMap { line in
        var fields: [String: String] = [:]
        for match in line.matches(of: /([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "]*))/) {
          fields[String(match.1)] = String(match.2 ?? match.3 ?? "")
        }
        return fields["msg"] == message ? fields : nil
      }
    }

    @Test func `it shows a connection from its first to its last moment, and each reap`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis, ["--log-level", "debug"])
      defer { worker.kill() }
      let client = try worker.connect()
      expect(try client.request("LOCK \(Lab.device()) a ttl=50ms"), "OK")
      expect(try client.request("LOCK \(Lab.device())"), "ERR", "bad_request")
      expect(try client.request("FROB"), "ERR", "unknown_verb")
      #expect(try client.request("QUIT").raw == "OK")
      try eventually("the end of the connection in the log") {
        !lines(worker.log, "connection closed").isEmpty
      }
      try eventually("the reap of the lock in the log") {
        lines(worker.log, "reaped").contains { $0["found"] == "1" && $0["cause"] != nil }
      }
      let log = worker.log
      let opened = try #require(lines(log, "connection opened").first)
      #expect(opened["from"] == "127.0.0.1", "\(opened)")
      let closed = try #require(lines(log, "connection closed").first)
      #expect(closed["connection"] == opened["connection"] && closed["reason"] == "quit")
      let requests = lines(log, "request").filter { $0["connection"] == opened["connection"] }
      #expect(
        requests.map { "\($0["verb"] ?? "") \($0["outcome"] ?? "")" } == [
          "LOCK ok", "LOCK bad_request", "unknown unknown_verb", "QUIT ok",
        ])
      #expect(requests.allSatisfy { ($0["us"].flatMap { Int($0) } ?? -1) >= 0 })
    }

    @Test func `no secret, token or content is in it`() throws {
      let file = try PrincipalsFile([("root", ["--rights", "read,write,operate"])])
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis, ["--log-level", "debug", "--auth", file.path])
      defer { worker.kill() }
      let client = try file.connect(worker, as: "root")
      let grant = try Grant(client.request("LOCK d a"))
      for request in [
        "HANDOFF d a b token=\(grant.token) {\"hush-note\":1}",
        "OPEN d name=hush-name {\"hush\":1}",
        "SAY d {\"text\":\"hush-text\"}", "SET d {\"hush-broken", "SAY d hush-word hush-word",
        "AUTH root.hush-secret", "HUSH-VERB hush",
      ] {
        _ = try client.request(request)
      }
      redis.kill()
      try eventually("a failed connection in the log") {
        !lines(worker.log, "redis connection could not be made").isEmpty
      }
      let log = worker.log.lowercased()
      #expect(!log.contains("hush"), "\(log)")
      #expect(!log.contains("\(grant.token)"))
      #expect(!log.contains(file.secret("root").lowercased()))
      // One key for what went wrong, wherever it is said.
      #expect(!log.contains(" why=") && log.contains(" error="))
    }
  }
}
