// Owns: a session's policy as its record keeps it. A value that points into a reply of Redis; on a
// loop's thread.

internal import RedisConnection
internal import Wire

/// The name of a policy, its limits, and two words; `Lua/lib/policies.lua` has the order.
struct StoredPolicy {
  let name: LentBytes
  /// Of sessions, a user's sessions, chats, messages; 0 for the server's.
  let limits: [Int64]
  let full: LentBytes
  let atMost: LentBytes

  /// The names of the limits in an export, in the order of the record.
  static let limitNames: [StaticString] = [
    "max_sessions", "max_user_sessions", "max_chats", "max_messages",
  ]

  /// Nil if the line is none.
  init?(_ line: LentBytes) {
    let slices = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    let words = slices.map { LentBytes(rebasing: $0) }
    let numbers = slices.dropFirst().prefix(4).compactMap { StoredNumber.parse($0) }
    guard words.count == 7, numbers.count == 4, words[0].allSatisfy(IDText.isIDByte),
      words[5].elementsEqual("trim".utf8) || words[5].elementsEqual("refuse".utf8),
      words[6].elementsEqual("evict".utf8) || words[6].elementsEqual("refuse".utf8)
    else { return nil }
    (name, limits, full, atMost) = (words[0], numbers, words[5], words[6])
  }

  /// Puts the name, or null; of a line that is none, too, which is named as corrupt.
  static func putName(_ line: LentBytes?, into out: inout RecordLine) {
    guard let line else { return out.put("null") }
    guard let policy = StoredPolicy(line) else { return out.putCorrupt(.of("policy")) }
    out.put(id: policy.name, .of("policy"))
  }

  /// Puts all of it as an object, for an export.
  static func put(_ line: LentBytes?, into out: inout RecordLine) {
    guard let line else { return out.put("null") }
    guard let policy = StoredPolicy(line) else { return out.putCorrupt(.of("policy")) }
    out.put("{\"name\":")
    out.put(id: policy.name, .of("policy"))
    for (name, limit) in zip(limitNames, policy.limits) {
      out.put(",\"")
      out.put(name)
      out.put("\":")
      out.put(limit)
    }
    out.put(",\"full\":\"")
    out.put(policy.full)
    out.put("\",\"at_most\":\"")
    out.put(policy.atMost)
    out.put("\"}")
  }
}
