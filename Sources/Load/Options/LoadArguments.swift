// Owns: the command line of `latchkey load`: how options are read, and the text that explains
// them. Values; any thread.

internal import LatchkeyClient
internal import Loop

/// The request of the command line.
package enum LoadArguments {
  case help
  case run(LoadOptions)

  /// Reads the words behind `latchkey load`.
  package static func parse(
    _ arguments: [String], environment: [String: String], randomSeed: UInt64
  ) throws(LoadArgumentError) -> LoadArguments {
    if arguments.contains("--help") || arguments.contains("-h") { return .help }
    var options = LoadOptions()
    options.seed = randomSeed
    var rest = arguments[...]
    var given: Set<String> = []
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        throw LoadArgumentError("'\(word)' is no flag; latchkey load takes flags only")
      }
      // Both --flag value and --flag=value.
      let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let flag = String(sides[0])
      guard let field = fields[flag] else {
        throw LoadArgumentError("there is no flag '\(flag)'")
      }
      guard given.insert(flag).inserted else {
        throw LoadArgumentError("\(flag) is given twice")
      }
      let isSwitch = flag == "--tls"
      guard
        let value = sides.count == 2 ? String(sides[1]) : isSwitch ? "1" : rest.popFirst()
      else {
        throw LoadArgumentError("\(flag) needs a value")
      }
      try field(&options, value)
    }
    try given.formUnion(read(environment, without: given, into: &options))
    if let tls = options.tls, (tls.certificate == nil) != (tls.key == nil) {
      throw LoadArgumentError("--tls-client-cert and --tls-client-key are given together")
    }
    if given.contains("--chaos-every"), options.chaosCommand == nil {
      throw LoadArgumentError("--chaos-every says how often --chaos is run: give a --chaos too")
    }
    if given.contains("--think"), options.rate != nil {
      throw LoadArgumentError(
        "with --rate there are no pauses between messages: give --rate or --think, not both")
    }
    // A conversation without a message for long would be paused by its own clock.
    if let rate = options.rate, Double(options.conversations) / rate > 300 {
      let gapS = NumberText.decimal(Double(options.conversations) / rate, 0)
      throw LoadArgumentError(
        "at --rate \(NumberText.decimal(rate, 2)) each conversation has a message every \(gapS) s, "
          + "and 300 s is the most: ask for fewer --conversations")
    }
    return .run(options)
  }

  /// Reads the variables of the flags that were not given; returns those flags.
  private static func read(
    _ environment: [String: String], without given: Set<String>, into options: inout LoadOptions
  ) throws(LoadArgumentError) -> Set<String> {
    var found: Set<String> = []
    for (flag, field) in fields.sorted(by: { $0.key < $1.key }) where !given.contains(flag) {
      let name = variable(flag)
      guard let text = environment[name], !text.isEmpty else { continue }
      do throws(LoadArgumentError) { try field(&options, text) } catch {
        throw LoadArgumentError("\(name) in the environment: \(error.text)")
      }
      found.insert(flag)
    }
    return found
  }

  /// The variable of a flag: its own, or for what `latchkey call` has too, the same.
  static func variable(_ flag: String) -> String {
    let isShared = ["--to", "--secret-file"].contains(flag) || flag.hasPrefix("--tls")
    let name = String(flag.dropFirst(2).map { $0 == "-" ? "_" : $0 }).uppercased()
    return (isShared ? "LATCHKEY_" : "LATCHKEY_LOAD_") + name
  }

  /// All flags, `--help` among them.
  static var flags: [String] { fields.keys + ["--help"] }

  private typealias Field =
    @Sendable (inout LoadOptions, String) throws(LoadArgumentError) -> Void

  private static let fields: [String: Field] = [
    "--to": { (o, v) throws(LoadArgumentError) in o.targets = try targets(v) },
    "--conversations": { (o, v) throws(LoadArgumentError) in
      o.conversations = try number("--conversations", v, 1...200_000)
    },
    "--duration": { (o, v) throws(LoadArgumentError) in
      o.durationMs = try ms("--duration", v, 100...86_400_000)
    },
    "--warmup": { (o, v) throws(LoadArgumentError) in
      o.warmupMs = try ms("--warmup", v, 0...3_600_000)
    },
    "--connect": { (o, v) throws(LoadArgumentError) in
      guard let connect = LoadOptions.Connect(rawValue: v) else {
        throw LoadArgumentError("--connect takes per-call or keep, not '\(v)'")
      }
      o.connect = connect
    },
    "--rate": { (o, v) throws(LoadArgumentError) in
      guard let rate = Double(v), rate >= 0.01, rate <= 1_000_000 else {
        throw LoadArgumentError("--rate takes messages a second, 0.01 to 1000000, not '\(v)'")
      }
      o.rate = rate
    },
    "--think": { (o, v) throws(LoadArgumentError) in
      o.thinkMs = try ms("--think", v, 0...300_000)
    },
    "--ttl": { (o, v) throws(LoadArgumentError) in o.ttlMs = try ms("--ttl", v, 100...3_600_000) },
    "--timeout": { (o, v) throws(LoadArgumentError) in
      o.timeoutMs = try ms("--timeout", v, 100...60_000)
    },
    "--patience": { (o, v) throws(LoadArgumentError) in
      o.patienceMs = try ms("--patience", v, 1_000...600_000)
    },
    "--size": { (o, v) throws(LoadArgumentError) in
      o.messageBytes = try number("--size", v, 50...65_536)
    },
    "--mix": { (o, v) throws(LoadArgumentError) in o.mix = try Mix.parse(v) },
    "--seed": { (o, v) throws(LoadArgumentError) in
      guard let seed = UInt64(v) else {
        throw LoadArgumentError("--seed takes a whole number, not '\(v)'")
      }
      o.seed = seed
    },
    "--tls": { (o, v) throws(LoadArgumentError) in
      switch v.lowercased() {
      case "1", "true", "yes": o.tls = o.tls ?? LatchkeyTLS()
      case "0", "false", "no": break
      default: throw LoadArgumentError("--tls takes 1, true, yes, 0, false or no, not '\(v)'")
      }
    },
    "--tls-ca": { (o, v) throws(LoadArgumentError) in
      o.tls = o.tls ?? LatchkeyTLS()
      o.tls?.authorities = try path("--tls-ca", v)
    },
    "--tls-client-cert": { (o, v) throws(LoadArgumentError) in
      o.tls = o.tls ?? LatchkeyTLS()
      o.tls?.certificate = try path("--tls-client-cert", v)
    },
    "--tls-client-key": { (o, v) throws(LoadArgumentError) in
      o.tls = o.tls ?? LatchkeyTLS()
      o.tls?.key = try path("--tls-client-key", v)
    },
    "--secret-file": { (o, v) throws(LoadArgumentError) in
      o.secretFile = try path("--secret-file", v)
    },
    "--group": { (o, v) throws(LoadArgumentError) in
      guard v.wholeMatch(of: /[A-Za-z0-9._:-]{1,128}/) != nil else {
        throw LoadArgumentError(
          "--group takes the name of a group, 1 to 128 letters, digits and ._:-, not '\(v)'")
      }
      o.group = v
    },
    "--chaos": { (o, v) throws(LoadArgumentError) in o.chaosCommand = try path("--chaos", v) },
    "--chaos-every": { (o, v) throws(LoadArgumentError) in
      o.chaosEveryMs = try ms("--chaos-every", v, 100...3_600_000)
    },
    "--json": { (o, v) throws(LoadArgumentError) in o.jsonPath = try path("--json", v) },
    "--report": { (o, v) throws(LoadArgumentError) in o.reportPath = try path("--report", v) },
  ]

  // MARK: - Values

  private static func targets(_ text: String) throws(LoadArgumentError) -> [Address] {
    var found: [Address] = []
    for place in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let colon = place.lastIndex(of: ":"), colon > place.startIndex,
        let port = UInt16(place[place.index(after: colon)...]), port > 0
      else {
        throw LoadArgumentError("--to takes HOST:PORT, or several with commas, not '\(place)'")
      }
      found.append(.tcp(host: place[..<colon].filter { $0 != "[" && $0 != "]" }, port: port))
    }
    return found
  }

  private static func number(
    _ flag: String, _ text: String, _ range: ClosedRange<Int>
  ) throws(LoadArgumentError) -> Int {
    guard let number = Int(text), range.contains(number) else {
      throw LoadArgumentError(
        "\(flag) takes a whole number from \(range.lowerBound) to \(range.upperBound), "
          + "not '\(text)'")
    }
    return number
  }

  private static let units: [(String, Int64)] = [
    ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1_000),
  ]

  private static func ms(
    _ flag: String, _ text: String, _ range: ClosedRange<Int64>
  ) throws(LoadArgumentError) -> Int64 {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = text[digits.endIndex...]
    guard let number = Int64(digits), let (_, factor) = units.first(where: { $0.0 == unit }),
      case let (ms, overflow) = number.multipliedReportingOverflow(by: factor), !overflow,
      range.contains(ms)
    else {
      throw LoadArgumentError(
        "\(flag) takes a duration such as 500ms, 30s or 5m, from \(duration(range.lowerBound)) to "
          + "\(duration(range.upperBound)), not '\(text)'")
    }
    return ms
  }

  /// A duration as one would write it.
  static func duration(_ ms: Int64) -> String {
    guard ms > 0 else { return "0s" }
    for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] as [(String, Int64)]
    where ms % factor == 0 {
      return "\(ms / factor)\(unit)"
    }
    return "\(ms)ms"
  }

  private static func path(_ flag: String, _ text: String) throws(LoadArgumentError) -> String {
    guard !text.isEmpty else { throw LoadArgumentError("\(flag) must not be empty") }
    return text
  }
}
