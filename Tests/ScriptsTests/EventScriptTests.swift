// Owns: the tests of the scripts that read the event log, and of those of the whole fleet.

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
      try bench.run(.unlock, device, "b", "", "")
      try bench.run(.lock, device, "a", "3600000", "", "")
      try bench.run(.seize, device, "b", "3600000", "")
    }
  }

  private func read(
    group: String = "g", ackMs: Int = 60_000, limit: Int = 10, types: String = "",
    groupsMax: Int = 8, worker: String = "w-1", leaseMs: Int = 60_000, note: String = ""
  ) throws -> ScriptReply {
    try page(
      group: group, ackMs: ackMs, limit: limit, types: types, groupsMax: groupsMax, worker: worker,
      leaseMs: leaseMs, note: note
    ).line
  }

  /// The reply to a worker's read: the line; whether it was blocked; the ms until more; ids and
  /// ages.
  private struct Page {
    let line: ScriptReply
    let isBlocked: Bool
    let againMs: Int
    let ids: [String]
    let agesMs: [Int]
    var losses: [Int] = []
    var corrupt: [Int] = []
  }

  private func page(
    group: String = "g", ackMs: Int = 60_000, limit: Int = 10, types: String = "",
    groupsMax: Int = 8, worker: String = "w-1", leaseMs: Int = 60_000, note: String = ""
  ) throws -> Page {
    let arguments = [
      group, "\(ackMs)", "\(limit)", types, "\(groupsMax)", worker, "\(leaseMs)", "yes", note, "",
    ]
    let reply = try bench.call(.readGroup, keys: [bench.base], arguments)
    if let text = reply.string {
      return Page(line: try ScriptReply(text), isBlocked: false, againMs: -1, ids: [], agesMs: [])
    }
    let items = reply.items
    guard items.count >= 7, let line = try ScriptBench.line(items[0]).string,
      let again = items[2].int
    else {
      throw TestFailure("read_group: \(reply)")
    }
    let rest = items.dropFirst(7).map { $0.string ?? "" }
    return Page(
      line: try ScriptReply(line), isBlocked: !items[1].items.isEmpty, againMs: again,
      ids: stride(from: 0, to: rest.count, by: 2).map { rest[$0] },
      agesMs: stride(from: 1, to: rest.count, by: 2).compactMap { Int(rest[$0]) },
      losses: items[3].items.compactMap(\.int), corrupt: items[4].items.compactMap(\.int))
  }

  /// Moves events that a worker holds; `ids` are those of the protocol.
  @discardableResult private func move(
    _ ids: [String], to target: String, group: String = "g", worker: String = "w-1"
  ) throws -> Int {
    let keys = [String](repeating: bench.base, count: ids.count)
    let entries = ids.map { String($0.dropFirst(4)) }
    let reply = try bench.call(.transferPending, keys: keys, [group, worker, target] + entries)
    guard let moved = reply.int else { throw TestFailure("transfer_pending: \(reply)") }
    return moved
  }

  /// Reads as a worker that hands over at once.
  private func take(
    group: String = "g", ackMs: Int = 60_000, limit: Int = 10, types: String = ""
  ) throws -> ScriptReply {
    let page = try page(group: group, ackMs: ackMs, limit: limit, types: types)
    if !page.ids.isEmpty { try move(page.ids, to: "given", group: group) }
    return page.line
  }

  private func consumers(_ group: String = "g") throws -> [String: Int] {
    let list = try bench.redis.command("XINFO", "CONSUMERS", bench.base + ":events", group).items
    let pairs = list.map { ($0.items[1].string ?? "", $0.items[3].int ?? -1) }
    return Dictionary(pairs) { first, _ in first }
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
    let reply = try bench.run(.events, "d1", "", "0-0", "2")
    #expect(reply.word == "OK")
    #expect(try devices(reply) == ["d1", "d1"])
    let first = try #require(try events(reply).first)
    #expect(
      Set(first.keys) == ["id", "type", "device", "at", "agent", "token", "held_ms", "to"])
    #expect(first["type"] as? String == "lock.seized")
    // The id is the stream's behind the partition's tag, and reading goes on after it.
    let last = try #require(try events(reply).last?["id"] as? String)
    #expect(last.hasPrefix("0a3-"))
    let rest = try bench.run(.events, "d1", "", String(last.dropFirst(4)), "10")
    #expect(try devices(rest).count == 1)
    #expect(try devices(bench.run(.events, "d3", "", "0-0", "10")) == [])
  }

  @Test func `EVENTS finds a device's events in a long log`() throws {
    try seize("first")
    let others = (0..<600).flatMap { ["other", $0 % 2 == 0 ? "a" : "b", "3600000", ""] }
    _ = try bench.call(.seize, keys: [String](repeating: bench.base, count: 600), others)
    try seize("last")
    #expect(try devices(bench.run(.events, "first", "", "0-0", "10")) == ["first"])
    #expect(try devices(bench.run(.events, "last", "", "0-0", "10")) == ["last"])
    #expect(try devices(bench.run(.events, "other", "", "0-0", "1000")).count == 599)
  }

  @Test func `a group's event goes to one consumer, and again unless it is acknowledged`() throws {
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

  @Test func `a call looks at 1,000 entries, and says where to go on`() throws {
    let fill = """
      for n = 1, 2500 do
        redis.call('XADD', KEYS[1], '*', 't', 'lock.cleared', 'd', n == 2500 and 'last' or 'other',
          'b', '"at":1')
      end
      """
    try bench.redis.command("EVAL", fill, "1", bench.base + ":events")
    var (after, pages, found) = ("0-0", 0, 0)
    while true {
      let reply = try bench.evaluate(.events, keys: [bench.base], ["last", "", after, "10"])
      let page = try #require(reply.items.first?.items)
      pages += 1
      found += (page.count - 3) / 4
      guard page.count % 4 == 0, pages < 9 else { break }
      after = try #require(page.last?.string)
    }
    #expect(pages == 3 && found == 1)
    // A group's read of a type that is rare is bounded as well, and ends sooner: it acknowledges.
    for read in 1...6 {
      let reply = try bench.call(
        .readGroup, keys: [bench.base],
        ["g", "60000", "10", "lock.seized", "8", "w-1", "60000", "yes", "", ""])
      #expect(reply.items[5].int == (read < 6 ? 0 : 1), "read \(read)")
    }
  }

  @Test func `a read of some partitions leaves a loss to one of all`() throws {
    try seize("d1")
    _ = try take()
    let log = bench.base + ":events"
    try bench.redis.command("XGROUP", "CREATECONSUMER", log, "g", "lost")
    try seize("d2")
    let words = ["g", "60000", "10", "", "8", "w-1", "60000", "", "", ""]
    let some = try bench.call(.readGroup, keys: [bench.base], words).items
    #expect(some.count == 7 && some[6] == .integer(1) && some[5] == .integer(0))
    let all = try page()
    #expect(all.losses == [0] && all.ids.count == 1)
  }

  @Test func `a read of logs ends where it has read enough, and says what has gone`() throws {
    try seize("d1")
    let log = bench.base + ":events"
    let first = try bench.redis.command("XRANGE", log, "-", "+").items
    let id = try #require(first[0].items[0].string)
    func read(_ id: String, bytes: Int = 1_000_000, content: String = "yes") throws -> [RedisAnswer]
    {
      let reply = try bench.call(.readLogs, keys: [bench.base], ["\(bytes)", content, id])
      return try #require(reply.items.first?.items)
    }
    let all = try read("0-0")
    #expect(all[0] == .integer(1) && all[1] == .text("") && all[2] == .text(id))
    #expect(all[3].items.count == 1)
    let note = "\"\(String(repeating: "n", count: 60_000))\""
    for _ in 0..<20 { try bench.run(.handoff, "d1", "b", "b", "3600000", "", note, "", "") }
    let part = try read(id)
    #expect(part[0] == .integer(0) && (16...18).contains(part[3].items.count))
    let rest = try read(try #require(part[2].string))
    #expect(rest[0] == .integer(1) && part[3].items.count + rest[3].items.count == 20)
    let newest = try #require(rest[2].string)
    #expect(try read(id, content: "")[2] == .text(newest))
    #expect(try read(newest)[3].items.isEmpty)
    // The log is removed, and begins anew.
    try bench.redis.command("DEL", log)
    try bench.wait(until: try bench.nowMs() + 2)
    try seize("d2")
    let anew = try read(newest)
    #expect(anew[1] == .text(newest) && anew[3].items.count == 1)
    #expect(try read(try #require(anew[2].string))[1] == .text(""))
    try bench.redis.command("SET", log, "x")
    #expect(try read(newest)[0] == .integer(-1))
  }

  @Test func `events of other types are done with for a group`() throws {
    try seize("d1")
    try bench.run(.clear, "d1", "")
    let wanted = try take(types: "lock.cleared,lock.abandoned")
    #expect(try events(wanted).compactMap { $0["type"] as? String } == ["lock.cleared"])
    #expect(try events(take(ackMs: 0, types: "lock.seized")).isEmpty)
  }

  @Test func `pending events of another type hold up no others`() throws {
    // More than a call looks at, of a consumer that does not acknowledge them in time.
    let fill = """
      for n = 1, 1200 do
        redis.call('XADD', KEYS[1], '*', 't', 'lock.cleared', 'd', 'other', 'b', '"at":1')
      end
      redis.call('XGROUP', 'CREATE', KEYS[1], 'g', '0')
      redis.call('XREADGROUP', 'GROUP', 'g', 'given', 'COUNT', 1200, 'STREAMS', KEYS[1], '>')
      """
    try bench.redis.command("EVAL", fill, "1", bench.base + ":events")
    try seize("d1")
    #expect(try devices(take(ackMs: 0, types: "lock.seized")) == ["d1"])
    // They stay for a consumer that asks for them.
    #expect(try devices(take(ackMs: 0, types: "lock.cleared")).contains("other"))
  }

  @Test func `a group too many is refused`() throws {
    try seize("d1")
    #expect(try read(group: "g1", groupsMax: 2).word == "OK")
    #expect(try read(group: "g2", groupsMax: 2).word == "OK")
    let third = try read(group: "g3", groupsMax: 2)
    #expect(third.raw.hasPrefix("ERR quota "), "\(third)")
    #expect(try read(group: "g1", groupsMax: 2).word == "OK")
  }

  @Test func `events that a worker holds delay the later ones of their partition`() throws {
    try seize("d1", "d2", "d3")
    let held = try page(limit: 1)
    #expect(held.ids.count == 1 && !held.isBlocked)
    for worker in ["w-1", "w-2"] {
      let next = try page(worker: worker)
      #expect(next.ids.isEmpty && next.isBlocked, "\(worker)")
      #expect(next.line.raw == #"OK {"events":[]}"#)
    }
    // Another group has its own place, and other workers move nothing that they do not hold.
    #expect(try page(group: "other").ids.count == 3)
    #expect(try move(held.ids, to: "given", worker: "w-2") == 0)
    #expect(try page(worker: "w-2").isBlocked)
    #expect(try move(held.ids, to: "given") == 1)
    #expect(try move(held.ids, to: "returned") == 0)
    #expect(try devices(read(worker: "w-2")) == ["d2", "d3"])
  }

  @Test func `returned events come first, in order, to the next consumer`() throws {
    try seize("d1", "d2", "d3", "d4", "d5")
    let first = try page(limit: 3)
    #expect(try move(first.ids, to: "returned") == 3)
    let second = try page(limit: 2, worker: "w-2")
    #expect(try devices(second.line) == ["d1", "d2"])
    #expect(second.ids == Array(first.ids.prefix(2)))
    #expect(second.agesMs.allSatisfy { $0 >= 0 }, "no consumer had them before")
    #expect(try move(second.ids, to: "returned", worker: "w-2") == 2)
    #expect(try devices(read()) == ["d1", "d2", "d3", "d4", "d5"])
    #expect(try consumers() == ["w-1": 5, "w-2": 0, "returned": 0])
  }

  @Test func `events that a worker held for too long go to the next one, in order`() throws {
    try seize("d1", "d2", "d3", "d4")
    let lost = try page(limit: 2)
    let given = try page(limit: 1, worker: "w-2", leaseMs: 60_000)
    #expect(given.isBlocked)
    try bench.wait(until: try bench.nowMs() + 25)
    let next = try page(limit: 1, worker: "w-2", leaseMs: 20)
    #expect(next.ids == [lost.ids[0]])
    #expect(try move(next.ids, to: "returned", worker: "w-2") == 1)
    #expect(try devices(read(worker: "w-3", leaseMs: 20)) == ["d1", "d2", "d3", "d4"])
    // The one that held them comes too late.
    #expect(try move(lost.ids, to: "given") == 0)
  }

  @Test func `an event that was given says when it may be given again, and then has no age`() throws
  {
    // The first event of a new group has no age either.
    try seize("d0")
    #expect(try page(group: "new").agesMs == [-1])
    try move(page().ids, to: "given")
    try seize("d1")
    let first = try page()
    #expect(first.agesMs.count == 1 && (0...60_000).contains(first.agesMs[0]))
    try move(first.ids, to: "given")
    let early = try page(ackMs: 5_000)
    #expect(early.ids.isEmpty && !early.isBlocked)
    #expect((1...5_000).contains(early.againMs))
    try bench.wait(until: try bench.nowMs() + 25)
    let again = try page(ackMs: 20)
    #expect(again.ids.last == first.ids[0] && again.agesMs == [-1, -1])
  }

  @Test func `a worker's name is removed when it has held nothing for long`() throws {
    try seize("d1")
    let page = try page(worker: "w-9", leaseMs: 60_000)
    try move(page.ids, to: "given", worker: "w-9")
    #expect(try consumers()["w-9"] == 0)
    try bench.wait(until: try bench.nowMs() + 45)
    _ = try read(worker: "w-9", leaseMs: 2)
    #expect(try consumers()["w-9"] == 0, "its own name was removed")
    try bench.wait(until: try bench.nowMs() + 45)
    _ = try read(worker: "w-1", leaseMs: 2)
    #expect(try consumers()["w-9"] == nil)
    #expect(try consumers()["given"] == 1)
  }

  @Test func `an event that was trimmed is done with`() throws {
    try seize("d1", "d2")
    let page = try page()
    try move(page.ids, to: "returned")
    try bench.redis.command("XTRIM", bench.base + ":events", "MAXLEN", "1")
    #expect(try devices(read(worker: "w-2")) == ["d2"])
    #expect(try consumers()["returned"] == 0)
  }

  @Test func `entries that are no events are skipped, counted and done with for a group`() throws {
    let log = bench.base + ":events"
    let foreign = [
      ["foo", "bar"], ["t", "lock.cleared", "d", "d1"],
      ["t", "x", "d", "d1", "b", "", "more", "1"],
      ["b", "\"at\":1", "d", "d1", "t", "lock.cleared"],
    ]
    try seize("d1")
    for fields in foreign { try bench.redis.command(["XADD", log, "*"] + fields) }
    try seize("d2")
    let reply = try bench.call(
      .readGroup, keys: [bench.base], ["g", "60000", "10", "", "8", "w-1", "60000", "yes", "", ""])
    let page = try #require(reply.items.first?.items)
    #expect(page[1] == .integer(foreign.count) && page.count == 11, "\(page)")
    #expect(try consumers() == ["w-1": 2])
    #expect(try devices(bench.run(.events, "d1", "", "0-0", "10")) == ["d1"])
    // One that was pending already, from a time before it was noticed.
    let id = try #require(bench.redis.command(["XADD", log, "*"] + foreign[0]).string)
    try bench.redis.command("XREADGROUP", "GROUP", "g", "returned", "STREAMS", log, ">")
    try move(
      [String(try #require(page[3].string)), String(try #require(page[7].string))], to: "given")
    #expect(try consumers()["returned"] == 1, "\(id)")
    #expect(try devices(read()) == [])
    #expect(try consumers()["returned"] == 0)
  }

  @Test(arguments: ["garb", "", "\"at\":1},{\"id\":\"x\"", "\"at\":\"a\nb\""])
  func `members that are corrupt are omitted, and the event is delivered`(members: String) throws {
    let log = bench.base + ":events"
    try bench.redis.command("XADD", log, "*", "t", "lock.cleared", "d", "d1", "b", members)
    try seize("d2")
    for reply in [try take(), try bench.run(.events, "d1", "", "0-0", "10")] {
      let first = try #require(try events(reply).first)
      #expect(Set(first.keys) == ["id", "type", "device", "damaged"])
      #expect(first["damaged"] as? [String] == ["record"])
      #expect(!reply.raw.contains("\n"))
    }
  }

  @Test func `a type or a device that is no name is null`() throws {
    let log = bench.base + ":events"
    try bench.redis.command("XADD", log, "*", "t", "x\"y", "d", "d\n1", "b", "\"at\":1")
    let event = try #require(try events(take()).first)
    #expect(event["type"] is NSNull && event["device"] is NSNull && event["at"] as? Int == 1)
    #expect(event["damaged"] as? [String] == ["type", "device"])
  }

  @Test func `the tail of a log is its newest event, what has gone, or the beginning`() throws {
    let (empty, missed) = (bench.base + "-empty", bench.base + "-missed")
    try seize("d1", "d2")
    try bench.redis.command("HSET", missed + ":ledger", "log_gone", "17-9007199254740991")
    let tails = try bench.call(.tails, keys: [bench.base, empty, missed], []).items
    try #require(tails.count == 3)
    let newest = try bench.redis.command("XREVRANGE", bench.base + ":events", "+", "-").items
    #expect(tails[0] == newest[0].items[0])
    let unused = try #require(tails[1].string)
    #expect(unused.hasPrefix("?") && unused.hasSuffix("-9007199254740991"))
    #expect(tails[2] == .text("~17-9007199254740991"))
  }

  @Test func `events that are too old are dropped`() throws {
    try seize("d1", "d2")
    let newest = try #require(try bench.events().last).body
    _ = try bench.call(.trim, keys: [bench.base], ["60000"])
    #expect(try bench.events().count == 2)
    try bench.wait(until: try newest.int("at") + 5)
    _ = try bench.call(.trim, keys: [bench.base], ["1"])
    #expect(try bench.events().isEmpty)
    _ = try bench.call(.trim, keys: [bench.base], ["1"])
  }
}
