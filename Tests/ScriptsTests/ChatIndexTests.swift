// Owns: the tests of the index of a chat that takes several calls to make: what changes the chat
// between them is in it.

import Scripts
import Testing
import TestSupport

struct ChatIndexTests {
  private let bench: ScriptBench

  init() throws {
    bench = try ScriptBench()
    #expect(try bench.run(.open, Opening().open).word == "OK")
  }

  private func message(_ id: String) -> String { "{\"id\":\"\(id)\"}" }

  /// One call of `SAY id=`, or without.
  @discardableResult private func say(
    _ ids: [String], known: Bool = true, after: String = "", last: String = ""
  ) throws -> ScriptReply {
    let parts = ids.map { "0 \(message($0).utf8.count) \(message($0))" }.joined()
    return try bench.run(
      .say, "d", "S", "", parts, "", known ? "id" : "", after, last, "", "", "", "")
  }

  /// The same, until the index is whole.
  private func sayOnce(_ ids: [String], after: String = "") throws -> ScriptReply {
    for _ in 0..<20 {
      let reply = try say(ids, after: after)
      guard reply.word == "MORE" else { return reply }
    }
    throw TestFailure("the index is never whole")
  }

  @Test func `what changes a chat while its index is made is in it`() throws {
    try say((1...900).map { "m\($0)" }, known: false)
    #expect(try say(["m1"]).raw == "MORE index")
    // Of what was read already, and of what was not.
    for (seq, id) in [(10, "new10"), (890, "new890")] {
      #expect(try bench.run(.amend, "d", "S", "", "\(seq)", message(id), "", "").word == "OK")
      #expect(try say(["m1"]).raw == "MORE index")
    }
    try bench.run(.pop, "d", "S", "", "", "", "", "")
    #expect(try say(["late"], known: false).word == "OK")
    #expect(try sayOnce(["m1"]).int("known") == 1)
    for id in ["new10", "new890", "m500", "m899", "late"] {
      #expect(try say([id]).int("known") == 1, "\(id)")
    }
    for id in ["m10", "m890", "m900", "other"] {
      #expect(try say([id]).raw.contains("known") == false, "\(id)")
    }
    // Until it is whole, the chat has an index by this member and no other.
    let other = try bench.run(.say, "d", "S", "", "0 2 {}", "", "else", "", "", "", "", "", "")
    #expect(other.raw.contains("another member"), "\(other.raw)")
  }

  @Test func `a message that is removed while the index is made is not known`() throws {
    try say((1...900).map { "m\($0)" }, known: false)
    #expect(try say(["m1"]).raw == "MORE index")
    #expect(try bench.run(.forget, "d", "S", "", "", "5", "", "").int("removed") == 1)
    #expect(try sayOnce(["m1"]).int("known") == 1)
    #expect(try say(["m5"]).raw.contains("known") == false)
    // With `after=` what is behind it is not known, though its value is there twice.
    try say(["twice"], known: false)
    try say(["twice"], known: false)
    let newest = try say(["m6"]).int("seq")
    #expect(try sayOnce(["twice"], after: "\(newest - 1)").int("known") == 1)
    #expect(try sayOnce(["m899"], after: "800").raw.contains("known") == false)
    #expect(try say(["m800"]).int("known") == 1)
    #expect(try say(["twice"]).raw.contains("known") == false)
  }
}
