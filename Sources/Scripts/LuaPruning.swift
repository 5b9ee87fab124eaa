// Owns: which statements of the shared parts a script is sent with by EVALSHA: those that it uses,
// directly or not. Each call makes the functions again that its usual requests need; see LuaRarely.
// Pure functions; any thread.

/// A statement outside of all blocks, without the comment before it.
struct LuaStatement: Sendable {
  /// Its lines, each at its place: those of comments are empty.
  let lines: [ArraySlice<UInt8>]
  /// The mark of its first line; empty where that is in no file.
  private let mark: [UInt8]
  /// The names that it declares, in order; none if it is no declaration.
  let declared: [String]
  /// Whether it declares a function.
  let isFunction: Bool
  /// All names that it takes from outside; a table's keys may be among them.
  let names: Set<String>

  /// The names of parameters and of what blocks in it declare.
  private let locals: Set<String>

  fileprivate init(_ lines: [ArraySlice<UInt8>], mark: [UInt8]) {
    // Where no mark follows, those behind it are counted on.
    let count = mark.isEmpty ? lines.count : (lines.lastIndex { !$0.isEmpty } ?? -1) + 1
    self.lines = Array(lines.prefix(count))
    self.mark = mark
    let head = lines.first.map(LuaStatement.words) ?? []
    isFunction = head.starts(with: ["local", "function"])
    let isDeclaration = head.first == "local"
    // `local function name(`, or `local one, two = ` and its second line at most.
    let list = lines.joined(separator: [UInt8(ascii: " ")]).prefix { $0 != UInt8(ascii: "=") }
    let declares = isFunction ? Array(head.dropFirst(2).prefix(1)) : LuaStatement.words(list)
    declared = isDeclaration ? declares.filter { $0 != "local" } : []
    let text = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    locals = LuaWords.locals(of: text).subtracting(isFunction ? [] : declared)
    names = LuaWords.names(in: text).subtracting(locals)
  }

  /// Its text, in which the rare functions are called for where they are named.
  func text(callingFor rare: Set<String> = []) -> [UInt8] {
    let text = lines.flatMap { $0 + [UInt8(ascii: "\n")] }
    let rare = rare.subtracting(locals)
    guard !rare.isDisjoint(with: names) else { return mark + text }
    return LuaWords(text).reduce(into: mark) { out, piece in
      let word = text[piece.range]
      if piece.kind == .word, rare.contains(String(decoding: word, as: UTF8.self)) {
        out += Array("\(LuaSource.maker)().".utf8)
      }
      out += word
    }
  }

  /// The words in a text.
  static func words(_ text: some Sequence<UInt8>) -> [String] {
    var words: [String] = []
    var word: [UInt8] = []
    for byte in text {
      if LuaWords.isWordByte(byte) {
        word.append(byte)
      } else {
        if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
        word = []
      }
    }
    if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
    return words
  }

  /// The statements of a file: each begins without an indent, and goes on to the next one that does
  /// but for its own end.
  static func all(in text: [UInt8], of file: String? = nil) -> [LuaStatement] {
    var found: [LuaStatement] = []
    var open: [ArraySlice<UInt8>] = []
    var first = 1
    func close() {
      guard !open.isEmpty else { return }
      found.append(LuaStatement(open, mark: file.map { LuaText.mark($0, line: first) } ?? []))
      open = []
    }
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let code = line.drop { $0 == UInt8(ascii: " ") }
      if code.isEmpty || code.starts(with: "-- ".utf8) {
        if !open.isEmpty { open.append(line.prefix(0)) }
        continue
      }
      let isLetter = line.first.map { $0 | 0x20 >= UInt8(ascii: "a") } ?? false
      let begins = isLetter && line.startIndex == code.startIndex && !line.starts(with: "end".utf8)
      if begins { close() }
      if open.isEmpty { first = index + 1 }
      open.append(line)
    }
    close()
    return found
  }
}

extension LuaSource {
  /// Lua takes no more than 200 locals in one function; the constants and the script have some.
  private static let localsMax = 150
  /// The function that makes the rare ones has no others.
  private static let rareLocalsMax = 190

  /// A script's `code` behind what it needs of the constants and of these parts, each of which
  /// stands behind those that it needs itself.
  ///
  /// A name is declared before it is used, and has one meaning in all parts: going backwards, a
  /// statement is needed if a later one has a name that it declares, or if it declares none.
  static func pruned(_ parts: [LuaSource], for script: LuaSource, _ code: [UInt8]) -> [UInt8] {
    let server = LuaStatement.all(in: code)
    var needed = server.reduce(into: Set<String>()) { $0.formUnion($1.names) }
    var kept: LuaStatementGroups.Group = []
    for part in parts.reversed() {
      var statements: [LuaStatement] = []
      for statement in part.statements.reversed()
      where statement.declared.isEmpty || !needed.isDisjoint(with: statement.declared) {
        statements.append(statement)
        needed.formUnion(statement.names)
      }
      kept.append((part, statements.reversed()))
    }
    kept.reverse()
    let groups = LuaStatementGroups(kept, for: script)
    guard !groups.rareNames.isEmpty, localsCount(groups.usual) <= localsMax else {
      let (text, given) = text(of: kept, needed)
      return text + taking(parts, given, for: code) + code
    }
    let rare = Set(groups.rareNames)
    let called = (groups.usual.flatMap { $0.statements } + server).reduce(into: Set<String>()) {
      $0.formUnion($1.names.intersection(rare))
    }
    let (text, given) = text(of: groups.rare, needed, called, most: rareLocalsMax)
    let usual = groups.usual.flatMap { $0.statements }
    return makerDeclaration + usual.flatMap { $0.text(callingFor: rare) }
      + maker(of: text, groups.rareNames.filter(called.contains), given)
      + server.flatMap { $0.text(callingFor: rare) }
  }

  private static func localsCount(_ group: LuaStatementGroups.Group) -> Int {
    group.reduce(0) { $0 + $1.statements.flatMap(\.declared).count }
  }

  /// The text of statements; where they declare too much for one function, each part has one of its
  /// own, and GIVEN what others need of it.
  private static func text(
    of group: LuaStatementGroups.Group, _ needed: Set<String>, _ called: Set<String> = [],
    most: Int = localsMax
  ) -> (text: [UInt8], given: Set<String>) {
    guard localsCount(group) > most else {
      return (group.flatMap { $0.statements.flatMap { $0.text() } }, [])
    }
    var out = Array("local GIVEN = {}\n".utf8)
    var given: Set<String> = []
    for (part, statements) in group where !statements.isEmpty {
      let text = statements.flatMap { $0.text() }
      guard part.isEnclosed else {
        out += text
        continue
      }
      let gives = Set(part.gives).intersection(needed).union(called)
      let names = statements.flatMap(\.declared).filter(gives.contains)
      out += part.enclosing(text, names, taking: given)
      given.formUnion(names)
    }
    return (out, given)
  }
}
