// A reply line of the worker, with its parts.

import Foundation
import Testing

/// One reply line, read into its parts only when asked.
struct Reply: Sendable, CustomTestStringConvertible {
  let raw: String

  var testDescription: String { raw.count > 300 ? raw.prefix(300) + "…" : raw }

  private var parts: [Substring] {
    raw.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
  }

  /// OK, HELD, NONE, STALE, ERR or EVENT.
  var word: String { String(parts[0]) }

  /// The word after ERR, `""` on any other reply.
  var code: String { word == "ERR" && parts.count > 1 ? String(parts[1]) : "" }

  /// The sentence after ERR and its code.
  var text: String { word == "ERR" && parts.count > 2 ? String(parts[2]) : "" }

  var isOK: Bool { word == "OK" }

  /// True for an answer that says honestly that Redis did not answer.
  var isOutage: Bool { ["unavailable", "unknown_outcome"].contains(code) }

  /// The value after the first word.
  func json() throws -> JSON {
    let body = raw.dropFirst(word.count + 1)
    guard word != "ERR", !body.isEmpty else { throw Failure("no JSON in: \(raw)") }
    return try JSON(String(body))
  }

  func int(_ name: String) throws -> Int {
    guard let value = try json()[name]?.int else { throw Failure("no integer '\(name)': \(raw)") }
    return value
  }

  func string(_ name: String) throws -> String {
    guard let value = try json()[name]?.string else { throw Failure("no '\(name)' in: \(raw)") }
    return value
  }

  /// True if `member` stands in the reply as `"member":text`, byte for byte.
  func shows(_ member: String, as text: String) -> Bool {
    let shown = "\"\(member)\":\(text)"
    return raw.contains(shown + ",") || raw.contains(shown + "}")
  }
}

/// The body of an `OK` to LOCK, RENEW, HANDOFF or SEIZE, its types checked.
struct Grant: Equatable, Sendable {
  let agent: String
  let token: Int
  let ttlMs: Int
  let acquiredAt: Int
  let renewed: Bool

  init(_ reply: Reply) throws {
    guard reply.isOK else { throw Failure("no grant: \(reply.raw)") }
    let body = try reply.json()
    guard let agent = body["agent"]?.string, let token = body["token"]?.int,
      let ttlMs = body["ttl_ms"]?.int, let acquiredAt = body["acquired_at"]?.int,
      let renewed = body["renewed"]?.bool
    else { throw Failure("a grant lacks a member or has one of another type: \(reply.raw)") }
    self.agent = agent
    self.token = token
    self.ttlMs = ttlMs
    self.acquiredAt = acquiredAt
    self.renewed = renewed
    guard token > 0, token < 1 << 53 else { throw Failure("token out of range: \(reply.raw)") }
    guard abs(acquiredAt - nowUnixMs()) < 3_600_000 else {
      throw Failure("acquired_at is no Unix time in milliseconds: \(reply.raw)")
    }
  }
}

/// Expects the reply to be `word`, and if it is ERR, to have that code.
func expect(
  _ reply: Reply, _ word: String, _ code: String = "", _ comment: Comment? = nil,
  at place: SourceLocation = #_sourceLocation
) {
  #expect(
    reply.word == word && (code.isEmpty || reply.code == code),
    "wanted \(word) \(code), got: \(reply) \(comment?.rawValue ?? "")", sourceLocation: place)
}

/// Expects `ERR bad_request` with a text that has `names` in it.
func expectBadRequest(
  _ reply: Reply, naming names: String = "", _ comment: Comment? = nil,
  at place: SourceLocation = #_sourceLocation
) {
  expect(reply, "ERR", "bad_request", comment, at: place)
  #expect(!reply.text.isEmpty, "an error without a text: \(reply)", sourceLocation: place)
  guard !names.isEmpty else { return }
  #expect(
    reply.text.lowercased().contains(names.lowercased()), "does not name '\(names)': \(reply)",
    sourceLocation: place)
}
