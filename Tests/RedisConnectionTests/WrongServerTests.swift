// Owns: the tests of a connection whose server is not the one for work, or not any more, and of
// connections that are given up.

import Loop
import RedisConnection
import Scripts
import Synchronization
import Testing
import TestSupport

struct WrongServerTests {
  private static let seizure = ["d", "a", "60000", ""]
  private static let none = "*1\r\n$4\r\nNONE\r\n"

  /// HELLO's reply of a server in this role.
  private static func hello(_ role: String, mode: String = "standalone") -> String {
    "*6\r\n+version\r\n+7.0.15\r\n+mode\r\n+\(mode)\r\n+role\r\n+\(role)\r\n"
  }

  /// A fake whose first connection answers scripts with this.
  private func fake(answering answer: String) throws -> ScriptedRedis {
    try ScriptedRedis { command in
      guard command.name == "EVALSHA" else { return ScriptedRedis.greets(command) }
      return .reply(command.connection == 0 ? answer : Self.none)
    }
  }

  @Test(arguments: [
    "READONLY You can't write against a read only replica.", "MASTERDOWN Link with MASTER is down",
    "LOADING Redis is loading the dataset in memory", "MOVED 866 127.0.0.1:7001",
    "CLUSTERDOWN Hash slot not served",
    "UNBLOCKED force unblock from blocking operation, instance state changed",
  ])
  func `an error that means another server ends the connection, and nothing was done`(
    error: String
  ) throws {
    let fake = try fake(answering: "-\(error)\r\n")
    let figures = ConnectionFigures()
    let bench = try ConnectionBench(path: fake.path) { $0.figures = figures }
    try bench.startServing()
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    let word = error.prefix { $0 != " " }
    let news = try bench.wait("the failure") { if case .batchFailed = $0 { true } else { false } }
    guard case .batchFailed([1], .notSent(let reason)) = news else {
      Issue.record("\(news)")
      return
    }
    #expect(reason.contains("(\(word))"))
    try bench.wait("the end of the connection") { $0 == .failed(reason) }
    try bench.waitUntilServing(after: 3)
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NONE")
    #expect(fake.connectionCount == 2)
    #expect(bench.count(.failed(reason)) == 1 && figures.wrongServers == 1)
    #expect(figures.resets == 0)
  }

  @Test(arguments: [
    "NOREPLICAS Not enough good replicas to write.", "MISCONF Redis is configured to save",
    "OOM command not allowed", "NOPERM this user has no permissions", "BUSY Redis is busy",
    "UNKILLABLE Sorry the script already executed write commands",
  ])
  func `an error of the right server leaves the connection alone`(error: String) throws {
    let fake = try fake(answering: "-\(error)\r\n")
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    for slot in 1...3 as ClosedRange<UInt64> {
      bench.post { $0.ask(.seize, slot: slot, base: "lk:{000}", Self.seizure) }
      try bench.wait("the answer") { $0 == .rejected([slot], error) }
    }
    #expect(fake.connectionCount == 1)
  }

  @Test func `behind such an error writes have their replies, and reads have none`() throws {
    let count = Mutex(0)
    let fake = try ScriptedRedis { command in
      guard command.name == "EVALSHA" else { return ScriptedRedis.greets(command) }
      guard command.connection == 0 else { return .reply(Self.none) }
      let number = count.withLock { count in
        count += 1
        return count
      }
      return .reply(number == 1 ? "-READONLY You can't\r\n" : Self.none)
    }
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    bench.post { side in
      // Of different callers, so that all of them are sent at once.
      side.ask(.seize, slot: 1, client: 1, base: "lk:{000}", Self.seizure)
      side.ask(.holder, slot: 2, client: 2, base: "lk:{000}", ["d"])
      side.ask(.unlock, slot: 3, client: 3, base: "lk:{000}", ["d", "a", "", ""])
    }
    let reason = "this Redis is a read-only replica (READONLY)"
    try bench.waitUntilServing(after: 5)
    #expect(
      bench.news.prefix(5) == [
        .serves, .failed(reason), .batchFailed([1], .notSent(reason)),
        .batchFailed([2], .notSent(reason)), .answered([3], ["NONE"]),
      ], "\(bench.news)")
  }

  @Test(arguments: [("replica", "standalone"), ("slave", "standalone"), ("master", "cluster")])
  func `a server that becomes another one is left though nothing is asked of it`(
    role: String, mode: String
  ) throws {
    let hellos = Mutex(0)
    let fake = try ScriptedRedis { command in
      guard command.name == "HELLO", command.connection == 0 else {
        return ScriptedRedis.greets(command)
      }
      let number = hellos.withLock { hellos in
        hellos += 1
        return hellos
      }
      return .reply(number < 4 ? Self.hello("master") : Self.hello(role, mode: mode))
    }
    let bench = try ConnectionBench(path: fake.path) { $0.roleCheckMs = 20 }
    try bench.startServing()
    let words = mode == "cluster" ? "Redis Cluster" : "read-only replica"
    try bench.wait("the end of the connection") { $0.reason?.contains(words) == true }
    try bench.waitUntilServing(after: 2)
    #expect(fake.connectionCount == 2)
  }

  @Test func `a connection that only looks is held to the same, and an examination is not`() throws
  {
    let server = try BareRedis()
    let client = try BareRedisClient(path: server.path)
    let look = try ConnectionBench(path: server.path) {
      ($0.loadsScripts, $0.roleCheckMs) = (false, 20)
    }
    try look.startServing()
    let examination = try ConnectionBench(path: server.path) {
      ($0.loadsScripts, $0.takesAnyServer, $0.roleCheckMs) = (false, true, 20)
    }
    try examination.startServing()
    try client.command("REPLICAOF", "127.0.0.1", "1")
    try look.wait("the end") { $0 == .failed("this Redis is a read-only replica") }
    examination.call("write", timeoutMs: 5_000, "SET", "lk:x", "1")
    try examination.wait("the answer") {
      if case .called("write", let text) = $0 { text.hasPrefix("READONLY") } else { false }
    }
    #expect(examination.news.allSatisfy { $0.reason == nil })
    try client.command("REPLICAOF", "NO", "ONE")
    try look.waitUntilServing(after: 2)
  }

  @Test func `a server that does not say what it is in time is left`() throws {
    let fake = try ScriptedRedis { command in
      let isAsked = command.connection == 0 && command.name == "HELLO" && command.words.count == 2
      return isAsked ? .nothing : ScriptedRedis.greets(command)
    }
    let bench = try ConnectionBench(path: fake.path) {
      // The first HELLO, which is answered, has a password.
      ($0.endpoint.password, $0.roleCheckMs, $0.connectTimeoutMs) = ("p", 20, 1_000)
    }
    try bench.startServing()
    try bench.wait("the end of the connection") { $0.reason == "Redis did not answer in time" }
    try bench.waitUntilServing(after: 2)
  }

  // MARK: Giving up

  @Test func `a connection that is given up with requests under way is reset`() throws {
    let fake = try ScriptedRedis(onPort: true) { command in
      let isLost = command.name == "EVALSHA" && command.connection == 0
      return isLost
        ? .nothing
        : command.name == "EVALSHA"
          ? .reply(Self.none)
          : ScriptedRedis.greets(command)
    }
    let figures = ConnectionFigures()
    let bench = try ConnectionBench(
      at: .tcp(host: "127.0.0.1", port: fake.port), timeoutMs: 300
    ) { $0.figures = figures }
    try bench.startServing()
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try bench.wait("the failure") {
      $0 == .batchFailed([1], .noAnswer("Redis did not answer in time"))
    }
    try eventually("the reset") { fake.resets == 1 }
    #expect(figures.resets == 1)
    // One without requests under way ends in order.
    try bench.waitUntilServing(after: 2)
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NONE")
    _ = try bench.ask { $0.redis?.reconnect(reason: "a test") }
    try bench.waitUntilServing(after: 5)
    #expect(fake.resets == 1 && figures.resets == 1)
  }
}
