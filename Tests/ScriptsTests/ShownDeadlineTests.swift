// Owns: the tests of the deadline that a worker takes from a session's record after a change: it
// has to be the one in the partition's index, or its event would come late.

import Records
import Scripts
import Testing
import TestSupport

struct ShownDeadlineTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  /// Random lengths of clocks, far enough from now that none ends during the test.
  private static func clocks(_ random: inout Seeded) -> String {
    func pick(_ most: Int) -> Int { Int.random(in: 0...most, using: &random) * 100_000 }
    let lengths = [pick(3), pick(6), pick(4), pick(9), 2_592_000_000, pick(2)]
    return lengths.map { "\($0)" }.joined(separator: " ")
  }

  /// The session's deadline in the index; nil if there is none.
  private func indexed(_ session: String) throws -> Int? {
    let entries = try bench.redis.command("ZRANGE", bench.base + ":due", "0", "-1", "WITHSCORES")
    let words = entries.items.compactMap(\.string)
    let place = words.firstIndex { $0.hasSuffix(":d/\(session)") }
    return place.flatMap { Int(words[$0 + 1]) }
  }

  /// Compares what a record says with the index, which keeps an earlier deadline where a request
  /// `onlyTouches`.
  private func check(
    _ session: String, onlyTouches: Bool = false, _ show: () throws -> RecordLine
  ) throws {
    let before = try bench.nowMs()
    let line = try show()
    let after = try bench.nowMs()
    let text = String(decoding: line.bytes, as: UTF8.self)
    guard let dueInMs = line.dueInMs, let at = try indexed(session) else {
      #expect(line.dueInMs == nil, "\(text)")
      #expect(try indexed(session) == nil, "\(text)")
      return
    }
    let soonest = onlyTouches ? 0 : before + Int(dueInMs)
    #expect(soonest...after + Int(dueInMs) ~= at, "\(at) but \(dueInMs) from now in \(text)")
  }

  @Test func `the deadline of a session that is shown is the one in the index`() throws {
    var random = Seeded("deadlines of shown sessions")
    for number in 0..<80 {
      let (id, clocks) = ("S\(number)", Self.clocks(&random))
      try check(id) {
        try bench.show(.open, Opening(session: id, clocks: clocks).open)
      }
      var isActive = true
      for _ in 0..<3 {
        switch Int.random(in: 0..<3, using: &random) {
        case 0 where isActive:
          isActive = false
          try check(id) { try bench.show(.changeState, "d", id, "PAUSE", "paused", "", "", "") }
        case 1 where !isActive:
          isActive = true
          try check(id) { try bench.show(.changeState, "d", id, "RESUME", "active", "", "", "") }
        default:
          try check(id, onlyTouches: isActive) {
            try bench.show(.recover, "d", id, "", "", "", "", "")
          }
          isActive = true
        }
      }
      try check(id) { try bench.show(.changeState, "d", id, "CLOSE", "completed", "", "", "") }
    }
  }

  @Test func `the end of a user's session is due at once, for the user's partition`() throws {
    let clocks = "0 0 0 0 2592000000 0"
    let links = "user ada\n"
    let opened = try bench.show(
      .open, Opening(links: links, clocks: clocks, reserved: " user/ada ").open)
    #expect(opened.dueInMs == nil)
    let paused = try bench.show(.changeState, "d", "S", "PAUSE", "paused", "", "", "")
    #expect(paused.dueInMs == nil)
    let closed = try bench.show(.changeState, "d", "S", "CLOSE", "completed", "", "", "")
    #expect(closed.dueInMs == 0)
  }

  @Test func `a corrupt clock is due at once`() throws {
    try bench.show(.open, Opening(clocks: "0 0 0 0 2592000000 0").open)
    try bench.redis.command("HSET", bench.base + ":session:d/S", "born", "soon")
    #expect(try bench.show(.get, "d", "S").dueInMs == 0)
  }
}
