// Owns: which functions of a script that is sent for EVALSHA are made at each call, and which only
// when they are called. Lua makes all functions of a text at each call, which took longer than the
// usual request; a library makes them once. Pure functions; any thread.

/// The statements of parts that a script needs, in two groups.
struct LuaStatementGroups {
  typealias Group = [(part: LuaSource, statements: [LuaStatement])]

  /// Those that its usual requests need.
  private(set) var usual: Group = []
  /// Those behind names that files use rarely, as their headers say.
  private(set) var rare: Group = []
  /// The names of the rare ones that others use.
  private(set) var rareNames: [String] = []

  /// `kept` are all that the script needs, in their order.
  ///
  /// From the script on a statement is needed usually if one that is, in a file that does not list
  /// the name as rare, has a name that it declares.
  init(_ kept: Group, for script: LuaSource) {
    var places: [String: (part: LuaSource, statement: LuaStatement)] = [:]
    for (part, statements) in kept {
      for statement in statements {
        for name in statement.declared { places[name] = (part, statement) }
      }
    }
    var found: Set<String> = []
    func reach(_ names: Set<String>, from file: LuaSource) {
      for name in names.subtracting(file.rarely) where found.insert(name).inserted {
        guard let place = places[name] else { continue }
        reach(place.statement.names, from: place.part)
      }
    }
    // The text around the script's own calls this.
    reach(
      LuaStatement.all(in: script.text).reduce(into: ["begin"]) { $0.formUnion($1.names) },
      from: script)
    let isRare = { (statement: LuaStatement) in
      !statement.declared.isEmpty && found.isDisjoint(with: statement.declared)
    }
    for (part, statements) in kept {
      usual.append((part, statements.filter { !isRare($0) }))
      rare.append((part, statements.filter(isRare)))
    }
    rareNames = rare.flatMap { $0.statements.flatMap(\.declared) }
  }
}

extension LuaSource {
  /// The names of parts that this file uses in few of its requests.
  var rarely: Set<String> { Set(list("RARELY").map(String.init)) }

  /// The name of the function that makes the rare ones; no file has it.
  static let maker = "rarely"

  /// A function that makes the rare functions when the first of them is called: `names` are those
  /// that are called for, of which GIVEN has some.
  static func maker(of functions: [UInt8], _ names: [String], _ given: Set<String>) -> [UInt8] {
    let fields = names.map { "\($0) = \(given.contains($0) ? "GIVEN." : "")\($0)" }
    return Array("do\nlocal made\n\(maker) = function()\nif made then return made end\n".utf8)
      + functions
      + Array("made = {\(fields.joined(separator: ", "))}\nreturn made\nend\nend\n".utf8)
  }

  /// The declaration that stands before all that may call for rare functions.
  static let makerDeclaration = Array("local \(maker)\n".utf8)
}
