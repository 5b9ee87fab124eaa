// Owns: the tests of the clocks of an imported session, which run from times in the past.

import Foundation
import Scripts
import Testing
import TestSupport

struct ImportClockTests {
  private let bench: ScriptBench
  private let now: Int

  init() throws {
    bench = try ScriptBench()
    now = try bench.nowMs()
  }

  private func importing(
    _ state: String = "active", clocks: String, _ times: KeyValuePairs<String, Int>
  ) throws -> ScriptReply {
    var fields = [
      "state": state, "rev": "1", "clocks": clocks, "thread": "\"t\"", "chat": "1", "chats": "1",
    ]
    for name in ["created", "active", "born", "since"] { fields[name] = "\(now - 1_000)" }
    for (name, time) in times { fields[name] = "\(time)" }
    let words = fields.flatMap { [$0.key, $0.value] }.map { "\($0.utf8.count) \($0)" }
    return try bench.run(.import, "d", "S", "yes", words.joined(), "", "", "", "", "", "", "")
  }

  private func field(_ name: String) throws -> Int {
    Int(try bench.redis.command("HGET", bench.base + ":session:d/S", name).string ?? "") ?? -1
  }

  private func due(_ letter: String) throws -> Int? {
    try bench.redis.command("ZSCORE", bench.base + ":due", "\(letter):d/S").int
  }

  @Test func `times that are ahead count as now, so that no deadline is behind the index`() throws {
    let ahead = now + 3_600_000
    let reply = try importing(
      clocks: "200 0 0 60000 60000 0",
      ["created": ahead, "active": ahead, "born": ahead, "since": ahead, "t:1": ahead])
    #expect(reply.word == "OK", "\(reply)")
    for name in ["created", "active", "born", "since", "t:1"] {
      #expect((now...now + 30_000).contains(try field(name)), "\(name)")
    }
    #expect(try due("a") == reply.int("idle_at"))
    // Activity moves the deadline away, and so the index is never too late for it.
    #expect(try bench.run(.touch, "d", "S", "", "").int("idle_at") >= due("a") ?? .max)
    try eventually("its pause") {
      try bench.reap()
      return try due("p") != nil
    }
    let expiresAt = try bench.redis.command("PEXPIRETIME", bench.base + ":session:d/S").int ?? -1
    #expect(expiresAt == (try field("born")) + 120_000)
  }

  @Test func `times that have been are kept as they are`() throws {
    let names = ["created": now - 9_000, "active": now - 7_000, "born": now - 8_000]
    let reply = try importing(
      clocks: "60000 0 0 0 60000 0",
      ["created": now - 9_000, "active": now - 7_000, "born": now - 8_000])
    #expect(reply.word == "OK", "\(reply)")
    for (name, time) in names { #expect(try field(name) == time) }
    #expect(try due("a") == now - 7_000 + 60_000)
  }

  @Test(arguments: ["active", "paused", "abandoned", "completed"])
  func `a session that would be gone by its clocks is refused and leaves nothing`(
    state: String
  ) throws {
    let long = now - 10_000
    let times: KeyValuePairs = ["created": long, "active": long, "born": long, "since": long]
    let reply = try importing(state, clocks: "0 1000 1000 1000 1000 0", times)
    #expect(reply.raw.hasPrefix("ERR illegal_state IMPORT: the session was kept until "))
    #expect(try bench.everything() == [:])
    // One that has only been abandoned meanwhile comes in, and goes on.
    #expect(try importing(state, clocks: "0 1000 0 0 60000 0", times).word == "OK")
  }
}
