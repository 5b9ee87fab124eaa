// Owns: how a command line and an environment become settings; the command line wins.
// Must not know any single setting. Any thread: pure functions.

extension Settings {
  /// Variables that are not the worker's own but may rightly stand in its environment.
  static let variablesOfOthers: Set<String> = [
    "LATCHKEY_BINARY", "LATCHKEY_CHAOS_RUN", "LATCHKEY_CONNECTIONS", "LATCHKEY_DEVICES",
    "LATCHKEY_EVENTS", "LATCHKEY_EVERY", "LATCHKEY_JSON",
    "LATCHKEY_LINKS", "LATCHKEY_LOCKS", "LATCHKEY_ONCE", "LATCHKEY_PATIENCE", "LATCHKEY_RATE",
    "LATCHKEY_REPLACE",
    "LATCHKEY_RESUME", "LATCHKEY_SEALED",
    "LATCHKEY_RIGHTS", "LATCHKEY_SECRET", "LATCHKEY_SECRET_FILE", "LATCHKEY_SESSIONS",
    "LATCHKEY_SKIP",
    "LATCHKEY_TEST_SEED", "LATCHKEY_TIMEOUT",
    "LATCHKEY_TOKEN", "LATCHKEY_TOKEN_FILE", "LATCHKEY_TLS", "LATCHKEY_TLS_CA",
    "LATCHKEY_TLS_CLIENT_CERT", "LATCHKEY_TLS_CLIENT_KEY",
    "LATCHKEY_TO", "LATCHKEY_TYPES", "LATCHKEY_WAITERS", "LATCHKEY_WRITTEN",
  ]

  /// The variable of a setting that a mistyped one stands closest to, if any is close.
  package static func nearestVariable(to name: String) -> String? {
    let flag = "--" + name.dropFirst("LATCHKEY_".count).map { $0 == "_" ? "-" : $0 }
    guard let nearest = nearestFlag(to: flag) else { return nil }
    return table.first { $0.flag == nearest }?.variable
  }

  /// Reads what follows `serve` on the command line, and the environment.
  ///
  /// A flag, given once or more, replaces all that its variable says. A variable that is set to
  /// nothing counts as not set.
  package static func parse(
    arguments: [String], environment: [String: String]
  ) throws(SettingError) -> Settings {
    let given = try values(in: arguments)
    var settings = Settings()
    for setting in table {
      if let values = given[setting.flag] {
        for value in values { try setting.apply(&settings, value) }
      } else {
        try apply(setting, from: environment, to: &settings)
      }
    }
    let known = variablesOfOthers.union(table.map(\.variable))
    settings.unknownEnvironment = environment.keys
      .filter {
        $0.hasPrefix("LATCHKEY_") && !$0.hasPrefix("LATCHKEY_LOAD_") && !known.contains($0)
      }.sorted()
    try settings.makeRoom { setting in
      given[setting.flag] != nil || environment[setting.variable].map { !$0.isEmpty } ?? false
    }
    try settings.checkFiles()
    return settings
  }

  private static func apply(
    _ setting: Setting, from environment: [String: String], to settings: inout Settings
  ) throws(SettingError) {
    for name in [setting.variable, setting.fallbackVariable] {
      guard let name, let text = environment[name], !text.isEmpty else { continue }
      let values =
        setting.isRepeatable ? text.split(separator: setting.separator).map(String.init) : [text]
      do throws(SettingError) {
        for value in values { try setting.apply(&settings, value) }
      } catch {
        throw SettingError("\(name) in the environment: \(error.text)")
      }
      return
    }
  }

  // MARK: The command line

  /// The values of each flag, in the order given.
  private static func values(in arguments: [String]) throws(SettingError) -> [String: [String]] {
    var given: [String: [String]] = [:]
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let flag = String(parts.first ?? "")
      guard let setting = table.first(where: { $0.flag == flag }) else { throw unknown(flag) }
      if given[flag] != nil, !setting.isRepeatable {
        throw SettingError("\(flag) is given twice; it is allowed once")
      }
      let attached = parts.count == 2 ? String(parts[1]) : nil
      given[flag, default: []].append(try value(of: setting, attached, &rest))
    }
    return given
  }

  /// The value behind a flag: after its `=`, or else the next argument.
  private static func value(
    of setting: Setting, _ attached: String?, _ rest: inout ArraySlice<String>
  ) throws(SettingError) -> String {
    if setting.isSwitch {
      guard attached == nil else {
        throw SettingError("\(setting.flag) takes no value; it stands alone")
      }
      return "1"
    }
    if let attached { return attached }
    // A following flag is no value: `--data --threads 4` has forgotten the folder.
    guard let next = rest.first, !next.hasPrefix("--") else {
      throw SettingError("\(setting.flag) needs a value: \(setting.rangeText)")
    }
    rest.removeFirst()
    return next
  }

  // MARK: Suggestions

  private static func unknown(_ argument: String) -> SettingError {
    let isFlag = argument.hasPrefix("-")
    let shown = SettingText.shown(argument)
    let what = isFlag ? "there is no flag \(shown)" : "\(shown) is no flag and means nothing here"
    guard let nearest = nearestFlag(to: argument) else {
      return SettingError("\(what); --help lists the flags")
    }
    return SettingError("\(what); did you mean \(nearest)?")
  }

  /// The known flag that a mistyped one stands closest to, if any is close.
  static func nearestFlag(to argument: String) -> String? {
    let typed = Array(argument.lowercased().drop { $0 == "-" }.utf8.prefix(64))
    let candidates = table.map { setting in
      (flag: setting.flag, distance: distance(typed, Array(setting.flag.dropFirst(2).utf8)))
    }
    guard let nearest = candidates.min(by: { $0.distance < $1.distance }) else { return nil }
    return nearest.distance <= max(1, typed.count / 3) ? nearest.flag : nil
  }

  /// How many bytes have to be inserted, removed or replaced to turn one text into the other.
  private static func distance(_ from: [UInt8], _ to: [UInt8]) -> Int {
    var row = Array(0...to.count)
    for (i, byte) in from.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in to.enumerated() {
        let replaced = diagonal + (byte == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[to.count]
  }
}
