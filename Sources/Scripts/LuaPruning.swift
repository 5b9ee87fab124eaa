// Owns: which statements of the shared parts a script is sent with by EVALSHA: those that it uses,
// directly or not. Each call makes all of its functions again, used or not. Pure functions; any
// thread.

/// A statement outside of all blocks, without the comment before it.
struct LuaStatement: Sendable {
  let lines: [ArraySlice<UInt8>]
  /// The names that it declares, in order; none if it is no declaration.
  let declared: [String]
  /// All names in it, also those within texts: a name too many only keeps a statement.
  let names: Set<String>

  fileprivate init(_ lines: [ArraySlice<UInt8>]) {
    self.lines = lines
    names = Set(lines.flatMap(LuaStatement.words))
    let head = lines.first.map(LuaStatement.words) ?? []
    guard head.first == "local" else {
      declared = []
      return
    }
    // `local function name(`, or `local one, two = ` and its second line at most.
    let isFunction = head.dropFirst().first == "function"
    let list = lines.joined(separator: [UInt8(ascii: " ")]).prefix { $0 != UInt8(ascii: "=") }
    let declares = isFunction ? Array(head.dropFirst(2).prefix(1)) : LuaStatement.words(list)
    declared = declares.filter { $0 != "local" }
  }

  /// The words in a text.
  static func words(_ text: some Sequence<UInt8>) -> [String] {
    var words: [String] = []
    var word: [UInt8] = []
    for byte in text {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        word.append(byte)
      default:
        if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
        word = []
      }
    }
    if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
    return words
  }

  /// The statements of a file: each begins without an indent, and goes on to the next one that does
  /// but for its own end.
  static func all(in text: [UInt8]) -> [LuaStatement] {
    var found: [LuaStatement] = []
    var open: [ArraySlice<UInt8>] = []
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let code = line.drop { $0 == UInt8(ascii: " ") }
      if code.starts(with: "--".utf8) { continue }
      let isLetter = line.first.map { $0 | 0x20 >= UInt8(ascii: "a") } ?? false
      let begins = isLetter && line.startIndex == code.startIndex && !line.starts(with: "end".utf8)
      if begins, !open.isEmpty {
        found.append(LuaStatement(open))
        open = []
      }
      open.append(line)
    }
    if !open.isEmpty { found.append(LuaStatement(open)) }
    return found
  }
}

extension LuaSource {
  /// Lua takes no more than 200 locals in one function; the constants and the script have some.
  private static let localsMax = 150

  /// What `code` needs of these parts, each of which stands behind those that it needs itself.
  ///
  /// A name is declared before it is used, and has one meaning in all parts: going backwards, a
  /// statement is needed if a later one has a name that it declares, or if it declares none.
  static func pruned(_ parts: [LuaSource], for code: [UInt8]) -> [UInt8] {
    var needed = Set(LuaStatement.words(code))
    var kept: [(part: LuaSource, statements: [LuaStatement])] = []
    for part in parts.reversed() {
      var statements: [LuaStatement] = []
      for statement in (LuaSource.statements[part.name] ?? []).reversed()
      where statement.declared.isEmpty || !needed.isDisjoint(with: statement.declared) {
        statements.append(statement)
        needed.formUnion(statement.names)
      }
      kept.append((part, statements.reversed()))
    }
    let locals = kept.reduce(0) { $0 + $1.statements.flatMap(\.declared).count }
    let isEnclosed = locals > localsMax
    let text = kept.reversed().flatMap { part, statements in
      let text = statements.flatMap(\.lines).flatMap { $0 + [UInt8(ascii: "\n")] }
      guard isEnclosed, !statements.isEmpty else { return text }
      // Another part may have the name of a statement that was left out, for something of its own.
      return part.enclosing(text, needed.intersection(statements.flatMap(\.declared)))
    }
    return isEnclosed ? Array("local GIVEN = {}\n".utf8) + text + taking(parts, for: code) : text
  }
}
