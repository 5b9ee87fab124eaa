// Owns: the tests of an event log's limits: what it keeps for its groups, whom it refuses at its
// bound, and the notice of a loss to a group.

import Foundation
import Scripts
import TestSupport
import Testing

struct LogLimitTests {
  private static let hour = "3600000"

  /// Writes so many events of a device in calls of 60, each with so many more bytes.
  private func write(_ count: Int, of device: String, in bench: ScriptBench, more: Int = 0) throws {
    try bench.run(.seize, device, "a", Self.hour, "")
    let note = more > 0 ? "\"\(String(repeating: "n", count: more))\"" : ""
    for start in stride(from: 0, to: count, by: 60) {
      let size = min(60, count - start)
      let words = (0..<size).flatMap { _ in [device, "a", "a", Self.hour, "", note, "", ""] }
      let keys = [String](repeating: bench.base, count: size)
      let replies = try bench.call(.handoff, keys: keys, words).items
      try #require(replies.allSatisfy { $0.string?.hasPrefix("OK ") == true }, "\(replies)")
    }
  }

  private func lost(_ items: [RedisAnswer]) throws -> Bool {
    let line = try ScriptBench.line(try #require(items.first)).string ?? ""
    return try ScriptReply(line).body["lost"] as? Bool ?? false
  }

  private func ids(_ items: [RedisAnswer]) -> [String] {
    stride(from: 7, to: items.count, by: 2).compactMap { items[$0].string }
  }

  /// Reports to Redis what became of a page that was read for a group.
  private func hand(
    _ items: [RedisAnswer], over target: String, group: String, in bench: ScriptBench
  ) throws {
    let losses = items[3].items.map { _ in "0-0" }
    let entries = losses + ids(items).map { String($0.dropFirst(4)) }
    guard !entries.isEmpty else { return }
    let keys = [String](repeating: bench.base, count: entries.count)
    _ = try bench.call(.transferPending, keys: keys, [group, "w-1", target] + entries)
  }

  /// Reads all that there is for a group, and acknowledges it; returns the ids, and how often the
  /// group was notified of a loss.
  private func drain(_ group: String, in bench: ScriptBench) throws -> (ids: [String], lost: Int) {
    var (all, losses) = ([String](), 0)
    for _ in 0..<1_000 {
      let page = try bench.ask(group: group, limit: 500)
      if try lost(page) { losses += 1 }
      try hand(page, over: "given", group: group, in: bench)
      let found = ids(page)
      if found.isEmpty { return (all, losses) }
      all += found
      let keys = [String](repeating: bench.base, count: found.count)
      _ = try bench.call(.ack, keys: keys, [group] + found.map { String($0.dropFirst(4)) })
    }
    throw TestFailure("there is no end: \(all.suffix(3))")
  }

  @Test func `one device's events push no other's out that a group has not acknowledged`() throws {
    let bench = try ScriptBench()
    try bench.ask(group: "g")
    try bench.run(.lock, "other", "a", "10", "", "")
    try bench.wait(until: try bench.nowMs() + 12)
    try bench.reap()
    try write(6_000, of: "d", in: bench)
    #expect(try bench.logLength() == 6_001)
    let drained = try drain("g", in: bench)
    #expect(drained.ids.count == 6_001 && drained.lost == 0)
    // What is acknowledged goes by number.
    try bench.trim()
    #expect(try bench.logLength() <= 1_100)
  }

  @Test func `the upkeep says how far each group in use is behind`() throws {
    let bench = try ScriptBench()
    let groups = ["slow", "asked", "quick", "unused"]
    for group in groups { try bench.ask(group: group) }
    #expect(try bench.lags() == Dictionary(uniqueKeysWithValues: groups.map { ($0, 0) }))
    for agent in ["a", "b", "c"] { try bench.run(.seize, "d", agent, Self.hour, "") }
    // One has an event that it has not acknowledged, one has read all.
    try bench.ask(group: "asked")
    let log = bench.base + ":events"
    try bench.redis.command("XGROUP", "SETID", log, "quick", "$")
    try bench.redis.command("HSET", bench.base + ":groups", "unused", "1")
    let from = try bench.nowMs()
    try bench.wait(until: from + 20)
    let lags = try bench.lags()
    #expect(lags.keys.sorted() == ["asked", "quick", "slow"])
    let slow = try #require(lags["slow"])
    #expect(slow >= 20 && lags["quick"] == 0 && (lags["asked"] ?? 0) >= 20, "\(lags)")
  }

  @Test func `at the bound the device with more than its share is refused, and no other`() throws {
    let bench = try LogBench.make()
    try bench.ask(group: "g")
    try bench.run(.lock, "old", "a", Self.hour, "", "")
    try bench.fill("d")
    let (before, holder) = (try bench.logLength(), try bench.held("d").agent)
    for request in [
      (Script.seize, ["d", "z", Self.hour, ""]),
      (.handoff, ["d", holder, "z", Self.hour, "", "", "", ""]),
    ] {
      let reply = try bench.run(request.0, request.1)
      #expect(reply.raw.hasPrefix("ERR quota quota exceeded: "), "\(reply)")
      #expect(reply.raw.contains(" of 8192 bytes of the event log"), "\(reply)")
    }
    #expect(try bench.logLength() == before)
    // What holds it goes on, and what ends it is written; a new lock is refused.
    #expect(try bench.run(.lock, "d", holder, Self.hour, "", "").word == "OK")
    #expect(try bench.run(.clear, "d", "").word == "OK")
    #expect(try bench.events().last?.kind == "lock.cleared")
    #expect(try bench.run(.lock, "d", "a", Self.hour, "", "").word == "ERR")
    #expect(try bench.record("d") == nil)
    // Others are not refused.
    #expect(try bench.run(.seize, "old", "b", Self.hour, "").word == "OK")
    #expect(try bench.run(.lock, "new", "b", Self.hour, "", "").word == "OK")
    #expect(try Double(bench.bytes()) <= Double(LogBench.bytesMax) * 1.1)
    // An acknowledgement makes room at once, and nothing was lost.
    #expect(try drain("g", in: bench).lost == 0)
    #expect(try bench.run(.lock, "d", "a", Self.hour, "", "").word == "OK")
    #expect(try bench.ledger()["log_full"] == nil && bench.ledger()["log_lost"] == nil)
  }

  @Test func `a session that would begin or wake is refused, and one that ends is not`() throws {
    let bench = try LogBench.full(by: "d", holder: "a")
    let clocks = "1800000 86400000 604800000 0 2592000000 120000"
    let open = Opening(thread: "\"S\"", clocks: clocks).open
    #expect(try bench.run(.open, open).raw.hasPrefix("ERR quota quota exceeded: "))
    try bench.redis.command("XGROUP", "DESTROY", bench.base + ":events", "slow")
    try bench.trim()
    #expect(try bench.run(.open, open).word == "OK")
    try bench.ask(group: "slow")
    try bench.fill("d")
    for verb in [("PAUSE", "paused"), ("RESUME", "active")] {
      let reply = try bench.run(.changeState, "d", "S", verb.0, verb.1, "", "", "")
      #expect(reply.word == "ERR", "\(reply)")
    }
    #expect(try bench.run(.touch, "d", "S", "", "").word == "OK")
    #expect(try bench.run(.recover, "d", "S", "", "", "", "").word == "OK")
    #expect(
      try bench.run(.changeState, "d", "S", "CLOSE", "completed", "", "", "").word == "OK")
    #expect(try bench.events().last?.kind == "session.closed")
    #expect(try bench.run(.delete, "d", "S", "", "").word == "OK")
  }

  @Test func `at the bound activity causes no warnings without end`() throws {
    let bench = try LogBench.full(by: "d", holder: "a")
    try bench.redis.command("XGROUP", "DESTROY", bench.base + ":events", "slow")
    try bench.trim()
    let clocks = "600000 86400000 604800000 0 2592000000 599990"
    try bench.run(.open, Opening(thread: "\"S\"", clocks: clocks).open)
    try bench.ask(group: "slow")
    try bench.fill("d")
    func warnings() throws -> Int { try bench.events().count { $0.kind == "session.expiring" } }
    let before = try warnings()
    for _ in 0..<20 {
      #expect(try bench.run(.touch, "d", "S", "", "").word == "OK")
      try bench.wait(until: try bench.nowMs() + 12)
      try bench.reap()
    }
    #expect(try warnings() == before + 1)
    // With room again, each deadline has its warning.
    try bench.redis.command("XGROUP", "DESTROY", bench.base + ":events", "slow")
    try bench.trim()
    for agent in ["p", "q"] {
      #expect(try bench.run(.touch, "d", "S", "", "").word == "OK")
      try bench.wait(until: try bench.nowMs() + 12)
      try bench.reap()
      #expect(try bench.events().last?.kind == "session.expiring")
      #expect(try bench.run(.seize, "d", agent, Self.hour, "").word == "OK")
      #expect(try bench.events().last?.kind == "lock.seized")
    }
  }

  @Test(arguments: [0, 150, 700, 2_000, 4_500, 16_000], [true, false])
  func `a log stays within its bound and a tenth, whatever the size of its events`(
    more: Int, hasGroup: Bool
  ) throws {
    let bench = try LogBench.make { constants in
      constants.eventBytesMax = 262_144
      constants.eventsMax = 100_000
    }
    if hasGroup { try bench.ask(group: "sleeper") }
    let count = min(6_000, 1_000_000 / (more + 120))
    var most = 0
    for start in stride(from: 0, to: count, by: 40) {
      // No device has more than its share.
      try write(1, of: "d\(start)", in: bench, more: more)
      for number in 0..<min(39, count - start) {
        try write(1, of: "d\(start)-\(number % 30)", in: bench, more: more)
      }
      most = max(most, try bench.bytes())
    }
    #expect(most > 180_000 && most <= 288_358, "\(most)")
    guard hasGroup else { return }
    let first = try bench.ask(group: "sleeper", limit: 3)
    #expect(try lost(first))
    try hand(first, over: "given", group: "sleeper", in: bench)
    #expect(try drain("sleeper", in: bench).lost == 0)
    #expect(try bench.trim()[3] > 0)
  }

  @Test func `each group is notified of its loss once, and again only if that was not written`()
    throws
  {
    let bench = try LogBench.make { $0.groupKeepMs = 10_000_000 }
    for group in ["g", "h"] { try bench.ask(group: group) }
    for number in 0..<1_800 { try write(1, of: "d\(number)", in: bench) }
    for group in ["g", "h"] {
      let page = try bench.ask(group: group, limit: 2)
      #expect(try lost(page) && ids(page).count == 2, "\(group)")
      // Another worker's caller is not notified meanwhile.
      #expect(try !lost(bench.ask(group: group)))
      try hand(page, over: "returned", group: group, in: bench)
      let again = try bench.ask(group: group, limit: 2)
      #expect(try lost(again) && ids(again) == ids(page))
      try hand(again, over: "given", group: group, in: bench)
      #expect(try !lost(bench.ask(group: group)))
    }
    // What was dropped is not pending any more.
    for number in 0..<1_800 { try write(1, of: "e\(number)", in: bench) }
    let pending = try bench.redis.command("XPENDING", bench.base + ":events", "g").items
    #expect(pending.first?.int == 0)
    #expect(try lost(bench.ask(group: "g")))
  }

  @Test func `what a group has just read of a log at its bound is not dropped as it is pending`()
    throws
  {
    let bench = try LogBench.make()
    try bench.ask(group: "g")
    for number in 0..<1_800 { try write(1, of: "d\(number)", in: bench) }
    let before = try bench.trim()[3]
    #expect(before > 0)
    let page = try bench.ask(group: "g", limit: 50)
    #expect(try lost(page) && ids(page).count == 50)
    try hand(page, over: "given", group: "g", in: bench)
    for _ in 0..<3 { #expect(try bench.trim()[3] == before) }
    #expect(try !lost(bench.ask(group: "g", limit: 0)))
  }

  @Test func `a loss that a killed worker was about to report is reported by the next one`() throws
  {
    let bench = try LogBench.make()
    try bench.ask(group: "g")
    for number in 0..<1_800 { try write(1, of: "d\(number)", in: bench) }
    #expect(try lost(bench.ask(group: "g")))
    try bench.wait(until: try bench.nowMs() + 25)
    let reply = try bench.call(
      .readGroup, keys: [bench.base], ["g", "60000", "1", "", "64", "w-2", "20", "yes", "", ""])
    #expect(try lost(reply.items))
  }

  @Test func `the log does not wait for a group that does not ask any more`() throws {
    let bench = try LogBench.make { constants in
      constants.eventBytesMax = 4 << 20
      constants.groupKeepMs = 50
    }
    try bench.ask(group: "gone")
    try bench.ask(group: "here")
    try write(200, of: "d", in: bench)
    try bench.wait(until: try bench.nowMs() + 60)
    try bench.ask(group: "here", limit: 0)
    try bench.trim()
    #expect(try bench.logLength() == 200)
    try bench.redis.command("XGROUP", "DESTROY", bench.base + ":events", "here")
    try bench.trim()
    #expect(try (100...200).contains(bench.logLength()))
    // That one was there is known for as long as a log would wait for it.
    try bench.wait(until: try bench.nowMs() + 60)
    try bench.trim()
    #expect(try bench.redis.command("HKEYS", bench.base + ":groups") == .array([.text("gone")]))
    #expect(try drain("gone", in: bench).lost == 1)
    #expect(try bench.ledger()["log_lost"] == nil, "no group in use has lost anything")
  }

  @Test func `a group that was only made has asked, also where that is not known`() throws {
    let bench = try LogBench.make { $0.eventBytesMax = 4 << 20 }
    try bench.run(.seize, "d", "a", Self.hour, "")
    try bench.redis.command(
      "XGROUP", "CREATE", bench.base + ":events", "g", "0", "MKSTREAM")
    for value in ["none", "x", ""] {
      if value != "none" { try bench.redis.command("HSET", bench.base + ":groups", "g", value) }
      try write(150, of: "d", in: bench)
      try bench.trim()
      #expect(try bench.redis.command("HGET", bench.base + ":groups", "g").string?.count == 13)
    }
    #expect(try bench.logLength() == 450)
    try bench.redis.command("SET", bench.base + ":groups", "x")
    try bench.trim()
    #expect(try bench.logLength() == 450)
  }
}
