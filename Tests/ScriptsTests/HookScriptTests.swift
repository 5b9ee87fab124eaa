// Owns: the tests of the scripts of webhooks: whose events a worker reads, what it claims, what is
// lost, and the figures of hooks.

import Scripts
import TestSupport
import Testing

struct HookScriptTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  /// Makes events: one `lock.seized` of each device, in order.
  private func seize(_ devices: String...) throws {
    for device in devices {
      try bench.run(.lock, device, "a", "3600000", "", "")
      try bench.run(.seize, device, "b", "3600000", "")
    }
  }

  /// What a worker reads: the state, whether there is a loss, and the ids.
  private func read(
    _ worker: String = "w-1", limit: Int = 10, leaseMs: Int = 60_000, makes: String = "yes",
    made: Int = 10, changed: Int = 10, lostMax: Int = 0
  ) throws -> (state: Int, lost: Int, ids: [String]) {
    let words =
      ["hook/h", worker, "\(leaseMs)", "\(limit)", "8", makes, "yes"]
      + ["\(made)", "\(changed)", "\(lostMax)"]
    let part = try #require(
      try bench.call(.readHook, keys: [bench.base], words).items.first?.items)
    return (
      part[0].int ?? -9, part[1].int ?? -9,
      part[2].items.compactMap { $0.string ?? $0.items.first?.string }
    )
  }

  /// How many were pending.
  @discardableResult
  private func ack(_ ids: [String], made: Int = 10) throws -> Int {
    try ids.reduce(0) { sum, id in
      try sum + (bench.call(.ackHook, keys: [bench.base], ["hook/h", "\(made)", id]).int ?? 0)
    }
  }

  private func drop(madeMax: Int) throws -> Int? {
    try bench.call(.dropGroup, keys: [bench.base], ["hook/h", "\(madeMax)"]).int
  }

  @Test func `a worker reads on while it holds events, and another one waits for it`() throws {
    try seize("d1")
    #expect(try read(makes: "").state == 3, "nothing makes the group unasked")
    #expect(try read().state == 0)
    let first = try read()
    #expect(first.ids.count == 1 && first.state == 1)
    try seize("d2", "d3")
    let next = try read(limit: 1)
    #expect(next.ids.count == 1 && next.state == 0 && next.ids != first.ids)
    let other = try read("w-2")
    #expect(other.ids == [] && other.state == 2)
    // What is given back is the other's at once, and before what is new.
    try ack(first.ids)
    let back = try bench.call(
      .transferPending, keys: [bench.base], ["hook/h", "w-1", "returned"] + next.ids)
    #expect(back == .integer(1))
    let rest = try read("w-2")
    #expect(rest.ids.count == 2 && rest.ids.first == next.ids[0])
    #expect(try read("w-1").state == 2)
  }

  @Test func `what a worker does not claim is another's`() throws {
    try seize("d1")
    _ = try read()
    let ids = try read().ids
    let claimedMs = try bench.nowMs()
    func claim(_ ids: [String]) throws -> RedisAnswer {
      let keys = ids.map { _ in bench.base }
      return try bench.call(.claimHook, keys: keys, ["hook/h", "w-1"] + ids)
    }
    let known = ids + [ids[0].replacing("-0", with: "-7")]
    #expect(try claim(known) == .array([.integer(1), .integer(0)]), "the second is no entry")
    try bench.wait(until: claimedMs + 60)
    #expect(try read("w-2", leaseMs: 60_000).state == 2)
    #expect(try read("w-2", leaseMs: 40).ids == ids)
    // The one that is late claims nothing that it does not hold.
    #expect(try claim(ids) == .array([.integer(0)]))
    #expect(try read("w-1").state == 2)
  }

  @Test func `a loss is read once, until it is settled or given back`() throws {
    try seize("d1")
    _ = try read()
    try ack(try read().ids)
    let log = bench.base + ":events"
    _ = try bench.redis.command("XGROUP", "CREATECONSUMER", log, "hook/h", "lost")
    #expect(try read().lost == 1)
    #expect(try read().lost == 0)
    _ = try bench.call(
      .transferPending, keys: [bench.base], ["hook/h", "w-1", "returned", "0-0"])
    #expect(try read().lost == 1)
    _ = try bench.call(.transferPending, keys: [bench.base], ["hook/h", "w-1", "given", "0-0"])
    #expect(try read().lost == 0)
    // A log that was removed has lost what was in it.
    _ = try bench.redis.command("DEL", log)
    #expect(try read(makes: "").state == 3)
    #expect(try read().lost == 1)
  }

  @Test func `a group is behind by what it has not acknowledged, until it is removed`() throws {
    try seize("d1", "d2")
    _ = try read()
    func lag() throws -> [Substring] {
      let line = try bench.call(.hookLags, keys: [bench.base], ["hook/"]).items[0].string ?? ""
      return line.split(separator: " ")
    }
    let behind = try lag()
    #expect(behind.count == 4 && behind[1] == "hook/h" && behind[2] == "2" && behind[3] != "0")
    try ack(try read().ids)
    #expect(try lag() == ["OK", "hook/h", "0", "0"])
    #expect(try drop(madeMax: 10) == 1 && drop(madeMax: 10) == 0)
    #expect(try lag() == ["OK"])
    #expect(try read().lost == 0, "it was removed, and has lost nothing")
  }

  @Test func `figures are added up, and go with their hook`() throws {
    func call(_ script: Script, _ words: String...) throws -> RedisAnswer {
      try bench.call(script, keys: [bench.base], words)
    }
    #expect(try call(.noteHook, "w-1", "h", "1", "1", "0", "1", "") == .text("NONE"))
    #expect(try call(.setHook, "h", "definition", "1").string?.hasPrefix("HOOK OK ") == true)
    #expect(try call(.setHook, "i", "definition", "1").string?.hasPrefix("ERR quota") == true)
    // The second note of a worker comes again.
    for (worker, number, count) in [
      ("w-1", "2", "1"), ("w-2", "3", "2"), ("w-1", "3", "1"), ("w-1", "3", "1"), ("w-1", "2", "1"),
    ] {
      let reply = try call(.noteHook, worker, "h", number, count, "1", "3", "refused")
      #expect(reply == .text("OK"))
    }
    let listing = try call(.hooks).items
    #expect(listing[1].items.first == .text("h"))
    #expect(listing[1].items.last?.string?.hasSuffix(" definition") == true)
    let figures = listing[2].items.compactMap(\.string)
    for field in ["delivered h", "failed h", "error h", "error_at h", "way w-1 h", "way w-2 h"] {
      #expect(figures.contains(field), "\(field)")
    }
    #expect(figures[(figures.firstIndex(of: "delivered h") ?? 0) + 1] == "4")
    #expect(try call(.setHook, "h", "", "1").string?.hasPrefix("HOOK OK ") == true)
    #expect(try call(.setHook, "h", "", "1").string?.hasPrefix("HOOK NONE ") == true)
    #expect(try call(.hooks).items[1].items.isEmpty && call(.hooks).items[2].items.isEmpty)
  }

  @Test func `each change has a later revision, and a hook keeps the one that made it`() throws {
    func set(_ definition: String) throws -> [Int64] {
      let line = try bench.call(.setHook, keys: [bench.base], ["h", definition, "16"]).string ?? ""
      return line.split(separator: " ").dropFirst(2).compactMap { Int64($0) }
    }
    let key = bench.base + ":hook_revision"
    let first = try set("one")
    #expect(first.count == 2 && first[0] == first[1])
    // The clock was set back, as far as the key says.
    let ahead = first[0] + 1_000_000_000
    _ = try bench.redis.command("SET", key, "\(ahead)")
    #expect(try set("two") == [first[0], ahead + 1])
    #expect(try set("") == [ahead + 2])
    #expect(try set("three") == [ahead + 3, ahead + 3])
    // What is no revision, or of another type, is replaced.
    for (place, word) in ["9e300", "99999999999999999", "-5", ""].enumerated() {
      _ = try bench.redis.command("SET", key, word)
      #expect(try set("four") == [ahead + 3, ahead + 4 + Int64(place)])
    }
    _ = try bench.redis.command("DEL", key)
    _ = try bench.redis.command("RPUSH", key, "x")
    #expect(try set("five") == [ahead + 3, ahead + 8])
  }

  @Test func `a former definition gets no events, until the later one is known to be lost`() throws
  {
    try seize("d1")
    _ = try read()
    let held = try read().ids
    // HOOK: as another worker, without reading anything.
    #expect(try read("w-2", limit: 0, changed: 20).state == 0)
    try seize("d2")
    let refused = try read()
    #expect(refused.state == 5 && refused.ids == ["20"])
    #expect(try read(lostMax: 19).state == 5)
    // What it holds it may acknowledge, and the rest is for the new definition.
    #expect(try ack(held) == 1)
    let fresh = try read("w-2", changed: 20)
    #expect(fresh.state == 1 && fresh.ids.count == 1 && fresh.ids != held)
    try ack(fresh.ids)
    // A worker that knows a still later one writes that; a lost one is replaced.
    try seize("d3")
    #expect(try read("w-2", changed: 30).ids.count == 1)
    #expect(try read("w-2", changed: 20).state == 5)
    #expect(try read("w-2", changed: 20, lostMax: 30).state == 1)
    #expect(try read("w-2", changed: 10).ids == ["20"])
  }

  @Test func `a hook that was made anew begins anew, and nothing of the former one touches it`()
    throws
  {
    try seize("d1")
    _ = try read()
    let held = try read().ids
    #expect(try held.count == 1 && read(makes: "", made: 40, changed: 40).state == 3)
    #expect(try read("w-2", made: 40, changed: 40).state == 0)
    #expect(try read("w-2", made: 40, changed: 40).ids == held, "from the oldest event on")
    #expect(try ack(held, made: 10) == 0)
    #expect(try drop(madeMax: 39) == 0 && read().state == 5)
    #expect(try read("w-2", made: 40, changed: 50).state == 1)
    #expect(try ack(held, made: 40) == 1)
    #expect(try drop(madeMax: 45) == 1)
  }

  @Test func `the mark of the definition stays while a worker's name goes`() throws {
    try seize("d1")
    _ = try read()
    try ack(try read().ids)
    let log = bench.base + ":events"
    _ = try bench.redis.command("XGROUP", "CREATECONSUMER", log, "hook/h", "w-9")
    try bench.wait(until: try bench.nowMs() + 50)
    _ = try read(leaseMs: 1)
    let names = try bench.redis.command("XINFO", "CONSUMERS", log, "hook/h").items
      .compactMap { $0.items[1].string }
    #expect(names.contains("definition 10 10") && !names.contains("w-9"))
  }
}
