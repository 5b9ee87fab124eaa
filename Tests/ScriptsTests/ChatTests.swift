// Owns: the tests of chats as lists: that a place is found by a message's number, and what a chat
// keeps.

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
    bench = try ScriptBench(on: nil, constants)
    let clocks = "0 0 0 60000 60000 0"
    let opened = try bench.run(.open, "d", "S", "\"t\"", clocks, "no", "", "", "", "", "")
    #expect(opened.word == "OK")
  }

  private func say(_ count: Int) throws -> Int {
    let messages = String(repeating: "0 2 {}", count: count)
    return try bench.run(.say, "d", "S", "", messages, "", "").int("seq")
  }

  private func history(after: String, _ limit: Int) throws -> (seqs: [Int], more: Bool) {
    let reply = try bench.run(.history, "d", "S", "", after, "\(limit)")
    guard let messages = reply.body["messages"] as? [[String: Any]],
      let more = reply.body["more"] as? Bool
    else { throw Failure("no history: \(reply.raw)") }
    return (messages.compactMap { $0["seq"] as? Int }, more)
  }

  /// Compares every page of up to 3 messages with what is there.
  private func compare(_ seqs: [Int], latest: Int) throws {
    for after in 0...(latest + 2) {
      let behind = seqs.filter { $0 > after }
      let page = try history(after: "\(after)", 3)
      #expect(page.seqs == Array(behind.prefix(3)), "after \(after) of \(seqs)")
      #expect(page.more == (behind.count > 3), "after \(after) of \(seqs)")
    }
    let last = try history(after: "", 3)
    #expect(last.seqs == seqs.suffix(3))
    #expect(last.more == (seqs.count > 3))
  }

  @Test func `each place is found by its number, whatever was taken away`() throws {
    var random = Seeded("messages that come and go")
    var (seqs, latest) = ([Int](), 0)
    // How often such chats were met: the test shows nothing without.
    var (gaps, trims) = (0, 0)
    try compare(seqs, latest: latest)
    for _ in 0..<60 {
      if Int.random(in: 0..<3, using: &random) == 0 {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let word = try bench.run(.pop, "d", "S", "", "", "").word
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
    let reply = try bench.run(.say, "d", "S", "", "4 user2 {}", "", "")
    #expect(reply.raw.hasPrefix("ERR internal "))
    #expect(try bench.redis.command("HGETALL", key).items.compactMap(\.string) == before)
    try bench.redis.command("RENAME", key + "/aside", key + "/1")
    #expect(try say(1) == 3)
  }
}

/// What bounds the replies of one call, however long messages and notes are.
struct ReplySizeTests {
  private let bench = Result { try ScriptBench() }

  private static let text = String(repeating: "x", count: 260_000)

  /// A session with so many messages of 260,000 bytes.
  private func openLarge(_ messages: Int) throws -> ScriptBench {
    let bench = try bench.get()
    let clocks = "0 0 0 60000 60000 0"
    try bench.run(.open, "d", "S", "\"t\"", clocks, "no", "", "", "", "", "")
    let message = "{\"t\":\"\(Self.text)\"}"
    for _ in 0..<messages {
      try bench.run(.say, "d", "S", "", "0 \(message.utf8.count) \(message)", "", "")
    }
    return bench
  }

  private func seqs(_ reply: ScriptReply) throws -> (seqs: [Int], more: Bool) {
    guard let messages = reply.body["messages"] as? [[String: Any]],
      let more = reply.body["more"] as? Bool
    else { throw Failure("no history: \(reply.raw.prefix(200))") }
    return (messages.compactMap { $0["seq"] as? Int }, more)
  }

  @Test func `a page of HISTORY ends when it has grown large`() throws {
    let bench = try openLarge(40)
    #expect(try seqs(bench.run(.history, "d", "S", "", "", "100")) == (Array(9...40), true))
    #expect(try seqs(bench.run(.history, "d", "S", "", "0", "100")) == (Array(1...32), true))
    #expect(try seqs(bench.run(.history, "d", "S", "", "8", "100")) == (Array(9...40), false))
    #expect(try seqs(bench.run(.history, "d", "S", "", "30", "100")) == (Array(31...40), false))
  }

  @Test func `a call whose replies have grown large answers nothing more, and does nothing more`()
    throws
  {
    let bench = try openLarge(32)
    let keys = Array(repeating: bench.base, count: 18)
    let requests = (0..<18).flatMap { _ in ["d", "S", "", "", "100"] }
    let words = try bench.call(.history, keys: keys, requests).items.map {
      try ScriptReply($0.string ?? "").raw.split(separator: " ").prefix(2).joined(separator: " ")
    }
    // Each has 8.3 MB; with the seventeenth there are 128 MiB.
    #expect(words.prefix(17).allSatisfy { $0.hasPrefix("OK ") })
    #expect(words.last == "ERR overloaded")
    // The next call serves as ever.
    #expect(try bench.run(.get, "d", "S").word == "OK")
  }

  @Test func `a page of EVENTS ends when it has grown large, and the next one goes on`() throws {
    let bench = try bench.get()
    try bench.run(.lock, "d", "a", "60000", "", "")
    for _ in 0..<70 {
      try bench.run(.handoff, "d", "a", "a", "60000", "", "\"\(Self.text)\"", "")
    }
    func ids(_ reply: ScriptReply) -> [String] {
      (reply.body["events"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
    }
    var (after, pages) = ("0-0", [Int]())
    while let latest = ids(try bench.run(.events, "d", after, "1000")).last, pages.count < 9 {
      pages.append(try bench.run(.events, "d", after, "1000").raw.utf8.count / 260_000)
      after = String(latest.drop { $0 != "-" }.dropFirst())
    }
    #expect(pages == [17, 17, 17, 17, 2])
    // A consumer of a group gets what was read with the last of it too.
    let counts = try (0..<3).map { _ in
      let reply = try bench.call(.take, keys: [bench.base], ["g", "60000", "1000", "", "0", "64"])
      return ids(try ScriptReply(reply.string ?? "")).count
    }
    #expect(counts == [32, 32, 6])
  }
}
