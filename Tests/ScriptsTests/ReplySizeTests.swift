// Owns: the tests of the bounds of the replies of one call, however long messages and notes are.

import Scripts
import Testing
import TestSupport

/// The bounds of the replies of one call, however long messages and notes are.
struct ReplySizeTests {
  private let bench = Result { try ScriptBench() }

  private static let text = String(repeating: "x", count: 260_000)

  /// A session with so many messages of 260,000 bytes.
  private func openLarge(_ messages: Int) throws -> ScriptBench {
    let bench = try bench.get()
    try bench.run(.open, Opening().open)
    let message = "{\"t\":\"\(Self.text)\"}"
    for _ in 0..<messages {
      try bench.run(
        .say, "d", "S", "", "0 \(message.utf8.count) \(message)", "", "", "", "", "", "", "", "")
    }
    return bench
  }

  private func seqs(_ reply: ScriptReply) throws -> (seqs: [Int], more: Bool) {
    guard let messages = reply.body["messages"] as? [[String: Any]],
      let more = reply.body["more"] as? Bool
    else { throw TestFailure("no history: \(reply.raw.prefix(200))") }
    return (messages.compactMap { $0["seq"] as? Int }, more)
  }

  @Test func `a page of HISTORY ends when it has grown large`() throws {
    let bench = try openLarge(40)
    #expect(
      try seqs(bench.run(.history, "d", "S", "", "", "", "", "", "100")) == (Array(36...40), true))
    #expect(
      try seqs(bench.run(.history, "d", "S", "", "0", "", "", "", "100")) == (Array(1...5), true))
    #expect(
      try seqs(bench.run(.history, "d", "S", "", "8", "", "", "", "100")) == (Array(9...13), true))
    #expect(
      try seqs(bench.run(.history, "d", "S", "", "36", "", "", "", "100")) == (
        Array(37...40), false
      ))
  }

  @Test func `a call whose replies have grown large does and answers nothing more`()
    throws
  {
    let bench = try openLarge(32)
    let keys = Array(repeating: bench.base, count: 28)
    let requests = (0..<28).flatMap { _ in ["d", "S", "", "", "", "", "", "100"] }
    let words = try bench.call(.history, keys: keys, requests).items.map {
      try ScriptReply($0.string ?? "").raw.split(separator: " ").prefix(2).joined(separator: " ")
    }
    // Each has 1.3 MB; with the 26th there are 32 MiB.
    #expect(words.prefix(26).allSatisfy { $0.hasPrefix("OK ") })
    #expect(words.last == "ERR overloaded")
    // The next call serves as ever.
    #expect(try bench.run(.get, "d", "S").word == "OK")
  }

  @Test func `a page of EVENTS ends when it has grown large, and the next one goes on`() throws {
    var constants = ScriptBench.constants
    constants.eventBytesMax = 64 << 20
    let bench = try ScriptBench(constants)
    try bench.run(.lock, "d", "a", "60000", "", "")
    for _ in 0..<70 {
      try bench.run(.handoff, "d", "a", "a", "60000", "", "\"\(Self.text)\"", "", "")
    }
    func ids(_ reply: ScriptReply) -> [String] {
      (reply.body["events"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
    }
    var (after, pages) = ("0-0", [Int]())
    while let latest = ids(try bench.run(.events, "d", "", after, "1000")).last, pages.count < 9 {
      pages.append(try bench.run(.events, "d", "", after, "1000").raw.utf8.count / 260_000)
      after = String(latest.drop { $0 != "-" }.dropFirst())
    }
    #expect(pages == [Int](repeating: 5, count: 9))
    // A consumer of a group gets what was read with the last of it too.
    let counts = try (0..<5).map { _ in
      let words = ["g", "60000", "1000", "", "64", "w-1", "60000", "yes", "", ""]
      let items = try bench.call(.readGroup, keys: [bench.base], words).items
      let page = try ScriptBench.line(try #require(items.first))
      let given = ids(try ScriptReply(page.string ?? ""))
      let keys = [String](repeating: bench.base, count: given.count)
      _ = try bench.call(
        .transferPending, keys: keys, ["g", "w-1", "given"] + given.map { String($0.dropFirst(4)) })
      return given.count
    }
    #expect(counts == [16, 16, 16, 16, 6])
  }
}
