// Owns: the tests of the limits that verbs declare for their payloads: each is refused while it is
// read, at the first part that is one too many.

import Testing
import Wire

@testable import Service
@testable import Settings

struct PayloadLimitTests {
  /// The error of a line; nil if it is parsed.
  private func error(_ line: String) -> RequestError? {
    var parser = VerbTable().makeParser()
    let bytes = Array(line.utf8)
    do {
      try parser.parse(bytes.span)
      return nil
    } catch {
      return error
    }
  }

  private func members(_ count: Int) -> String {
    (0..<count).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
  }

  private func elements(_ count: Int) -> String {
    Array(repeating: "{}", count: count).joined(separator: ",")
  }

  @Test(arguments: ["OPEN d", "SET d", "set d/current", "RECOVER d", "DONE d turn=1"])
  func `fields that one request writes are counted while they are read`(request: String) {
    let (open, close) = request.hasPrefix("DONE") ? ("{\"set\":{", "}}") : ("{", "}")
    #expect(error("\(request) \(open)\(members(512))\(close)") == nil)
    let refusal = RequestError(.quota, "quota exceeded: 513 of 512 fields of one request")
    #expect(error("\(request) \(open)\(members(513))\(close)") == refusal)
    #expect(error("\(request) \(open)\(members(513)) and no JSON") == refusal)
  }

  @Test(arguments: ["SAY d", "SAY d/current/2", "TURN d", "DONE d turn=1"])
  func `messages of one request are counted while they are read`(request: String) {
    let (open, close) = request.hasPrefix("DONE") ? ("{\"say\":[", "]}") : ("[", "]")
    #expect(error("\(request) \(open)\(elements(10_000))\(close)") == nil)
    let refusal = RequestError(.tooLarge, "one request may say 10000 messages")
    #expect(error("\(request) \(open)\(elements(10_001))\(close)") == refusal)
    #expect(error("\(request) \(open)\(elements(10_001)) and no JSON") == refusal)
    // One message has as many members as it likes.
    guard open == "[" else { return }
    #expect(error("\(request) {\(members(11_000))}") == nil)
  }

  @Test func `the members of DONE are few`() {
    let phases = Array(repeating: "\"phase\":\"a\"", count: 6).joined(separator: ",")
    #expect(error("DONE d turn=1 {\(phases)}") == nil)
    let refusal = RequestError(
      .badRequest,
      "the payload has over 6 members: give each of say, set, put, drop, phase, step once")
    #expect(error("DONE d turn=1 {\(phases),\"x\":") == refusal)
  }

  @Test(arguments: [
    ("CHAT d", 256 << 10, "a chat's configuration may have 262144 bytes"),
    ("SET d/current/1", 256 << 10, "a chat's configuration may have 262144 bytes"),
    ("HANDOFF d a b", 64 << 10, "a note may have 65536 bytes at most"),
  ])
  func `a payload that is too long is read no further`(
    item: (request: String, most: Int, text: String)
  ) {
    // Any number of members.
    var text = "{\(members(3_000))"
    text += String(repeating: " ", count: item.most - text.utf8.count - 1)
    #expect(error("\(item.request) \(text)}") == nil)
    let refusal = RequestError(.tooLarge, item.text)
    #expect(error("\(item.request) \(text),\"x\":0}") == refusal)
    let long = String(repeating: "x", count: item.most)
    #expect(error("\(item.request) [\"\(long)\" no JSON") == refusal)
    #expect(error("\(item.request) [1,,\(text)}")?.code == .badRequest)
  }

  @Test func `an unknown verb has the limits of the protocol`() {
    #expect(error("FROB d {\(members(2_000))}") == nil)
  }
}
