// Owns: the tests of the account of a large event log: it is right whatever was done to it, and
// goes when the log is small again. And of the notices to readers of one device.

import Foundation
import Scripts
import TestSupport
import Testing

struct LogAccountTests {
  private static let hour = "3600000"

  private func write(_ count: Int, _ devices: Int, in bench: ScriptBench) throws {
    for start in stride(from: 0, to: count, by: 50) {
      let words = (start..<start + 50).flatMap {
        ["d\($0 % devices)", "a\($0 / devices % 7)", Self.hour, ""]
      }
      _ = try bench.call(.seize, keys: [String](repeating: bench.base, count: 50), words)
    }
  }

  /// The account, and what it ought to be.
  private func account(_ bench: ScriptBench) throws -> (has: [String: Int], should: [String: Int]) {
    let words = try bench.redis.command("HGETALL", bench.base + ":shares").items
      .compactMap(\.string)
    let pairs = stride(from: 0, to: words.count, by: 2).map {
      (words[$0], Int(words[$0 + 1]) ?? -1)
    }
    var has = Dictionary(uniqueKeysWithValues: pairs)
    has["upto"] = nil
    has["scale"] = nil
    var should = ["n": 0, "bytes": 0, "heavy": 0]
    for event in try bench.events() {
      let size = (22 + event.kind.count + event.device.count + event.text.count) * 6 / 5
      should["n", default: 0] += 1
      should["bytes", default: 0] += size
      should["d:" + event.device, default: 0] += size
    }
    should["heavy"] = should.count { $0.key.hasPrefix("d:") && $0.value > LogBench.bytesMax / 16 }
    return (has, should)
  }

  private func expectRight(_ bench: ScriptBench) throws {
    try bench.trim()
    let account = try account(bench)
    #expect(account.has == account.should)
    #expect(account.has.count > 3)
  }

  @Test func `the account has each device's bytes, through losses and acknowledgements`() throws {
    let bench = try LogBench.make()
    try bench.ask(group: "g")
    try write(800, 40, in: bench)
    try expectRight(bench)
    try write(2_000, 40, in: bench)
    try expectRight(bench)
    // Some are acknowledged, and those that are too many go.
    let page = try bench.ask(group: "g", limit: 60)
    let ids = stride(from: 7, to: page.count, by: 2).compactMap { page[$0].string }
    let keys = [String](repeating: bench.base, count: ids.count)
    _ = try bench.call(.ack, keys: keys, ["g"] + ids.map { String($0.dropFirst(4)) })
    try expectRight(bench)
    // Entries go and come by other means, and the key is changed.
    let log = bench.base + ":events"
    try bench.redis.command("XTRIM", log, "MAXLEN", "600")
    try expectRight(bench)
    let shares = bench.base + ":shares"
    for change in [
      ["SET", shares, "x"], ["HSET", shares, "upto", "x"], ["HSET", shares, "bytes", "x"],
      ["HSET", shares, "n", "3"], ["HDEL", shares, "heavy"], ["DEL", shares],
    ] {
      try bench.redis.command(change)
      try expectRight(bench)
    }
  }

  @Test func `the account goes with the need for it, however much is acknowledged at once`() throws
  {
    let bench = try LogBench.make { $0.eventBytesMax = 2 << 20 }
    try bench.ask(group: "g")
    try write(12_000, 300, in: bench)
    try bench.trim()
    #expect(try bench.redis.command("EXISTS", bench.base + ":shares").int == 1)
    #expect(try bench.logLength() == 12_000 - 300)
    try bench.redis.command("XGROUP", "SETID", bench.base + ":events", "g", "$")
    for _ in 0..<3 { try bench.trim() }
    #expect(try (100...201).contains(bench.logLength()))
    #expect(try bench.redis.command("EXISTS", bench.base + ":shares").int == 0)
  }

  @Test func `a group's page is not counted as Redis counts what is pending`() throws {
    let bench = try LogBench.make { $0.eventBytesMax = 1 << 20 }
    try bench.ask(group: "g")
    try write(2_000, 100, in: bench)
    // Redis takes a pending entry for some 1,000 bytes.
    try bench.redis.command(
      "XREADGROUP", "GROUP", "g", "given", "COUNT", "1900", "STREAMS", bench.base + ":events", ">")
    try write(500, 100, in: bench)
    try bench.trim()
    #expect(try bench.bytes() > 1 << 20)
    #expect(try bench.ledger()["log_lost"] == nil && bench.logLength() > 2_300)
  }

  // MARK: Readers of a device

  private func lost(_ bench: ScriptBench, _ device: String, after id: String) throws -> Bool {
    try bench.run(.events, device, "", id, "10").body["lost"] as? Bool ?? false
  }

  @Test func `a reader that goes on after what was dropped is notified`() throws {
    let bench = try LogBench.make { $0.eventsMax = 200 }
    try bench.run(.seize, "r", "a", Self.hour, "")
    try bench.run(.seize, "r", "b", Self.hour, "")
    let entries = try bench.redis.command("XRANGE", bench.base + ":events", "-", "+").items
    let id = try #require(entries.first?.items[0].string)
    #expect(try !lost(bench, "r", after: id))
    try write(1_000, 10, in: bench)
    try bench.trim()
    #expect(try lost(bench, "r", after: id))
    #expect(try !lost(bench, "r", after: "0-0"), "it asks for what there is")
    let left = try bench.redis.command("XRANGE", bench.base + ":events", "-", "+").items
    for entry in [left[0], left[left.count - 1]] {
      #expect(try !lost(bench, "r", after: entry.items[0].string ?? ""))
    }
    // All of it is too old: after the last there was no other.
    let last = try #require(left.last?.items[0].string)
    try bench.wait(until: try bench.nowMs() + 5)
    for _ in 0..<2 { try bench.trim(ageMs: 1) }
    #expect(try bench.logLength() == 0)
    #expect(try !lost(bench, "r", after: last) && lost(bench, "r", after: id))
  }

  @Test(arguments: [["HSET", "log_gone", "x"], ["HSET", "log_gone", ""], ["SET", "x"]])
  func `a mark that cannot be read counts as a loss, until it is repaired`(change: [String]) throws
  {
    let bench = try LogBench.make { $0.eventsMax = 200 }
    try write(50, 10, in: bench)
    let ledger = bench.base + ":ledger"
    let entries = try bench.redis.command("XRANGE", bench.base + ":events", "-", "+").items
    let last = try #require(entries.last?.items[0].string)
    #expect(try !lost(bench, "r", after: last))
    if change[0] == "SET" { try bench.redis.command("DEL", ledger) }
    try bench.redis.command([change[0], ledger] + change.dropFirst())
    #expect(try lost(bench, "r", after: last))
    guard change[0] == "HSET" else { return }
    // What was read before the repair stays in doubt; what comes later does not.
    try bench.wait(until: try bench.nowMs() + 2)
    try bench.trim()
    #expect(try lost(bench, "r", after: last))
    try bench.wait(until: try bench.nowMs() + 2)
    try bench.run(.seize, "r", "a", Self.hour, "")
    try bench.run(.seize, "r", "b", Self.hour, "")
    let newest = try bench.redis.command(
      "XREVRANGE", bench.base + ":events", "+", "-", "COUNT", "1"
    ).items
    #expect(try !lost(bench, "r", after: newest[0].items[0].string ?? ""))
  }

  // MARK: Logs that have gone

  /// A log that another program has replaced by a text for a while, with a change meanwhile.
  private func corrupt(_ bench: ScriptBench, isRestored: Bool, hasChange: Bool) throws {
    let log = bench.base + ":events"
    try bench.wait(until: try bench.nowMs() + 2)
    try bench.redis.command("RENAME", log, log + "x")
    try bench.redis.command("SET", log, "x")
    if hasChange { #expect(try bench.run(.seize, "r", "c", Self.hour, "").word == "OK") }
    if isRestored {
      try bench.redis.command("RENAME", log + "x", log)
    } else {
      try bench.redis.command("DEL", log, log + "x")
    }
    try bench.wait(until: try bench.nowMs() + 2)
  }

  /// Whether a page of a group says that it has lost events; it is with a consumer then.
  private func groupLost(_ bench: ScriptBench, _ group: String) throws -> Bool {
    let page = try bench.ask(group: group, limit: 100)
    let line = try ScriptBench.line(page[0]).string ?? ""
    let isLost = try ScriptReply(line).body["lost"] as? Bool ?? false
    if isLost {
      _ = try bench.call(.transferPending, keys: [bench.base], [group, "w-1", "given", "0-0"])
    }
    return isLost
  }

  @Test(arguments: [true, false], [true, false])
  func `events that a corrupt log could not take are lost once to each group and reader`(
    isRestored: Bool, hasUpkeep: Bool
  ) throws {
    let bench = try LogBench.make()
    for group in ["g", "h"] { #expect(try !groupLost(bench, group)) }
    for agent in ["a", "b"] { try bench.run(.seize, "r", agent, Self.hour, "") }
    let id = try #require(
      try bench.redis.command("XRANGE", bench.base + ":events", "-", "+").items.last?
        .items[0].string)
    try corrupt(bench, isRestored: isRestored, hasChange: true)
    if hasUpkeep || isRestored { for _ in 0..<2 { try bench.trim() } }
    #expect(try lost(bench, "r", after: id))
    for group in ["g", "h"] {
      #expect(try groupLost(bench, group), "\(group)")
      for _ in 0..<2 {
        #expect(try !groupLost(bench, group), "\(group)")
        try bench.trim()
      }
    }
    try bench.run(.seize, "r", "d", Self.hour, "")
    let events = try bench.events()
    #expect(events.last?.kind == "lock.seized")
    let newest = try bench.redis.command(
      "XREVRANGE", bench.base + ":events", "+", "-", "COUNT", "1"
    ).items
    #expect(try !lost(bench, "r", after: newest[0].items[0].string ?? ""))
    for group in ["g", "h"] { #expect(try !groupLost(bench, group)) }
  }

  @Test func `a log that was removed while nothing was written is missed all the same`() throws {
    let bench = try LogBench.make()
    #expect(try !groupLost(bench, "g"))
    for agent in ["a", "b"] { try bench.run(.seize, "r", agent, Self.hour, "") }
    let id = try #require(
      try bench.redis.command("XRANGE", bench.base + ":events", "-", "+").items.last?
        .items[0].string)
    try corrupt(bench, isRestored: false, hasChange: false)
    #expect(try lost(bench, "r", after: id))
    try bench.trim()
    #expect(try groupLost(bench, "g") && !groupLost(bench, "g") && !groupLost(bench, "new"))
  }

  // MARK: Corrupt logs

  @Test(arguments: ["string", "hash"])
  func `a corrupt log is left out, and keeps no other from being read`(type: String) throws {
    let (bad, good) = (try ScriptBench(), try ScriptBench())
    let log = bad.base + ":events"
    try bad.redis.command(type == "string" ? ["SET", log, "x"] : ["HSET", log, "a", "b"])
    try good.run(.seize, "d", "a", Self.hour, "")
    try good.run(.seize, "d", "b", Self.hour, "")
    let bases = [bad.base, good.base]
    let tails = try good.call(.tails, keys: bases, []).items.compactMap(\.string)
    #expect(tails.count == 2 && tails[0].hasPrefix("!1") && tails[1].contains("-"))
    for _ in 0..<2 {
      let page = try good.call(
        .readGroup, keys: bases, ["g", "60000", "10", "", "64", "w-1", "60000", "yes", "yes", ""]
      ).items
      #expect(page[4] == .array([.integer(0)]), "\(page)")
    }
    let consumers = try good.redis.command("XINFO", "CONSUMERS", good.base + ":events", "g").items
    #expect(consumers.count == 1)
    #expect(
      try good.call(.ack, keys: bases, ["g", "1-1", tails[1]]) == .text(#"OK {"acked":1}"#))
    #expect(
      try good.call(.transferPending, keys: bases, ["g", "w-1", "given", "0-0", "1-1"]).int == 0)
    #expect(try bad.trim() == [-1, 0, 0, 0])
    let reply = try bad.run(.events, "d", "", "0-0", "10")
    #expect(reply.raw == #"OK {"events":null,"damaged":["events"]}"#)
    // Changes go on without their events.
    #expect(try bad.run(.seize, "d", "a", Self.hour, "").word == "OK")
    #expect(try bad.run(.seize, "d", "b", Self.hour, "").word == "OK")
  }
}
