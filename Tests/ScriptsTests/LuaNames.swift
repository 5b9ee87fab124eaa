// Owns: the search for the names that a Lua file declares and those that it takes from outside: a
// reader of the language's scopes, as far as the project's files use them. Pure; any thread.

import TestSupport

/// The names of a Lua file.
struct LuaNames {
  /// The names that it declares outside of all blocks, in order.
  private(set) var declared: [String] = []
  /// The names that it uses and declares nowhere.
  private(set) var free: Set<String> = []
  /// The parameters of each function that is written as an argument or a value, in order.
  private(set) var parameters: [[String]] = []

  static let builtins: Set<String> = [
    "assert", "cjson", "error", "ipairs", "math", "next", "pairs", "pcall", "redis", "select",
    "string",
    "table", "tonumber", "tostring", "type", "unpack",
  ]

  /// How a part of an expression goes on.
  private enum Token: Hashable {
    case name(String)
    case keyword(String)
    case value
    case symbol(String)
  }

  private static let keywords: Set<String> = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
  ]

  private var tokens: [Token] = []
  private var at = 0
  private var scopes: [Set<String>] = [[]]

  init(_ text: String) throws {
    tokens = try LuaNames.tokens(text)
    while at < tokens.count { try block(until: []) }
  }

  // MARK: Words

  private static func tokens(_ text: String) throws -> [Token] {
    let pattern = try Regex(
      #"--[^\n]*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[0-9][0-9A-Za-z_.]*|[A-Za-z_][A-Za-z0-9_]*"#
        + #"|\.\.\.|\.\.|==|~=|<=|>=|[^\s]"#)
    return text.matches(of: pattern).compactMap { match in
      let word = String(text[match.range])
      guard let first = word.first, !word.hasPrefix("--") else { return nil }
      if first == "'" || first == "\"" || first.isNumber { return .value }
      guard first.isLetter || first == "_" else { return .symbol(word) }
      return keywords.contains(word) ? .keyword(word) : .name(word)
    }
  }

  private var now: Token? { at < tokens.count ? tokens[at] : nil }

  private mutating func skip(_ wanted: Token) throws {
    guard now == wanted else {
      throw TestFailure("\(wanted) expected, not \(String(describing: now))")
    }
    at += 1
  }

  private mutating func skips(_ wanted: Token) -> Bool {
    guard now == wanted else { return false }
    at += 1
    return true
  }

  private mutating func names() throws -> [String] {
    var list: [String] = []
    repeat {
      if skips(.symbol("...")) { return list }
      guard case .name(let name) = now else { return list }
      list.append(name)
      at += 1
    } while skips(.symbol(","))
    return list
  }

  // MARK: Scopes

  private mutating func declare(_ names: [String]) {
    if scopes.count == 1 { declared += names }
    scopes[scopes.count - 1].formUnion(names)
  }

  private mutating func use(_ name: String) {
    if !scopes.contains(where: { $0.contains(name) }) { free.insert(name) }
  }

  private mutating func scope(
    _ names: [String], until ends: Set<String>
  ) throws {
    scopes.append(Set(names))
    try block(until: ends)
    scopes.removeLast()
  }

  private mutating func block(until ends: Set<String>) throws {
    while let token = now {
      if case .keyword(let word) = token, ends.contains(word) { return }
      try statement()
    }
    if !ends.isEmpty { throw TestFailure("\(ends) expected at the end") }
  }

  private mutating func statement() throws {
    if skips(.keyword("local")) { return try local() }
    if skips(.keyword("for")) {
      let names = try names()
      at += 1
      try expressions()
      return try body(names)
    }
    if skips(.keyword("while")) {
      try expressions()
      return try body([])
    }
    if now == .keyword("do") { return try body([]) }
    if skips(.keyword("if")) { return try branches() }
    if skips(.keyword("repeat")) {
      scopes.append([])
      try block(until: ["until"])
      at += 1
      try expressions()
      scopes.removeLast()
      return
    }
    if skips(.keyword("break")) || skips(.symbol(";")) { return }
    if skips(.keyword("return")) {
      let isEmpty = [nil, .keyword("end"), .keyword("else"), .keyword("elseif")].contains(now)
      return isEmpty ? () : try expressions()
    }
    try expressions()
    if skips(.symbol("=")) { try expressions() }
  }

  private mutating func body(_ names: [String]) throws {
    try skip(.keyword("do"))
    try scope(names, until: ["end"])
    at += 1
  }

  private mutating func local() throws {
    if skips(.keyword("function")) {
      declare(try names())
      return try function()
    }
    let names = try names()
    if skips(.symbol("=")) { try expressions() }
    declare(names)
  }

  private mutating func branches() throws {
    try expressions()
    try skip(.keyword("then"))
    try scope([], until: ["elseif", "else", "end"])
    if skips(.keyword("elseif")) { return try branches() }
    if skips(.keyword("else")) { try scope([], until: ["end"]) }
    try skip(.keyword("end"))
  }

  private mutating func function() throws {
    try skip(.symbol("("))
    let names = try names()
    parameters.append(names)
    try skip(.symbol(")"))
    try scope(names, until: ["end"])
    at += 1
  }

  // MARK: Expressions

  private mutating func expressions() throws {
    repeat { try expression() } while skips(.symbol(","))
  }

  private static let operators: Set<Token> = [
    .keyword("and"), .keyword("or"), .symbol(".."), .symbol("+"), .symbol("-"), .symbol("*"),
    .symbol("/"), .symbol("%"), .symbol("^"), .symbol("<"), .symbol(">"), .symbol("<="),
    .symbol(">="), .symbol("=="), .symbol("~="),
  ]

  private mutating func expression() throws {
    repeat {
      while skips(.keyword("not")) || skips(.symbol("-")) || skips(.symbol("#")) {}
      try operand()
    } while now.map({ LuaNames.operators.contains($0) }) == true && advance()
  }

  private mutating func advance() -> Bool {
    at += 1
    return true
  }

  private mutating func operand() throws {
    switch now {
    case .keyword("function"):
      at += 1
      return try function()
    case .keyword("nil"), .keyword("true"), .keyword("false"), .value, .symbol("..."): at += 1
    case .symbol("{"): try table()
    case .symbol("("):
      at += 1
      try expression()
      try skip(.symbol(")"))
    case .name(let name):
      use(name)
      at += 1
    default: throw TestFailure("an expression cannot begin with \(String(describing: now))")
    }
    try suffixes()
  }

  private mutating func suffixes() throws {
    while true {
      if skips(.symbol(".")) || skips(.symbol(":")) {
        at += 1
      } else if skips(.symbol("[")) {
        try expression()
        try skip(.symbol("]"))
      } else if skips(.symbol("(")) {
        if now != .symbol(")") { try expressions() }
        try skip(.symbol(")"))
      } else if now == .symbol("{") {
        try table()
      } else {
        return
      }
    }
  }

  private mutating func table() throws {
    try skip(.symbol("{"))
    while !skips(.symbol("}")) {
      if skips(.symbol("[")) {
        try expression()
        try skip(.symbol("]"))
        try skip(.symbol("="))
      } else if case .name = now, at + 1 < tokens.count, tokens[at + 1] == .symbol("=") {
        at += 2
      }
      try expression()
      if !skips(.symbol(",")), now != .symbol("}") { try skip(.symbol(";")) }
    }
  }
}
