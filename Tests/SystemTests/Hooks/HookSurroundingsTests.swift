// Owns: the tests of webhooks where Redis or the receiver is another than usual: a Redis Cluster,
// a receiver with the certificate of an authority of its own, a worker with few open files.

import Foundation
import Glibc
import TestSupport
import Testing

extension SystemSuites {
  @Suite struct HookSurroundings {
    private static let devices = 60

    private func hook(_ client: LineClient) throws -> JSON? {
      guard case .array(let hooks)? = try client.request("HOOKS").json()["hooks"] else {
        return nil
      }
      return hooks.first
    }

    private func expectRights(_ workers: [WorkerProcess]) {
      for worker in workers { #expect(!worker.log.contains("level=error"), "\(worker.log)") }
    }

    @Test func `a hook delivers from all masters of a cluster, also after a change`() throws {
      let redis = try RedisCluster()
      let workers = try (0..<2).map { _ in try WorkerProcess(redis.flags) }
      let receiver = try HookReceiver()
      defer {
        receiver.stop()
        workers.forEach { $0.kill() }
        redis.stop()
      }
      let client = try workers[0].connect()
      for number in 0..<Self.devices {
        expect(try client.request("LOCK d-\(number) a"), "OK")
        expect(try client.request("SEIZE d-\(number) b"), "OK")
      }
      expect(try client.request("HOOK h url=\(receiver.url)?n=1 types=lock.seized"), "OK")
      try eventually("the seizures have come", within: .seconds(20)) {
        Set(receiver.takenIDs).count == Self.devices
      }
      expect(try client.request("HOOK h url=\(receiver.url)?n=2 types=lock.cleared"), "OK")
      for number in 0..<Self.devices { expect(try client.request("CLEAR d-\(number)"), "OK") }
      try eventually("the clearances have come", within: .seconds(20)) {
        Set(receiver.takenIDs).count == 2 * Self.devices
      }
      try eventually("all is acknowledged") { try hook(client)?["lag"]?.int == 0 }
      #expect(receiver.taken.count == 2 * Self.devices, "each came once")
      let paths = receiver.taken.compactMap { $0.headers["request"] }
      #expect(paths.count { $0.contains("n=2") } == Self.devices)
      expect(try client.request("UNHOOK h"), "OK")
      try eventually("no log has its group") {
        try redis.nodes.allSatisfy { node in
          try node.command("KEYS", "lk:*:events").items.compactMap(\.string)
            .allSatisfy { try !"\(node.command("XINFO", "GROUPS", $0))".contains("hook/") }
        }
      }
      expectRights(workers)
    }

    /// A receiver by TLS, which takes everything.
    private static let program = """
      import http.server, ssl, sys

      class Receiver(http.server.BaseHTTPRequestHandler):
          def do_POST(self):
              self.rfile.read(int(self.headers["Content-Length"]))
              self.send_response(204)
              self.end_headers()

      server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
      context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
      context.load_cert_chain(sys.argv[1], sys.argv[2])
      server.socket = context.wrap_socket(server.socket, server_side=True)
      print(server.server_port, flush=True)
      server.serve_forever()
      """

    @Test func `a receiver may have a certificate of an authority of its own`() throws {
      let certificates = try Certificates()
      try certificates.make("server", for: "IP:127.0.0.1")
      let folder = try Scratch.folder("receiver")
      let receiver = try Child(
        [
          "/usr/bin/env", "python3", "-c", Self.program, certificates.path("server.pem"),
          certificates.path("server.key"),
        ], folder: folder, output: "\(folder)/port", errors: "\(folder)/errors")
      defer { receiver.end() }
      var port = ""
      try eventually("the receiver listens", within: .seconds(20)) {
        port = try String(contentsOfFile: "\(folder)/port", encoding: .utf8)
          .trimmingCharacters(in: .newlines)
        return !port.isEmpty
      }
      let redis = try RedisServer()
      defer { redis.stop() }
      let unaware = try WorkerProcess(on: redis)
      let aware = try WorkerProcess(
        on: redis, ["--namespace", "other", "--hook-ca", certificates.authority])
      defer {
        unaware.kill()
        aware.kill()
      }
      let clients = try [unaware.connect(), aware.connect()]
      for client in clients {
        expect(
          try client.request("HOOK h url=https://127.0.0.1:\(port)/in types=lock.seized"), "OK")
        expect(try client.request("LOCK d a"), "OK")
        expect(try client.request("SEIZE d b"), "OK")
      }
      try eventually("it is refused", within: .seconds(10)) {
        try hook(clients[0])?["last_error"]?.string == "its certificate does not verify"
      }
      try eventually("it has taken the event", within: .seconds(10)) {
        try hook(clients[1])?["delivered"]?.int == 1
      }
      let missing = try Starting(["--redis", redis.url, "--hook-ca", "\(folder)/nothing"])
      #expect(try missing.awaitEnd() == .exited(1))
      #expect(missing.log.contains("--hook-ca: "), "\(missing.log)")
    }

    @Test func `hooks with few open files leave callers theirs, and share what they have`() throws {
      let redis = try RedisServer()
      let receiver = try HookReceiver(.hang)
      let worker = try WorkerProcess(on: redis, ["--threads", "2"], openFiles: 160)
      defer {
        receiver.stop()
        worker.kill()
        redis.stop()
      }
      // An eighth for webhooks: their thread, and two hooks of one connection each.
      let line = try #require(worker.log.split(separator: "\n").first { $0.contains("webhooks=") })
      #expect(line.contains("open_files=160") && line.contains("webhooks=20"), "\(line)")
      let served: Int = try worker.metric("latchkey_connections_limit")
      let client = try worker.connect()
      for number in 0..<40 {
        expect(try client.request("LOCK d-\(number) a"), "OK")
        expect(try client.request("SEIZE d-\(number) b"), "OK")
      }
      for name in ["h1", "h2", "h3"] {
        expect(
          try client.request("HOOK \(name) url=\(receiver.url)?\(name) types=lock.seized"), "OK")
      }
      try eventually("one waits, and says why", within: .seconds(10)) {
        try client.request("HOOKS").raw.contains("no descriptor is left for it")
      }
      let crowd = try (0..<served - 1).map { _ in try worker.connect() }
      for other in crowd { expect(try other.request("HOLDER d-1"), "OK") }
      receiver.answer(.status(204))
      try eventually("two hooks have all", within: .seconds(20)) { receiver.taken.count >= 80 }
      #expect(receiver.taken.count == 80)
      // The end of one makes room.
      expect(try client.request("UNHOOK h1"), "OK")
      try eventually("the third has all", within: .seconds(20)) { receiver.taken.count == 120 }
    }
  }
}
