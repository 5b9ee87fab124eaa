// Owns: the tests of a lock's deadline: in its record, as native TTL and in the partition's index,
// and of the one event of an expired lock.

import Scripts
import Testing
import TestSupport

struct DeadlineTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  /// The record's deadline.
  ///
  /// After any change the native TTL and the index must have the same moment, and none that is
  /// later than the record's.
  private func deadline(sourceLocation: SourceLocation = #_sourceLocation) throws -> Int {
    let record = try bench.held("d")
    let watched = try #require(try bench.due("d"), sourceLocation: sourceLocation)
    #expect(watched <= record.endsAt, sourceLocation: sourceLocation)
    #expect(try bench.expiresAt("d") == watched, sourceLocation: sourceLocation)
    #expect(
      try bench.redis.command("GET", bench.base + ":lock:d") == .text("1"),
      sourceLocation: sourceLocation)
    return record.endsAt
  }

  @Test func `a grant writes one deadline in three places`() throws {
    let before = try bench.nowMs()
    let reply = try bench.run(.lock, "d", "a", "60000", "", "")
    let after = try bench.nowMs()
    let endsAt = try deadline()
    #expect(try bench.due("d") == endsAt)
    #expect(endsAt >= before + 60_000 && endsAt <= after + 60_000)
    let record = try bench.held("d")
    #expect(record.acquiredAt == endsAt - 60_000)
    #expect(try reply.int("acquired_at") == record.acquiredAt)
    #expect(try reply.int("ttl_ms") == 60_000)
    #expect(try reply.int("token") == record.token)
    #expect(record.agent == "a" && record.note == nil)
  }

  @Test(arguments: [Script.lock, .renew])
  func `a renewal to a later deadline leaves the index and the native TTL alone`(script: Script)
    throws
  {
    let token = try bench.run(.lock, "d", "a", "60000", "", "").int("token")
    let first = try deadline()
    let reply = try bench.run(script, "d", "a", "90000", "\(token)", "")
    #expect(reply.body["renewed"] as? Bool == true)
    #expect(try reply.int("ttl_ms") == 90_000)
    let later = try deadline()
    #expect(later >= first + 30_000)
    #expect(try bench.due("d") == first)
    #expect(try bench.held("d").acquiredAt == first - 60_000)
  }

  @Test(arguments: [Script.lock, .renew])
  func `a renewal to an earlier deadline is in the index and the native TTL at once`(script: Script)
    throws
  {
    let token = try bench.run(.lock, "d", "a", "60000", "", "").int("token")
    let first = try deadline()
    try bench.run(script, "d", "a", "30000", "\(token)", "")
    let earlier = try deadline()
    #expect(earlier < first)
    #expect(try bench.due("d") == earlier)
    try bench.run(script, "d", "a", "90000", "\(token)", "")
    #expect(try deadline() > first)
    #expect(try bench.due("d") == earlier)
  }

  @Test(arguments: [
    (Script.handoff, ["d", "a", "b", "30000", "", "", "", ""]), (.seize, ["d", "b", "30000", ""]),
    (.handoff, ["d", "a", "b", "90000", "", "", "", ""]), (.seize, ["d", "b", "90000", ""]),
  ])
  func `a new holder's deadline replaces the old one everywhere`(
    script: Script, request: [String]
  ) throws {
    try bench.run(.lock, "d", "a", "60000", "", "")
    #expect(try bench.run(script, request).word == "OK")
    #expect(try bench.due("d") == (try deadline()))
    #expect(try bench.held("d").agent == "b")
  }

  @Test(arguments: [(Script.unlock, ["d", "a", "", ""]), (.clear, ["d", ""])])
  func `a lock that is freed leaves nothing but the ledger and its events`(
    script: Script, request: [String]
  ) throws {
    try bench.run(.lock, "d", "b", "60000", "", "")
    try bench.run(.handoff, "d", "b", "a", "60000", "", "[1]", "", "")
    #expect(try bench.run(script, request).word == "OK")
    let left = Set(try bench.everything().keys)
    #expect(left.isSubset(of: [bench.base + ":ledger", bench.base + ":events"]), "\(left)")
  }

  // MARK: Expired locks

  /// Takes a lock of 10 ms and waits until it has expired; gives its expected event.
  private func expired() throws -> (record: HeldLock, event: String) {
    try bench.run(.lock, "d", "a", "10", "", "")
    let record = try bench.held("d")
    try bench.wait(until: record.endsAt)
    let held = record.endsAt - record.acquiredAt
    return (
      record,
      #""at":\#(record.endsAt),"agent":"a","token":\#(record.token),"held_ms":\#(held)"#
    )
  }

  @Test(
    arguments: [
      (.lock, ["d", "b", "60000", "", ""]), (.lock, ["d", "a", "60000", "", ""]),
      (.lock, ["d", "a", "60000", "1", ""]), (.renew, ["d", "a", "60000", "1", ""]),
      (.unlock, ["d", "a", "", ""]), (.handoff, ["d", "a", "b", "60000", "", "", "", ""]),
      (.seize, ["d", "b", "60000", ""]), (.clear, ["d", ""]),
    ] as [(Script, [String])])
  func `the first script that finds it writes one event, with its deadline`(
    script: Script, request: [String]
  ) throws {
    let (_, event) = try expired()
    try bench.run(script, request)
    let events = try bench.events()
    #expect(events.map(\.kind) == ["lock.abandoned"])
    #expect(events.map(\.device) == ["d"])
    #expect(events.map(\.text) == [event])
    #expect(try bench.ledger()["abandoned"] == "1")
    try bench.run(.clear, "d", "")
    try bench.run(.lock, "d", "c", "60000", "", "")
    try bench.reap()
    #expect(try bench.events().filter { $0.kind == "lock.abandoned" }.count == 1)
  }

  @Test func `the event has the deadline of the last renewal`() throws {
    let token = try bench.run(.lock, "d", "a", "60000", "", "").int("token")
    try bench.run(.renew, "d", "a", "15", "\(token)", "")
    let record = try bench.held("d")
    try bench.wait(until: record.endsAt)
    try bench.run(.lock, "d", "b", "60000", "", "")
    let event = try #require(try bench.events().first)
    #expect(try event.body.int("at") == record.endsAt)
    #expect(try event.body.int("held_ms") == record.endsAt - record.acquiredAt)
  }

  @Test func `HOLDER changes nothing, not even an expired lock`() throws {
    _ = try expired()
    // The native key goes by itself; after that nothing here changes with time.
    try eventually("the end of the TTL key") { try bench.expiresAt("d") == -2 }
    let before = try bench.everything()
    #expect(try bench.run(.holder, "d").word == "NONE")
    #expect(try bench.everything() == before)
    #expect(before.count == 3, "\(before.keys)")
  }

  @Test func `HOLDER shows the remaining TTL and does not renew it`() throws {
    let grant = try bench.run(.lock, "d", "a", "60000", "", "")
    let before = try bench.everything()
    let reply = try bench.run(.holder, "d")
    #expect(try reply.string("agent") == "a")
    #expect(try reply.int("acquired_at") == grant.int("acquired_at"))
    #expect((1...60_000).contains(try reply.int("ttl_ms")))
    #expect(try bench.everything() == before)
  }
}
