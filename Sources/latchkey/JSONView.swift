// Owns: how commands read the JSON of replies and of backups. Values; main thread.

import Wire

/// A JSON value within a text that a worker has made, or that was checked: valid.
struct JSONView {
  private let bytes: [UInt8]
  private let range: Range<Int>

  init(_ text: some StringProtocol) { self.init(Array(text.utf8)) }

  init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

  private init(_ bytes: [UInt8], _ range: Range<Int>) {
    self.bytes = bytes
    self.range = range
  }

  /// The value as it is written.
  var text: String { String(decoding: bytes[range], as: UTF8.self) }

  /// A number's or a bare word's text, or a string's without its quotes and escapes.
  var bare: String { string ?? text }

  /// The same with a string's escapes: no control character reaches a terminal.
  var shown: String {
    guard range.count > 1, bytes[range.lowerBound] == UInt8(ascii: "\"") else { return text }
    return String(decoding: bytes[(range.lowerBound + 1)..<(range.upperBound - 1)], as: UTF8.self)
  }

  /// The text of a string; nil if it is none.
  var string: String? {
    guard range.count > 1, bytes[range.lowerBound] == UInt8(ascii: "\"") else { return nil }
    let token = Token(
      start: range.lowerBound + 1, end: range.upperBound - 1, isQuoted: true)
    var out: [UInt8] = []
    do throws(RequestError) {
      try JSONString.decode(bytes.span, token, halves: .kept, into: &out)
      return String(decoding: out, as: UTF8.self)
    } catch {
      return nil
    }
  }

  /// A whole number; nil if it is none.
  var int: Int64? { Int64(text) }

  /// The members of an object, in order; none of anything else.
  var members: [(name: String, value: JSONView)] {
    guard !range.isEmpty, bytes[range.lowerBound] == UInt8(ascii: "{") else { return [] }
    var walk = JSONMembers(range.lowerBound, range.upperBound)
    var found: [(name: String, value: JSONView)] = []
    while let (key, value) = walk.next(in: bytes.span) {
      let name = String(decoding: bytes[key.range], as: UTF8.self)
      found.append((name, JSONView(bytes, value)))
    }
    return found
  }

  /// The elements of an array, in order; none of anything else.
  var elements: [JSONView] {
    guard !range.isEmpty, bytes[range.lowerBound] == UInt8(ascii: "[") else { return [] }
    var walk = JSONElements(range.lowerBound, range.upperBound)
    var found: [JSONView] = []
    while let value = walk.next(in: bytes.span) { found.append(JSONView(bytes, value)) }
    return found
  }

  /// A member of an object by its name.
  subscript(name: String) -> JSONView? { members.first { $0.name == name }?.value }
}
