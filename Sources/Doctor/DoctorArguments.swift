// Owns: the command line and the environment of `latchkey doctor`, and its manual. Any thread:
// pure functions.

internal import Loop
internal import RedisConnection
package import Settings

extension DoctorOptions {
  /// The request that a command line makes.
  package enum Request: Sendable {
    case help
    case examine(DoctorOptions)
  }

  package static let usage = """
    usage: latchkey doctor [--redis URL] [--redis-password-file F] [--redis-ca F] [--redis-cert F]
                           [--redis-key F] [--sentinel-user NAME] [--sentinel-password-file F]
                           [--replica-acks N] [--jwt-keys F] [--ticket-keys F] [--namespace NAME]
                           [--json]

    Says whether a Redis, or each node of a cluster, is fit for Latchkey and what to change, one
    finding a line:

      ok    as it should be
      info  good to know
      warn  works, but loses something or is slower than need be
      bad   Latchkey must not run on it before this is changed

    It tries every command that Latchkey uses on keys of its own, NAME:{doctor}:..., and removes
    them. It changes nothing else. What it proposes with CONFIG SET lasts until Redis restarts;
    CONFIG REWRITE keeps it, and ACL SAVE keeps rights.

      --redis URL       redis://[user:password@]host:port[/db],
                        unix://[user:password@]/path[?db=n],
                        redis-sentinel://[user:password@]host:port,host:port/name[/db] or
                        redis-cluster://[user:password@]host:port,host:port, with rediss for redis
                        by TLS (or LATCHKEY_REDIS, then REDIS_URL: a command line is seen by others)
      --redis-password-file F, --redis-ca F, --redis-cert F, --redis-key F
                        the file of the password, and those of TLS, as for serve (or
                        LATCHKEY_REDIS_PASSWORD_FILE …)
      --sentinel-user NAME, --sentinel-password-file F
                        the login at the sentinels, as for serve (or LATCHKEY_SENTINEL_USER …)
      --replica-acks N  how many replicas have to have a change, as for serve (or
                        LATCHKEY_REPLICA_ACKS)
      --jwt-keys F, --ticket-keys F
                        the files of keys of tokens and of tickets, which are examined too (or
                        LATCHKEY_JWT_KEYS, LATCHKEY_TICKET_KEYS)
      --namespace NAME  what every key begins with (lk, or LATCHKEY_NAMESPACE)
      --json            one JSON object instead of lines (or LATCHKEY_JSON=1)

    The last line is 'fit' or 'not fit: N problems'. Colours only on a terminal, without NO_COLOR.
    Exit status: 0 fit, with or without warnings · 1 not fit · 2 wrong usage · 3 no connection, or
    not let in

    """

  /// Reads what follows `doctor` on the command line, and the environment.
  package static func parse(
    arguments: [String], environment: [String: String]
  ) throws(SettingError) -> Request {
    var given: [String: String] = [:]
    var isJSON = false
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "-h", "--help": return .help
      case "--json":
        guard !isJSON else { throw SettingError("--json is given twice; it is allowed once") }
        isJSON = true
      default:
        let (flag, value) = try pair(argument, &rest)
        guard given.updateValue(value, forKey: flag) == nil else {
          throw SettingError("\(flag) is given twice; it is allowed once")
        }
      }
    }
    if !isJSON { isJSON = try wantsJSON(environment["LATCHKEY_JSON"] ?? "") }
    let namespace = try namespace(given, environment)
    let endpoint = try endpoint(given, environment)
    func text(_ flag: String) -> String? {
      let name = "LATCHKEY_" + flag.dropFirst(2).map { $0 == "-" ? "_" : $0 }
      return value(flag, given, [name.uppercased()], environment)?.text
    }
    let tls = TLSFiles(
      certificate: text("--redis-cert"), key: text("--redis-key"), authorities: text("--redis-ca"))
    guard endpoint.usesTLS || tls == TLSFiles() else {
      throw SettingError(
        "--redis-ca, --redis-cert and --redis-key are for TLS: give --redis rediss://HOST:PORT")
    }
    guard (tls.certificate == nil) == (tls.key == nil) else {
      throw SettingError("--redis-cert and --redis-key are given together or not at all")
    }
    var options = DoctorOptions(
      endpoint: endpoint, namespace: namespace, isJSON: isJSON, tls: TLSClient(tls),
      passwordFile: text("--redis-password-file"))
    options.sentinelLogin = SentinelLogin(
      user: text("--sentinel-user"), passwordFile: text("--sentinel-password-file"))
    options.replicaAcks = try replicaAcks(text("--replica-acks") ?? "0")
    options.jwtKeysFile = text("--jwt-keys")
    options.ticketKeysFile = text("--ticket-keys")
    return .examine(options)
  }

  private static func wantsJSON(_ text: String) throws(SettingError) -> Bool {
    switch text.lowercased() {
    case "1", "true", "yes": return true
    case "", "0", "false", "no": return false
    default:
      throw SettingError("LATCHKEY_JSON in the environment takes 1, true, yes, 0, false or no")
    }
  }

  private static func replicaAcks(_ text: String) throws(SettingError) -> Int {
    guard let count = SettingText.number(text.utf8[...]), count <= 16 else {
      throw SettingError("--replica-acks takes 0 to 16; got \(SettingText.shown(text))")
    }
    return Int(count)
  }

  private static let valued = [
    "--redis", "--redis-password-file", "--redis-ca", "--redis-cert", "--redis-key", "--namespace",
    "--sentinel-user", "--sentinel-password-file", "--replica-acks", "--jwt-keys",
    "--ticket-keys",
  ]

  /// A flag and its value: after its `=`, or else the next argument.
  private static func pair(
    _ argument: String, _ rest: inout ArraySlice<String>
  ) throws(SettingError) -> (flag: String, value: String) {
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let flag = String(parts.first ?? "")
    guard valued.contains(flag) else {
      throw SettingError("there is no flag \(SettingText.shown(argument))")
    }
    if parts.count == 2 { return (flag, String(parts[1])) }
    guard let next = rest.first, !next.hasPrefix("--") else {
      throw SettingError("\(flag) needs a value")
    }
    rest.removeFirst()
    return (flag, next)
  }

  private static func namespace(
    _ given: [String: String], _ environment: [String: String]
  ) throws(SettingError) -> String {
    let (name, text) =
      value("--namespace", given, ["LATCHKEY_NAMESPACE"], environment) ?? ("", "lk")
    guard SettingText.isNamespace(text) else {
      throw SettingError(
        "\(name) takes 1 to 32 of A-Z a-z 0-9 _ -; got \(SettingText.shown(text))")
    }
    return text
  }

  private static func endpoint(
    _ given: [String: String], _ environment: [String: String]
  ) throws(SettingError) -> RedisEndpoint {
    let variables = ["LATCHKEY_REDIS", "REDIS_URL"]
    guard let (name, url) = value("--redis", given, variables, environment) else {
      throw SettingError(
        """
        which Redis? Give --redis URL, or set LATCHKEY_REDIS or REDIS_URL.
        A worker without a URL runs a Redis of its own, which 'latchkey serve' sets up and looks \
        after;
        to examine that one while it runs: latchkey doctor --redis unix:///PATH-OF-DATA/redis.sock
        """)
    }
    do throws(RedisURLError) { return try RedisEndpoint(url: url) } catch {
      throw SettingError("\(name): \(error.text)")
    }
  }

  /// The value of a flag, or of the first variable that is set to something, and where it stood.
  private static func value(
    _ flag: String, _ given: [String: String], _ variables: [String],
    _ environment: [String: String]
  ) -> (name: String, text: String)? {
    if let text = given[flag] { return (flag, text) }
    for name in variables {
      if let text = environment[name], !text.isEmpty { return ("\(name) in the environment", text) }
    }
    return nil
  }
}
