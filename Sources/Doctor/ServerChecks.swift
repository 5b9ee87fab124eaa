// Owns: the checks of the server itself: the login, its version, its role, whether it takes writes.
// Pure functions; any thread.

internal import RedisConnection
internal import SessionModel

enum ServerChecks {
  // MARK: Connection

  static func connection(_ seen: Evidence) -> Finding {
    switch seen.ending {
    case .unreachable(let reason): unreachable(seen, reason)
    case .unusable(let reason): Finding(.bad, .version, reason, fix: "use Redis 7")
    case .lost(let reason):
      Finding(
        .bad, .connection, "lost while Redis was examined: \(reason)",
        fix: "see Redis' log, and ask again", course: .wait)
    case .tooSlow(let limitMs):
      Finding(
        .bad, .connection, "Redis did not answer all questions within \(limitMs / 1_000) s",
        fix: "see what keeps it busy (SLOWLOG GET), or the network between", course: .wait)
    case .whole: letIn(seen)
    }
  }

  private static func letIn(_ seen: Evidence) -> Finding {
    let how = seen.hasPassword ? "with a password" : "without a password"
    return Finding(.ok, .connection, "\(seen.place) as user \(seen.user), \(how)")
  }

  private static func unreachable(_ seen: Evidence, _ reason: String) -> Finding {
    let text = "cannot connect to \(seen.place): \(reason)"
    let fix: String
    if reason.hasPrefix(SentinelReport.unknownName) {
      fix = "give the name that SENTINEL MASTERS shows, after the hosts of the URL"
    } else if reason.hasPrefix(SentinelReport.noAnswer) {
      return unreachableSentinels(text)
    } else if reason.contains("WRONGPASS") {
      fix = "give the right user and password: redis://USER:PASSWORD@HOST:PORT"
    } else if reason.contains("NOAUTH") {
      fix = "give a password: redis://:PASSWORD@HOST:PORT or redis://USER:PASSWORD@HOST:PORT"
    } else if reason.contains("(DENIED)") {
      fix = "give that Redis a password, or CONFIG SET protected-mode no"
    } else if reason.contains("(NOPERM)") || reason.hasPrefix("the login was refused") {
      fix = "give the user and password of a Redis: redis://USER:PASSWORD@HOST:PORT"
    } else if reason.contains("does not verify") {
      fix =
        "give the authority of its certificate as --redis-ca, and in the URL the name that stands "
        + "in the certificate"
    } else if reason.hasPrefix("TLS: ") {
      fix = "see whether this port of Redis speaks TLS (tls-port); without TLS it is redis://"
    } else if reason.hasPrefix("Redis ended the TLS session") {
      fix = "give --redis-cert and --redis-key"
    } else {
      fix = "see that Redis runs there and can be reached from this machine"
      return Finding(.bad, .connection, text, fix: fix, course: .wait)
    }
    return Finding(.bad, .connection, text, fix: fix)
  }

  private static func unreachableSentinels(_ text: String) -> Finding {
    if text.contains("does not verify") {
      return Finding(
        .bad, .connection, text,
        fix: "give the authority of the sentinels' certificates as --redis-ca, and in the URL the "
          + "names that stand in these")
    }
    guard text.contains("(NOAUTH)") || text.contains("(WRONGPASS)") || text.contains("(NOPERM)")
    else {
      return Finding(
        .bad, .connection, text,
        fix: "see that sentinels run there and can be reached from this machine", course: .wait)
    }
    return Finding(
      .bad, .connection, text,
      fix: "give the sentinels' login as --sentinel-user and --sentinel-password-file; they need "
        + "+sentinel|master +sentinel|get-master-addr-by-name +subscribe +ping, and their channels")
  }

  // MARK: Version, role and mode

  /// The two first numbers of a version, or nil if it does not begin with a number.
  static func versionNumbers(_ text: String) -> (major: Int, minor: Int)? {
    let parts = text.split(separator: ".")
    guard let major = parts.first.flatMap({ Int($0) }) else { return nil }
    return (major, parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
  }

  static func version(_ seen: Evidence) -> Finding {
    let version = seen.hello["version"] ?? seen.info["redis_version"] ?? ""
    let server = seen.hello["server"] ?? "redis"
    let shown = server == "redis" ? version : "\(version) (\(server))"
    guard let numbers = versionNumbers(version) else {
      return Finding(.warn, .version, "cannot be seen; Latchkey needs Redis 6.2 or newer")
    }
    guard numbers >= (6, 2) else {
      return Finding(.bad, .version, "\(shown) is too old: Latchkey needs 6.2", fix: "use Redis 7")
    }
    guard numbers.major >= 7 else {
      return Finding(
        .warn, .version, "\(shown) works; from 7 on a full Redis refuses a script before it begins",
        fix: "use Redis 7")
    }
    return Finding(.ok, .version, shown)
  }

  static func role(_ seen: Evidence) -> Finding {
    let role = seen.hello["role"] ?? seen.info["role"] ?? "unknown"
    switch role {
    case "master": return Finding(.ok, .role, "master")
    case "replica", "slave":
      let master = seen.info["master_host"].map { " of \($0):\(seen.info["master_port"] ?? "")" }
      return Finding(
        .bad, .role, "a replica\(master ?? ""): it takes no writes, and lags behind",
        fix: "give --redis the URL of the master", course: .wait)
    default:
      return Finding(
        .bad, .role, "\(role), not a master", fix: "give --redis a master", course: .wait)
    }
  }

  static func mode(_ seen: Evidence) -> Finding {
    let mode = seen.hello["mode"] ?? seen.info["redis_mode"] ?? "unknown"
    if seen.isCluster { return cluster(seen.cluster) }
    if mode == "sentinel" {
      return Finding(
        .bad, .mode, UnfitServer.sentinel,
        fix: "give --redis redis-sentinel://HOST:26379,HOST:26379/NAME")
    }
    return seen.sentinels.map(sentinels) ?? Finding(.ok, .mode, mode)
  }

  /// The state of the sentinels that were asked for the master.
  private static func sentinels(_ report: SentinelReport) -> Finding {
    let count = report.sentinels.count
    let master = report.master.map { "\($0)" } ?? "none"
    var quorum: Int64 = 0
    var others: [String] = []
    for sentinel in report.sentinels {
      switch sentinel.state {
      case .names(let answer, let needed):
        quorum = max(quorum, needed)
        if answer.address != report.master { others.append("\(sentinel.address)") }
      case .unknown, .away, .knowsNoSuchMaster: continue
      }
    }
    let text = "sentinel: \(report.answering) of \(count) answer, and name \(master)"
    if !others.isEmpty {
      return Finding(
        .warn, .mode, "\(text); \(others.joined(separator: ", ")) names another master",
        fix: "see whether that sentinel is cut off from the others (SENTINEL CKQUORUM)")
    }
    guard report.answering == count else {
      return Finding(
        .warn, .mode, text, fix: "see whether the others run, and whether the URL names them right")
    }
    guard count >= 3 else {
      return Finding(
        .warn, .mode,
        "\(text); with fewer than three in the URL a worker may find none after a loss",
        fix: "run three sentinels at least, and name all of them in the URL")
    }
    return Finding(.ok, .mode, "\(text) (quorum \(quorum))")
  }

  private static func cluster(_ cluster: ClusterEvidence?) -> Finding {
    guard let cluster else {
      return Finding(.warn, .mode, "a node of a cluster, which was not asked for its slots")
    }
    if let refusal = cluster.refusal {
      return Finding(
        .bad, .mode, "the cluster does not say which node has which slots: \(refusal)",
        fix: "ACL SETUSER NAME +cluster|slots +cluster|myid +cluster|info", course: .wait)
    }
    let text = "cluster: \(cluster.masters) masters, \(cluster.slots) of \(HashSlot.count) slots"
    guard !cluster.ownSlots.isEmpty else {
      return Finding(
        .bad, .mode, "\(text); this node has none of them",
        fix: "give --redis a master that has slots, or redis-cluster:// with several", course: .wait
      )
    }
    guard cluster.slots == HashSlot.count, cluster.state == "ok" else {
      return Finding(
        .warn, .mode, "\(text), state \(cluster.state): some devices are refused",
        fix: "see CLUSTER NODES: bring the nodes back, or give their slots to others")
    }
    return Finding(.ok, .mode, text)
  }

  /// No finding unless the data is being loaded.
  static func loading(_ seen: Evidence) -> Finding? {
    let isLoading =
      seen.info["loading"] == "1" || seen.info["async_loading"] == "1"
      || seen.tried.contains { $0.answer.errorWord == "LOADING" }
    guard isLoading else { return nil }
    let part = seen.info["loading_loaded_perc"].map { ", \($0) % so far" } ?? ""
    let left = seen.info["loading_eta_seconds"].map { ", about \($0) s to go" } ?? ""
    return Finding(
      .bad, .loading, "Redis is still loading its data\(part)\(left)", fix: "wait, and ask again",
      course: .wait)
  }

  // MARK: Database and namespace

  static func namespace(_ seen: Evidence) -> Finding? {
    if let refusal = seen.selected?.errorText {
      let isDenied = seen.selected?.errorWord == "NOPERM"
      return Finding(
        .bad, .namespace, "the database \(seen.database) cannot be selected: \(refusal)",
        fix: isDenied ? "ACL SETUSER \(seen.user) +select" : "name another database in the URL")
    }
    switch seen.layout {
    case .null:
      return Finding(.ok, .namespace, "\(seen.namespace) is not used here yet")
    case .text(Layout.text):
      return Finding(.ok, .namespace, "\(seen.namespace) has \(Layout.words), as it should")
    case .text(let other):
      return Finding(
        .bad, .namespace,
        "\(seen.namespace) was made with \(Layout.words(other)), and this version has "
          + "\(Layout.words)", fix: "use another --namespace, or the version that made this one")
    case .error(let text) where text.hasPrefix("WRONGTYPE"):
      return Finding(
        .bad, .namespace, "\(seen.namespace):partitions is not Latchkey's: it is no text",
        fix: "use another --namespace")
    case .error, .integer, .list, nil:
      // Rights and loading have findings of their own.
      return nil
    }
  }

  // MARK: Writing and scripts

  static func writes(_ seen: Evidence) -> Finding? {
    guard let answer = seen.answer(to: "SET") else { return nil }
    switch answer.errorWord {
    case nil where seen.leftovers:
      return Finding(
        .warn, .writes,
        "keys are written, but the doctor's own could not be removed; they expire "
          + "in \(ProbeKeys.ttlMs / 1_000) s where they have a TTL")
    case nil: return Finding(.ok, .writes, "keys are written, read and removed")
    case "NOPERM", "LOADING", "MOVED", "CLUSTERDOWN": return nil
    case "ERR" where answer.isUnknownCommand: return nil
    default: return refusedWrite(answer.errorText ?? "", .writes, seen)
    }
  }

  static func scripts(_ seen: Evidence) -> Finding? {
    guard let answer = seen.script else { return nil }
    guard let text = answer.errorText else {
      return Finding(.ok, .scripts, "a script runs, writes and reads")
    }
    // A refusal of a plain SET, or of EVAL, has a finding of its own.
    let reported = ["LOADING", "MOVED", "NOPERM", seen.answer(to: "SET")?.errorWord]
    let isReported = reported.contains(answer.errorWord) || text.contains("executing the script")
    if isReported || answer.isUnknownCommand { return nil }
    return refusedWrite(text, .scripts, seen)
  }

  /// The reason why Redis does not write, and the remedy.
  private static func refusedWrite(
    _ error: String, _ check: Finding.Check, _ seen: Evidence
  ) -> Finding {
    let word = String(error.prefix { $0 != " " })
    switch word {
    case "OOM":
      return Finding(
        .bad, check, "Redis is full (OOM) and refuses what needs memory",
        fix: "CONFIG SET maxmemory to more, or remove what is not needed", course: .serve)
    case "READONLY":
      return Finding(
        .bad, check, "Redis takes no writes (READONLY): it is a replica",
        fix: "give --redis the URL of the master", course: .wait)
    case "MISCONF":
      return Finding(
        .bad, check, "Redis cannot write to its disk and refuses all writes (MISCONF)",
        fix: "see Redis' log; give its folder (CONFIG GET dir) space and rights", course: .wait)
    case "NOREPLICAS":
      return Finding(
        .bad, check, "Redis refuses writes while too few replicas follow (NOREPLICAS)",
        fix: "bring the replicas back, or CONFIG SET min-replicas-to-write to fewer",
        course: .wait)
    case "BUSY":
      return Finding(
        .bad, check, "Redis is busy with another script (BUSY)", fix: "SCRIPT KILL", course: .wait)
    default:
      return Finding(.bad, check, "Redis said: \(error)", fix: "see Redis' log", course: .wait)
    }
  }
}
