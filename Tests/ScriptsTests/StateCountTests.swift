// Owns: the tests of the counts of sessions by state: a removed session is in none of them,
// however it was removed.

import Foundation
import Scripts
import Testing
import TestSupport

/// A few sessions that are opened, moved, lost and brought back at random.
private struct SessionWalk {
  let bench: ScriptBench
  private(set) var done: [String: Int] = [:]
  private var opened = 0
  private var exports: [String: String] = [:]

  init(_ bench: ScriptBench) { self.bench = bench }

  mutating func step(_ random: inout Seeded) throws {
    let device = "d\(Int.random(in: 1...2, using: &random))"
    let session = exports.keys.sorted().randomElement(using: &random) ?? "S0"
    switch Int.random(in: 0..<11, using: &random) {
    case 0, 1: try open(device, &random)
    case 2: try note("PAUSE", session, .changeState, ["PAUSE", "paused", "", "", ""])
    case 3: try note("ARCHIVE", session, .changeState, ["ARCHIVE", "archived", "", "", ""])
    case 4: try note("CLOSE", session, .changeState, ["CLOSE", "completed", "", "", ""])
    case 5: try note("CLOSE", session, .changeState, ["CLOSE", "failed", "", "", ""])
    case 6: try note("RECOVER", session, .recover, ["", "", "", "", ""])
    case 7: try note("DELETE", session, .delete, ["", ""])
    case 8: try lose(session)
    case 9: try bringBack(session)
    default:
      try bench.reap()
      try bench.reap()
    }
  }

  private func device(of session: String) -> String { session.hasSuffix("1") ? "d1" : "d2" }

  private mutating func note(
    _ what: String, _ session: String, _ script: Script, _ rest: [String]
  ) throws {
    let reply = try bench.run(script, [device(of: session), session] + rest)
    #expect(["OK", "NONE", "ERR"].contains(reply.word) && !reply.raw.hasPrefix("ERR internal"))
    if reply.word == "OK" { done[what, default: 0] += 1 }
  }

  private mutating func open(_ device: String, _ random: inout Seeded) throws {
    opened += 1
    let session = "S\(opened)\(device.suffix(1))"
    let clocks = ["20 40 20 0 30 0", "0 0 0 30 30 0", "0 0 0 0 60000 0", "10 0 0 60000 60000 0"]
    let clock = clocks.randomElement(using: &random) ?? ""
    let reply = try bench.run(
      .open, Opening(device: device, session: session, clocks: clock).open)
    if reply.word == "OK" { exports[session] = try record(session, of: device) }
    if exports.count > 12, let oldest = exports.keys.min() { exports[oldest] = nil }
  }

  /// The fields of a record, as IMPORT's script takes them.
  private func record(_ session: String, of device: String) throws -> String {
    let key = "\(bench.base):session:\(device)/\(session)"
    return try bench.redis.command("HGETALL", key).items.compactMap(\.string)
      .map { "\($0.utf8.count) \($0)" }.joined()
  }

  /// Removes a record as its TTL does when no script runs: the index's entry stays.
  private mutating func lose(_ session: String) throws {
    let key = "\(bench.base):session:\(device(of: session))/\(session)"
    guard try bench.redis.command("PTTL", key).int ?? 0 > 0 else { return }
    try bench.redis.command("DEL", key)
    done["lose", default: 0] += 1
    let members = try bench.redis.command("ZRANGE", bench.base + ":due", "0", "-1").items
    for member in members.compactMap(\.string) where member.hasSuffix("/\(session)") {
      try bench.redis.command("ZADD", bench.base + ":due", "1", member)
    }
  }

  private mutating func bringBack(_ session: String) throws {
    guard let fields = exports[session] else { return }
    try note("IMPORT", session, .import, ["yes", fields, "", "", "", "", "", "", ""])
  }
}

struct StateCountTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private func open(_ session: String, clocks: String) throws {
    let request = Opening(session: session, clocks: clocks).open
    #expect(try bench.run(.open, request).word == "OK")
  }

  private func count(_ state: String) throws -> String? { try bench.ledger()["state:\(state)"] }

  /// The expected and the actual counts, read at the same moment.
  ///
  /// A session counts until its record is gone and its entry has been reaped.
  private func counts() throws -> (expected: [String: Int], ledger: [String: Int]) {
    let script = """
      local base, found = ARGV[1], {}
      local due = redis.call('ZRANGE', base .. ':due', 0, -1)
      for _, entry in ipairs(redis.call('ZRANGE', base .. ':sessions', 0, -1)) do
        local state = redis.call('HGET', base .. ':session:' .. entry, 'state')
        if state then
          found[#found + 1] = state
        else
          for _, member in ipairs(due) do
            if string.sub(member, 3) == entry then
              found[#found + 1] = string.sub(member, 1, 1)
            end
          end
        end
      end
      return {found, redis.call('HGETALL', base .. ':ledger')}
      """
    let letters = [
      "a": "active", "p": "paused", "b": "abandoned", "z": "archived", "c": "completed",
      "f": "failed", "e": "expired",
    ]
    let items = try bench.redis.command("EVAL", script, "0", bench.base).items
    let states = items[0].items.compactMap(\.string).map { letters[$0] ?? $0 }
    let words = items[1].items.compactMap(\.string)
    var ledger: [String: Int] = [:]
    for at in stride(from: 0, to: words.count, by: 2) where words[at].hasPrefix("state:") {
      if words[at + 1] != "0" { ledger[String(words[at].dropFirst(6))] = Int(words[at + 1]) }
    }
    return (Dictionary(grouping: states) { $0 }.mapValues(\.count), ledger)
  }

  @Test(arguments: ["completed", "failed", "archived"])
  func `a session is not counted once its keep has ended`(state: String) throws {
    for session in ["S1", "S2"] {
      try open(session, clocks: "0 0 0 0 \(session == "S1" ? 20 : 60_000) 0")
      let verb = state == "archived" ? "ARCHIVE" : "CLOSE"
      #expect(try bench.run(.changeState, "d", session, verb, state, "", "", "").word == "OK")
    }
    #expect(try count(state) == "2")
    let key = bench.base + ":session:d/S1"
    try eventually("its record is gone") { try bench.redis.command("EXISTS", key).int == 0 }
    for _ in 0..<2 {
      try bench.reap()
      #expect(try count(state) == "1")
    }
    #expect(try count("active") == "0")
  }

  @Test func `a session that lived out its life is counted as expired until it is gone`() throws {
    try open("S", clocks: "0 0 0 20 200 0")
    try eventually("its life is over") {
      try bench.reap()
      return try count("expired") == "1"
    }
    try eventually("it is gone") {
      try bench.reap()
      return try count("expired") == "0"
    }
    #expect(try bench.reap().waitMs == -1)
    #expect(try bench.ledger()["expired"] == "1")
  }

  @Test func `STATS leaves out sessions that went while no worker lived`() throws {
    for session in ["S1", "S2", "S3"] { try open(session, clocks: "0 0 60000 60000 60000 0") }
    #expect(try bench.run(.changeState, "d", "S2", "PAUSE", "paused", "", "", "").word == "OK")
    for session in ["S1", "S2"] {
      try bench.redis.command("DEL", bench.base + ":session:d/\(session)")
    }
    for member in ["a:d/S1", "p:d/S2"] {
      let changed = try bench.redis.command("ZADD", bench.base + ":due", "XX", "CH", "1", member)
      #expect(changed.int == 1)
    }
    try bench.reap()
    #expect(try count("active") == "1" && count("paused") == "0")
  }

  @Test func `a record that was gone and comes back is counted once`() throws {
    try open("S", clocks: "0 0 60000 60000 60000 0")
    let flat = try bench.redis.command("HGETALL", bench.base + ":session:d/S").items
    let fields = flat.compactMap(\.string).map { "\($0.utf8.count) \($0)" }.joined()
    try bench.redis.command("DEL", bench.base + ":session:d/S")
    #expect(try bench.run(.import, "d", "S", "", fields, "", "", "", "", "", "", "").word == "OK")
    #expect(try count("active") == "1")
    #expect(try bench.redis.command("HGET", bench.base + ":devices", "d") == .text("1 S"))
    #expect(try bench.run(.delete, "d", "S", "", "").word == "OK")
    #expect(try count("active") == "0")
    #expect(try bench.reap().waitMs == -1)
  }

  @Test func `a session that its clocks let go on the way is none`() throws {
    let requests: [(Script, [String])] = [
      (.changeState, ["ARCHIVE", "archived", "", "", ""]), (.touch, ["", ""]), (.delete, ["", ""]),
    ]
    for number in requests.indices { try open("S\(number)", clocks: "0 20 20 60000 20 0") }
    try bench.wait(until: try bench.nowMs() + 70)
    for (number, (script, rest)) in requests.enumerated() {
      #expect(try bench.run(script, ["d", "S\(number)"] + rest).word == "NONE")
      #expect(try count("archived") == "\(number + 1)")
    }
    try bench.reap()
    #expect(try count("archived") == "0" && count("active") == "0" && count("abandoned") == "0")
    #expect(try bench.reap().waitMs == -1)
  }

  @Test func `an entry of another state than its record's is not due for ever`() throws {
    try open("S", clocks: "0 0 60000 60000 60000 0")
    try bench.redis.command("ZADD", bench.base + ":due", "1", "z:d/S")
    #expect(try bench.reap().due == 1)
    #expect(try bench.reap().due == 0)
    #expect(try count("active") == "1")
  }

  @Test func `the counts are as the records are, after whatever was done`() throws {
    var random = Seeded("a walk over the states of sessions")
    var walk = SessionWalk(bench)
    for step in 0..<800 {
      try walk.step(&random)
      let (expected, ledger) = try counts()
      guard expected == ledger else {
        Issue.record("after step \(step) the ledger has \(ledger), there are \(expected)")
        return
      }
    }
    for what in ["PAUSE", "ARCHIVE", "CLOSE", "RECOVER", "DELETE", "IMPORT", "lose"] {
      #expect(walk.done[what, default: 0] > 0, "the walk never came to \(what)")
    }
  }
}
