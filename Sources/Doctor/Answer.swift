// Owns: a reply of Redis as a value that outlives its callback, and how INFO is read. Any thread.

package import RedisConnection

/// A reply that can be kept.
package enum Answer: Equatable, Sendable {
  case text(String)
  case integer(Int64)
  case null
  case list([Answer])
  case error(String)

  package init(_ reply: RedisReply) {
    switch reply.kind {
    case .text: self = .text(reply.text)
    case .integer: self = .integer(reply.integer ?? 0)
    case .null: self = .null
    case .array: self = .list(reply.elements.map { Answer($0) })
    case .error: self = .error(reply.text)
    }
  }

  /// A text, or an integer's digits; nil for anything else.
  package var word: String? {
    switch self {
    case .text(let text): text
    case .integer(let number): String(number)
    case .null, .list, .error: nil
    }
  }

  /// A whole number.
  var number: Int64? { word.flatMap { Int64($0) } }

  package var list: [Answer] {
    guard case .list(let list) = self else { return [] }
    return list
  }

  /// An error's whole text.
  var errorText: String? {
    guard case .error(let text) = self else { return nil }
    return text
  }

  /// Whether Redis said that it has no such command.
  var isUnknownCommand: Bool { errorText?.hasPrefix("ERR unknown ") == true }

  /// The first word of an error, which is its kind.
  var errorWord: String? { errorText.map { String($0.prefix { $0 != " " }) } }

  /// A list of names and values, as HELLO and CONFIG GET give them.
  package var pairs: [String: String] {
    var pairs: [String: String] = [:]
    for at in stride(from: 0, to: list.count - 1, by: 2) {
      if let name = list[at].word, let value = list[at + 1].word { pairs[name] = value }
    }
    return pairs
  }

  /// The `name:value` lines of INFO; headings are left out.
  var infoFields: [String: String] {
    var fields: [String: String] = [:]
    for line in (word ?? "").split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
    }
    return fields
  }
}
