// Owns: the tests of a connection against a Redis that misbehaves, a scripted fake.

import RedisConnection
import Scripts
import Synchronization
import Testing
import TestSupport

struct ScriptedRedisTests {
  private static let seizure = ["d", "a", "60000", ""]

  /// Plays a good greeting, then this answer to EVALSHA on the first connection only.
  private func fake(answering answer: FakeAnswer) throws -> ScriptedRedis {
    try ScriptedRedis { command in
      guard command.name == "EVALSHA" else { return ScriptedRedis.greets(command) }
      return command.connection == 0 ? answer : .reply("*1\r\n$4\r\nNONE\r\n")
    }
  }

  /// Starts a connection, asks for one seizure, and gives the failure of that request.
  private func failure(_ answer: FakeAnswer) throws -> (ConnectionBench, ScriptedRedis, String) {
    let fake = try fake(answering: answer)
    let bench = try ConnectionBench(path: fake.path, timeoutMs: 5_000)
    try bench.startServing()
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    let news = try bench.wait("the failure") { if case .batchFailed = $0 { true } else { false } }
    guard case .batchFailed([1], .noAnswer(let reason)) = news else { throw TestFailure("\(news)") }
    return (bench, fake, reason)
  }

  static let garbage = [
    "garbage\r\n", "\0\0\0\0", "HTTP/1.1 400 Bad Request\r\n\r\n", "*x\r\n", "$-7\r\n",
    "*-2\r\n", ":12x\r\n",
  ]

  @Test(arguments: garbage)
  func `garbage closes the connection, fails its requests, and the next connection serves`(
    bytes: String
  ) throws {
    let (bench, fake, reason) = try failure(.reply(bytes))
    #expect(reason == "Redis sent what is not its protocol")
    try bench.waitUntilServing(after: 2)
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NONE")
    #expect(fake.connectionCount == 2)
    // S7: a command that was sent and not answered is not sent again.
    #expect(fake.commands.count { $0.name == "EVALSHA" } == 2)
  }

  @Test(arguments: ["*1\r\n$4\r\nNO", "*1\r\n", "*", ""])
  func `a truncated reply fails the waiting requests`(bytes: String) throws {
    let (bench, fake, reason) = try failure(.replyAndClose(bytes))
    #expect(reason == "Redis closed the connection")
    try bench.waitUntilServing(after: 2)
    // The half reply is not taken for the beginning of another one.
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NONE")
    #expect(fake.connectionCount == 2)
  }

  @Test func `a reply too many ends the connection`() throws {
    let fake = try fake(answering: .reply("*1\r\n$4\r\nNONE\r\n*1\r\n$4\r\nHELD\r\n"))
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "") == "NONE")
    try bench.wait("the end of the connection") {
      $0.reason == "Redis sent a reply without a request"
    }
    try bench.waitUntilServing(after: 3)
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NONE")
  }

  @Test func `a reply that comes late is never taken for another one`() throws {
    // The first connection answers nothing in time; the second one has its own answers.
    let fake = try fake(answering: .nothing)
    let bench = try ConnectionBench(path: fake.path, timeoutMs: 500)
    try bench.startServing()
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try bench.wait("the failure") {
      $0 == .batchFailed([1], .noAnswer("Redis did not answer in time"))
    }
    try bench.waitUntilServing(after: 2)
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NONE")
    #expect(fake.connectionCount == 2)
  }

  @Test func `replies that come byte by byte are put together`() throws {
    let fake = try ScriptedRedis { command in
      if command.name == "EVALSHA" { return .dribble("*1\r\n$4\r\nNONE\r\n") }
      guard case .reply(let text) = ScriptedRedis.greets(command) else { return .nothing }
      return .dribble(text)
    }
    let bench = try ConnectionBench(path: fake.path, timeoutMs: 20_000) {
      $0.connectTimeoutMs = 30_000
    }
    bench.start()
    try bench.wait("a connection that serves", within: .seconds(30)) { $0 == .serves }
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "") == "NONE")
    #expect(bench.news.allSatisfy { $0.reason == nil })
  }

  @Test func `replies of another shape are the owner's to judge`() throws {
    let fake = try fake(answering: .reply("*0\r\n"))
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try bench.wait("the answer") { $0 == .answered([1], []) }
    let busy = try self.fake(answering: .reply("-BUSY Redis is busy\r\n"))
    let other = try ConnectionBench(path: busy.path)
    try other.startServing()
    other.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try other.wait("the answer") { $0 == .rejected([1], "BUSY Redis is busy") }
    #expect(other.news.allSatisfy { $0.reason == nil })
  }

  @Test func `a library that another worker has loaded is called by the names it has there`() throws
  {
    let layout = "*2\r\n$5\r\n256 1\r\n"
    let isNew = Mutex(false)
    let fake = try ScriptedRedis { command in
      let isOld = command.name == "FCALL" && command.words[1].hasSuffix("_old")
      switch command.name {
      case "FUNCTION": return .reply("-ERR Library 'latchkey' already exists\r\n")
      case "FCALL" where command.words[1].hasPrefix("hello_"):
        let isFirst = isNew.withLock { was in
          defer { was = true }
          return !was
        }
        return .reply(layout + (isFirst ? "$3\r\nold\r\n" : "$3\r\nnew\r\n"))
      case "FCALL" where isOld: return .reply("-ERR Function not found\r\n")
      case "FCALL": return .reply("*1\r\n$3\r\nNEW\r\n")
      case "EVAL" where command.words.count > 5: return .reply("*1\r\n$4\r\nTEXT\r\n")
      default: return ScriptedRedis.greets(command)
      }
    }
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "") == "TEXT")
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "") == "NEW")
    #expect(try bench.ask { $0.redis?.scriptsReloaded } == 1)
  }

  @Test func `a Redis that always loses the script is asked no more than it answers`() throws {
    let fake = try ScriptedRedis { command in
      switch command.name {
      case "EVALSHA": .reply("-NOSCRIPT No matching script.\r\n")
      case "EVAL" where command.words.count > 5: .reply("*1\r\n$4\r\nNONE\r\n")
      default: ScriptedRedis.greets(command)
      }
    }
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    for slot in 1...3 as ClosedRange<UInt64> {
      #expect(try bench.request(.seize, slot: slot, "d", "a", "60000", "") == "NONE")
    }
    #expect(try bench.ask { $0.redis?.scriptsReloaded } == 3)
    let sent = fake.commands.filter { $0.words.contains("60000") }.map(\.name)
    #expect(sent == ["EVALSHA", "EVAL", "EVALSHA", "EVAL", "EVALSHA", "EVAL"])
  }
}

// MARK: Greetings

struct GreetingTests {
  /// Starts a connection to a fake that plays this instead of the answer to one command.
  private func bench(
    _ name: String, _ answer: FakeAnswer, connectTimeoutMs: Int64 = 2_000
  ) throws -> (ScriptedRedis, ConnectionBench) {
    let fake = try ScriptedRedis { command in
      command.name == name ? answer : ScriptedRedis.greets(command)
    }
    let bench = try ConnectionBench(path: fake.path) {
      $0.connectTimeoutMs = connectTimeoutMs
      // Else functions would be asked for too, and refused.
      $0.scriptWay = .script
    }
    bench.start()
    return (fake, bench)
  }

  static let passing: [(String, String, String)] = [
    ("HELLO", "-LOADING Redis is loading the dataset in memory\r\n", "(LOADING)"),
    ("HELLO", "-ERR max number of clients reached\r\n", "max number of clients"),
    ("HELLO", "-NOAUTH HELLO must be called\r\n", "(NOAUTH)"),
    ("HELLO", "garbage\r\n", "not its protocol"),
    ("HELLO", "*4\r\n+version\r\n+7.0.15\r\n+mode\r\n+cluster\r\n", "Redis Cluster"),
    ("HELLO", "*4\r\n+mode\r\n+sentinel\r\n+version\r\n+7.0.15\r\n", "Sentinel"),
    ("HELLO", "*4\r\n+role\r\n+replica\r\n+version\r\n+7.0.15\r\n", "read-only replica"),
    ("HELLO", "-DENIED Redis is running in protected mode\r\n", "(DENIED)"),
    ("EVAL", "-MOVED 866 127.0.0.1:7001\r\n", "Redis Cluster"),
    ("EVAL", "-CLUSTERDOWN Hash slot not served\r\n", "(CLUSTERDOWN)"),
    ("SCRIPT", "-ERR Error compiling script\r\n", "compiling"),
    ("SCRIPT", "-BUSY Redis is busy running a script\r\n", "(BUSY)"),
    ("EVAL", "-MISCONF Redis is configured to save\r\n", "(MISCONF)"),
    ("EVAL", "-NOREPLICAS Not enough good replicas to write.\r\n", "(NOREPLICAS)"),
    ("EVAL", "-MASTERDOWN Link with MASTER is down\r\n", "(MASTERDOWN)"),
    ("EVAL", "-READONLY You can not run script with write flag\r\n", "(READONLY)"),
    ("EVAL", "-NOSCRIPT none\r\n", "forgot a script"),
  ]

  @Test(arguments: passing)
  func `a greeting that fails is tried again`(
    command: String, answer: String, reason: String
  ) throws {
    let (fake, bench) = try bench(command, .reply(answer))
    try eventually("two tries") { bench.news.count >= 2 }
    #expect(bench.news.allSatisfy { $0.reason?.contains(reason) == true }, "\(bench.news)")
    #expect(fake.connectionCount >= 2)
  }

  @Test(arguments: ["HELLO", "SCRIPT", "EVAL"])
  func `a greeting that stalls or is cut is tried again`(command: String) throws {
    let (stall, stalled) = try bench(command, .nothing, connectTimeoutMs: 100)
    try eventually("two tries") { stalled.news.count >= 2 }
    #expect(stalled.news.allSatisfy { $0 == .failed("Redis did not answer in time") })
    #expect(stall.connectionCount >= 2)
    let (cutter, cut) = try bench(command, .replyAndClose("$4"))
    try eventually("two tries") { cut.news.count >= 2 }
    #expect(cut.news.allSatisfy { $0 == .failed("Redis closed the connection") }, "\(cut.news)")
    #expect(cutter.connectionCount >= 2)
  }

  @Test func `a Redis too old to be greeted is refused for good`() throws {
    let (fake, bench) = try bench("HELLO", .reply("-ERR unknown command `HELLO`, with args\r\n"))
    let news = try bench.wait("the refusal") { if case .refused = $0 { true } else { false } }
    #expect("\(news)".contains("6.2"))
    #expect(bench.news == [news])
    #expect(try bench.ask { $0.redis?.stateWord } == "closed")
    #expect(fake.connectionCount == 1)
  }

  @Test(arguments: [
    "*2\r\n$3\r\n256\r\n$1\r\n0\r\n", "*2\r\n$5\r\n512 1\r\n$1\r\n0\r\n",
    "*2\r\n$5\r\n256 2\r\n$1\r\n0\r\n", "*2\r\n$6\r\n256 1 \r\n$1\r\n0\r\n", ":256\r\n",
    "*2\r\n$-1\r\n$1\r\n0\r\n", "*1\r\n$5\r\n256 1\r\n", "$5\r\n256 1\r\n", "$-1\r\n", "*0\r\n",
    "$0\r\n\r\n",
  ])
  func `any layout but ours is refused for good`(answer: String) throws {
    let (fake, bench) = try bench("EVAL", .reply(answer))
    try bench.wait("the refusal") { if case .refused = $0 { true } else { false } }
    #expect(try bench.ask { $0.redis?.stateWord } == "closed")
    #expect(fake.connectionCount == 1)
  }

  @Test(arguments: [("6.2.14", false), ("7.0.0", true), ("7.2.4", true), ("8.0.1", true)])
  func `scripts declare their flags where Redis is 7 or newer`(
    version: String, declares: Bool
  ) throws {
    let fake = try ScriptedRedis { ScriptedRedis.greets($0, version: version) }
    let bench = try ConnectionBench(path: fake.path)
    try bench.startServing()
    #expect(try bench.ask { $0.redis?.redisVersion } == version)
    let loads = fake.commands.filter { $0.name == "SCRIPT" }
    #expect(loads.map { $0.words[1] } == [String](repeating: "LOAD", count: Script.allCases.count))
    #expect(loads.allSatisfy { $0.words[2].hasPrefix("#!lua") == declares })
  }

  @Test(arguments: ["6.0.16", "5.0.7"])
  func `a version below 6.2 is refused for good`(version: String) throws {
    let fake = try ScriptedRedis { ScriptedRedis.greets($0, version: version) }
    let bench = try ConnectionBench(path: fake.path)
    bench.start()
    let news = try bench.wait("an outcome") { _ in true }
    #expect("\(news)".hasPrefix("refused"), "\(news)")
  }

  @Test func `the greeting names the client and selects the database`() throws {
    let fake = try ScriptedRedis { ScriptedRedis.greets($0) }
    let bench = try ConnectionBench(path: fake.path) {
      $0.endpoint.user = "ann"
      $0.endpoint.password = "s p\r\n*ü"
      $0.endpoint.database = 7
    }
    try bench.startServing()
    let words = fake.commands.map(\.words)
    #expect(words[0] == ["HELLO", "2", "AUTH", "ann", "s p\r\n*ü"])
    #expect(words[1] == ["SELECT", "7"])
    #expect(words.first { $0[0] == "EVAL" }?.suffix(3) == ["1", "lk:partitions", "256 1"])
    let plain = try ScriptedRedis { ScriptedRedis.greets($0) }
    let other = try ConnectionBench(path: plain.path) { $0.endpoint.password = "p" }
    try other.startServing()
    #expect(plain.commands[0].words == ["HELLO", "2", "AUTH", "default", "p"])
    #expect(!plain.commands.contains { $0.name == "SELECT" })
  }
}
