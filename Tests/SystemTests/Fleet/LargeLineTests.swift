// Owns: the tests of large lines: they are read beside their loop, whose other callers are answered
// meanwhile; the order on their connection, the end of it and a drain stay as they are.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite(
    .lab(workers: [["--threads", "1", "--request-timeout", "30s", "--max-line", "16MiB"]])
  ) struct LargeLines {
    private static let bytes = 15 << 20

    /// A line that takes its reader a while, and is refused at its last byte.
    private static func line(_ verb: String) -> [UInt8] {
      var line = Array("\(verb) {\"x\":[".utf8)
      let piece = Array(#"[{"a":1.5e3,"é":"\u00e9"},[],{},null,-0],"#.utf8)
      while line.count < bytes { line += piece }
      return line + Array("0]]".utf8)
    }

    /// Sends all of a line but its end, and waits until the worker has read it.
    private func begin(_ line: [UInt8], _ worker: WorkerProcess) throws -> LineClient {
      let client = try worker.connect()
      try client.socket.send(line, within: .seconds(60))
      try eventually("the worker having read the line", within: .seconds(60)) {
        try worker.metric("latchkey_buffered_bytes") >= line.count
      }
      return client
    }

    private func expectNothingKept(_ worker: WorkerProcess) throws {
      try eventually("nothing being kept", within: .seconds(60)) {
        try worker.metric("latchkey_buffered_bytes") == 0
          && worker.metric("latchkey_requests_in_flight") == 0
      }
    }

    @Test(arguments: ["IMPORT", "SET d", "SAY d", "FROB"])
    func `other callers of the loop are answered while a large line is read`(verb: String) throws {
      let worker = try Lab.current.worker
      let other = try worker.connect()
      #expect(try other.request("PING").raw == "OK")
      let client = try begin(Self.line(verb), worker)
      try client.send([10])
      for _ in 0..<3 {
        expect(try other.request("LOCK \(Lab.device()) a", within: .seconds(30)), "OK")
      }
      #expect(
        TestSocket.readable([client.socket], within: .zero) == [false],
        "the line was answered before callers that came later")
      expect(try client.reply(within: .seconds(60)), "ERR", "bad_request")
      try expectNothingKept(worker)
    }

    @Test func `what is sent behind a large line is done after it`() throws {
      let worker = try Lab.current.worker
      let (client, device) = (try worker.connect(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      let message = "{\"t\":\"\(String(repeating: "x", count: 200_000))\"}"
      let many = Array(repeating: message, count: 3).joined(separator: ",")
      try client.sendLine("SAY \(device) [\(many)]")
      try client.sendLine("SAY \(device) {\"n\":4}")
      try client.sendLine("SAY \(device) req=r [\(many)]")
      try client.sendLine("SAY \(device) req=r [\(many)]")
      try client.sendLine("SAY \(device) req=r [\(many),{}]")
      try client.sendLine("SAY \(device) [\(many)")
      try client.sendLine("SAY \(device) {\"n\":8}")
      let replies = try client.replies(7, within: .seconds(60))
      for (reply, seq) in zip(replies, [3, 4, 7, 7]) {
        #expect(try reply.int("seq") == seq, "\(reply)")
      }
      expect(replies[4], "ERR", "conflict")
      expect(replies[5], "ERR", "bad_request")
      #expect(try replies[6].int("seq") == 8)
      try expectNothingKept(worker)
    }

    @Test func `a caller that goes away while its line is read leaves nothing behind`() throws {
      let worker = try Lab.current.worker
      for isReset in [false, true] {
        let client = try begin(Self.line("IMPORT"), worker)
        try client.send([10])
        if isReset { client.socket.reset() } else { client.socket.close() }
        try expectNothingKept(worker)
      }
      #expect(try worker.connect().request("PING").raw == "OK")
    }

    @Test func `a drain answers a large line that has come`() throws {
      let worker = try WorkerProcess(
        on: Lab.current.redis,
        ["--threads", "1", "--request-timeout", "30s", "--drain-grace", "60s"])
      defer { worker.kill() }
      let client = try begin(Self.line("IMPORT"), worker)
      try client.sendLine("\nPING")
      let other = try worker.connect()
      expect(try other.request("LOCK \(Lab.device()) a", within: .seconds(30)), "OK")
      worker.signal(SIGTERM)
      let replies = try client.replies(2, within: .seconds(60))
      expect(replies[0], "ERR", "bad_request")
      #expect(replies[1].raw == "OK")
      #expect(try worker.wait(within: .seconds(30)) == .exited(0))
    }

    @Test func `a stop ends a worker that reads a large line`() throws {
      let worker = try WorkerProcess(
        on: Lab.current.redis, ["--threads", "1", "--drain-grace", "100ms"])
      defer { worker.kill() }
      let client = try begin(Self.line("IMPORT"), worker)
      try client.send([10])
      #expect(try worker.terminate(within: .seconds(60)) == .exited(0))
    }
  }
}
