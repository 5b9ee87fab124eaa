// Owns: the tests of the doctor: its findings, its command line, that it leaves a Redis as it was.

import Foundation
import Loop
import RedisConnection
import Testing

@testable import Doctor
@testable import Settings

struct DoctorTests {
  /// The INFO of a Redis that is fit, as far as the doctor reads it.
  private static let info = """
    # Server\r
    redis_version:7.0.15\r
    hz:10\r
    used_memory:1048576\r
    total_system_memory:17179869184\r
    maxmemory:0\r
    maxmemory_policy:noeviction\r
    loading:0\r
    aof_enabled:1\r
    aof_last_write_status:ok\r
    expired_stale_perc:0.25\r
    evicted_keys:0\r
    connected_slaves:0\r
    db0:keys=4,expires=3,avg_ttl=0\r
    """

  /// All that a fit Redis answers.
  static var fit: Evidence {
    var seen = Evidence()
    seen.place = "redis://127.0.0.1:6379"
    seen.hello = ["server": "redis", "version": "7.0.15", "mode": "standalone", "role": "master"]
    seen.info = Answer.text(info).infoFields
    seen.config = [
      "maxmemory": "0", "maxmemory-policy": "noeviction", "notify-keyspace-events": "xE",
      "appendonly": "yes", "appendfsync": "always", "save": "",
      "stop-writes-on-bgsave-error": "yes", "min-replicas-to-write": "0",
    ]
    seen.layout = .text("256 1")
    seen.tried = probes.map { Evidence.Tried(probe: $0, answer: .text("OK")) }
    seen.script = .text("1")
    seen.announcement = .received
    seen.roundTripsUs = [310, 90, 120]
    seen.clockAheadMs = 0
    return seen
  }

  private static var probes: [Probe] {
    let keys = ProbeKeys(namespace: "lk", run: "r")
    return Probe.removers(keys) + Probe.others(keys, endsAtMs: 0) + Probe.functions
      + [Probe.subscribe(database: 0), Probe.patternSubscribe(database: 0)]
  }

  @Test func `files of keys are examined too`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "doctor-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func file(_ name: String, _ text: String, mode: Int) throws -> String {
      let path = folder.appending(path: name).path
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
      return path
    }
    let secret = String(repeating: "A", count: 43)
    let oct = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"\(secret)\"}]}"
    let weak = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}]}"
    func levels(jwt: String?, tickets: String?) throws -> [String] {
      var options = DoctorOptions(
        endpoint: try RedisEndpoint(url: "redis://127.0.0.1"), namespace: "lk", isJSON: false)
      (options.jwtKeysFile, options.ticketKeysFile) = (jwt, tickets)
      return KeyFileChecks.findings(options).map { "\($0.level) \($0.check)" }
    }
    #expect(try levels(jwt: nil, tickets: nil) == [])
    #expect(
      try levels(
        jwt: file("a", oct, mode: 0o600), tickets: file("b", "k:\(secret)=", mode: 0o640))
        == ["ok tokens", "ok tickets"])
    #expect(
      try levels(
        jwt: file("c", oct, mode: 0o644), tickets: file("d", "k:\(secret)=", mode: 0o644))
        == ["ok tokens", "warn tokens", "ok tickets", "warn tickets"])
    for (jwt, tickets) in [("", ""), ("{\"keys\":[]}", "k"), (weak, "k:AAAA"), ("-----BEGIN", "#")]
    {
      #expect(
        try levels(jwt: file("e", jwt, mode: 0o600), tickets: file("f", tickets, mode: 0o600))
          == ["bad tokens", "bad tickets"])
    }
    #expect(
      try levels(jwt: "/nonexistent", tickets: folder.path) == ["bad tokens", "bad tickets"])
  }

  /// A difference from a fit Redis, and the expected finding.
  struct Case: Sendable, CustomTestStringConvertible {
    var level: Finding.Level
    var check: Finding.Check
    /// Words of the finding and its fix.
    var words: [String]
    var info: [String: String]
    var config: [String: String]
    var change: @Sendable (inout Evidence) -> Void

    var testDescription: String { "\(level) \(check): \(words.joined(separator: ", "))" }

    init(
      _ level: Finding.Level, _ check: Finding.Check, _ words: [String],
      info: [String: String] = [:], config: [String: String] = [:],
      _ change: @escaping @Sendable (inout Evidence) -> Void = { _ in }
    ) {
      self.level = level
      self.check = check
      self.words = words
      self.info = info
      self.config = config
      self.change = change
    }

    var evidence: Evidence {
      var seen = DoctorTests.fit
      seen.info.merge(info) { $1 }
      seen.config.merge(config) { $1 }
      change(&seen)
      return seen
    }
  }

  private static let noRight = "NOPERM this user has no permissions to run the 'x' command"

  static let serverCases: [Case] = [
    Case(.bad, .connection, ["WRONGPASS", "right user and password"]) {
      $0.ending = .unreachable("Redis does not let this worker in (WRONGPASS)")
    },
    Case(.bad, .connection, ["NOAUTH", "give a password"]) {
      $0.ending = .unreachable("Redis does not let this worker in (NOAUTH)")
    },
    Case(.bad, .connection, ["lost", "closed"]) { $0.ending = .lost("Redis closed it") },
    Case(.bad, .connection, ["8 s"]) { $0.ending = .tooSlow(limitMs: 8_000) },
    Case(.bad, .connection, ["DENIED", "protected-mode"]) {
      $0.ending = .unreachable("Redis does not let this worker in (DENIED)")
    },
    Case(.bad, .version, ["needs 6.2"]) { $0.ending = .unusable("needs 6.2") },
    Case(.bad, .version, ["6.0.16 is too old"]) { $0.hello["version"] = "6.0.16" },
    Case(.warn, .version, ["6.2.7 works", "use Redis 7"]) { $0.hello["version"] = "6.2.7" },
    Case(.ok, .version, ["10.0.1"]) { $0.hello["version"] = "10.0.1" },
    Case(.ok, .version, ["7.0.15 (valkey)"]) { $0.hello["server"] = "valkey" },
    Case(.warn, .version, ["cannot be seen"]) { $0.hello["version"] = "unstable" },
    Case(
      .bad, .role, ["replica of 10.0.0.7:6380", "master"],
      info: ["master_host": "10.0.0.7", "master_port": "6380"]
    ) { $0.hello["role"] = "replica" },
    Case(.warn, .mode, ["not asked"]) { $0.hello["mode"] = "cluster" },
    Case(.ok, .mode, ["1 masters, 16384 of 16384"]) { cluster(&$0, 0...16_383) },
    Case(.warn, .mode, ["16383 of 16384", "some devices"]) { cluster(&$0, 1...16_383) },
    Case(.bad, .mode, ["none of them", "redis-cluster://"]) { cluster(&$0, 0...9, id: "b") },
    Case(.bad, .mode, ["NOPERM", "+cluster|slots"]) { cluster(&$0, refusal: noRight) },
    Case(.bad, .mode, ["Sentinel"]) { $0.hello["mode"] = "sentinel" },
    Case(.bad, .loading, ["12.5 %"], info: ["loading": "1", "loading_loaded_perc": "12.5"]),
    Case(.bad, .namespace, ["database 0", "+select"]) { $0.selected = .error(noRight) },
    Case(.bad, .namespace, ["range"]) { $0.selected = .error("ERR DB index is out of range") },
    Case(.ok, .namespace, ["not used"]) { $0.layout = .null },
    Case(.bad, .namespace, ["layout 2", "layout 1", "--namespace"]) { $0.layout = .text("256 2") },
    Case(.bad, .namespace, ["no text"]) { $0.layout = .error("WRONGTYPE Operation against") },
    Case(.warn, .writes, ["could not be removed"]) { $0.leftovers = true },
    Case(.bad, .writes, ["full", "maxmemory"]) { answer(&$0, ["SET"], .error("OOM no")) },
    Case(.bad, .writes, ["master"]) { answer(&$0, ["SET"], .error("READONLY You can't")) },
    Case(.bad, .writes, ["disk", "dir"]) { answer(&$0, ["SET"], .error("MISCONF Errors")) },
    Case(.bad, .writes, ["to-write"]) { answer(&$0, ["SET"], .error("NOREPLICAS Not")) },
    Case(.bad, .writes, ["ERR odd"]) { answer(&$0, ["SET"], .error("ERR odd")) },
    Case(.bad, .scripts, ["BUSY", "SCRIPT KILL"]) { $0.script = .error("BUSY x") },
  ]

  static let storageCases: [Case] = [
    Case(.ok, .eviction, ["noeviction"]),
    Case(.ok, .eviction, ["maxmemory is 0"], config: ["maxmemory-policy": "allkeys-lru"]),
    Case(
      .bad, .eviction, ["allkeys-lru", "CONFIG SET maxmemory-policy noeviction"],
      config: ["maxmemory": "9999999", "maxmemory-policy": "allkeys-lru"]),
    Case(
      .bad, .eviction, ["volatile-ttl", "TTL", "noeviction"],
      info: ["maxmemory": "9999999", "maxmemory_policy": "volatile-ttl"]
    ) { $0.config = [:] },
    Case(.ok, .eviction, ["7 keys"], info: ["evicted_keys": "7"]),
    Case(.warn, .eviction, ["cannot be seen", "+info"]) { ($0.info, $0.config) = ([:], [:]) },
    Case(.ok, .memory, ["1.0 MiB used of 2.0 MiB"], config: ["maxmemory": "2097152"]),
    Case(.warn, .memory, ["no lock"], config: ["maxmemory": "1100000"]),
    Case(.info, .memory, ["no limit", "16.0 GiB"]),
    Case(.warn, .memory, ["no limit", "room"], info: ["used_memory": "16000000000"]),
    Case(.ok, .persistence, ["before each reply"]),
    Case(.ok, .persistence, ["two seconds"], config: ["appendfsync": "everysec"]),
    Case(.warn, .persistence, ["appendfsync everysec"], config: ["appendfsync": "no"]),
    Case(.ok, .persistence, ["cannot be seen"]) { $0.config = [:] },
    Case(.warn, .persistence, ["cannot be seen"]) { ($0.info, $0.config) = ([:], [:]) },
    Case(
      .warn, .persistence, ["up to 1h", "CONFIG SET appendonly yes"],
      config: ["appendonly": "no", "save": "3600 1 300 100 60 10000"]),
    Case(.warn, .persistence, ["everything", "appendonly yes"], config: ["appendonly": "no"]),
    Case(.bad, .persistence, ["append-only", "dir"], info: ["aof_last_write_status": "err"]),
    Case(.warn, .persistence, ["grows"], info: ["aof_last_bgrewrite_status": "err"]),
    Case(.warn, .persistence, ["last save"], info: ["rdb_last_bgsave_status": "err"]),
    Case(
      .bad, .persistence, ["stop-writes-on-bgsave-error"], info: ["rdb_last_bgsave_status": "err"]
    ) { answer(&$0, ["SET"], .error("MISCONF Redis is configured")) },
    Case(
      .info, .replicas, ["2 follow", "fewer than 1", "now 2"],
      info: ["connected_slaves": "2", "min_slaves_good_slaves": "2"],
      config: ["min-replicas-to-write": "1"]),
  ]

  /// Sentinels on the ports from 1 on, each with what it says.
  private static func sentinels(_ states: SentinelState...) -> SentinelReport {
    let all = states.enumerated().map { index, state in
      SentinelReport.Sentinel(.tcp(host: "s", port: UInt16(index + 1)), state)
    }
    return SentinelReport(name: "m", sentinels: all, master: .tcp(host: "new", port: 6379))
  }

  private static func names(_ host: String) -> SentinelState {
    .names(MasterAnswer(.tcp(host: host, port: 6379), epoch: 1), quorum: 2)
  }

  static let topologyCases: [Case] = [
    Case(.bad, .connection, ["other", "SENTINEL MASTERS"]) {
      $0.ending = .unreachable("\(SentinelReport.unknownName) other")
    },
    Case(.bad, .connection, ["s:1", "--sentinel-password-file"]) {
      $0.ending = .unreachable("\(SentinelReport.noAnswer); s:1: not let in (NOAUTH)")
    },
    Case(.bad, .connection, ["s:1", "--redis-ca"]) {
      $0.ending = .unreachable("\(SentinelReport.noAnswer); s:1: it does not verify: x")
    },
    Case(.bad, .connection, ["s:1", "that sentinels run there"]) {
      $0.ending = .unreachable("\(SentinelReport.noAnswer); s:1: refused")
    },
    Case(.ok, .mode, ["3 of 3 answer, and name new:6379", "quorum 2"]) {
      $0.sentinels = sentinels(names("new"), names("new"), names("new"))
    },
    Case(.warn, .mode, ["2 of 3 answer", "whether the others run"]) {
      $0.sentinels = sentinels(names("new"), .away("refused"), names("new"))
    },
    Case(.warn, .mode, ["s:2 names another master", "CKQUORUM"]) {
      $0.sentinels = sentinels(names("new"), names("old"), names("new"))
    },
    Case(.warn, .mode, ["fewer than three"]) { $0.sentinels = sentinels(names("new")) },
    Case(.warn, .replicas, ["no server for the sentinels to promote"]) {
      $0.sentinels = sentinels(names("new"))
    },
    Case(.warn, .replicas, ["one follows", "cut off", "min-replicas-to-write 1"]) {
      $0.sentinels = sentinels(names("new"))
      $0.info["connected_slaves"] = "1"
    },
    Case(.warn, .replicas, ["empties its replicas", "appendonly"]) {
      $0.sentinels = sentinels(names("new"))
      $0.info["connected_slaves"] = "1"
      $0.config["appendonly"] = "no"
    },
    Case(.bad, .replicas, ["--replica-acks 2, and 1 follow"]) {
      $0.replicaAcks = 2
      $0.info["connected_slaves"] = "1"
    },
    Case(.bad, .replicas, ["WAIT cannot be asked", "+wait"]) {
      $0.replicaAcks = 1
      $0.info["connected_slaves"] = "1"
      answer(&$0, ["WAIT"], .error("NOPERM no permissions to run the 'wait' command"))
    },
    Case(.info, .replicas, ["none"]) {
      $0.replicaAcks = 1
      $0.hello["role"] = "replica"
      $0.info["connected_slaves"] = "0"
      answer(&$0, ["WAIT"], .error("ERR WAIT cannot be used with replica instances."))
    },
  ]

  private static let flags = "notify-keyspace-events"

  static let timingCases: [Case] = [
    Case(.ok, .notifications, ["was announced"]),
    Case(.warn, .notifications, ["is empty", "SET \(flags) Ex", "without"], config: [flags: ""]),
    Case(.warn, .notifications, ["SET \(flags) K$xE"], config: [flags: "K$"]),
    Case(.warn, .notifications, ["SET \(flags) AKE"], config: [flags: "AK"]),
    Case(.warn, .notifications, ["is xE", "2 s"]) { $0.announcement = .silent(waitedMs: 2_000) },
    Case(.info, .notifications, ["is xE"]) { $0.announcement = .notTried },
    Case(.ok, .notifications, ["cannot be seen", "announced"]) { $0.config = [:] },
    Case(.warn, .notifications, ["cannot be seen", "2 s", "Ex"]) {
      ($0.config, $0.announcement) = ([:], .silent(waitedMs: 2_000))
    },
    Case(.info, .notifications, ["cannot be seen"]) {
      ($0.config, $0.announcement) = ([:], .notTried)
    },
    Case(.ok, .latency, ["0.12 ms", "worst of 3", "0.31 ms"]),
    Case(.warn, .latency, ["5.01 ms"]) { $0.roundTripsUs = [5_010, 5_010, 5_010] },
    Case(.warn, .latency, ["100.07 ms"]) { $0.roundTripsUs = [1, 1, 100_070] },
    Case(.info, .clock, ["999 ms ahead"]) { $0.clockAheadMs = 999 },
    Case(.warn, .clock, ["1001 ms behind", "NTP"]) { $0.clockAheadMs = -1_001 },
    Case(.info, .expiry, ["hz 10", "3 keys", "0.25 %"]),
  ]

  static let permissionCases: [Case] = [
    Case(.ok, .permissions, ["all 73 commands", "lk:*"]),
    Case(.bad, .permissions, ["XADD, SCRIPT LOAD", "SETUSER default +xadd +script|load"]) {
      answer(&$0, ["XADD", "SCRIPT LOAD"], .error(noRight))
    },
    Case(.bad, .permissions, ["SETUSER default ~lk:*"]) {
      answer(&$0, ["HGET"], .error("NOPERM No permissions to access a key"))
    },
    Case(.bad, .permissions, ["channels lk:*", "SETUSER default &lk:*"]) {
      answer(&$0, ["PUBLISH"], .error("NOPERM No permissions to access a channel"))
    },
    Case(.warn, .permissions, ["+subscribe +psubscribe &__keyevent@0__:expired"]) {
      answer(&$0, ["SUBSCRIBE", "PSUBSCRIBE"], .error(noRight))
    },
    Case(.warn, .permissions, ["SETUSER default &__keyevent@0__:expired"]) {
      answer(&$0, ["SUBSCRIBE"], .error("NOPERM No permissions to access a channel"))
    },
    Case(.warn, .permissions, ["may not use FCALL", "goes by hash", "SETUSER default +fcall"]) {
      answer(&$0, ["FCALL"], .error(noRight))
    },
    Case(.warn, .permissions, ["FUNCTION DELETE", "stay in Redis", "+function|delete"]) {
      answer(&$0, ["FUNCTION DELETE"], .error(noRight))
    },
    Case(.warn, .permissions, ["FUNCTION LOAD does not work", "by hash"]) {
      answer(&$0, ["FUNCTION LOAD"], .error("ERR unknown command 'FUNCTION', with args"))
    },
    Case(.info, .permissions, ["PSUBSCRIBE"]) { answer(&$0, ["PSUBSCRIBE"], .error(noRight)) },
    Case(.bad, .permissions, ["does not know XACK"]) {
      answer(&$0, ["XACK"], .error("ERR unknown command 'XACK', with args"))
    },
    Case(.bad, .permissions, ["XTRIM does not work: ERR no"]) {
      answer(&$0, ["XTRIM"], .error("ERR no"))
    },
    Case(.info, .permissions, ["CONFIG GET"]) { $0.unanswered = ["CONFIG GET"] },
  ]

  private static func answer(_ seen: inout Evidence, _ names: [String], _ answer: Answer) {
    for index in seen.tried.indices where names.contains(seen.tried[index].probe.name) {
      seen.tried[index].answer = answer
    }
  }

  // MARK: Judging

  @Test(
    arguments: [serverCases, storageCases, timingCases, permissionCases, topologyCases].flatMap(
      \.self))
  func `each difference is found, weighed and reported with its fix`(_ one: Case) {
    let diagnosis = Diagnosis(one.evidence)
    let text = diagnosis.finding(one.level, one.check)
    #expect(one.words.allSatisfy { text.contains($0) }, "\(text)")
    if one.level == .bad { #expect(diagnosis.exitStatus != 0) }
    #expect(diagnosis.findings.allSatisfy { $0.level != .bad || $0.fix != nil })
  }

  /// A node `a` of a cluster in which one node has these slots, or that does not say so.
  private static func cluster(
    _ seen: inout Evidence, _ slots: ClosedRange<Int64> = 0...0, id: String = "a",
    refusal: String? = nil
  ) {
    seen.hello["mode"] = "cluster"
    let node = Answer.list([.text("127.0.0.1"), .integer(7_000), .text(id)])
    let range = Answer.list([.integer(slots.lowerBound), .integer(slots.upperBound), node])
    seen.cluster = ClusterEvidence(
      id: "a", slots: refusal.map { .error($0) } ?? .list([range]), info: ["cluster_state": "ok"],
      asked: .tcp(host: "127.0.0.1", port: 7_000))
  }

  /// A worker's course for each problem; `refuse` is for problems that do not pass by themselves.
  static let courses: [(Finding.Course, Case)] = [
    (.refuse, Case(.bad, .connection, []) { $0.ending = .unreachable("no (WRONGPASS)") }),
    (.refuse, Case(.bad, .connection, []) { $0.ending = .unreachable("no (NOAUTH)") }),
    (.refuse, Case(.bad, .connection, []) { $0.ending = .unreachable("the login was refused") }),
    (.wait, Case(.bad, .connection, []) { $0.ending = .unreachable("connect: refused") }),
    (.wait, Case(.bad, .connection, []) { $0.ending = .lost("closed") }),
    (.wait, Case(.bad, .connection, []) { $0.ending = .tooSlow(limitMs: 1) }),
    (.refuse, Case(.bad, .version, []) { $0.hello["version"] = "6.0.16" }),
    (.refuse, Case(.bad, .version, []) { $0.ending = .unusable("too old") }),
    (.wait, Case(.bad, .role, []) { $0.hello["role"] = "replica" }),
    (.wait, Case(.bad, .mode, []) { cluster(&$0, 0...9, id: "b") }),
    (.refuse, Case(.bad, .mode, []) { $0.hello["mode"] = "sentinel" }),
    (.wait, Case(.bad, .loading, [], info: ["loading": "1"])),
    (.refuse, Case(.bad, .namespace, []) { $0.selected = .error("ERR DB index is out of range") }),
    (.refuse, Case(.bad, .namespace, []) { $0.layout = .text("256 2") }),
    (.serve, Case(.bad, .writes, []) { answer(&$0, ["SET"], .error("OOM no")) }),
    (.wait, Case(.bad, .writes, []) { answer(&$0, ["SET"], .error("MISCONF no")) }),
    (.wait, Case(.bad, .writes, []) { answer(&$0, ["SET"], .error("READONLY no")) }),
    (.wait, Case(.bad, .writes, []) { answer(&$0, ["SET"], .error("NOREPLICAS no")) }),
    (.wait, Case(.bad, .scripts, []) { $0.script = .error("BUSY x") }),
    (.refuse, Case(.bad, .permissions, []) { answer(&$0, ["XADD"], .error(noRight)) }),
    (.refuse, Case(.bad, .permissions, []) { answer(&$0, ["XTRIM"], .error("ERR no")) }),
    (.wait, Case(.bad, .permissions, []) { answer(&$0, ["XTRIM"], .error("MASTERDOWN no")) }),
    (
      .refuse,
      Case(.bad, .eviction, [], config: ["maxmemory": "99", "maxmemory-policy": "volatile-lru"])
    ),
    (.serve, Case(.bad, .persistence, [], info: ["aof_last_write_status": "err"])),
  ]

  @Test(arguments: courses)
  func `a worker refuses problems that do not pass by themselves, and waits for the others`(
    course: Finding.Course, one: Case
  ) {
    let diagnosis = Diagnosis(one.evidence)
    #expect(diagnosis.findings(course).contains { $0.check == one.check })
    let others = [Finding.Course.refuse, .wait, .serve].filter { $0 != course }
    #expect(others.flatMap(diagnosis.findings).allSatisfy { $0.check != one.check })
  }

  @Test func `a fit Redis has no problems and no warnings`() {
    let diagnosis = Diagnosis(Self.fit)
    #expect(diagnosis.problems + diagnosis.warnings == 0 && diagnosis.exitStatus == 0)
    #expect(diagnosis.text(isColoured: false).hasSuffix("\nfit\n"))
    // Evidence that is missing is not judged.
    var lostEarly = Evidence()
    lostEarly.ending = .lost("x")
    #expect(Diagnosis(lostEarly).findings.map(\.check) == [.connection])
  }

  // MARK: Reporting

  @Test func `lines are aligned, on one line each, and coloured only if asked`() {
    let bad = Finding(.bad, .eviction, "a\nb\u{1B}[2J", fix: "undo")
    let findings = [Finding(.ok, .version, "7.0.15"), bad]
    let diagnosis = Diagnosis("unix:///s", namespace: "lk", findings: findings)
    #expect(
      diagnosis.text(isColoured: false)
        == "ok    version   7.0.15\nbad   eviction  a b [2J   → undo\nnot fit: 1 problem\n")
    #expect(
      diagnosis.text(isColoured: true).hasPrefix(
        "\u{1B}[32mok  \u{1B}[0m  version   7.0.15\n\u{1B}[31mbad \u{1B}[0m  eviction"))
    #expect(diagnosis.exitStatus == 1)
  }

  @Test func `the report for programs is JSON`() {
    let findings = [Finding(.bad, .role, "\"a\"\n", fix: "b"), Finding(.ok, .mode, "c")]
    let diagnosis = Diagnosis("unix:///s", namespace: "lk", findings: findings, isReachable: false)
    let expected = """
      {"redis":"unix:///s","namespace":"lk","verdict":"unreachable","problems":1,"warnings":0,\
      "findings":[{"level":"bad","check":"role","text":"\\"a\\"\\n","fix":"b"},\
      {"level":"ok","check":"mode","text":"c","fix":null}]}
      """
    #expect(diagnosis.json == expected)
    #expect(diagnosis.exitStatus == 3)
  }

  // MARK: The command line

  private func parsed(_ words: [String], _ environment: [String: String] = [:]) -> String {
    do throws(SettingError) {
      switch try DoctorOptions.parse(arguments: words, environment: environment) {
      case .help: return "help"
      case .examine(let options):
        return "\(options.endpoint.publicText) \(options.namespace) \(options.isJSON)"
      }
    } catch { return error.text }
  }

  @Test(arguments: [
    (["--redis", "redis://h:1"], "redis://h:1 env false"),
    (["--json", "--redis=unix:///s?db=2", "--namespace", "n"], "unix:///s?db=2 n true"),
    ([], "redis://own:1 env false"),
    (["-h"], "help"), (["--redis", "x", "--help"], "help"),
  ])
  func `the command line wins over the environment`(words: [String], outcome: String) {
    var environment = ["LATCHKEY_REDIS": "redis://own:1", "LATCHKEY_NAMESPACE": "env"]
    environment["REDIS_URL"] = "redis://other:1"
    #expect(parsed(words, environment) == outcome)
    // A variable that is set to nothing counts as not set.
    environment["LATCHKEY_REDIS"] = ""
    #expect(parsed([], environment) == "redis://other:1 env false")
  }

  @Test(arguments: [
    (["--redis"], "--redis needs a value"), (["--redis", "--json"], "--redis needs a value"),
    (["--threads", "4"], "there is no flag '--threads'"), (["redis://h:1"], "there is no flag"),
    (["--redis=redis://a:1", "--redis=redis://a:1"], "given twice"),
    (["--redis", "http://u:secret-word@h"], "begins with redis://"),
    (["--redis", "redis://u:secret-word@h:x"], "port"),
    (["--namespace", "a:b", "--redis", "redis://h"], "--namespace takes"),
    ([], "'latchkey serve' sets up"),
  ])
  func `a wrong command line is reported without its secret`(words: [String], why: String) {
    let text = parsed(words)
    #expect(text.contains(why), "\(text)")
    #expect(!text.contains("secret-word"))
  }
}
