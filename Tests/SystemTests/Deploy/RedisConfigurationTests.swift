// The Redis that is deployed: its own configuration and its own users, started for real.

import Foundation
import Testing

/// A redis-server as deploy/redis has it, but for places and secrets.
private final class DeployedRedis: Sendable {
  let path: String
  private let child: Child
  private let folder: String

  /// `withSecrets` inserts secrets into the users file; otherwise it is as it is deployed.
  init(withSecrets: Bool) throws {
    folder = try Scratch.folder("deployed")
    path = "\(folder)/redis.sock"
    var settings = try Project.text("deploy/redis/redis.conf")
    for (line, replacement) in [
      ("port 6379", "port 0\nunixsocket \(path)"),
      ("aclfile /etc/redis/users.acl", "aclfile \(folder)/users.acl"),
      ("dir /var/lib/redis", "dir \(folder)"),
    ] {
      let parts = settings.components(separatedBy: "\n\(line)\n")
      try #require(parts.count == 2, "redis.conf has no line '\(line)'")
      settings = parts.joined(separator: "\n\(replacement)\n")
    }
    var users = try Project.text("deploy/redis/users.acl")
    if withSecrets {
      for name in ["WORKER", "DOCTOR", "ADMIN"] {
        // As the manual says to do it.
        let run = try ToolRun("sh", ["-c", "printf %s '\(name)-secret' | sha256sum"])
        let hash = String(run.output.prefix(64))
        users = users.replacingOccurrences(of: "SHA256-OF-THE-\(name)S-SECRET", with: hash)
      }
    }
    try users.write(toFile: "\(folder)/users.acl", atomically: true, encoding: .utf8)
    try settings.write(toFile: "\(folder)/redis.conf", atomically: true, encoding: .utf8)
    child = try Child(
      [Tool.path("redis-server"), "\(folder)/redis.conf"], folder: folder,
      output: "\(folder)/output", errors: "\(folder)/output")
  }

  func end() { child.end() }

  func awaitEnd() throws -> Child.Ending { try child.wait("redis-server", within: .seconds(10)) }

  func awaitAnswer() throws {
    try eventually("an answer of redis-server: \(output)", within: .seconds(10)) {
      if let ending = child.check() { throw Failure("redis-server: \(ending): \(output)") }
      return (try? RedisClient(path: path).command("PING")) != nil
    }
  }

  var output: String {
    let bytes = FileManager.default.contents(atPath: "\(folder)/output") ?? Data()
    return String(decoding: bytes, as: UTF8.self)
  }

  func url(_ user: String, _ secret: String) -> String { "unix://\(user):\(secret)@\(path)" }
}

extension SystemSuites.Deploy {
  @Suite struct RedisConfiguration {
    @Test func `Redis does not start before each user has got a secret`() throws {
      let redis = try DeployedRedis(withSecrets: false)
      defer { redis.end() }
      #expect(try redis.awaitEnd() != .exited(0))
      #expect(redis.output.contains("users.acl"), "\(redis.output)")
    }

    @Test func `the doctor finds it fit, and a worker serves from it with all it needs`() throws {
      let redis = try DeployedRedis(withSecrets: true)
      defer { redis.end() }
      try redis.awaitAnswer()
      let url = redis.url("latchkey-doctor", "DOCTOR-secret")
      let doctor = try ProgramRun(["doctor"], environment: ["LATCHKEY_REDIS": url])
      #expect(doctor.status == 0, "\(doctor.output)\(doctor.errors)")
      // Warnings about times are about this machine, which may be busy.
      let warnings = doctor.output.split(separator: "\n").filter { $0.hasPrefix("warn ") }
        .filter { line in !["latency", "clock", "notifications"].contains { line.contains($0) } }
      #expect(warnings == [], "\(doctor.output)")
      let worker = try WorkerProcess(["--redis", redis.url("latchkey", "WORKER-secret")])
      defer { worker.kill() }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      try eventually("notifications", within: .seconds(10), every: 20) {
        try worker.get("/metrics").body.contains("\nlatchkey_notifications_live 1\n")
      }
    }

    @Test func `a client without a user is rejected, and a worker's user has the least rights`()
      throws
    {
      let redis = try DeployedRedis(withSecrets: true)
      defer { redis.end() }
      try redis.awaitAnswer()
      func refusal(_ client: RedisClient, _ words: String...) throws -> String {
        guard case .error(let text) = try client.command(words) else { return "" }
        return String(text.prefix { $0 != " " })
      }
      let stranger = try RedisClient(path: redis.path)
      #expect(try refusal(stranger, "GET", "lk:partitions") == "NOAUTH")
      #expect(try refusal(stranger, "AUTH", "latchkey", "wrong") == "WRONGPASS")
      let worker = try RedisClient(path: redis.path)
      #expect(try worker.command("AUTH", "latchkey", "WORKER-secret") == .text("OK"))
      #expect(try refusal(worker, "SET", "lk:x", "1") == "")
      // Redis has one list of channels for subscribing and publishing, so a worker's user may forge
      // notifications; the attacks on Redis show that these end nothing.
      for command in [
        ["SET", "other:x", "1"], ["GET", "other:x"], ["SUBSCRIBE", "news"], ["FLUSHALL"],
        ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["KEYS", "*"], ["SCAN", "0"], ["SCRIPT", "FLUSH"],
        ["CLIENT", "KILL", "TYPE", "normal"], ["SHUTDOWN"], ["DEBUG", "SLEEP", "0"],
        ["REPLICAOF", "127.0.0.1", "1"], ["PUBLISH", "news", "x"],
        ["EVAL", "return redis.call('GET', 'other:x')", "0"],
        ["EVAL", "return redis.call('RANDOMKEY')", "0"],
      ] {
        guard case .error = try worker.command(command) else {
          Issue.record("a worker's user may do \(command)")
          continue
        }
      }
      let admin = try RedisClient(path: redis.path)
      #expect(try admin.command("AUTH", "admin", "ADMIN-secret") == .text("OK"))
      #expect(try refusal(admin, "ACL", "LOAD") == "")
    }
  }
}
