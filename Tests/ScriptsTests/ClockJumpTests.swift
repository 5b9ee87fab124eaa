// Owns: the tests of what a jump of Redis' clock leaves behind: everything comes right by itself.

import Foundation
import Scripts
import TestSupport
import Testing

struct ClockJumpTests {
  private let bench: ScriptBench
  /// The time, in s, and ten years later.
  private let now: Int
  private let later: Int

  init() throws {
    bench = try ScriptBench(way: .clock)
    now = try bench.nowMs() / 1_000
    later = now + 3_650 * 86_400
    try bench.setClock(now)
  }

  private func lock(_ agent: String, _ ttl: String) throws -> ScriptReply {
    try bench.run(.lock, "d", agent, ttl, "", "")
  }

  private func abandoned() throws -> [LoggedEvent] {
    try bench.events().filter { $0.kind == "lock.abandoned" }
  }

  @Test func `a lock of a clock that was ahead ends after its TTL, without a request`() throws {
    try bench.setClock(later)
    #expect(try lock("a", "60000").word == "OK")
    try bench.reap()
    try bench.setClock(now)
    #expect(try bench.run(.holder, "d").int("ttl_ms") == 60_000)
    try bench.reap()
    try bench.reap()
    #expect(try bench.due("d") == (now + 60) * 1_000)
    try bench.setClock(now + 61)
    #expect(try bench.reap().lateMs == [1_000])
    #expect(try abandoned().count == 1)
    #expect(try bench.record("d") == nil)
  }

  @Test func `another agent that asks for it waits for the TTL at most`() throws {
    try bench.setClock(later)
    #expect(try lock("a", "60000").word == "OK")
    try bench.setClock(now)
    let held = try lock("b", "60000")
    #expect(held.word == "HELD")
    #expect(try held.int("ttl_ms") == 60_000)
    try bench.setClock(now + 59)
    #expect(try lock("b", "60000").int("ttl_ms") == 1_000)
    try bench.setClock(now + 61)
    let before = try bench.ledger()["token"].flatMap { Int($0) } ?? 0
    #expect(try lock("b", "60000").int("token") > before)
    #expect(try abandoned().count == 1)
  }

  @Test func `a renewal ends what a clock ahead has begun`() throws {
    try bench.setClock(later)
    let token = try lock("a", "60000").int("token")
    try bench.setClock(now)
    #expect(try bench.run(.renew, "d", "a", "=60000", "\(token)", "").word == "OK")
    #expect(try bench.held("d").endsAt == (now + 60) * 1_000)
    #expect(try bench.due("d") == (now + 60) * 1_000)
  }

  @Test(arguments: [0, 86_400, 946_684_800, 999_999_999])
  func `a clock of before 2001 ruins no device`(seconds: Int) throws {
    try bench.setClock(seconds)
    let first = try lock("a", "60000")
    #expect(first.word == "OK")
    #expect(try bench.run(.holder, "d").string("agent") == "a")
    #expect(try lock("a", "60000").body["renewed"] as? Bool == true)
    #expect(try lock("b", "60000").word == "HELD")
    try bench.reap()
    try bench.setClock(now)
    try bench.reap()
    #expect(try abandoned().count == 1)
    let second = try lock("b", "60000")
    #expect(try second.int("token") > first.int("token"))
    #expect(try bench.held("d").endsAt == (now + 60) * 1_000)
  }

  @Test func `a clock that cannot be right shortens no lock`() throws {
    let token = try lock("a", "60000").int("token")
    try bench.setClock(86_400)
    #expect(try lock("b", "60000").word == "HELD")
    #expect(try bench.run(.renew, "d", "a", "=60000", "\(token)", "").word == "OK")
    #expect(try lock("a", "60000").int("token") == token)
    try bench.reap()
    try bench.setClock(now + 10)
    #expect(try bench.run(.holder, "d").int("ttl_ms") == 50_000)
    try bench.reap()
    #expect(try abandoned().isEmpty)
  }

  @Test func `a session of a clock that was ahead runs by its clocks from now on`() throws {
    try bench.setClock(later)
    let clocks = "30000 60000 0 0 2592000000 0"
    #expect(try bench.run(.open, Opening(session: "S", clocks: clocks).open).word == "OK")
    #expect(try bench.run(.open, Opening(session: "T", clocks: clocks).open).word == "OK")
    #expect(
      try bench.run(.changeState, "d", "T", "CLOSE", "completed", "", "", "").word == "OK")
    try bench.reap()
    try bench.setClock(now)
    try bench.reap()
    try bench.reap()
    let record = try bench.run(.get, "d", "S")
    #expect(try record.int("active_at") == now * 1_000)
    #expect(try bench.run(.get, "d", "T").int("keep_until") == now * 1_000 + 2_592_000_000)
    try bench.setClock(now + 61)
    try bench.reap()
    #expect(try bench.run(.get, "d", "S").string("state") == "abandoned")
  }

  @Test func `workers and libraries of a clock that was ahead are forgotten`() throws {
    let keys = ["w", "c", "libraries"].map { "\(bench.base):\($0)" }
    func beat(_ worker: String) throws -> [String] {
      try bench.call(.heartbeat, keys: keys, [worker, "3000", "250", worker]).items.dropFirst()
        .compactMap(\.string)
    }
    try bench.setClock(later)
    #expect(try beat("old") == ["old"])
    try bench.setClock(now)
    #expect(try beat("new") == ["new"])
    func stale() throws -> [String] {
      try bench.call(.staleLibraries, keys: [keys[2]], ["60000", "old"]).items
        .compactMap(\.string)
    }
    #expect(try stale() == [])
    try bench.setClock(now + 61)
    #expect(try stale() == ["old"])
  }
}
