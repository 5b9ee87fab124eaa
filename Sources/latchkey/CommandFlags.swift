// Owns: how `call`, `watch` and `secret` read their flags, from the command line and from the
// environment. Main thread.

/// The flags of one command, and the words beside them.
struct CommandFlags {
  /// Which flags a command has.
  struct Table {
    var command: String
    var usage: String
    /// Those that take a value, and those that stand alone.
    var valued: [String]
    var switches: [String] = []
    /// Whether flags end at the first word, since the rest belongs to another command.
    var endsAtWord = false
  }

  private(set) var words: [String] = []
  private var values: [String: String] = [:]

  /// Reads them; nil if help was asked for and has been printed.
  ///
  /// A flag goes before its variable. An error ends the program with status 2.
  init?(_ table: Table, _ arguments: [String], environment: [String: String]) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        words += rest
        break
      }
      guard argument.hasPrefix("-"), argument != "-" else {
        words.append(argument)
        guard table.endsAtWord else { continue }
        CommandFlags.requireNoFlags(in: rest, table)
        words += rest
        break
      }
      if argument == "-h" || argument == "--help" {
        print(table.usage, terminator: "")
        return nil
      }
      take(argument, &rest, table)
    }
    for flag in table.valued + table.switches where values[flag] == nil {
      let name = CommandFlags.variable(flag)
      guard let text = environment[name], !text.isEmpty else { continue }
      values[flag] = table.switches.contains(flag) ? CommandFlags.switched(text, name, table) : text
    }
  }

  /// The value of a flag that takes one.
  subscript(flag: String) -> String? { values[flag] }

  /// Whether a switch is on.
  func isOn(_ flag: String) -> Bool { values[flag] == "1" }

  private mutating func take(
    _ argument: String, _ rest: inout ArraySlice<String>, _ table: Table
  ) {
    let sides = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let flag = String(sides[0])
    let isSwitch = table.switches.contains(flag)
    guard isSwitch || table.valued.contains(flag) else {
      CommandFlags.fail("there is no flag \(flag)", table)
    }
    guard values[flag] == nil else { CommandFlags.fail("\(flag) is given twice", table) }
    if isSwitch {
      guard sides.count == 1 else { CommandFlags.fail("\(flag) takes no value", table) }
      values[flag] = "1"
      return
    }
    guard let value = sides.count == 2 ? String(sides[1]) : rest.popFirst(), !value.isEmpty else {
      CommandFlags.fail("\(flag) needs a value", table)
    }
    values[flag] = value
  }

  /// A flag behind the verb would be sent as a word of the request, and have no effect of its own.
  private static func requireNoFlags(in words: ArraySlice<String>, _ table: Table) {
    let flags = table.valued + table.switches
    let meant = words.first { word in flags.contains { word == $0 || word.hasPrefix($0 + "=") } }
    guard let meant else { return }
    let flag = meant.prefix { $0 != "=" }
    fail("\(flag) stands before the verb; after -- it is a word like others", table)
  }

  /// The environment variable of a flag: `LATCHKEY_SECRET_FILE` for `--secret-file`.
  private static func variable(_ flag: String) -> String {
    "LATCHKEY_" + String(flag.dropFirst(2).map { $0 == "-" ? "_" : $0 }).uppercased()
  }

  private static func switched(_ text: String, _ name: String, _ table: Table) -> String {
    switch text.lowercased() {
    case "1", "true", "yes": return "1"
    case "0", "false", "no": return "0"
    default: fail("\(name) in the environment takes 1, true, yes, 0, false or no", table)
    }
  }

  private static func fail(_ text: String, _ table: Table) -> Never {
    Console.fail(
      "latchkey \(table.command): \(text)\nsee latchkey \(table.command) --help\n", status: 2)
  }
}
