// Owns: the reading of the JSON objects of which tokens and sets of keys are made. A value; any
// thread.

internal import Wire

/// A value of a member, as far as tokens and keys need it.
enum TokenValue: Equatable {
  case absent
  case string(String)
  /// An array of strings.
  case strings([String])
  case number(Double)
  case other
}

/// One JSON object in which no name stands twice.
struct TokenObject {
  private let text: [UInt8]
  /// By the bytes of their names: Swift's texts are equal by what Unicode says is equivalent.
  private var members: [[UInt8]: Range<Int>] = [:]

  private static let depthMax = 16

  /// Nil for what is no JSON object of UTF-8, and for one with a name that stands there twice,
  /// however it is written: readers differ in which of two they take.
  init?(_ text: [UInt8]) {
    guard String(validating: text, as: UTF8.self) != nil,
      (try? JSONValidator.validate(
        text.span, from: 0, to: text.count, depthMax: TokenObject.depthMax)) != nil,
      text.first(where: { !TokenObject.isSpace($0) }) == UInt8(ascii: "{")
    else { return nil }
    self.text = text
    var walk = JSONMembers(0, text.count)
    while let member = walk.next(in: text.span) {
      guard let name = TokenObject.bytes(of: member.key, in: text),
        members.updateValue(member.value, forKey: name) == nil
      else { return nil }
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte <= UInt8(ascii: " ") }

  func has(_ name: String) -> Bool { range(name) != nil }

  private func range(_ name: String) -> Range<Int>? { members[Array(name.utf8)] }

  subscript(name: String) -> TokenValue {
    guard let range = range(name), let first = range.first.map({ text[$0] }) else {
      return .absent
    }
    switch first {
    case UInt8(ascii: "\""): return string(range).map { .string($0) } ?? .other
    case UInt8(ascii: "["):
      let elements = elements(name)
      let strings = elements.compactMap { string($0) }
      return strings.count == elements.count ? .strings(strings) : .other
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return Double(String(decoding: text[range], as: UTF8.self)).map { .number($0) } ?? .other
    default: return .other
    }
  }

  /// The text of a member that is a string; nil for all others.
  func string(_ name: String) -> String? {
    if case .string(let value) = self[name] { value } else { nil }
  }

  /// The elements of a member that is an array, each as its bytes; empty for all others.
  func objects(_ name: String) -> [[UInt8]] { elements(name).map { Array(text[$0]) } }

  private func elements(_ name: String) -> [Range<Int>] {
    guard let range = range(name), let first = range.first, text[first] == UInt8(ascii: "[")
    else { return [] }
    var walk = JSONElements(range.lowerBound, range.upperBound)
    var found: [Range<Int>] = []
    while let element = walk.next(in: text.span) { found.append(element) }
    return found
  }

  private func string(_ range: Range<Int>) -> String? {
    guard let first = range.first, text[first] == UInt8(ascii: "\"") else { return nil }
    let inside = Token(start: first + 1, end: range.upperBound - 1, isQuoted: true)
    return TokenObject.bytes(of: inside, in: text).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Nil for a string with half of a character in it.
  private static func bytes(of token: Token, in text: [UInt8]) -> [UInt8]? {
    var decoded: [UInt8] = []
    guard (try? JSONString.decode(text.span, token, into: &decoded)) != nil else { return nil }
    return decoded
  }
}
