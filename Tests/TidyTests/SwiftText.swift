// Owns: as much of Swift's grammar as the tidy tests need: what is code and what is a comment or
// a literal, and where a function begins and ends. Knows no rule.

/// Swift code whose comments and literals are blanked, line for line.
struct SwiftText: Sendable {
  /// The code, with spaces in place of comments and of what stands inside literals.
  let bytes: [UInt8]

  init(_ text: String) {
    var blanker = Blanker(Array(text.utf8))
    bytes = blanker.run()
  }

  var lines: [Substring] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// A function, initializer, subscript or computed property with a body.
  struct Function: Equatable {
    var line: Int
    var lineCount: Int
  }

  /// Everything with a body that runs, in the order of the text.
  var functions: [Function] {
    var found: [Function] = []
    var line = 1
    var index = 0
    while index < bytes.count {
      guard SwiftText.isWord(bytes[index]) else {
        if bytes[index] == .newline { line += 1 }
        index += 1
        continue
      }
      var end = index
      while end < bytes.count, SwiftText.isWord(bytes[end]) { end += 1 }
      let isMember = index > 0 && bytes[index - 1] == UInt8(ascii: ".")
      let keyword = isMember ? nil : Keyword(rawValue: text(index..<end))
      if let keyword, let close = endOfBody(of: keyword, from: end) {
        let newlines = bytes[index...close].count { $0 == .newline }
        found.append(Function(line: line, lineCount: newlines + 1))
      }
      index = end
    }
    return found
  }

  /// The words that begin a declaration whose body is measured.
  private enum Keyword: String {
    case deinitializer = "deinit"
    case function = "func"
    case initializer = "init"
    case property = "var"
    case `subscript`
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xFF:
      true
    default: false
    }
  }

  private func text(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }

  /// Where the body of a declaration ends, if it has one.
  private func endOfBody(of keyword: Keyword, from start: Int) -> Int? {
    var depth = 0
    for index in start..<bytes.count {
      switch Character(Unicode.Scalar(bytes[index])) {
      case "(", "[": depth += 1
      case ")", "]":
        depth -= 1
        if depth < 0 { return nil }
      case "{" where depth == 0: return closingBrace(from: index)
      case "}" where depth == 0: return nil
      case "=" where depth == 0 && keyword == .property: return nil
      case "\n" where depth == 0:
        // A declaration without a body, as in a protocol, is followed by another one.
        if keyword == .property || !continues(after: index) { return nil }
      default: break
      }
    }
    return nil
  }

  /// True if the next line belongs to the same signature.
  private func continues(after newline: Int) -> Bool {
    let isSpace: (UInt8) -> Bool = { $0 == .space || $0 == .newline }
    let rest = bytes[newline...].drop(while: isSpace)
    let next = rest.prefix { !isSpace($0) && $0 != UInt8(ascii: "(") }
    let words = ["->", "async", "rethrows", "throws", "where", "{"]
    return words.contains(text(next.startIndex..<next.endIndex))
  }

  private func closingBrace(from open: Int) -> Int? {
    var depth = 0
    for index in open..<bytes.count {
      if bytes[index] == UInt8(ascii: "{") { depth += 1 }
      if bytes[index] == UInt8(ascii: "}") { depth -= 1 }
      if depth == 0 { return index }
    }
    return nil
  }
}

extension UInt8 {
  fileprivate static let newline = UInt8(ascii: "\n")
  fileprivate static let space = UInt8(ascii: " ")
  fileprivate static let quote = UInt8(ascii: "\"")
  fileprivate static let slash = UInt8(ascii: "/")
  fileprivate static let pound = UInt8(ascii: "#")
  fileprivate static let backtick = UInt8(ascii: "`")
}

/// Replaces comments and literals by spaces; line ends and the quotes of strings stay.
private struct Blanker {
  private let input: [UInt8]
  private var output: [UInt8] = []
  private var index = 0

  init(_ input: [UInt8]) {
    self.input = input
    output.reserveCapacity(input.count)
  }

  mutating func run() -> [UInt8] {
    code(untilParenthesis: false)
    return output
  }

  private func byte(at offset: Int) -> UInt8 {
    index + offset < input.count ? input[index + offset] : 0
  }

  private func starts(with text: [UInt8]) -> Bool {
    for (offset, expected) in text.enumerated() where byte(at: offset) != expected { return false }
    return true
  }

  private mutating func replace(by replacement: UInt8, _ count: Int = 1) {
    for _ in 0..<count where index < input.count {
      output.append(input[index] == .newline ? .newline : replacement)
      index += 1
    }
  }

  private mutating func blank(_ count: Int = 1) { replace(by: .space, count) }

  private mutating func keep(_ count: Int = 1) {
    output += input[index..<min(index + count, input.count)]
    index += count
  }

  /// Code up to the end, or up to the parenthesis that ends an interpolation.
  private mutating func code(untilParenthesis: Bool) {
    var depth = 0
    while index < input.count {
      switch input[index] {
      case .slash where byte(at: 1) == .slash:
        while index < input.count, input[index] != .newline { blank() }
      case .slash where byte(at: 1) == UInt8(ascii: "*"): blockComment()
      case .slash where isBareRegex: regex(pounds: 0)
      case .quote: string(pounds: 0)
      case .pound: afterPounds()
      case .backtick: rawIdentifier()
      case UInt8(ascii: "("):
        depth += 1
        keep()
      case UInt8(ascii: ")"):
        if depth == 0, untilParenthesis { return }
        depth -= 1
        keep()
      default: keep()
      }
    }
  }

  /// A raw string, a raw regular expression, or something else, such as `#expect`.
  private mutating func afterPounds() {
    var pounds = 0
    while byte(at: pounds) == .pound { pounds += 1 }
    switch byte(at: pounds) {
    case .quote: string(pounds: pounds)
    case .slash: regex(pounds: pounds)
    default: keep(pounds)
    }
  }

  private mutating func blockComment() {
    var depth = 0
    repeat {
      if starts(with: Array("/*".utf8)) {
        depth += 1
        blank(2)
      } else if starts(with: Array("*/".utf8)) {
        depth -= 1
        blank(2)
      } else {
        blank()
      }
    } while depth > 0 && index < input.count
  }

  /// A name between backticks may hold anything; it stays one word.
  private mutating func rawIdentifier() {
    replace(by: UInt8(ascii: "_"))
    while index < input.count, input[index] != .backtick { replace(by: UInt8(ascii: "_")) }
    replace(by: UInt8(ascii: "_"))
  }

  private mutating func string(pounds: Int) {
    let fence = [UInt8](repeating: .pound, count: pounds)
    blank(pounds)
    let quotes: [UInt8] =
      starts(with: [.quote, .quote, .quote]) ? [.quote, .quote, .quote] : [.quote]
    keep(quotes.count)
    let end = quotes + fence
    let escape = [UInt8(ascii: "\\")] + fence
    while index < input.count, !starts(with: end) {
      guard starts(with: escape) else {
        blank()
        continue
      }
      blank(escape.count + 1)
      if input[min(index, input.count) - 1] == UInt8(ascii: "(") {
        code(untilParenthesis: true)
        blank()
      }
    }
    keep(quotes.count)
    blank(pounds)
  }

  /// True if a slash here begins a regular expression rather than a division.
  private var isBareRegex: Bool {
    let before = output.last { $0 != .space && $0 != .newline }
    guard let before, "(,=:[{".utf8.contains(before) else { return false }
    let line = input[(index + 1)...].prefix { $0 != .newline }
    return line.first != .space && line.first != UInt8(ascii: ")") && line.contains(.slash)
  }

  private mutating func regex(pounds: Int) {
    let end = [UInt8.slash] + [UInt8](repeating: .pound, count: pounds)
    blank(end.count)
    while index < input.count, !starts(with: end) {
      blank(input[index] == UInt8(ascii: "\\") ? 2 : 1)
    }
    blank(end.count)
  }
}
