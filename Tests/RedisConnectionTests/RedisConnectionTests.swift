// Owns: the tests of a connection against a real redis-server: serving, reloading scripts, losing
// the connection, rejecting a server.

import Loop
import RedisConnection
import Scripts
import Testing
import TestSupport

struct RedisConnectionTests {
  private let server: BareRedis
  private let client: BareRedisClient

  init() throws {
    server = try BareRedis()
    client = try BareRedisClient(path: server.path)
  }

  private func sha1(_ text: [UInt8]) throws -> String {
    let words = [
      "EVAL", "return redis.sha1hex(ARGV[1])", "0", String(decoding: text, as: UTF8.self),
    ]
    return try client.command(words).string ?? ""
  }

  /// How often Redis has run a command.
  private func calls(_ command: String) throws -> Int {
    let text = try client.command("INFO", "commandstats").string ?? ""
    let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):") }
    let count = line?.split(separator: "=").dropFirst().first?.prefix { $0.isNumber }
    return count.flatMap { Int($0) } ?? 0
  }

  // MARK: Serving

  /// The names of our libraries that Redis has.
  private func libraries() throws -> [String] {
    try client.command("FUNCTION", "LIST", "LIBRARYNAME", "latchkey_*").items.compactMap {
      $0.items[1].string
    }
  }

  @Test(arguments: [ScriptWay.auto, .function, .script])
  func `a connection connects, loads all scripts and serves`(way: ScriptWay) throws {
    let bench = try ConnectionBench(path: server.path) { $0.scriptWay = way }
    #expect(try bench.ask { $0.redis?.stateWord } == "idle")
    try bench.startServing()
    #expect(try bench.ask { $0.redis?.scriptWay } == (way == .script ? "script" : "function"))
    #expect(try bench.ask { $0.redis?.scriptRemark } == nil)
    let constants = ScriptConstants(reqKeepMs: 600_000, eventsMax: 1_000)
    let library = FunctionLibrary.of(constants, user: "0 lk")
    #expect(try libraries() == (way == .script ? [] : [library.name]))
    for script in Script.allCases where way == .script {
      let hash = try sha1(script.text(constants, redisMajor: 7))
      #expect(try client.command("SCRIPT", "EXISTS", hash) == .array([.integer(1)]))
    }
    #expect(try client.command("GET", "lk:partitions") == .text("256 1"))
    let version = try bench.ask { $0.redis?.redisVersion ?? "" }
    #expect(try client.command("INFO", "server").string?.contains(":\(version)\r\n") == true)
    #expect(version.first?.isNumber == true)
    let lock = try bench.request(.seize, slot: 1, "d", "a", "60000", "")
    #expect(lock.hasPrefix(#"OK {"agent":"a","token":"#))
    #expect(try bench.request(.holder, slot: 2, "d").hasPrefix("holder a "))
    #expect(
      try bench.ask { [$0.redis?.scriptsReloaded, $0.redis?.failures, $0.redis?.flight] } == [
        0, 0, 0,
      ])
    #expect(bench.count(.serves) == 1)
  }

  @Test func `requests of one turn go in few calls and are answered in order`() throws {
    let bench = try ConnectionBench(path: server.path)
    try bench.startServing()
    let before = try calls("fcall")
    bench.post { side in
      for client in 0..<50 as Range<UInt64> {
        let (base, device) = ("lk:{00\(client % 3)}", "d\(client)")
        side.ask(.seize, slot: client, client: client, base: base, [device, "a", "60000", ""])
        side.ask(.holder, slot: 100 + client, client: client, base: base, [device])
        side.ask(.unlock, slot: 200 + client, client: client, base: base, [device, "a", "", ""])
      }
    }
    try bench.wait("the last answer") {
      if case .answered(let slots, _) = $0 { slots.contains(249) } else { false }
    }
    #expect(try calls("fcall") == before + 3)
    let answers = bench.news.dropFirst()
    #expect(answers.count == 3)
    for (news, start) in zip(answers, [0, 100, 200] as [UInt64]) {
      guard case .answered(let slots, let lines) = news else {
        Issue.record("\(news)")
        continue
      }
      #expect(slots == Array(start..<start + 50))
      let word = start == 100 ? "holder a " : "OK {"
      #expect(lines.count == 50 && lines.allSatisfy { $0.hasPrefix(word) })
    }
  }

  @Test func `a command of its own is answered, and a script of one request too`() throws {
    let bench = try ConnectionBench(path: server.path)
    bench.call("early", timeoutMs: 10_000, "PING")
    try bench.wait("the refusal") { $0 == .callFailed("early", .notSent("Redis is not connected")) }
    try bench.startServing()
    bench.call("ping", timeoutMs: 10_000, "PING")
    bench.call("error", timeoutMs: 10_000, "NO-SUCH-COMMAND")
    try bench.wait("the reply") { $0 == .called("ping", "PONG") }
    let error = try bench.wait("the error") {
      if case .called("error", _) = $0 { true } else { false }
    }
    #expect("\(error)".contains("unknown command"))
    bench.call("hello", .hello, timeoutMs: 10_000, keys: ["x"], arguments: ["7"])
    try bench.wait("the script's reply") {
      if case .called("hello", _) = $0 { true } else { false }
    }
    #expect(try client.command("GET", "x") == .text("7"))
  }

  @Test func `requests and replies of many mebibytes pass`() throws {
    let bench = try ConnectionBench(path: server.path, timeoutMs: 20_000)
    try bench.startServing()
    let note = "[\"" + String(repeating: "n", count: 300_000) + "\"]"
    bench.post { side in
      for slot in 0..<40 as Range<UInt64> {
        side.ask(
          .seize, slot: slot, client: slot, base: "lk:{000}", ["d\(slot)", "a", "60000", ""])
        let handoff = ["d\(slot)", "a", "b", "60000", "", note, "", ""]
        side.ask(.handoff, slot: 100 + slot, client: slot, base: "lk:{000}", handoff)
        side.ask(.holder, slot: 200 + slot, client: slot, base: "lk:{000}", ["d\(slot)"])
      }
    }
    var lines: [String] = []
    try eventually("all answers", within: .seconds(30)) {
      lines = bench.news.flatMap { news -> [String] in
        guard case .answered(let slots, let lines) = news, slots[0] >= 200 else { return [] }
        return lines
      }
      return lines.count == 40
    }
    #expect(lines.allSatisfy { $0.contains(" \(note) ") })
    #expect(bench.news.allSatisfy { $0.reason == nil })
  }

  // MARK: Reloading

  /// Has Redis lose all scripts and functions.
  private func flush() throws {
    try client.command("SCRIPT", "FLUSH")
    try client.command("FUNCTION", "FLUSH")
  }

  @Test(arguments: [ScriptWay.function, .script])
  func `a script that Redis lost is reloaded by one EVAL`(way: ScriptWay) throws {
    let bench = try ConnectionBench(path: server.path) { $0.scriptWay = way }
    try bench.startServing()
    try flush()
    let word = way == .function ? "fcall" : "evalsha"
    let (before, called) = (try calls("eval"), try calls(word))
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "").hasPrefix("OK "))
    #expect(try bench.ask { $0.redis?.scriptsReloaded } == 1)
    #expect(try calls("eval") == before + 1)
    #expect(
      try bench.request(.seize, slot: 2, "d", "a", "60000", "").contains(#""seized_from":"a""#))
    #expect(try bench.ask { $0.redis?.scriptsReloaded } == 1)
    // Redis counts calls of unknown scripts as well.
    #expect(try calls(word) == called + 2)
    #expect(try libraries().count == (way == .function ? 1 : 0))
  }

  @Test(arguments: [ScriptWay.function, .script])
  func `requests pipelined around a lost script run once`(way: ScriptWay) throws {
    let bench = try ConnectionBench(path: server.path) { $0.scriptWay = way }
    try bench.startServing()
    try flush()
    #expect(try bench.request(.seize, slot: 0, "warm", "a", "60000", "").hasPrefix("OK "))
    bench.post { side in
      for slot in 1...3 as ClosedRange<UInt64> {
        side.ask(
          .seize, slot: slot, client: slot, base: "lk:{000}", ["d", "a\(slot)", "60000", ""])
        side.ask(
          .clear, slot: 10 + slot, client: slot, base: "lk:{000}", ["x\(slot)", ""])
      }
    }
    try bench.wait("the batch that is sent again") {
      if case .answered(let slots, _) = $0 { slots == [11, 12, 13] } else { false }
    }
    // By hash the first script is known again, and the other one is not.
    #expect(try bench.ask { $0.redis?.scriptsReloaded } == (way == .function ? 1 : 2))
    // Three seizures of `d`: two of them took it from a holder.
    #expect(try client.command("HGET", "lk:{000}:ledger", "seized") == .text("2"))
    #expect(bench.news.allSatisfy { $0.reason == nil })
  }

  @Test(arguments: [ScriptWay.function, .script])
  func `requests keep their order though another worker loads the scripts meanwhile`(
    way: ScriptWay
  ) throws {
    let (bench, other) = (
      try ConnectionBench(path: server.path) { $0.scriptWay = way },
      try ConnectionBench(path: server.path) { $0.scriptWay = way }
    )
    try bench.startServing()
    try other.startServing()
    for round in 1...20 as ClosedRange<UInt64> {
      try flush()
      // Now Redis knows the second one's script again, by the other worker's name for it.
      #expect(try other.request(.clear, slot: round, "x", "") == "NONE")
      let device = "d\(round)"
      bench.post { side in
        side.ask(.seize, slot: 100 * round, base: "lk:{000}", [device, "a", "60000", ""])
        side.ask(.clear, slot: 100 * round + 1, base: "lk:{000}", [device, ""])
        side.ask(.holder, slot: 100 * round + 2, base: "lk:{000}", [device])
      }
      try bench.wait("the last answer") {
        if case .answered([100 * round + 2], _) = $0 { true } else { false }
      }
      let lines = bench.news.suffix(3).flatMap { news -> [String] in
        guard case .answered(_, let lines) = news else { return ["\(news)"] }
        return lines
      }
      #expect(lines.map { $0.prefix { $0 != " " } } == ["OK", "OK", "NONE"], "round \(round)")
    }
    #expect(try bench.ask { $0.redis?.scriptsReloaded ?? 0 } >= 20)
  }

  @Test func `where functions are not allowed, scripts are called by hash, and it says why`() throws
  {
    for (name, rule) in [("nocall", "-fcall"), ("noload", "-function")] {
      try client.command("FUNCTION", "FLUSH")
      try client.command("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all", rule)
      let bench = try ConnectionBench(path: server.path) {
        ($0.endpoint.user, $0.endpoint.password) = (name, "x")
      }
      try bench.startServing()
      #expect(try bench.ask { $0.redis?.scriptWay } == "script")
      #expect(try bench.ask { $0.redis?.scriptRemark }?.hasPrefix("NOPERM") == true)
      #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "").hasPrefix("OK "))
      let strict = try ConnectionBench(path: server.path) {
        ($0.endpoint.user, $0.endpoint.password, $0.scriptWay) = (name, "x", .function)
      }
      strict.start()
      let news = try strict.wait("the refusal") { if case .refused = $0 { true } else { false } }
      #expect("\(news)".contains("--lua function: this Redis does not run functions: NOPERM"))
    }
  }

  @Test func `a right to functions that goes away costs no request`() throws {
    try client.command("ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all")
    let bench = try ConnectionBench(path: server.path) {
      ($0.endpoint.user, $0.endpoint.password) = ("u", "x")
    }
    try bench.startServing()
    try client.command("ACL", "SETUSER", "u", "-function")
    try flush()
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "").hasPrefix("OK "))
    #expect(try bench.request(.holder, slot: 2, "d").hasPrefix("holder a "))
    #expect(try bench.ask { $0.redis?.scriptWay } == "script")
    #expect(bench.news.allSatisfy { $0.reason == nil })
  }
}
