// Owns: the tests of the doctor at real redis-servers: its findings there, and that it leaves them
// as they were.

import Foundation
import Loop
import RedisConnection
import Testing

@testable import Doctor

/// A redis-server of a test's own on a loopback port.
///
/// A shell holds it and kills it, by its pid, when it reads a line: at the latest the end of its
/// input, when the test process ends.
private final class PrivateRedis {
  let port: Int
  private let folder: String
  private let shell = Process()
  private let hold = Pipe()

  init(_ lines: String...) throws {
    // Free now; if another process takes it in between, the start fails.
    let anyPort = Address.tcp(host: "127.0.0.1", port: 0)
    let socket = try SocketAddress.resolve(anyPort).bind(sharingPort: false)
    port = Int(try socket.localPort())
    socket.close()
    folder = FileManager.default.temporaryDirectory.appending(path: "lk-doctor-\(port)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let config = ["port \(port)", "bind 127.0.0.1", "save \"\"", "dir \(folder)"] + lines
    try config.joined(separator: "\n").write(
      toFile: folder + "/redis.conf", atomically: true, encoding: .utf8)
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments = [
      "-c", "redis-server \"$0/redis.conf\" & read -r _; kill -9 $!; rm -r \"$0\"", folder,
    ]
    shell.standardInput = hold
    let output = Pipe()
    shell.standardOutput = output
    try shell.run()
    var log = ""
    while !log.contains("Ready to accept connections") {
      var watch = pollfd(
        fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
      try #require(poll(&watch, 1, 10_000) == 1, "redis-server did not start: \(log)")
      log += String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    }
  }

  deinit {
    // Its end alone would not do: a child of another test may have inherited this pipe.
    try? hold.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
    shell.waitUntilExit()
  }

  @discardableResult func command(_ words: String...) throws -> String {
    let client = Process()
    client.executableURL = URL(filePath: "/usr/bin/env")
    client.arguments = ["redis-cli", "-p", "\(port)"] + words
    let output = Pipe()
    client.standardOutput = output
    try client.run()
    let text = try output.fileHandleForReading.readToEnd() ?? Data()
    client.waitUntilExit()
    return String(decoding: text, as: UTF8.self)
  }

  /// The doctor's diagnosis; `login` stands before the host.
  func diagnosis(_ login: String = "", lookingMs: Int64 = 8_000) throws -> Diagnosis {
    try examined("redis://\(login)127.0.0.1:\(port)", lookingMs: lookingMs)
  }
}

private func examined(_ url: String, lookingMs: Int64 = 8_000) throws -> Diagnosis {
  let endpoint = try RedisEndpoint(url: url)
  return Doctor.examine(
    DoctorOptions(endpoint: endpoint, namespace: "lk", isJSON: false, lookingMs: lookingMs))
}

extension Diagnosis {
  func finding(_ level: Finding.Level, _ check: Finding.Check) -> String {
    findings.filter { $0.level == level && $0.check == check }
      .map { "\($0.text) → \($0.fix ?? "")" }.joined(separator: "\n")
  }
}

@Suite(.serialized) struct DoctorAtRedisTests {
  private static let durable = "appendonly yes\nappendfsync always\nnotify-keyspace-events Ex"

  @Test func `a fit Redis is found fit and is left as it was`() throws {
    let redis = try PrivateRedis(Self.durable)
    let before = try redis.command("CONFIG", "GET", "*")
    let diagnosis = try redis.diagnosis()
    #expect(diagnosis.problems + diagnosis.warnings == 0)
    #expect(diagnosis.finding(.ok, .notifications).contains("was announced"))
    #expect(diagnosis.exitStatus == 0)
    #expect(try redis.command("DBSIZE") == "0\n")
    #expect(try redis.command("CONFIG", "GET", "*") == before)
  }

  @Test func `one that throws keys away is unfit, and so are a full one and a replica`() throws {
    let redis = try PrivateRedis("maxmemory 100mb", "maxmemory-policy allkeys-lru")
    let forgetful = try redis.diagnosis()
    #expect(forgetful.finding(.bad, .eviction).contains("maxmemory-policy noeviction"))
    #expect(forgetful.exitStatus == 1)
    try redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
    #expect(try redis.diagnosis().finding(.bad, .writes).contains("OOM"))
    try redis.command("REPLICAOF", "127.0.0.1", "1")
    let replica = try redis.diagnosis()
    #expect(replica.finding(.bad, .role).contains("replica of 127.0.0.1:1"))
    #expect(replica.finding(.bad, .writes).contains("READONLY"))
    #expect(replica.exitStatus == 1)
  }

  @Test func `rights that are missing are named with their rules, and nothing is left`() throws {
    let redis = try PrivateRedis(
      Self.durable, "user ann on >quiet-word ~lk:* &* +@all -config -xadd",
      "user bob on >quiet-word ~lk:* &* +@all -del", "user eve on >quiet-word ~lk:* +info +hset")
    let ann = try redis.diagnosis("ann:quiet-word@")
    #expect(ann.finding(.bad, .permissions).hasSuffix("may not use XADD → ACL SETUSER ann +xadd"))
    #expect(ann.finding(.info, .permissions).contains("CONFIG GET"))
    #expect(ann.finding(.ok, .notifications).contains("cannot be seen"))
    let bob = try redis.diagnosis("bob:quiet-word@")
    #expect(bob.finding(.bad, .permissions).hasSuffix("+del"))
    let eve = try redis.diagnosis("eve:quiet-word@")
    let rules = eve.finding(.bad, .permissions)
    #expect(rules.contains("EVALSHA") && rules.contains(" +evalsha") && !rules.contains("HSET,"))
    #expect(eve.finding(.warn, .permissions).contains("+subscribe"))
    for one in [ann, bob, eve] {
      #expect(one.exitStatus == 1 && !(one.json + one.text(isColoured: true)).contains("quiet"))
    }
    // DBSIZE would count expired keys that were not removed yet.
    #expect(try redis.command("KEYS", "*") == "\n")
  }

  @Test func `one that does not let us in is unreachable`() throws {
    let redis = try PrivateRedis("requirepass quiet-word")
    let wrong = try redis.diagnosis(":wrong-word@")
    #expect(wrong.finding(.bad, .connection).contains("WRONGPASS"))
    #expect(wrong.verdict == .unreachable && wrong.exitStatus == 3)
    #expect(!(wrong.json + wrong.text(isColoured: false)).contains("wrong-word"))
    #expect(try redis.diagnosis().finding(.bad, .connection).contains("NOAUTH"))
    #expect(try redis.diagnosis(":quiet-word@").exitStatus == 0)
    #expect(try examined("unix:///nowhere/redis.sock").exitStatus == 3)
  }

  @Test func `notifications that are off are reported, with and without the right to CONFIG`()
    throws
  {
    let redis = try PrivateRedis("user ann on nopass ~lk:* &* +@all -config")
    let open = try redis.diagnosis()
    #expect(open.finding(.warn, .notifications).contains("CONFIG SET notify-keyspace-events Ex"))
    #expect(open.finding(.warn, .persistence).contains("appendonly yes"))
    #expect(open.exitStatus == 0)
    let blind = try redis.diagnosis("ann:any@").finding(.warn, .notifications)
    #expect(blind.contains("not announced within 2 s"))
  }

  @Test func `a Redis that stalls is given up and nothing is left`() throws {
    let redis = try PrivateRedis()
    try redis.command("CLIENT", "PAUSE", "60000", "WRITE")
    let found = try redis.diagnosis(lookingMs: 300)
    #expect(found.finding(.bad, .connection).contains("did not answer") && found.exitStatus == 1)
    try redis.command("CLIENT", "UNPAUSE")
    #expect(try redis.command("DBSIZE") == "0\n")
  }
}
