// Owns: the tests of the scripts about the whole fleet: the list of workers, STATS and reports.

import Foundation
import Scripts
import TestSupport
import Testing

struct FleetScriptTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  @Test func `a worker that is silent for too long is off the list`() throws {
    let keys = [bench.base + ":workers", bench.base + ":canary"]
    func beat(_ worker: String, deadMs: Int = 60_000) throws -> Set<String> {
      let reply = try bench.call(.heartbeat, keys: keys, [worker, "\(deadMs)", "1000", ""])
      return Set(reply.items.dropFirst().compactMap(\.string))
    }
    #expect(try beat("w1") == ["w1"])
    #expect(try beat("w2") == ["w1", "w2"])
    #expect(try bench.call(.deregister, keys: [keys[0]], ["w2"]) == .integer(1))
    #expect(try bench.call(.deregister, keys: [keys[0]], ["w2"]) == .integer(0))
    #expect(try beat("w1") == ["w1"])
    try bench.wait(until: try bench.nowMs() + 5)
    #expect(try beat("w3", deadMs: 1) == ["w3"])
    let endsAt = try #require(try bench.redis.command("PEXPIRETIME", keys[1]).int)
    let now = try bench.nowMs()
    #expect((now - 1_000...now + 1_000).contains(endsAt))
  }

  @Test func `STATS adds up all partitions`() throws {
    let other = bench.base + "-2"
    try bench.run(.lock, "d1", "a", "3600000", "", "")
    try bench.run(.lock, "d2", "a", "3600000", "", "")
    try bench.run(.unlock, "d2", "a", "", "")
    try bench.run(.seize, "d1", "b", "3600000", "")
    _ = try bench.call(.lock, keys: [other], ["d3", "b", "3600000", "", ""])
    _ = try bench.call(.handoff, keys: [other], ["d3", "b", "c", "3600000", "", "", "", ""])
    _ = try bench.call(.lock, keys: [other], ["d4", "b", "3600000", "", ""])
    _ = try bench.call(.clear, keys: [other], ["d4", ""])
    let empty = bench.base + "-empty"
    let each = ["0", "-", "100"]
    let reply = try bench.call(
      .stats, keys: [bench.base, other, empty], each + each + each)
    var sums: [String: Int] = [:]
    for line in reply.items.compactMap(\.string) {
      let words = line.split(separator: " ").map(String.init)
      #expect(words.prefix(3) == ["OK", "-", "-"], "\(line)")
      for at in stride(from: 3, to: words.count, by: 2) {
        sums[words[at], default: 0] += try #require(Int(words[at + 1]))
      }
    }
    #expect(reply.items.count == 3)
    let counts = [
      "held:b": 1, "held:c": 1, "released": 1, "handed_off": 1, "seized": 1, "cleared": 1,
    ]
    for (name, count) in counts { #expect(sums[name] == count, "\(name)") }
    #expect(sums["held:a"] == nil && sums["abandoned"] == nil)
  }

  @Test func `STATS reads many agents and sessions in pages`() throws {
    let ids = (0..<300).map { "01KB\(String(format: "%022d", $0))" }
    // A small hash is read as a whole.
    for number in 300..<600 {
      try bench.redis.command("HSET", bench.base + ":ledger", "held:agent-\(number)", "2")
    }
    for (number, id) in ids.enumerated() {
      let device = "d\(number * 7 % 300)"
      try bench.redis.command("HSET", bench.base + ":ledger", "held:agent-\(number)", "2")
      try bench.redis.command("ZADD", bench.base + ":sessions", "0", "\(device)/\(id)")
      try bench.redis.command(
        "HSET", bench.base + ":session:\(device)/\(id)", "created", "\(1_000 + number)")
    }
    var (agents, opened): (Set<String>, [String: [String]]) = ([], [:])
    var (agentsFrom, sessionsFrom) = ("0", "-")
    var calls = 0
    while agentsFrom != "" || sessionsFrom != "", calls < 50 {
      calls += 1
      let line = try bench.call(.stats, keys: [bench.base], [agentsFrom, sessionsFrom, "50"])
      let words = (line.items.first?.string ?? "").split(separator: " ").map(String.init)
      (agentsFrom, sessionsFrom) = (words[1], words[2])
      if agentsFrom == "-" { agentsFrom = "" }
      if sessionsFrom == "-" { sessionsFrom = "" }
      // Twice as many as asked for at most, with the counters.
      #expect(words.count < 350, "\(words.count)")
      for at in stride(from: 3, to: words.count, by: 2) {
        if words[at].hasPrefix("held:") { agents.insert(words[at]) }
        opened[words[at], default: []].append(words[at + 1])
      }
    }
    #expect(calls > 5 && calls < 50 && agents.count == 600)
    #expect(opened["oldest"]?.min() == ids[0] + "1000")
    #expect(opened["newest"]?.max() == ids[299] + "1299")
  }

  @Test func `a report adds up one agent's locks in all partitions`() throws {
    let other = bench.base + "-2"
    for base in [bench.base, other] {
      _ = try bench.call(.lock, keys: [base], ["d1", "a", "3600000", "", ""])
      _ = try bench.call(.lock, keys: [base], ["d2", "a", "10", "", ""])
      _ = try bench.call(.lock, keys: [base], ["d3", "b", "3600000", "", ""])
    }
    try bench.wait(until: try bench.nowMs() + 12)
    for base in [bench.base, other] { _ = try bench.call(.reap, keys: [base], ["10"]) }
    let reply = try bench.call(.reportAgent, keys: [bench.base, other], ["a"])
    let report = try ScriptReply(reply.string ?? "")
    #expect(report.word == "OK")
    #expect(try report.string("agent") == "a")
    for (name, count) in ["held": 2, "ended": 2, "abandoned": 2] {
      #expect(try report.int(name) == count, "\(name)")
    }
    #expect(try report.int("held_ms_mean") == 10)
    #expect(try report.int("held_ms_longest") == 10)
    let unknown = try bench.call(.reportAgent, keys: [bench.base, other], ["unknown"])
    #expect(try ScriptReply(unknown.string ?? "").int("ended") == 0)
  }
}
