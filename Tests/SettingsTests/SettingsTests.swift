// Owns: the tests of the settings table, the command line, the environment and docs/config.md.

import Foundation
import Testing

@testable import Settings

struct SettingsTests {
  /// A value that is allowed and not the default, and values that are not allowed.
  struct Sample: Sendable {
    var flag: String
    var good: String
    var bad: [String]
    /// Without these arguments it is refused.
    var needs: [String]

    init(_ flag: String, _ good: String, bad: [String], needs: [String] = []) {
      self.flag = flag
      self.good = good
      self.bad = bad
      self.needs = needs
    }
  }

  /// One sample of each setting; limits are tried one beyond both ends.
  static let samples: [Sample] = [
    Sample("--tls-cert", "c.pem", bad: [""], needs: ["--tls-key", "k.pem"]),
    Sample("--tls-key", "k.pem", bad: [""], needs: ["--tls-cert", "c.pem"]),
    Sample(
      "--tls-client-ca", "a.pem", bad: [""], needs: ["--tls-cert", "c.pem", "--tls-key", "k.pem"]),
    Sample("--redis-password-file", "p", bad: [""], needs: ["--redis", "redis://h"]),
    Sample(
      "--sentinel-user", "ann", bad: [""],
      needs: ["--redis", "redis-sentinel://h/m", "--sentinel-password-file", "p"]),
    Sample(
      "--sentinel-password-file", "p", bad: [""], needs: ["--redis", "redis-sentinel://h/m"]),
    Sample("--replica-acks", "1", bad: ["-1", "17", "x"], needs: ["--redis", "redis://h"]),
    Sample("--redis-ca", "a.pem", bad: [""], needs: ["--redis", "rediss://h"]),
    Sample(
      "--redis-cert", "c.pem", bad: [""], needs: ["--redis", "rediss://h", "--redis-key", "k.pem"]),
    Sample(
      "--redis-key", "k.pem", bad: [""], needs: ["--redis", "rediss://h", "--redis-cert", "c.pem"]),
    Sample(
      "--listen", "[::1]:7000", bad: ["", "7000", ":7000", "h:", "h:65536", "::1:7", "[h]:7"]),
    Sample(
      "--admin", "0.0.0.0:0", bad: ["localhost", "localhost:-1", "a b:7", "h:99999999999999"]),
    Sample("--threads", "64", bad: ["-1", "65", "four", "", "1.5", "+1", "18446744073709551616"]),
    Sample("--request-timeout", "60s", bad: ["9ms", "60001ms", "0", "-1", "1e3", ""]),
    Sample("--auth", "/etc/latchkey/principals", bad: [""]),
    Sample("--seal-keys", "/etc/latchkey/seal-keys", bad: [""]),
    Sample("--jwt-keys", "/etc/latchkey/keys.json", bad: [""]),
    Sample(
      "--jwt-map", "devices=did,user=uid",
      bad: ["", "user", "user=", "user=a,user=b", "name=a", "user=a,"],
      needs: ["--jwt-keys", "k.json"]),
    Sample(
      "--jwt-limits", "rate=100,waiters=10,events=5,connections=3,written=20000",
      bad: [
        "", "locks=1", "sessions=1", "events=1,events=2", "written=0", "rate", "rate=", "rate=0",
        "rate=-1", "rate=1,rate=2", "speed=1", "rate=1,",
      ],
      needs: ["--jwt-keys", "k.json"]),
    Sample("--jwt-aud", "cache", bad: [""], needs: ["--jwt-keys", "k.json"]),
    Sample("--jwt-iss", "https://id.example/", bad: [""], needs: ["--jwt-keys", "k.json"]),
    Sample("--ticket-keys", "/etc/latchkey/ticket-keys", bad: [""]),
    Sample("--max-shares", "1000", bad: ["0", "1001", "-1", "x"]),
    Sample("--auth-timeout", "0", bad: ["9ms", "3600001ms"]),
    Sample("--drain-delay", "5s", bad: ["9ms", "3600001ms", "x"]),
    Sample("--drain-grace", "0", bad: ["9ms", "3600001ms", "s"]),
    Sample(
      "--redis", "redis://h:1/2",
      bad: ["h:6379", "http://h", "redis://", "unix://", "unix:///", "unix://x", "unix://x/y"]),
    Sample("--data", "/srv/latchkey", bad: [""]),
    Sample("--embedded-fsync", "everysec", bad: ["", "no", "ALWAYS", "1s"]),
    Sample(
      "--namespace", "a_B-9", bad: ["", "a:b", "{a}", "ä", String(repeating: "n", count: 33)]),
    Sample("--lua", "script", bad: ["", "SCRIPT", "functions"]),
    Sample("--batch", "512", bad: ["0", "513"]),
    Sample(
      "--lock-ttl", "3650d", bad: ["9ms", "0", "3651d", "315360000001ms", "99999999999999999999"]),
    Sample("--agent-ttl", "a@b=1h", bad: ["a", "=1h", "a=", "a b=1h", "a=0", "a=1h,b=2h"]),
    Sample("--device-ids", "uuid", bad: ["", "UUID", "none"]),
    Sample("--req-keep", "1s", bad: ["999ms", "0", "604800001ms"]),
    Sample("--sweep", "100ms", bad: ["99ms", "0", "600001ms"]),
    Sample("--idle", "0", bad: ["9ms", "3651d", ""]),
    Sample("--abandon", "1h", bad: ["9ms", "3651d"]),
    Sample("--archive", "0", bad: ["9ms", "3651d"]),
    Sample("--life", "3650d", bad: ["9ms", "3651d"]),
    Sample("--keep", "10ms", bad: ["0", "9ms", "3651d"]),
    Sample("--warn", "0", bad: ["9ms", "3651d"]),
    Sample("--max-sessions", "1", bad: ["0", "10001"]),
    Sample("--max-user-sessions", "1", bad: ["0", "10001"]),
    Sample("--max-live", "1000000000", bad: ["-1", "1000000001", "x"]),
    Sample(
      "--policy", "a@b:c:idle=0,life=3650d,max-chats=1000,max-messages=1000000,full=refuse",
      bad: [
        "", "a", ":", "a b:", "*:", "join:", "a:idle", "a:idle=9ms", "a:keep=0",
        "a:idle=1h,idle=1h",
        "a:,idle=1h", "a:max-sessions=0", "a:max-sessions=10001", "a:max-user-sessions=10001",
        "a:max-chats=1001", "a:max-messages=1000001", "a:full=keep", "a:at-most=close", "a:b=1",
      ]),
    Sample("--max-links", "1", bad: ["0", "1001"]),
    Sample("--max-waiting", "1", bad: ["0", "10001"]),
    Sample("--max-record", "1024", bad: ["1023", "268435457"]),
    Sample("--max-imports", "1", bad: ["0", "1001"]),
    Sample("--max-chats", "1000", bad: ["0", "1001"]),
    Sample("--max-messages", "1", bad: ["0", "1000001"]),
    Sample("--max-fields", "1", bad: ["0", "1001"]),
    Sample("--profile-keep", "1s", bad: ["999ms", "0", "3651d"]),
    Sample("--max-documents", "1", bad: ["0", "1000001"]),
    Sample("--max-value", "16MiB", bad: ["1023", "16777217", "0"]),
    Sample("--events-max", "100", bad: ["99", "1000001"]),
    Sample("--events-max-bytes", "64KiB", bad: ["65535", "2GiB", "0"]),
    Sample("--group-keep", "1h", bad: ["999ms", "0", "3651d"]),
    Sample("--events-age", "3650d", bad: ["999ms", "0", "3651d"]),
    Sample("--ack-timeout", "100ms", bad: ["99ms", "0", "86400001ms"]),
    Sample("--hooks-private", "yes", bad: ["x", "2"]),
    Sample("--hook-ca", "a.pem", bad: [""]),
    Sample("--hook-timeout", "1s", bad: ["99ms", "0", "60001ms"]),
    Sample("--hook-requests", "1", bad: ["0", "257", "x"]),
    Sample(
      "--max-line", "64MiB",
      bad: ["1023", "67108865", "0", "1 MiB", "1mib", "1GiB", "9999999999999MiB"]),
    Sample("--max-pipeline", "1", bad: ["0", "1000001"]),
    Sample("--max-unread", "1KiB", bad: ["1023", "1073741825"]),
    Sample("--max-buffered", "64MiB", bad: ["1048575", "65537MiB"]),
    Sample("--max-connections", "1000000", bad: ["0", "1000001"]),
    Sample("--max-admin-connections", "4", bad: ["3", "10001"]),
    Sample("--admin-timeout", "1s", bad: ["0", "999ms"]),
    Sample("--max-connections-per-address", "1", bad: ["0", "1000001"]),
    Sample("--max-requests", "1", bad: ["0", "10000001"]),
    Sample("--line-timeout", "0", bad: ["9ms", "3600001ms"]),
    Sample("--unread-timeout", "1h", bad: ["9ms", "3600001ms"]),
    Sample("--idle-timeout", "0", bad: ["9ms", "2592000001ms"]),
    Sample("--audit", "/var/log/latchkey/audit", bad: [""]),
    Sample("--log-format", "json", bad: ["", "JSON", "text"]),
    Sample("--http", "[::1]:7000", bad: ["", "7000", "h:65536"]),
    Sample(
      "--http-origins", "null,https://a.example:8443",
      bad: ["", "*", "a.example", "https://A.example", "https://a.example/", "null,"],
      needs: ["--http", "h:1"]),
    Sample("--admin-auth", "ops", bad: [""], needs: ["--auth", "principals"]),
    Sample("--admin-hosts", "ops.example", bad: [""]),
    Sample("--log-level", "debug", bad: ["", "INFO", "trace"]),
  ]

  /// The error of parsing, as text; nil if there is none.
  private func refusal(
    _ arguments: [String], _ environment: [String: String] = [:]
  ) -> String? {
    do throws(SettingError) {
      _ = try Settings.parse(arguments: arguments, environment: environment)
      return nil
    } catch {
      return error.text
    }
  }

  private func setting(_ flag: String) throws -> Setting {
    try #require(Settings.table.first { $0.flag == flag })
  }

  // MARK: The table

  @Test func `nothing given gives the defaults`() throws {
    #expect(try Settings.parse(arguments: [], environment: [:]) == Settings())
  }

  @Test(arguments: Settings.table.filter { !$0.defaultText.isEmpty }.map(\.flag))
  func `the default's text reads as the default`(flag: String) throws {
    let setting = try setting(flag)
    // Starting from another value shows that the text was read at all.
    var settings = Settings()
    if let sample = Self.samples.first(where: { $0.flag == flag }) {
      try setting.apply(&settings, sample.good)
      #expect(settings != Settings())
    }
    try setting.apply(&settings, setting.defaultText)
    #expect(settings == Settings())
  }

  @Test func `every setting but the switch has a sample`() {
    let flags = Settings.table.filter { !$0.isSwitch }.map(\.flag)
    #expect(Set(flags) == Set(Self.samples.map(\.flag)))
    #expect(flags.count == Self.samples.count)
  }

  @Test func `flags and variables are unique and of one form`() {
    #expect(Set(Settings.table.map(\.flag)).count == Settings.table.count)
    #expect(Set(Settings.table.map(\.variable)).count == Settings.table.count)
    for setting in Settings.table {
      #expect(setting.flag.wholeMatch(of: /--[a-z]+(-[a-z]+)*/) != nil)
      #expect(setting.summary.hasSuffix("."))
    }
    #expect(Settings.table.first { $0.flag == "--lock-ttl" }?.variable == "LATCHKEY_LOCK_TTL")
  }

  @Test func `the variables of the other commands are known`() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Sources/latchkey")
    let files = try #require(FileManager.default.enumerator(atPath: folder.path))
    var named: Set<String> = []
    for case let file as String in files where file.hasSuffix(".swift") {
      let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
      named.formUnion(text.matches(of: /LATCHKEY_[A-Z_]*[A-Z]/).map { String($0.output) })
    }
    #expect(named.count > 10)
    let known = Settings.variablesOfOthers.union(Settings.table.map(\.variable))
    #expect(named.subtracting(known) == [])
  }

  // MARK: Values

  @Test(arguments: samples.map(\.flag))
  func `flag, flag with equals sign and variable do the same`(flag: String) throws {
    let setting = try setting(flag)
    let sample = try #require(Self.samples.first { $0.flag == flag })
    let (good, needs) = (sample.good, sample.needs)
    let apart = try Settings.parse(arguments: needs + [flag, good], environment: [:])
    let joined = try Settings.parse(arguments: needs + ["\(flag)=\(good)"], environment: [:])
    let variable = try Settings.parse(arguments: needs, environment: [setting.variable: good])
    #expect(apart != Settings())
    #expect(apart == joined)
    #expect(apart == variable)
  }

  @Test(arguments: samples.map(\.flag))
  func `an invalid value is rejected with its flag and the allowed values`(
    flag: String
  ) throws {
    let setting = try setting(flag)
    for bad in try #require(Self.samples.first { $0.flag == flag }).bad {
      let text = try #require(refusal(["\(flag)=\(bad)"]), "\(flag)=\(bad)")
      #expect(text.hasPrefix("\(flag) takes \(setting.rangeText); got "))
      guard !setting.isRepeatable, !bad.isEmpty else { continue }
      let fromEnvironment = try #require(refusal([], [setting.variable: bad]))
      #expect(fromEnvironment == "\(setting.variable) in the environment: \(text)")
    }
  }

  @Test(arguments: samples.filter { !$0.needs.isEmpty }.map(\.flag))
  func `a setting that would have no effect without another is refused`(flag: String) throws {
    let sample = try #require(Self.samples.first { $0.flag == flag })
    let text = try #require(refusal([flag, sample.good]))
    let other = try #require(sample.needs.first { $0.hasPrefix("--") })
    #expect(text.contains(flag) && text.contains(other), "\(text)")
  }

  @Test func `the ends of a range are allowed`() throws {
    let settings = try Settings.parse(
      arguments: [
        "--batch=1", "--max-line=1KiB", "--request-timeout=10ms", "--lock-ttl=10ms",
        "--max-unread=1073741824", "--events-max=1000000", "--sweep=10m",
      ], environment: [:])
    #expect(settings.batchMax == 1)
    #expect(settings.lineBytesMax == 1_024)
    #expect(settings.requestTimeoutMs == 10)
    #expect(settings.lockTTLms == 10)
    #expect(settings.replyBytesMax == 1_073_741_824)
    #expect(settings.eventsMax == 1_000_000)
    #expect(settings.sweepMs == 600_000)
  }

  @Test func `the buffers of all callers have room for four of the longest lines`() throws {
    for (longer, other) in [("--max-line", "--max-record"), ("--max-record", "--max-line")] {
      let given = ["\(longer)=2MiB", "\(other)=1KiB"]
      let least = 8 << 20
      #expect(refusal(given + ["--max-buffered=\(least)"]) == nil)
      let text = try #require(refusal(given + ["--max-buffered=\(least - 1)"]))
      #expect(text.hasPrefix("--max-buffered has to be at least four times --max-line and"))
      #expect(text.contains("\(SettingText.bytes(least)); it is \(least - 1)"))
    }
    // A default makes room.
    let large = try Settings.parse(arguments: ["--max-record", "100MiB"], environment: [:])
    #expect(large.bufferedBytesMax == 400 << 20)
  }

  @Test func `a line has room for the largest value that is asked for`() throws {
    let large = try Settings.parse(arguments: ["--max-value", "2MiB"], environment: [:])
    #expect(large.lineBytesMax == (2 << 20) + (64 << 10))
    #expect(
      refusal(["--max-value=2MiB", "--max-line=2MiB"])?.hasPrefix("--max-line has to be") == true)
    #expect(refusal(["--max-value=2MiB", "--max-line=3MiB"]) == nil)
    #expect(refusal(["--max-line=1KiB"]) == nil)
  }

  @Test(
    arguments: [
      ("500ms", 500), ("5s", 5_000), ("5", 5_000), ("2m", 120_000), ("3h", 10_800_000),
      ("1d", 86_400_000), ("007s", 7_000), ("0", 0),
    ] as [(String, Int64)])
  func `durations have the protocol's units and bare digits are seconds`(
    text: String, ms: Int64
  ) {
    #expect(SettingText.durationMs(text) == ms)
  }

  @Test(arguments: [
    "", "s", "5S", "5 s", " 5s", "5.5s", "-5s", "5sec", "1h30m", "٥s", "5e3", "5ns",
  ])
  func `a text that is almost a duration is none`(text: String) {
    #expect(SettingText.durationMs(text) == nil)
  }

  @Test func `numbers too large for the machine are refused rather than cut`() {
    #expect(SettingText.durationMs("9223372036854775807ms") == Int64.max)
    #expect(SettingText.durationMs("9223372036854775808ms") == nil)
    #expect(SettingText.durationMs("9223372036854775807") == nil)
    #expect(SettingText.bytes("9223372036854775807KiB") == nil)
  }

  @Test func `an address keeps its port and an IPv6 number loses its brackets`() {
    #expect(SettingText.hostPort("[::1]:0") == HostPort(host: "::1", port: 0))
    #expect(SettingText.hostPort("[fe80::1%eth0]:80") == HostPort(host: "fe80::1%eth0", port: 80))
    #expect(
      SettingText.hostPort("redis-1.local:65535") == HostPort(host: "redis-1.local", port: 65_535))
    #expect(HostPort(host: "::1", port: 5_282).description == "[::1]:5282")
    #expect(HostPort(host: "localhost", port: 5_282).description == "localhost:5282")
  }

  // MARK: The command line and the environment

  @Test func `the command line wins over the environment`() throws {
    let settings = try Settings.parse(
      arguments: ["--threads", "3", "--agent-ttl", "a=1s"],
      environment: [
        "LATCHKEY_THREADS": "many", "LATCHKEY_AGENT_TTL": "b=2s", "LATCHKEY_BATCH": "7",
      ])
    #expect(settings.threads == 3)
    #expect(settings.batchMax == 7)
    #expect(settings.agentTTLms == ["a": 1_000])
  }

  @Test func `a variable set to nothing counts as not set`() throws {
    let environment = Dictionary(uniqueKeysWithValues: Settings.table.map { ($0.variable, "") })
    #expect(try Settings.parse(arguments: [], environment: environment) == Settings())
  }

  @Test func `LATCHKEY_REDIS comes before REDIS_URL, and the flag before both`() throws {
    var environment = ["REDIS_URL": "redis://third:1"]
    func url(_ arguments: [String]) throws -> String? {
      try Settings.parse(arguments: arguments, environment: environment).redisURL
    }
    #expect(try url([]) == "redis://third:1")
    environment["LATCHKEY_REDIS"] = "redis://second:1"
    #expect(try url([]) == "redis://second:1")
    #expect(try url(["--redis", "unix:///first?db=1"]) == "unix:///first?db=1")
    let text = try #require(refusal([], ["REDIS_URL": "h:6379"]))
    #expect(text.hasPrefix("REDIS_URL in the environment: --redis takes "))
  }

  @Test func `a switch stands alone on the command line and has words in the environment`() throws {
    let variable = "LATCHKEY_CONFIGURE_REDIS"
    #expect(try Settings.parse(arguments: ["--configure-redis"], environment: [:]).configureRedis)
    for word in ["1", "true", "yes", "Yes", "TRUE"] {
      #expect(try Settings.parse(arguments: [], environment: [variable: word]).configureRedis)
    }
    for word in ["0", "false", "no"] {
      #expect(try !Settings.parse(arguments: [], environment: [variable: word]).configureRedis)
    }
    #expect(
      refusal(["--configure-redis=yes"]) == "--configure-redis takes no value; it stands alone")
    #expect(refusal(["--configure-redis", "yes"])?.hasPrefix("'yes' is no flag") == true)
    #expect(refusal([], [variable: "on"])?.contains("--configure-redis takes 1, true") == true)
  }

  @Test func `a repeatable flag adds up and has commas in the environment`() throws {
    let given = try Settings.parse(
      arguments: ["--agent-ttl", "a=1h", "--agent-ttl=b=2h"], environment: [:])
    let variable = try Settings.parse(
      arguments: [], environment: ["LATCHKEY_AGENT_TTL": "a=1h,b=2h"])
    #expect(given.agentTTLms == ["a": 3_600_000, "b": 7_200_000])
    #expect(given == variable)
    #expect(
      refusal(["--agent-ttl=a=1h", "--agent-ttl=a=1h"]) == "--agent-ttl names the agent 'a' twice")
  }

  @Test func `any other flag is refused the second time`() {
    let twice = "--threads is given twice; it is allowed once"
    #expect(refusal(["--threads", "1", "--threads=1"]) == twice)
    #expect(refusal(["--configure-redis", "--configure-redis"])?.contains("twice") == true)
  }

  @Test func `a flag without its value is refused, also when another flag follows`() {
    #expect(refusal(["--data"]) == "--data needs a value: the path of a folder")
    #expect(refusal(["--data", "--threads", "4"])?.hasPrefix("--data needs a value") == true)
    #expect(refusal(["--threads", "-1"])?.hasPrefix("--threads takes 0 to 64; got '-1'") == true)
  }

  @Test(arguments: [
    ("--lock-tll=5s", "--lock-ttl"), ("--thread", "--threads"), ("--REDIS", "--redis"),
    ("listen", "--listen"), ("-threads", "--threads"), ("--max_line", "--max-line"),
  ])
  func `a mistyped flag is refused with the nearest one`(typed: String, meant: String) {
    #expect(refusal([typed])?.hasSuffix("; did you mean \(meant)?") == true)
  }

  @Test(arguments: ["", "--", "-", "--colour", "LOCK", String(repeating: "x", count: 100_000)])
  func `a text that is near no flag is refused with a word on help`(typed: String) throws {
    let text = try #require(refusal([typed]))
    #expect(text.hasSuffix("; --help lists the flags"))
    #expect(text.utf8.count < 200)
  }

  @Test func `no error repeats text that may hold a password`() {
    let secret = "redis://user:hunter2@h:1"
    for arguments in [
      [secret], ["--redsi=\(secret)"], ["--redis=x\(secret)"], ["--data", "x", secret],
    ] {
      #expect(refusal(arguments)?.contains("hunter2") == false)
    }
    #expect(refusal([], ["REDIS_URL": "rediss://:hunter2@h?a=b"])?.contains("hunter2") == false)
  }

  @Test(arguments: [
    ("LATCHKEY_LOCK_TLL", "LATCHKEY_LOCK_TTL"), ("LATCHKEY_MAXSESSIONS", "LATCHKEY_MAX_SESSIONS"),
    ("LATCHKEY_SERVICE_HOST", nil),
  ])
  func `a mistyped variable has a nearest one`(typed: String, meant: String?) {
    #expect(Settings.nearestVariable(to: typed) == meant)
  }

  @Test func `variables that nothing reads are reported by name, sorted`() throws {
    let settings = try Settings.parse(
      arguments: [],
      environment: [
        "LATCHKEY_ZEBRA": "1", "LATCHKEY_LOCK_TLL": "1h", "HOME": "/", "LATCHKEY_THREADS": "2",
        "LATCHKEY_TO": "h:1",
      ])
    #expect(settings.unknownEnvironment == ["LATCHKEY_LOCK_TLL", "LATCHKEY_ZEBRA"])
  }

  // MARK: The manual

  @Test func `the help names every flag and variable in 80 columns`() {
    let help = Settings.helpText()
    for setting in Settings.table {
      #expect(help.contains("  \(setting.flag)"))
      #expect(help.contains(setting.variable))
    }
    for line in help.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }

  /// `UPDATE_DOCS=1 swift test --filter SettingsTests` writes the page instead of comparing it.
  @Test func `docs/config.md is as the table says`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let page = root.appending(path: "docs/config.md")
    if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
      try Settings.configMarkdown().write(to: page, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: page, encoding: .utf8) == Settings.configMarkdown())
  }
}
