// Owns: the tests of a partition's ledger: its figures add up after any requests in any order; a
// small model keeps the books beside it.

import Foundation
import Scripts
import Testing
import TestSupport

/// The expected ledger, kept by hand from the replies.
private struct Books {
  struct Lock {
    var agent: String
    var acquiredAt: Int
    var endsAt: Int
    var token: Int
  }

  struct Tally: Equatable {
    var (count, sum, longest, lost) = (0, 0, 0, 0)
    var text: String { "\(count) \(sum) \(longest) \(lost)" }
  }

  /// The locks that are not closed yet, overdue ones included.
  var locks: [String: Lock] = [:]
  var endings: [String: Int] = [:]
  var tallies: [String: Tally] = [:]
  var heldMs = 0
  var lastToken = 0
  /// The events that must be in the log: kind and device.
  var events: [String] = []

  /// `hasEvent` is false for a SEIZE from oneself; a release has no event either.
  mutating func close(_ device: String, _ ending: String, heldMs: Int, hasEvent: Bool = true) {
    guard let lock = locks.removeValue(forKey: device) else { return }
    endings[ending, default: 0] += 1
    self.heldMs += heldMs
    var tally = tallies[lock.agent] ?? Tally()
    tally.count += 1
    tally.sum += heldMs
    tally.longest = max(tally.longest, heldMs)
    if ending == "abandoned" { tally.lost += 1 }
    tallies[lock.agent] = tally
    if ending != "released", hasEvent { events.append("lock.\(ending) \(device)") }
  }

  /// The expected hash.
  var ledger: [String: String] {
    var fields = endings.mapValues { "\($0)" }
    for (agent, locks) in Dictionary(grouping: locks.values, by: \.agent) {
      fields["held:\(agent)"] = "\(locks.count)"
    }
    for (agent, tally) in tallies { fields["agent:\(agent)"] = tally.text }
    if lastToken > 0 { fields["token"] = "\(lastToken)" }
    if !endings.isEmpty { fields["held_ms"] = "\(heldMs)" }
    let heldAt = locks.values.reduce(0) { $0 + $1.acquiredAt - 1_700_000_000_000 }
    if lastToken > 0 { fields["held_at"] = "\(heldAt)" }
    return fields
  }
}

/// A random walk over the scripts of locks, with the books kept beside it.
private struct Walk {
  let bench: ScriptBench
  var books = Books()
  private let devices = (1...4).map { "d\($0)" }
  private let agents = ["a", "b", "c.d", "x@y:z%20"]
  /// Any TTL that ends during the walk is waited for at once, so that the books stay exact.
  private let long = 3_600_000

  init(_ bench: ScriptBench) { self.bench = bench }

  mutating func step(_ random: inout Seeded) throws {
    let device = devices.randomElement(using: &random) ?? ""
    let agent = agents.randomElement(using: &random) ?? ""
    let ttl = Int.random(in: 0..<4, using: &random) == 0 ? 10 : long
    switch Int.random(in: 0..<8, using: &random) {
    case 0, 1: try lock(device, agent, ttl)
    case 2: try unlock(device, agent)
    case 3: try handoff(device, agent, agents.randomElement(using: &random) ?? "", ttl)
    case 4: try seize(device, agent, ttl)
    case 5: try clear(device)
    case 6: try renew(device, ttl)
    default: try reap()
    }
    // An overdue lock stays until a script finds it: in the next step of the walk, or never.
    for lock in books.locks.values where lock.endsAt < (try bench.nowMs()) + 1_000 {
      try bench.wait(until: lock.endsAt)
    }
  }

  /// Every script of a lock first writes the event of an overdue one.
  private mutating func noticeOverdue(_ device: String) throws {
    guard let lock = books.locks[device], lock.endsAt <= (try bench.nowMs()) else { return }
    books.close(device, "abandoned", heldMs: lock.endsAt - lock.acquiredAt)
  }

  private mutating func granted(_ device: String, _ reply: ScriptReply) throws {
    let record = try bench.held(device)
    #expect(try reply.int("token") == record.token)
    #expect(try reply.string("agent") == record.agent)
    if reply.body["renewed"] as? Bool == false {
      #expect(record.token > books.lastToken)
      books.lastToken = record.token
    }
    books.locks[device] = Books.Lock(
      agent: record.agent, acquiredAt: record.acquiredAt, endsAt: record.endsAt,
      token: record.token)
  }

  private mutating func lock(_ device: String, _ agent: String, _ ttl: Int) throws {
    try noticeOverdue(device)
    let reply = try bench.run(.lock, device, agent, "\(ttl)", "", "")
    if let holder = books.locks[device], holder.agent != agent {
      #expect(reply.word == "HELD")
    } else {
      #expect(reply.word == "OK")
      try granted(device, reply)
    }
  }

  private mutating func unlock(_ device: String, _ agent: String) throws {
    try noticeOverdue(device)
    let reply = try bench.run(.unlock, device, agent, "", "")
    guard let lock = books.locks[device] else {
      #expect(reply.word == "NONE")
      return
    }
    #expect(reply.word == (lock.agent == agent ? "OK" : "HELD"))
    if reply.word == "OK" { books.close(device, "released", heldMs: try reply.int("held_ms")) }
  }

  private mutating func handoff(
    _ device: String, _ from: String, _ to: String, _ ttl: Int
  ) throws {
    try noticeOverdue(device)
    let reply = try bench.run(.handoff, device, from, to, "\(ttl)", "", "[1]", "", "")
    guard let lock = books.locks[device] else {
      #expect(reply.word == "NONE")
      return
    }
    #expect(reply.word == (lock.agent == from ? "OK" : "HELD"))
    guard reply.word == "OK" else { return }
    books.close(device, "handed_off", heldMs: try reply.int("acquired_at") - lock.acquiredAt)
    try granted(device, reply)
  }

  private mutating func seize(_ device: String, _ agent: String, _ ttl: Int) throws {
    try noticeOverdue(device)
    let reply = try bench.run(.seize, device, agent, "\(ttl)", "")
    #expect(reply.word == "OK")
    let lock = books.locks[device]
    #expect(reply.body["seized_from"] as? String == lock?.agent)
    if let lock {
      let heldMs = try reply.int("acquired_at") - lock.acquiredAt
      books.close(device, "seized", heldMs: heldMs, hasEvent: lock.agent != agent)
    }
    try granted(device, reply)
  }

  private mutating func clear(_ device: String) throws {
    try noticeOverdue(device)
    let reply = try bench.run(.clear, device, "")
    #expect(reply.word == (books.locks[device] == nil ? "NONE" : "OK"))
    if reply.word == "OK" { books.close(device, "cleared", heldMs: try reply.int("held_ms")) }
  }

  private mutating func renew(_ device: String, _ ttl: Int) throws {
    try noticeOverdue(device)
    let lock = books.locks[device]
    let agent = lock?.agent ?? "a"
    let reply = try bench.run(.renew, device, agent, "\(ttl)", "\(lock?.token ?? 1)", "")
    #expect(reply.word == (lock == nil ? "NONE" : "OK"))
    if reply.word == "OK" { try granted(device, reply) }
  }

  private mutating func reap() throws {
    let now = try bench.nowMs()
    let overdue = books.locks.filter { $0.value.endsAt <= now }.sorted {
      ($0.value.endsAt, $0.key) < ($1.value.endsAt, $1.key)
    }
    for (device, _) in overdue { try noticeOverdue(device) }
    #expect(try bench.reap().lateMs.count == overdue.count)
  }
}

struct LedgerTests {
  @Test func `the figures add up after whatever was done`() throws {
    var random = Seeded("a walk over the scripts of locks")
    let bench = try ScriptBench()
    var walk = Walk(bench)
    for step in 0..<600 {
      try walk.step(&random)
      let (ledger, books) = (try bench.ledger(), walk.books.ledger)
      guard ledger == books else {
        Issue.record("after step \(step) the ledger is \(ledger), the books say \(books)")
        return
      }
    }
    let logged = try bench.events().map { "\($0.kind) \($0.device)" }
    #expect(logged.sorted() == walk.books.events.sorted())
    for ending in ["released", "abandoned", "handed_off", "seized", "cleared"] {
      #expect(walk.books.endings[ending, default: 0] > 0, "the walk never came to \(ending)")
    }
    // Each lock that is held has its record and its deadline, and nothing else is there.
    let records = try bench.recordCount()
    #expect(records == walk.books.locks.count)
    #expect(try bench.redis.command("ZCARD", bench.base + ":due").int == records)
  }

  @Test func `a figure is as the events say`() throws {
    let bench = try ScriptBench()
    try bench.run(.lock, "d", "a", "60000", "", "")
    try bench.run(.handoff, "d", "a", "b", "60000", "", "", "", "")
    try bench.run(.seize, "d", "c", "60000", "")
    try bench.run(.clear, "d", "")
    let events = try bench.events()
    #expect(events.map(\.kind) == ["lock.handed_off", "lock.seized", "lock.cleared"])
    #expect(try events.map { try $0.body.string("agent") } == ["a", "b", "c"])
    #expect(events.map { $0.body.body["to"] as? String } == ["b", "c", nil])
    let sum = try events.reduce(0) { $0 + (try $1.body.int("held_ms")) }
    let ledger = try bench.ledger()
    #expect(ledger["held_ms"] == "\(sum)")
    #expect(ledger.keys.allSatisfy { !$0.hasPrefix("held:") })
    #expect(ledger["held_at"] == "0")
    for ending in ["handed_off", "seized", "cleared"] { #expect(ledger[ending] == "1") }
  }

  @Test func `an agent beyond the limit shares one entry, and the sums stay right`() throws {
    var constants = ScriptBench.constants
    constants.agentsMax = 10
    let bench = try ScriptBench(constants)
    let agents = (0..<40).map { "agent-\($0)" }
    for round in 0..<2 {
      for agent in agents {
        try bench.run(.lock, "d", agent, "60000", "", "")
        try bench.run(
          round == 0 ? .unlock : .clear, round == 0 ? ["d", agent, "", ""] : ["d", ""])
      }
    }
    let ledger = try bench.ledger()
    let tallies = ledger.filter { $0.key.hasPrefix("agent:") }.mapValues { text in
      text.split(separator: " ").compactMap { Int($0) }
    }
    #expect(tallies.values.allSatisfy { $0.count == 4 })
    #expect(tallies.values.reduce(0) { $0 + $1[0] } == 80)
    #expect("\(tallies.values.reduce(0) { $0 + $1[1] })" == ledger["held_ms"])
    #expect(ledger["released"] == "40" && ledger["cleared"] == "40")
    let shared = try #require(tallies["agent:*"])
    let known = tallies.filter { $0.key != "agent:*" }
    #expect(known.values.allSatisfy { $0[0] == 2 })
    #expect(shared[0] == 80 - 2 * known.count)
    // The other figures count as well: the limit bounds the whole hash, with a little more.
    #expect(!known.isEmpty && ledger.count <= constants.agentsMax + 9, "\(ledger.count) fields")
  }

  @Test func `the event log keeps about as many events as its limit says`() throws {
    let bench = try ScriptBench(ScriptConstants(reqKeepMs: 1_000, eventsMax: 200))
    try bench.run(.lock, "d", "a", "60000", "", "")
    let requests = (0..<100).flatMap { ["d", $0 % 2 == 0 ? "b" : "a", "60000", ""] }
    for _ in 0..<10 {
      _ = try bench.call(.seize, keys: [String](repeating: bench.base, count: 100), requests)
    }
    let count = try #require(try bench.redis.command("XLEN", bench.base + ":events").int)
    #expect((200...400).contains(count), "\(count) events")
    #expect(try bench.ledger()["seized"] == "1000")
  }
}
