// Owns: the tests of how a new group of the log is made in many partitions: by several calls,
// before it is read.

import Scripts
import Testing
import TestSupport

struct GroupMakingTests {
  private let bench: ScriptBench
  /// Partitions, in the order in which they are read.
  private let bases: [String]

  init() throws {
    let bench = try ScriptBench()
    self.bench = bench
    bases = (0..<70).map { "\(bench.base.dropLast(6))-\($0):{0a3}" }
  }

  private func read(
    _ group: String = "g", groupsMax: Int = 8, isMade: Bool = false
  ) throws -> RedisAnswer {
    let words = [
      group, "60000", "10", "", "\(groupsMax)", "w-1", "60000", "yes", "", isMade ? "yes" : "",
    ]
    return try bench.call(.readGroup, keys: bases, words)
  }

  /// Reads until the group is made.
  private func readMade() throws -> [RedisAnswer] {
    for _ in 0..<5 {
      let reply = try read(isMade: true)
      if reply != .text("MORE") { return reply.items }
    }
    throw TestFailure("the group is never made")
  }

  /// The places of the partitions that have so many groups.
  private func places(withGroups count: Int) throws -> [Int] {
    try bases.indices.filter {
      try bench.redis.command("XINFO", "GROUPS", "\(bases[$0]):events").items.count == count
    }
  }

  /// Makes one event in a partition.
  private func seize(in base: String) throws {
    for agent in ["a", "b"] {
      _ = try bench.call(.seize, keys: [base], ["d", agent, "3600000", ""])
    }
  }

  @Test func `some are made by each call, the first one last, and then it is read`() throws {
    for base in [bases[0], bases[69]] { try seize(in: base) }
    #expect(try read() == .text("MORE"))
    #expect(try places(withGroups: 1) == Array(6..<70))
    #expect(try read() == .text("MORE"))
    #expect(try places(withGroups: 1) == Array(0..<70))
    let page = try read(isMade: true).items
    #expect(page.count == 11 && page[3] == .array([]) && page[5] == .integer(70), "\(page)")
    // Events from before the group was there say nothing about how late it is.
    #expect(page[8] == .integer(-1) && page[10] == .integer(-1), "\(page)")
    try seize(in: bases[1])
    let next = try read().items
    #expect(next.count == 9 && next[8].int ?? -1 >= 0, "\(next)")
  }

  @Test func `a group that was removed has lost events, wherever it was`() throws {
    #expect(try readMade()[3] == .array([]))
    for base in bases { try bench.redis.command("XGROUP", "DESTROY", "\(base):events", "g") }
    #expect(try readMade()[3] == .array((0..<70).map { .integer($0) }))
    // In one partition alone it is made by the call that reads.
    try bench.redis.command("XGROUP", "DESTROY", "\(bases[5]):events", "g")
    #expect(try read().items[3] == .array([.integer(5)]))
  }

  @Test func `one more than there may be is made nowhere`() throws {
    _ = try readMade()
    let refused = try read("other", groupsMax: 1).string ?? ""
    #expect(refused.hasPrefix("ERR quota quota exceeded: 1 of 1 groups"), "\(refused)")
    #expect(try places(withGroups: 1) == Array(0..<70))
  }
}
