// Owns: how the settings table reads for people: --help and docs/config.md.
// Must not know any single setting. Any thread: pure functions.

extension Setting {
  /// The flag with its value's name, as a caller writes it.
  private var usage: String { isSwitch ? flag : "\(flag) \(valueName)" }

  /// The default in words.
  private var shownDefault: String {
    if isSwitch { return "off" }
    return defaultText.isEmpty ? "none" : defaultText
  }

  /// The variables that are read, the first of them first.
  private var variables: [String] { [variable] + (fallbackVariable.map { [$0] } ?? []) }

  /// A paragraph of `--help`.
  fileprivate var helpParagraph: String {
    var facts = isSwitch ? [] : ["Takes \(rangeText)."]
    facts.append("Default: \(shownDefault).")
    if isRepeatable { facts.append("May be given several times.") }
    facts.append("Environment: \(variables.joined(separator: ", then ")).")
    let body = [summary] + facts
    return "  \(usage)\n" + Settings.wrapped(body.joined(separator: " "), indent: 6, columns: 80)
  }

  /// A row of docs/config.md.
  fileprivate var tableRow: String {
    let names = variables.map { "`\($0)`" }.joined(separator: ", then ")
    let repeated = isRepeatable ? " May be given several times." : ""
    let cells = ["`\(usage)`", names, shownDefault, isSwitch ? "" : rangeText, summary + repeated]
    return "| " + cells.joined(separator: " | ") + " |"
  }
}

extension Settings {
  /// The text of `latchkey serve --help`.
  package static func helpText() -> String {
    var text = """
      Usage: latchkey serve [FLAG...]

      Runs a worker. When it can serve it prints one line on standard output:
      ready listen=HOST:PORT admin=HOST:PORT redis=URL-or-embedded

      Write --flag VALUE or --flag=VALUE. A flag wins over its environment variable.
      A DURATION is digits and ms, s, m, h or d (bare digits are seconds); BYTES are
      digits, or digits and KiB or MiB.

      """
    for group in Setting.Group.allCases {
      text += "\n\(group.rawValue):\n"
      for setting in table where setting.group == group { text += setting.helpParagraph }
    }
    return text
  }

  /// The text of docs/config.md.
  package static func configMarkdown() -> String {
    var text = """
      # Settings of `latchkey serve`

      This page is made from the settings table in `Sources/Settings/SettingsTable.swift`,
      and a test compares the two. `latchkey serve --help` says the same.

      - Write `--flag VALUE` or `--flag=VALUE`. Every flag may be given once, unless its row says
        more.
      - Every flag has an environment variable. A flag, where given, replaces what its variable
        says; a variable that is set to nothing counts as not set.
      - A flag that takes no value stands alone on the command line; its variable is `1`, `true` or
        `yes`, or `0`, `false` or `no`.
      - Several values in one variable have commas between them:
        `LATCHKEY_AGENT_TTL=scheduling=1h,billing=30m`; those of `LATCHKEY_POLICY`, which have
        commas, have semicolons.
      - A flag that is not known, or a value that is not allowed, ends the start with a message. A
        `LATCHKEY_` variable that is not known is logged as a warning.
      - DURATION: digits and `ms`, `s`, `m`, `h` or `d`; bare digits are seconds.
      - BYTES: digits, or digits and `KiB` or `MiB`.

      """
    for group in Setting.Group.allCases {
      text += "\n## \(group.rawValue)\n\n"
      text += "| flag | environment | default | allowed | what it does |\n"
      text += "| --- | --- | --- | --- | --- |\n"
      for setting in table where setting.group == group { text += setting.tableRow + "\n" }
    }
    return text
  }

  /// Words in lines of at most `columns`, each line indented and ended.
  fileprivate static func wrapped(_ text: String, indent: Int, columns: Int) -> String {
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= columns {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append(margin + word)
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }
}
