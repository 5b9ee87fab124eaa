// Owns: the words of Lua's text, as far as the project's files use the language. A value; any
// thread.

/// A reader of a text's words and of what stands between them.
struct LuaWords: Sequence, IteratorProtocol {
  struct Piece {
    let range: Range<Int>
    let kind: Kind
  }

  enum Kind {
    /// A variable's or a function's name, or a word of the language.
    case word
    /// The name of a table's member.
    case member
    case symbol
    /// A string, a comment or a space.
    case other
  }

  private let text: [UInt8]
  private var at = 0

  init(_ text: [UInt8]) { self.text = text }

  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  mutating func next() -> Piece? {
    guard let first = byte(at) else { return nil }
    let start = at
    var kind = Kind.other
    switch first {
    case UInt8(ascii: "'"), UInt8(ascii: "\""): skipString(first)
    case UInt8(ascii: "-") where byte(at + 1) == first: skip { $0 != UInt8(ascii: "\n") }
    case UInt8(ascii: " "): skip { $0 == first }
    case _ where LuaWords.isWordByte(first):
      skip(while: LuaWords.isWordByte)
      kind = isMember(from: start) ? .member : .word
    default:
      at += 1
      kind = .symbol
    }
    return Piece(range: start..<at, kind: kind)
  }

  private func byte(_ place: Int) -> UInt8? { text.indices.contains(place) ? text[place] : nil }

  private mutating func skip(while holds: (UInt8) -> Bool) {
    while let byte = byte(at), holds(byte) { at += 1 }
  }

  private mutating func skipString(_ quote: UInt8) {
    at += 1
    while let byte = byte(at), byte != quote { at += byte == UInt8(ascii: "\\") ? 2 : 1 }
    at = Swift.min(at + 1, text.count)
  }

  /// Whether the word that ends here stands behind one dot.
  private func isMember(from start: Int) -> Bool {
    let dot = UInt8(ascii: ".")
    return byte(start - 1) == dot && byte(start - 2) != dot
  }

  /// All words that are no member's name.
  static func names(in text: [UInt8]) -> Set<String> {
    let words = LuaWords(text).filter { $0.kind == .word }
    return Set(words.map { String(decoding: text[$0.range], as: UTF8.self) })
  }

  /// The names of parameters and of what blocks declare, all functions' own names left out.
  static func locals(of text: [UInt8]) -> Set<String> {
    var found: Set<String> = []
    var isList = false
    var isFunction = false
    var isBehindComma = false
    for piece in LuaWords(text) {
      let word = String(decoding: text[piece.range], as: UTF8.self)
      switch piece.kind {
      case .other: continue
      case .symbol where word == "\n" && isBehindComma: continue
      case .symbol:
        isBehindComma = word == ","
        // Parameters are behind the parenthesis, a name may be before it.
        if word == "(", isFunction { isList = true }
        isList = isList && [",", "(", "."].contains(word)
        isFunction = false
      case .member: isList = false
      case .word:
        switch word {
        case "local", "for": isList = true
        case "function":
          isFunction = true
          isList = false
        case _ where isFunction: continue
        case "in": isList = false
        default: if isList { found.insert(word) }
        }
      }
    }
    return found
  }
}
