// Owns: event logs that are near their bound, for the tests of their limits: on a real Redis.

import Scripts
import TestSupport

/// A partition whose event log may have few bytes.
enum LogBench {
  static let bytesMax = 131_072

  /// A bench with a small bound; `change` adapts the other settings.
  static func make(_ change: (inout ScriptConstants) -> Void = { _ in }) throws -> ScriptBench {
    var constants = ScriptBench.constants
    constants.eventBytesMax = bytesMax
    constants.eventsMax = 100
    change(&constants)
    return try ScriptBench(constants)
  }

  /// A bench whose log a group keeps at its bound: it is all the device's, which the agent holds.
  static func full(by device: String, holder: String) throws -> ScriptBench {
    let bench = try make()
    try bench.ask(group: "slow")
    try bench.fill(device)
    // The lock passes once more as soon as there is room, which the group's end makes.
    try bench.redis.command("XGROUP", "DESTROY", bench.base + ":events", "slow")
    try bench.trim()
    try bench.run(.seize, device, holder, "3600000", "")
    try bench.ask(group: "slow")
    for _ in 0..<5_000 {
      try bench.redis.command(
        "XADD", bench.base + ":events", "*", "t", "lock.cleared", "d", device, "b", "\"at\":1")
      if try bench.trim()[1] == 1 { return bench }
    }
    throw TestFailure("the log is not full: \(try bench.trim())")
  }
}

extension ScriptBench {
  /// Reads for a group, which the log waits for from then on.
  @discardableResult
  func ask(group: String, limit: Int = 1, ackMs: Int = 60_000) throws -> [RedisAnswer] {
    try call(
      .readGroup, keys: [base],
      [group, "\(ackMs)", "\(limit)", "", "64", "w-1", "60000", "yes", "yes", ""]
    ).items
  }

  /// Seizes the device in turn for two agents, until that is refused.
  func fill(_ device: String) throws {
    for _ in 0..<5_000 {
      let words = [device, "x", "3600000", "", device, "y", "3600000", ""]
      let replies = try call(.seize, keys: [base, base], words).items
      if replies.contains(where: { $0.string?.hasPrefix("OK ") != true }) { return }
    }
    throw TestFailure("\(device) is not refused: \(try bytes()) bytes, \(try trim())")
  }

  /// The reply of the upkeep: bytes, whether devices are refused, how far the groups are behind in
  /// ms, and how many events were lost.
  @discardableResult func trim(ageMs: Int = 3_600_000) throws -> [Int] {
    let reply = try call(.trim, keys: [base], ["\(ageMs)"])
    guard reply.items.count == 5 else { throw TestFailure("trim: \(reply)") }
    return reply.items.compactMap(\.int)
  }

  /// How far each group in use is behind, in ms, as the upkeep says it.
  func lags() throws -> [String: Int] {
    let words = try call(.trim, keys: [base], ["3600000"]).items[4].items
    return stride(from: 0, to: words.count, by: 2).reduce(into: [:]) { lags, at in
      lags[words[at].string ?? "?"] = words[at + 1].int
    }
  }

  /// The memory of the log, as Redis has it.
  func bytes() throws -> Int {
    try redis.command("MEMORY", "USAGE", base + ":events", "SAMPLES", "0").int ?? 0
  }

  func logLength() throws -> Int { try redis.command("XLEN", base + ":events").int ?? 0 }
}
