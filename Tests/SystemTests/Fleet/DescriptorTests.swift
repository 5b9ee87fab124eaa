// Owns: the tests of a worker whose callers take all descriptors: Redis and the admin port keep
// theirs, and nothing spins.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite struct Descriptors {
    private static let openFiles = 100

    private func start(
      on redis: RedisServer, _ flags: [String] = [], openFiles: Int = openFiles
    ) throws -> WorkerProcess {
      try WorkerProcess(
        on: redis, ["--threads", "2", "--request-timeout", "10s"] + flags, openFiles: openFiles)
    }

    /// The processor time that a worker has used, in ticks of a hundredth of a second.
    private func ticks(_ worker: WorkerProcess) throws -> Int {
      let stat = try String(contentsOfFile: "/proc/\(worker.pid)/stat", encoding: .utf8)
      let fields = stat.drop { $0 != ")" }.split(separator: " ")
      return try #require(Int(fields[12])) + #require(Int(fields[13]))
    }

    @Test func `a limit that does not fit is named at the start, and lowered`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try start(on: redis, ["--max-connections", "1000"])
      defer { worker.kill() }
      let warning = try #require(
        worker.log.split(separator: "\n").first { $0.contains("--max-connections") })
      #expect(warning.contains("level=warn"), "\(warning)")
      #expect(warning.contains("asked=1000") && warning.contains("open_files=100"), "\(warning)")
      #expect(warning.contains("LimitNOFILE"), "\(warning)")
      let served: Int = try worker.metric("latchkey_connections_limit")
      #expect(served >= 10 && served < 100)
      #expect(warning.contains("served=\(served) "), "\(warning)")
      let roomy = try start(on: redis, ["--max-connections", "10"], openFiles: 400)
      defer { roomy.kill() }
      #expect(!roomy.log.contains("level=warn"), "\(roomy.log)")
      #expect(try roomy.metric("latchkey_connections_limit") == 10)
    }

    @Test func `a worker without descriptors for callers does not start, and says why`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let starting = try Starting(["--redis", redis.url, "--threads", "2"], openFiles: 36)
      #expect(try starting.awaitEnd() == .exited(1))
      #expect(starting.log.contains("allows 36 open files"), "\(starting.log)")
      #expect(starting.log.contains("ulimit -n"), "\(starting.log)")
    }

    @Test func `callers without end leave Redis and the admin port what they need`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try start(on: redis)
      defer { worker.kill() }
      let served: Int = try worker.metric("latchkey_connections_limit")
      let calm = try worker.connect()
      expect(try calm.request("LOCK \(Lab.device()) a"), "OK")
      // More than there are descriptors; the kernel accepts those for whom there is none.
      let crowd = try (0..<3 * Self.openFiles).map { _ in try worker.connect() }
      try eventually("refusals") {
        try worker.metric("latchkey_connections_refused_total{limit=\"connections\"}") > 0
      }
      // Each of the two threads may let one in at the same moment.
      #expect(try served...served + 1 ~= worker.metric("latchkey_connections"))
      // The connection to Redis is lost and made again.
      var rounds = Rounds(1)
      while rounds.next() {
        redis.kill()
        try eventually("the loss of Redis") { try calm.request("HOLDER x").isOutage }
        #expect(try worker.get("/healthz").status == 200)
        try redis.start()
        try eventually("service again", within: .seconds(10)) {
          try calm.request("LOCK \(Lab.device()) a").isOK
        }
      }
      let before = try ticks(worker)
      let start = ContinuousClock.now
      for _ in 0..<20 { #expect(try worker.get("/healthz").status == 200) }
      try eventually("readyz again", within: .seconds(10)) {
        try worker.get("/readyz").status == 200
      }
      try eventually("a second") { elapsedMs(since: start) > 1_000 }
      let used = Double(try ticks(worker) - before) / 100 / (elapsedMs(since: start) / 1_000)
      #expect(used < 0.7, "a thread that spins takes a whole core")
      #expect(worker.log.count < 20_000, "\(worker.log.suffix(2_000))")
      let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(worker.pid)/fd").count
      #expect(open < Self.openFiles)
      crowd.forEach { $0.socket.close() }
      try eventually("a new caller") {
        try worker.connect().request("LOCK \(Lab.device()) a").isOK
      }
    }

    @Test func `a crowd at the admin port keeps no probe waiting, and a slow one is closed`() throws
    {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try start(
        on: redis, ["--admin-timeout", "1s", "--max-admin-connections", "8"], openFiles: 400)
      defer { worker.kill() }
      let dawdlers = try (0..<40).map { _ in try TestSocket(port: worker.adminPort) }
      for dawdler in dawdlers { try? dawdler.send(Array("GET /healthz HTTP/1.1\r\n".utf8)) }
      for _ in 0..<10 { #expect(try worker.get("/healthz").status == 200) }
      #expect(try worker.metric("latchkey_admin_connections_closed_total") >= 30)
      // A byte now and then is no reason for staying.
      let drip = try TestSocket(port: worker.adminPort)
      let start = ContinuousClock.now
      try eventually("the end of a slow request", within: .seconds(10), every: 100) {
        try? drip.send(Array("x".utf8))
        return try drip.wait(for: Int16(POLLIN), Deadline(within: .zero)) != 0
      }
      #expect(elapsedMs(since: start) > 900)
      #expect(worker.log.contains("limit=--admin-timeout"), "\(worker.log)")
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      // One that goes on asking is not slow.
      let steady = try TestSocket(port: worker.adminPort)
      let began = ContinuousClock.now
      while elapsedMs(since: began) < 2_500 {
        try steady.send(Array("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        let answer = try #require(try steady.receive(within: .seconds(5)))
        #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
        pause(ms: 100)
      }
    }

    @Test func `a file of principals that is none holds up neither start nor reload`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let principals = try PrincipalsFile([("app", ["--rights", "read,write", "--devices", "*"])])
      let worker = try start(on: redis, ["--auth", principals.path], openFiles: 400)
      defer { worker.kill() }
      let pipe = "\(try Scratch.folder("pipe"))/principals"
      #expect(mkfifo(pipe, 0o600) == 0)
      let large = "\(try Scratch.folder("large"))/principals"
      #expect(FileManager.default.createFile(atPath: large, contents: nil))
      #expect(truncate(large, 1 << 30) == 0)
      let places = [
        (pipe, "a pipe"), ("/dev/zero", "a device"), ("/tmp", "a folder"), (large, "more than"),
      ]
      for (place, fault) in places {
        #expect(unlink(principals.path) == 0)
        #expect(symlink(place, principals.path) == 0)
        let logged = worker.log.count
        worker.signal(SIGHUP)
        try eventually("a line that names \(fault)") {
          worker.log.dropFirst(logged).contains(fault)
        }
        #expect(try worker.get("/healthz").status == 200)
        #expect(try worker.metric("latchkey_auth_reload_failed") == 1)
        let starting = try Starting(["--redis", redis.url, "--auth", place])
        #expect(try starting.awaitEnd() == .exited(1))
        #expect(starting.log.contains(fault), "\(starting.log)")
      }
      #expect(unlink(principals.path) == 0)
      try principals.write()
      worker.signal(SIGHUP)
      try eventually("a good file") { worker.log.contains("the principals were read again") }
      expect(try principals.connect(worker, as: "app").request("LOCK \(Lab.device()) a"), "OK")
    }
  }
}
