// Lines that callers, or a Redis that refuses, can cause as often as they like: one line for each
// cause and while, with a count.

import Foundation
import Glibc
import Testing

extension SystemSuites {
  @Suite struct LogRates {
    /// The fields by which causes differ.
    private static let causes = [
      "error", "check", "limit", "protocol", "script", "what", "loop", "msg",
    ]

    /// The lines of a log, each as its fields.
    private func lines(_ log: Substring) -> [[String: String]] {
      log.split(separator: "\n").map { line in
        var fields: [String: String] = [:]
        for match in line.matches(of: /([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "]*))/) {
          fields[String(match.1)] = String(match.2 ?? match.3 ?? "")
        }
        return fields
      }
    }

    /// Expects no cause to have more than one line in a log of less than 10 s.
    private func expectOneLineEach(
      _ log: Substring, at place: SourceLocation = #_sourceLocation
    ) {
      let lines = lines(log)
      let causes = lines.map { line in Self.causes.map { line[$0] ?? "" }.joined(separator: " ") }
      let counts = Dictionary(causes.map { ($0, 1) }, uniquingKeysWith: +)
      let repeated = counts.filter { $0.value > 1 }
      #expect(repeated.isEmpty, "\(repeated)", sourceLocation: place)
      #expect(lines.count <= 16, "\(log)", sourceLocation: place)
    }

    private func suppressed(_ worker: WorkerProcess) throws -> Double {
      try worker.metric("latchkey_log_lines_suppressed_total")
    }

    /// How to make a Redis refuse, and how its refusals are named.
    static let refusals: [(word: String, command: [String])] = [
      ("READONLY", ["REPLICAOF", "127.0.0.1", "1"]),
      ("NOPERM", ["ACL", "SETUSER", "latchkey", "-evalsha", "-eval", "-fcall"]),
      ("NOREPLICAS", ["CONFIG", "SET", "min-replicas-to-write", "1"]),
      ("OOM", ["CONFIG", "SET", "maxmemory", "1"]),
      ("MISCONF", ["BGSAVE"]),
    ]

    @Test(arguments: refusals.indices)
    func `a Redis that refuses whatever it is asked has one line for each cause`(
      number: Int
    ) throws {
      let (word, command) = Self.refusals[number]
      let lab = try Lab(workers: [["--sweep", "100ms"]])
      defer { lab.stop() }
      let worker = lab.worker
      let redis = try RedisClient(path: lab.redis.path)
      try eventually("readiness") { try worker.get("/readyz").status == 200 }
      if word == "MISCONF" {
        // A folder in the place of the snapshot, and a snapshot that was wanted.
        mkdir("\(lab.redis.folder)/dump.rdb", 0o700)
        try redis.command("CONFIG", "SET", "save", "3600 100000")
      }
      let before = worker.log.utf8.count
      _ = try redis.command(command)
      let refused = try inParallel(4) { index in
        let client = try worker.connect()
        let deadline = Deadline(within: .milliseconds(2_500))
        var refused = 0
        while !deadline.isOver {
          let reply = try client.request("LOCK \(Lab.device("flood\(index)")) a")
          refused += reply.code == "unavailable" ? 1 : 0
          pause(ms: 1)
        }
        return refused
      }
      #expect(refused.reduce(0, +) > 100, "\(refused)")
      let log = String(decoding: worker.log.utf8.dropFirst(before), as: UTF8.self)
      #expect(log.contains("(\(word))") || log.contains(word), "\(log)")
      expectOneLineEach(log[...])
      if word != "READONLY" { #expect(try suppressed(worker) > 100) }
    }

    @Test func `callers that are refused or speak another protocol have one line for each cause`()
      throws
    {
      let lab = try Lab(workers: [["--max-connections-per-address", "2"]])
      defer { lab.stop() }
      let worker = lab.worker
      let before = worker.log.utf8.count
      let holders = try (0..<2).map { _ in try worker.connect() }
      for holder in holders { #expect(try holder.request("PING").raw == "OK") }
      for _ in 0..<50 {
        let client = try worker.connect()
        expect(try client.reply(), "ERR", "overloaded")
      }
      try eventually("the refusals in the figures") { try suppressed(worker) >= 49 }
      let log = String(decoding: worker.log.utf8.dropFirst(before), as: UTF8.self)
      #expect(log.contains("msg=\"a connection was refused\" limit=address from=127.0.0.1 count=1"))
      expectOneLineEach(log[...])
      #expect(try holders[0].request("PING").raw == "OK")
    }

    @Test func `a corrupt record that is read again and again has one line`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      expect(try client.request("OPEN d"), "OK")
      let key = try lab.redis.command("KEYS", "lk:*:session:d/*").items.first?.string ?? ""
      try lab.redis.command("HSET", key, "rev", "x")
      let before = lab.worker.log.utf8.count
      for _ in 0..<100 { _ = try client.request("GET d") }
      let log = String(decoding: lab.worker.log.utf8.dropFirst(before), as: UTF8.self)
      #expect(log.contains("corrupt records in Redis"), "\(log)")
      expectOneLineEach(log[...])
      #expect(try suppressed(lab.worker) >= 99)
      // What is in no line yet is in one at the end.
      #expect(try lab.worker.terminate() == .exited(0))
      #expect(lab.worker.log.contains(/count=\d\d/))
    }
  }
}
