// Owns: the tests of chats as lists: a message is found by its number, and a chat has its limits.

import Scripts
import Testing
import TestSupport

struct ChatTests {
  private let bench: ScriptBench

  /// Chats of this test keep so many messages.
  private static let most = 25

  init() throws {
    var constants = ScriptConstants(reqKeepMs: 600_000, eventsMax: 1_000)
    constants.messagesMax = Self.most
    bench = try ScriptBench(constants)
    #expect(try bench.run(.open, Opening().open).word == "OK")
  }

  private func say(_ count: Int) throws -> Int {
    let messages = String(repeating: "0 2 {}", count: count)
    return try bench.run(.say, "d", "S", "", messages, "", "", "", "", "", "", "", "").int("seq")
  }

  private func history(after: String, _ limit: Int) throws -> (seqs: [Int], more: Bool) {
    let reply = try bench.run(.history, "d", "S", "", after, "", "", "", "\(limit)")
    guard let messages = reply.body["messages"] as? [[String: Any]],
      let more = reply.body["more"] as? Bool
    else { throw TestFailure("no history: \(reply.raw)") }
    return (messages.compactMap { $0["seq"] as? Int }, more)
  }

  /// Compares every page of up to 3 messages with the model.
  private func compare(_ seqs: [Int], latest: Int) throws {
    for after in [latest + 1, latest + 2] {
      let reply = try bench.run(.history, "d", "S", "", "\(after)", "", "", "", "3")
      #expect(reply.raw == "STALE {\"seq\":\(latest)}")
    }
    for after in 0...latest {
      let behind = seqs.filter { $0 > after }
      let page = try history(after: "\(after)", 3)
      #expect(page.seqs == Array(behind.prefix(3)), "after \(after) of \(seqs)")
      #expect(page.more == (behind.count > 3), "after \(after) of \(seqs)")
    }
    let last = try history(after: "", 3)
    #expect(last.seqs == seqs.suffix(3))
    #expect(last.more == (seqs.count > 3))
  }

  @Test func `each message is found by its number, whichever were removed`() throws {
    var random = Seeded("messages that come and go")
    var (seqs, latest) = ([Int](), 0)
    // How often such chats were met: the test shows nothing without.
    var (gaps, trims) = (0, 0)
    try compare(seqs, latest: latest)
    for _ in 0..<60 {
      if Int.random(in: 0..<3, using: &random) == 0 {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let word = try bench.run(.pop, "d", "S", "", "", "", "", "").word
          #expect(word == (seqs.popLast() == nil ? "NONE" : "OK"))
        }
      } else {
        let count = Int.random(in: 1...7, using: &random)
        seqs += (latest + 1)...(latest + count)
        if seqs.count > Self.most {
          trims += 1
          seqs = seqs.suffix(Self.most)
        }
        latest += count
        #expect(try say(count) == latest)
      }
      if let first = seqs.first, let last = seqs.last, last - first >= seqs.count { gaps += 1 }
      try compare(seqs, latest: latest)
    }
    #expect(gaps > 5)
    #expect(trims > 5)
  }

  @Test func `of more messages in one request than a chat keeps, the newest stay`() throws {
    #expect(try say(2_500) == 2_500)
    #expect(try history(after: "", 100) == (Array(2_476...2_500), false))
    #expect(try history(after: "2475", 25) == (Array(2_476...2_500), false))
  }

  @Test func `a message that cannot be kept uses up no number and is no activity`() throws {
    #expect(try say(2) == 2)
    let key = bench.base + ":session:d/S"
    let before = try bench.redis.command("HGETALL", key).items.compactMap(\.string)
    try bench.redis.command("RENAME", key + "/1", key + "/aside")
    try bench.redis.command("SET", key + "/1", "no list")
    let reply = try bench.run(.say, "d", "S", "", "4 user2 {}", "", "", "", "", "", "", "", "")
    #expect(reply.raw.hasPrefix("ERR internal "))
    #expect(try bench.redis.command("HGETALL", key).items.compactMap(\.string) == before)
    try bench.redis.command("RENAME", key + "/aside", key + "/1")
    #expect(try say(1) == 3)
  }
}
