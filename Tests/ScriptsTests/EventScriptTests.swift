// Owns: the tests of the scripts that read the log of events, and of those of the whole fleet.

import Foundation
import Scripts
import Testing
import TestSupport

struct EventScriptTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  /// Makes events: one `lock.seized` of each device, in order.
  private func seize(_ devices: String...) throws {
    for device in devices {
      try bench.run(.lock, device, "a", "3600000", "", "")
      try bench.run(.seize, device, "b", "3600000", "")
    }
  }

  private func take(
    group: String = "g", ackMs: Int = 60_000, limit: Int = 10, types: String = "",
    groupsMax: Int = 8, keys: [String]? = nil
  ) throws -> ScriptReply {
    let arguments = [group, "\(ackMs)", "\(limit)", types, "0", "\(groupsMax)"]
    let reply = try bench.call(.readGroup, keys: keys ?? [bench.base], arguments)
    guard let text = reply.string else { throw TestFailure("take: \(reply)") }
    return try ScriptReply(text)
  }

  private func events(_ reply: ScriptReply) throws -> [[String: Any]] {
    guard let events = reply.body["events"] as? [[String: Any]] else {
      throw TestFailure("\(reply)")
    }
    return events
  }

  private func devices(_ reply: ScriptReply) throws -> [String] {
    try events(reply).compactMap { $0["device"] as? String }
  }

  @Test func `EVENTS gives one device's events, oldest first and not more than asked for`() throws {
    try seize("d1", "d2", "d1", "d1")
    let reply = try bench.run(.events, "d1", "0-0", "2")
    #expect(reply.word == "OK")
    #expect(try devices(reply) == ["d1", "d1"])
    let first = try #require(try events(reply).first)
    #expect(
      Set(first.keys) == ["id", "type", "device", "at", "agent", "token", "held_ms", "to"])
    #expect(first["type"] as? String == "lock.seized")
    // The id is the stream's behind the partition's tag, and reading goes on after it.
    let last = try #require(try events(reply).last?["id"] as? String)
    #expect(last.hasPrefix("0a3-"))
    let rest = try bench.run(.events, "d1", String(last.dropFirst(4)), "10")
    #expect(try devices(rest).count == 1)
    #expect(try devices(bench.run(.events, "d3", "0-0", "10")) == [])
  }

  @Test func `EVENTS finds a device's events in a long log`() throws {
    try seize("first")
    let others = (0..<600).flatMap { _ in ["other", "a", "3600000", ""] }
    _ = try bench.call(.seize, keys: [String](repeating: bench.base, count: 600), others)
    try seize("last")
    #expect(try devices(bench.run(.events, "first", "0-0", "10")) == ["first"])
    #expect(try devices(bench.run(.events, "last", "0-0", "10")) == ["last"])
    #expect(try devices(bench.run(.events, "other", "0-0", "1000")).count == 599)
  }

  @Test func `a group's event goes to one consumer, and again if nobody acknowledges it`() throws {
    try seize("d1", "d2", "d3")
    #expect(try devices(take(limit: 2)) == ["d1", "d2"])
    #expect(try devices(take(limit: 2)) == ["d3"])
    #expect(try devices(take()) == [])
    #expect(try devices(take(group: "other")) == ["d1", "d2", "d3"])
    // Not acknowledged in time, oldest first; those that are acknowledged do not come again.
    let again = try events(take(ackMs: 0))
    #expect(again.compactMap { $0["device"] as? String } == ["d1", "d2", "d3"])
    let ids = again.compactMap { ($0["id"] as? String)?.dropFirst(4) }.map { String($0) }
    let two = [bench.base, bench.base]
    #expect(
      try bench.call(.ack, keys: two, ["g", ids[0], ids[2]]) == .text(#"OK {"acked":2}"#))
    #expect(
      try bench.call(.ack, keys: two, ["g", ids[0], "1-1"]) == .text(#"OK {"acked":0}"#))
    #expect(try devices(take(ackMs: 0)) == ["d2"])
  }

  @Test func `events of other types are done with for a group`() throws {
    try seize("d1")
    try bench.run(.clear, "d1", "")
    let wanted = try take(types: "lock.cleared,lock.abandoned")
    #expect(try events(wanted).compactMap { $0["type"] as? String } == ["lock.cleared"])
    #expect(try events(take(ackMs: 0, types: "lock.seized")).isEmpty)
  }

  @Test func `a group too many is refused`() throws {
    try seize("d1")
    #expect(try take(group: "g1", groupsMax: 2).word == "OK")
    #expect(try take(group: "g2", groupsMax: 2).word == "OK")
    let third = try take(group: "g3", groupsMax: 2)
    #expect(third.raw.hasPrefix("ERR quota "), "\(third)")
    #expect(try take(group: "g1", groupsMax: 2).word == "OK")
  }

  @Test func `the tail of a log is its newest event, or the beginning`() throws {
    let empty = bench.base + "-empty"
    try seize("d1", "d2")
    let tails = try bench.call(.tails, keys: [bench.base, empty], []).items
    try #require(tails.count == 2)
    let newest = try bench.redis.command("XREVRANGE", bench.base + ":events", "+", "-").items
    #expect(tails == [newest[0].items[0], .text("0-0")])
  }

  @Test func `old events are dropped, and how many is told`() throws {
    try seize("d1", "d2")
    let newest = try #require(try bench.events().last).body
    #expect(try bench.call(.trim, keys: [bench.base], ["60000"]) == .integer(0))
    try bench.wait(until: try newest.int("at") + 5)
    #expect(try bench.call(.trim, keys: [bench.base], ["1"]) == .integer(2))
    #expect(try bench.events().isEmpty)
    #expect(try bench.call(.trim, keys: [bench.base], ["1"]) == .integer(0))
  }
}

struct FleetScriptTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  @Test func `a worker that is silent for too long is off the list`() throws {
    let keys = [bench.base + ":workers", bench.base + ":canary"]
    func beat(_ worker: String, deadMs: Int = 60_000) throws -> Set<String> {
      let reply = try bench.call(.heartbeat, keys: keys, [worker, "\(deadMs)", "1000"])
      return Set(reply.items.compactMap(\.string))
    }
    #expect(try beat("w1") == ["w1"])
    #expect(try beat("w2") == ["w1", "w2"])
    #expect(try bench.call(.goodbye, keys: [keys[0]], ["w2"]) == .integer(1))
    #expect(try bench.call(.goodbye, keys: [keys[0]], ["w2"]) == .integer(0))
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
    _ = try bench.call(.handoff, keys: [other], ["d3", "b", "c", "3600000", "", "", ""])
    _ = try bench.call(.lock, keys: [other], ["d4", "b", "3600000", "", ""])
    _ = try bench.call(.clear, keys: [other], ["d4", ""])
    let empty = bench.base + "-empty"
    let reply = try bench.call(.stats, keys: [bench.base, other, empty], ["3"])
    let stats = try ScriptReply(reply.string ?? "")
    #expect(stats.word == "OK")
    #expect(try stats.int("workers") == 3)
    let locks = try #require(stats.body["locks"] as? [String: Any])
    #expect(locks["by_agent"] as? [String: Int] == ["b": 1, "c": 1])
    let counts = [
      "held": 2, "acquired": 4, "released": 1, "abandoned": 0, "handed_off": 1, "seized": 1,
      "cleared": 1,
    ]
    for (name, count) in counts { #expect(locks[name] as? Int == count, "\(name)") }
    #expect(locks["held_ms_mean"] is Int)
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
    let nobody = try bench.call(.reportAgent, keys: [bench.base, other], ["nobody"])
    #expect(try ScriptReply(nobody.string ?? "").int("ended") == 0)
  }
}
