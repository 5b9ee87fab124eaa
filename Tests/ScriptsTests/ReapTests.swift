// Owns: the tests of the reaper's script.

import Scripts
import Testing
import TestSupport

struct ReapTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  /// Locks devices with these TTLs and gives their deadlines.
  private func lock(_ ttls: KeyValuePairs<String, Int>) throws -> [String: Int] {
    var deadlines: [String: Int] = [:]
    for (device, ttl) in ttls {
      try bench.run(.lock, device, "a", "\(ttl)", "", "")
      deadlines[device] = try bench.held(device).endsAt
    }
    return deadlines
  }

  @Test func `a session whose record expired while no worker lived frees its reservation`() throws {
    for session in ["S1", "S2", "S3"] {
      #expect(try bench.run(.open, Opening(session: session).open).word == "OK")
    }
    let devices = bench.base + ":devices"
    #expect(try bench.redis.command("HGET", devices, "d") == .text("3 S3 S2 S1"))
    try bench.redis.command("DEL", bench.base + ":session:d/S1")
    try bench.redis.command("ZADD", bench.base + ":due", "1", "a:d/S1")
    #expect(try bench.reap().due == 1)
    #expect(try bench.redis.command("HGET", devices, "d") == .text("2 S3 S2"))
    #expect(try bench.redis.command("ZSCORE", bench.base + ":due", "a:d/S1") == .null)
  }

  @Test func `where nothing is, there is no next deadline`() throws {
    #expect(try bench.reap() == .init(waitMs: -1, due: 0, lateMs: []))
    #expect(try bench.everything() == [:])
  }

  @Test func `an entry that is not due stays, and its deadline is returned`() throws {
    let deadlines = try lock(["late": 60_000, "soon": 30_000])
    let soonest = deadlines.values.min() ?? 0
    func state() throws -> [String: String] {
      try bench.everything().filter { !$0.key.hasSuffix(":ledger") }
    }
    let (stands, counts) = (try state(), try bench.ledger())
    let before = try bench.nowMs()
    let reaped = try bench.reap()
    let after = try bench.nowMs()
    #expect(reaped.due == 0 && reaped.lateMs == [])
    #expect((soonest - after...soonest - before).contains(reaped.waitMs), "\(reaped)")
    #expect(try state() == stands)
    #expect(try bench.ledger() == counts)
  }

  @Test func `a due entry ends once, however often it is reaped`() throws {
    let deadlines = try lock(["d": 10, "other": 60_000])
    let record = try bench.held("d")
    try bench.wait(until: record.endsAt)
    let first = try bench.reap()
    #expect(first.due == 1 && first.lateMs.count == 1)
    let second = try bench.reap()
    #expect(second.due == 0 && second.lateMs == [])
    #expect(first.waitMs > 0 && first.waitMs <= 60_000)
    let events = try bench.events()
    #expect(events.map(\.kind) == ["lock.abandoned"])
    #expect(try events.first?.body.int("at") == record.endsAt)
    #expect(try events.first?.body.int("token") == record.token)
    #expect(try bench.record("d") == nil)
    #expect(try bench.due("d") == nil)
    #expect(try bench.expiresAt("d") == -2)
    #expect(try bench.due("other") == deadlines["other"])
    #expect(try bench.ledger()["abandoned"] == "1")
  }

  @Test func `a renewed lock is put back with its new deadline, and no event is written`() throws {
    let token = try bench.run(.lock, "d", "a", "300", "", "").int("token")
    let first = try bench.held("d").endsAt
    #expect(try bench.run(.renew, "d", "a", "60000", "\(token)", "").word == "OK")
    let record = try bench.held("d")
    try bench.wait(until: first)
    let reaped = try bench.reap()
    #expect(reaped.due == 1 && reaped.lateMs == [])
    #expect(reaped.waitMs > 50_000 && reaped.waitMs <= 60_000)
    #expect(try bench.due("d") == record.endsAt)
    #expect(try bench.held("d") == record)
    #expect(try bench.expiresAt("d") == record.endsAt)
    #expect(try bench.events().isEmpty)
    #expect(try bench.reap().due == 0)
  }

  @Test func `the lateness of each ending is returned, oldest first`() throws {
    let deadlines = try lock(["d1": 30, "d2": 10, "d3": 20]).values.sorted()
    try bench.wait(until: deadlines[2])
    let before = try bench.nowMs()
    let reaped = try bench.reap()
    let after = try bench.nowMs()
    #expect(reaped.waitMs == -1 && reaped.due == 3)
    try #require(reaped.lateMs.count == 3)
    for (late, deadline) in zip(reaped.lateMs, deadlines) {
      #expect((before - deadline...after - deadline).contains(late), "\(reaped)")
    }
  }

  @Test func `the oldest come first, and not more than were asked for`() throws {
    let deadlines = try lock(["d1": 50, "d2": 10, "d3": 40, "d4": 20, "d5": 30])
    let order = deadlines.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
    try bench.wait(until: deadlines.values.max() ?? 0)
    for (limit, done) in [(2, 2), (2, 4), (2, 5), (2, 5)] {
      let reaped = try bench.reap(limit: limit)
      #expect(try bench.events().map(\.device) == Array(order.prefix(done)))
      #expect(reaped.waitMs == (done < 5 ? 0 : -1))
    }
    #expect(try bench.events().map { try $0.body.int("at") } == deadlines.values.sorted())
  }

  @Test func `an index entry without a lock is removed`() throws {
    try bench.redis.command("ZADD", bench.base + ":due", "1", "l:orphan")
    let reaped = try bench.reap()
    #expect(reaped == .init(waitMs: -1, due: 1, lateMs: []))
    #expect(try bench.everything() == [:])
  }

  @Test func `a lock that was released and granted anew is not ended by its old deadline`() throws {
    try bench.run(.lock, "d", "a", "10", "", "")
    let first = try bench.held("d").endsAt
    try bench.run(.unlock, "d", "a", "", "")
    try bench.run(.lock, "d", "b", "60000", "", "")
    try bench.wait(until: first)
    #expect(try bench.reap().lateMs == [])
    #expect(try bench.held("d").agent == "b")
    #expect(try bench.events().isEmpty)
  }

  @Test func `a lock ends exactly at its deadline for holders, askers and the reaper alike`() throws
  {
    // Whatever the millisecond: as long as the lock counts, no reaper ends it; then it is none.
    for round in 0..<20 {
      let device = "d\(round)"
      let token = try bench.run(.lock, device, "a", "10", "", "").int("token")
      var isOver = false
      try eventually("the end of \(device)") {
        let ended = try bench.reap().lateMs.count
        let holder = try bench.run(.holder, device)
        if ended > 0 { #expect(holder.word == "NONE") }
        isOver = holder.word == "NONE"
        return isOver
      }
      try bench.reap()
      let events = try bench.events().filter { $0.device == device }
      #expect(events.count == 1)
      #expect(try events.first?.body.int("token") == token)
    }
  }

  @Test func `a clock that was set back does not stop the reaper`() throws {
    // The clock of a Redis that takes over may be behind that of the one before: then a lock is
    // freed before the time at which it was acquired.
    _ = try lock(["d1": 3_600_000])
    let acquiredAt = try bench.held("d1").acquiredAt
    let record = try bench.redis.command("GET", bench.base + ":held:d1").string ?? ""
    try bench.redis.command(
      "SET", bench.base + ":held:d1", "\(record) \(acquiredAt + 60_000)")
    #expect(try bench.held("d1").acquiredAt == acquiredAt + 60_000)
    #expect(try bench.run(.unlock, "d1", "a", "", "").word == "OK")
    _ = try lock(["d2": 10])
    try bench.wait(until: try bench.held("d2").endsAt)
    let reaped = try bench.reap()
    #expect(reaped.lateMs.count == 1)
  }
}
