// Owns: the tests of a connection against a real redis-server: serving, reloading scripts, losing the connection, rejecting a server.

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

  @Test func `a connection connects, loads all scripts and serves`() throws {
    let bench = try ConnectionBench(path: server.path)
    #expect(try bench.ask { $0.redis?.stateWord } == "idle")
    try bench.startServing()
    let constants = ScriptConstants(reqKeepMs: 600_000, eventsMax: 1_000)
    for script in Script.allCases {
      let hash = try sha1(script.text(constants, redisMajor: 7))
      #expect(try client.command("SCRIPT", "EXISTS", hash) == .array([.integer(1)]))
    }
    #expect(try client.command("GET", "lk:partitions") == .text("256 1"))
    let version = try bench.ask { $0.redis?.redisVersion ?? "" }
    #expect(try client.command("INFO", "server").string?.contains(":\(version)\r\n") == true)
    #expect(version.first?.isNumber == true)
    let lock = try bench.request(.seize, slot: 1, "d", "a", "60000", "")
    #expect(lock.hasPrefix(#"OK {"agent":"a","token":"#))
    #expect(try bench.request(.holder, slot: 2, "d").hasPrefix(#"OK {"agent":"a","#))
    #expect(
      try bench.ask { [$0.redis?.scriptsMended, $0.redis?.failures, $0.redis?.flight] } == [
        0, 0, 0,
      ])
    #expect(bench.count(.serves) == 1)
  }

  @Test func `what is asked in one turn goes in few calls and is answered in order`() throws {
    let bench = try ConnectionBench(path: server.path)
    try bench.startServing()
    let before = try calls("evalsha")
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
    #expect(try calls("evalsha") == before + 3)
    let answers = bench.news.dropFirst()
    #expect(answers.count == 3)
    for (news, start) in zip(answers, [0, 100, 200] as [UInt64]) {
      guard case .answered(let slots, let lines) = news else {
        Issue.record("\(news)")
        continue
      }
      #expect(slots == Array(start..<start + 50))
      #expect(lines.count == 50 && lines.allSatisfy { $0.hasPrefix("OK {") })
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
    try bench.wait("the script's reply") { $0 == .called("hello", "7") }
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
        let handoff = ["d\(slot)", "a", "b", "60000", "", note, ""]
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
    #expect(lines.allSatisfy { $0.hasSuffix(",\"note\":\(note)}") })
    #expect(bench.news.allSatisfy { $0.reason == nil })
  }

  // MARK: Reloading

  @Test func `a script that Redis lost is reloaded by one EVAL`() throws {
    let bench = try ConnectionBench(path: server.path)
    try bench.startServing()
    try client.command("SCRIPT", "FLUSH")
    let before = try calls("eval")
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "").hasPrefix("OK "))
    #expect(try bench.ask { $0.redis?.scriptsMended } == 1)
    #expect(try calls("eval") == before + 1)
    #expect(
      try bench.request(.seize, slot: 2, "d", "a", "60000", "").contains(#""seized_from":"a""#))
    #expect(try bench.ask { $0.redis?.scriptsMended } == 1)
    #expect(try calls("eval") == before + 1)
  }

  @Test func `what is pipelined around a forgotten script runs once`() throws {
    let bench = try ConnectionBench(path: server.path)
    try bench.startServing()
    try client.command("SCRIPT", "FLUSH")
    #expect(try bench.request(.seize, slot: 0, "warm", "a", "60000", "").hasPrefix("OK "))
    let before = try bench.ask { $0.redis?.scriptsMended ?? -1 }
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
    #expect(try bench.ask { $0.redis?.scriptsMended } == before + 1)
    // Three seizures of `d`: two of them took it from a holder.
    #expect(try client.command("HGET", "lk:{000}:ledger", "seized") == .text("2"))
    #expect(bench.news.allSatisfy { $0.reason == nil })
  }
}
