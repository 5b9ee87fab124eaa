// Owns: a sentinel set of the tests: a master, its replicas, and sentinels that are quick to act.

import Foundation
import Testing

/// One sentinel: `redis-server --sentinel`.
final class SentinelProcess: Sendable {
  let port: Int
  private let child: Child
  private let path: String

  /// `more` are lines of its configuration.
  init(master: Int, more: [String] = []) throws {
    let folder = try Scratch.folder("sentinel")
    port = try TestSocket.freePort()
    path = "\(folder)/s.sock"
    let lines =
      [
        "port \(port)", "bind 127.0.0.1", "unixsocket \(path)", "dir \(folder)",
        "logfile \(folder)/sentinel.log",
        "sentinel monitor \(SentinelSet.name) 127.0.0.1 \(master) 2",
        "sentinel down-after-milliseconds \(SentinelSet.name) 400",
        "sentinel failover-timeout \(SentinelSet.name) 4000",
      ] + more
    let file = "\(folder)/sentinel.conf"
    try (lines.joined(separator: "\n") + "\n").write(
      toFile: file, atomically: true, encoding: .utf8)
    child = try Child(
      ["/usr/bin/env", Engine.server, file, "--sentinel"], folder: folder,
      output: "\(folder)/output", errors: "\(folder)/output")
  }

  deinit { child.end() }

  func command(_ words: String...) throws -> RedisValue {
    try RedisClient(path: path).command(words)
  }

  /// The port of the master that it names.
  func master() throws -> Int? {
    let reply = try command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelSet.name)
    return reply.items.last?.string.flatMap { Int($0) }
  }

  /// Its own state of the master, by names.
  func figures() throws -> [String: String] {
    let items = try command("SENTINEL", "MASTER", SentinelSet.name).items.compactMap(\.string)
    let pairs = stride(from: 0, to: items.count - 1, by: 2).map { (items[$0], items[$0 + 1]) }
    return Dictionary(pairs) { $1 }
  }

  func freeze() throws { try child.freeze() }
  func thaw() { child.signal(SIGCONT) }
  func kill() { child.end() }
}

/// Two servers and three sentinels, which replace a master that is away for 0.4 s.
final class SentinelSet: Sendable {
  static let name = "mymaster"
  let servers: [RedisServer]
  let sentinels: [SentinelProcess]

  init() throws {
    let servers = try (0..<2).map { _ in
      try RedisServer(
        .init(
          listens: true,
          extra: ["--notify-keyspace-events", "Ex", "--repl-diskless-sync-delay", "0"]))
    }
    self.servers = servers
    try servers[1].command("REPLICAOF", "127.0.0.1", "\(servers[0].port)")
    sentinels = try (0..<3).map { _ in try SentinelProcess(master: servers[0].port) }
    try eventually("sentinels that run", within: .seconds(10)) {
      sentinels.allSatisfy { (try? $0.command("PING")) == .text("PONG") }
    }
    for sentinel in sentinels {
      // From Redis 7 on their own periods can be shortened; others are as quick as they are.
      _ = try sentinel.command(
        "SENTINEL", "DEBUG", "info-period", "400", "publish-period", "200", "ping-period", "200",
        "ask-period", "100")
    }
    try awaitHealth()
  }

  deinit { stop() }

  func stop() {
    sentinels.forEach { $0.kill() }
    servers.forEach { $0.stop() }
  }

  /// The URL for workers.
  var url: String { url("latchkey:least-rights@") }

  func url(_ login: String) -> String {
    "redis-sentinel://\(login)"
      + sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") + "/\(SentinelSet.name)"
  }

  /// Waits until the sentinels know each other and the replica, which follows.
  func awaitHealth() throws {
    try eventually("sentinels that know each other and a replica in step", within: .seconds(20)) {
      sentinels.allSatisfy { sentinel in
        // One that demotes a server cuts its connections, those of tests too.
        let figures = (try? sentinel.figures()) ?? [:]
        return figures["num-other-sentinels"] == "2" && figures["num-slaves"] == "1"
          && figures["flags"] == "master"
      } && (try? isInStep()) == true
    }
  }

  /// Which of the servers the sentinel names.
  func master(of sentinel: Int = 0) throws -> Int? {
    let port = try sentinels[sentinel].master()
    return servers.firstIndex { $0.port == port }
  }

  private func isInStep() throws -> Bool {
    guard let master = try master() else { return false }
    let link = try servers[1 - master].command("INFO", "replication").string ?? ""
    return try link.contains("master_link_status:up") && isReplicated(master)
  }

  /// Whether the replica has all that the master has written by now.
  ///
  /// WAIT goes by the latest command of its connection.
  private func isReplicated(_ master: Int) throws -> Bool {
    let client = try RedisClient(path: servers[master].path)
    try client.command("PING")
    return try client.command("WAIT", "1", "200") == .integer(1)
  }

  func awaitReplicated(from master: Int) throws {
    try eventually("a replica in step") { try isReplicated(master) }
  }

  /// Waits until a sentinel names another master than `old`; those that sleep are not asked.
  func awaitFailover(from old: Int, by sentinels: [Int] = [0, 1, 2]) throws {
    try eventually("a failover", within: .seconds(20), every: 2) {
      try sentinels.contains { try master(of: $0) == 1 - old }
    }
  }

  /// Replaces the master by plan; a sentinel begins when it has seen a good replica.
  func failOver(from old: Int) throws {
    try eventually("a planned failover", within: .seconds(20), every: 20) {
      _ = try sentinels[1].command("SENTINEL", "FAILOVER", SentinelSet.name)
      return try master(of: 1) == 1 - old
    }
  }

  /// Whether a server is a replica by now; sentinels cut the connections of one that they demote.
  func isReplica(_ server: Int) -> Bool {
    (try? servers[server].command("ROLE"))?.items.first == .text("slave")
  }

  /// How many connections of workers a server has.
  func connections(at server: Int) throws -> Int {
    let list = try eventually("a list of clients") {
      (try? servers[server].command("CLIENT", "LIST"))?.string
    }
    return list.split(separator: "\n").count { $0.contains(" user=latchkey ") }
  }
}
