// Owns: the checks of Redis' memory and disk: eviction, and what a crash would lose. Pure
// functions; any thread.

internal import Settings

enum StorageChecks {
  private static let unseen = "cannot be seen: this user may ask neither INFO nor CONFIG"

  // MARK: Memory

  /// Whether Redis may evict Latchkey's keys.
  ///
  /// `volatile-*` is no better than `allkeys-*`: keys with a TTL are the kept replies of
  /// idempotency keys, without which a retry would be applied twice, and the keys whose expiry
  /// announces an abandoned lock.
  static func eviction(_ seen: Evidence) -> Finding {
    guard let policy = seen.setting("maxmemory-policy") else {
      return Finding(.warn, .eviction, unseen, fix: "ACL SETUSER \(seen.user) +info")
    }
    let evicted = seen.number("evicted_keys") ?? 0
    let past = evicted == 0 ? "" : "; \(evicted) keys were thrown away since Redis started"
    if policy == "noeviction" {
      return Finding(
        .ok, .eviction, "maxmemory-policy is noeviction: nothing is thrown away" + past)
    }
    if seen.number("maxmemory") == 0 {
      return Finding(
        .ok, .eviction,
        "maxmemory is 0: nothing is thrown away\(past); with a limit, maxmemory-policy \(policy) "
          + "would be wrong, and noeviction right")
    }
    let what =
      policy.hasPrefix("volatile-")
      ? "Redis may throw away keys with a TTL, such as the memory of request ids, too early"
      : "Redis may throw locks away"
    return Finding(
      .bad, .eviction, "maxmemory-policy is \(policy): \(what)\(past)",
      fix: "CONFIG SET maxmemory-policy noeviction")
  }

  static func memory(_ seen: Evidence) -> Finding? {
    guard let used = seen.number("used_memory") else { return nil }
    let limit = seen.number("maxmemory") ?? 0
    let machine = seen.number("total_system_memory") ?? 0
    guard limit > 0 else {
      let text = "\(size(used)) used, no limit"
      guard machine > 0 else { return Finding(.info, .memory, text) }
      let of = "\(text); its machine has \(size(machine))"
      // In floating point: integers could overflow on nonsense.
      guard Double(used) > 0.8 * Double(machine) else { return Finding(.info, .memory, of) }
      return Finding(.warn, .memory, of, fix: "give Redis more room, or CONFIG SET maxmemory")
    }
    let text = "\(size(used)) used of \(size(limit))"
    guard Double(used) > 0.9 * Double(limit) else { return Finding(.ok, .memory, text) }
    return Finding(
      .warn, .memory, "\(text): when it is full, no lock can be taken",
      fix: "CONFIG SET maxmemory to more")
  }

  /// A size for people.
  static func size(_ bytes: Int64) -> String {
    let units: [(name: String, shift: Int64)] = [("GiB", 30), ("MiB", 20), ("KiB", 10)]
    guard let unit = units.first(where: { bytes >= 1 << $0.shift }) else { return "\(bytes) bytes" }
    let whole = bytes >> unit.shift
    let tenths = ((bytes - (whole << unit.shift)) * 10) >> unit.shift
    return "\(whole).\(tenths) \(unit.name)"
  }

  // MARK: Disk

  static func persistence(_ seen: Evidence) -> [Finding] {
    guard let appendOnly = seen.setting("appendonly") else {
      return [Finding(.warn, .persistence, unseen, fix: "ACL SETUSER \(seen.user) +info")]
    }
    let isLogged = appendOnly == "yes"
    let first = isLogged ? appendOnlyFile(seen) : snapshots(seen)
    return [first] + failures(seen, isLogged: isLogged)
  }

  private static func appendOnlyFile(_ seen: Evidence) -> Finding {
    switch seen.setting("appendfsync") {
    case "always":
      Finding(.ok, .persistence, "append-only file, on the disk before each reply")
    case "everysec":
      Finding(
        .ok, .persistence,
        "append-only file, on the disk once a second: a crash of its machine "
          + "can lose the last two seconds")
    case let other?:
      Finding(
        .warn, .persistence,
        "append-only file, on the disk when the system likes (appendfsync "
          + "\(other)): a crash of its machine can lose half a minute",
        fix: "CONFIG SET appendfsync everysec")
    case nil:
      Finding(.ok, .persistence, "append-only file; appendfsync cannot be seen without CONFIG")
    }
  }

  private static func snapshots(_ seen: Evidence) -> Finding {
    let text: String
    switch seen.setting("save") {
    case ""?: text = "nothing goes to the disk: a crash or a restart of Redis loses everything"
    case let rules?:
      let seconds = rules.split(separator: " ").enumerated().filter { $0.offset.isMultiple(of: 2) }
        .compactMap { Int64($0.element) }
      let longest = SettingText.duration(ms: (seconds.max() ?? 0) * 1_000)
      text = "no append-only file: a crash of Redis loses up to \(longest) (save \(rules))"
    case nil: text = "no append-only file: a crash of Redis loses what came after its last save"
    }
    return Finding(.warn, .persistence, text, fix: "CONFIG SET appendonly yes")
  }

  /// The latest saves that failed.
  private static func failures(_ seen: Evidence, isLogged: Bool) -> [Finding] {
    var found: [Finding] = []
    let disk = "see Redis' log; give its folder (CONFIG GET dir) space and rights"
    if isLogged, seen.info["aof_last_write_status"] == "err" {
      found.append(
        Finding(
          .bad, .persistence, "Redis could not write its append-only file", fix: disk,
          course: .serve))
    }
    if isLogged, seen.info["aof_last_bgrewrite_status"] == "err" {
      found.append(
        Finding(
          .warn, .persistence, "Redis could not shorten its append-only file, which grows",
          fix: disk))
    }
    if seen.info["rdb_last_bgsave_status"] == "err" {
      let stops = seen.answer(to: "SET")?.errorWord == "MISCONF"
      let more = stops ? ", and Redis refuses writes for it (stop-writes-on-bgsave-error)" : ""
      found.append(
        Finding(
          stops ? .bad : .warn, .persistence, "the last save to the disk failed\(more)",
          fix: disk, course: .wait))
    }
    return found
  }

  // MARK: Replicas

  static func replicas(_ seen: Evidence) -> Finding? {
    guard let count = seen.number("connected_slaves") else { return missingAcks(seen, nil) }
    if let finding = missingAcks(seen, count) { return finding }
    var text = count == 0 ? "none" : count == 1 ? "one follows" : "\(count) follow"
    if count > 0, seen.replicaAcks == 0 {
      text += "; a failover to one can lose the newest writes"
    } else if count > 0 {
      text += "; a change is OK when \(seen.replicaAcks) of them have it (--replica-acks)"
    }
    let least = seen.number("min-replicas-to-write") ?? 0
    if least > 0 {
      text += "; with fewer than \(least) in good state, writes are refused"
      if let good = seen.number("min_slaves_good_slaves") { text += " (now \(good))" }
    }
    return advice(seen, text, count: count, least: least) ?? Finding(.info, .replicas, text)
  }

  /// Without replicas enough no change is OK.
  ///
  /// Of a replica another finding says enough: no change goes there, and it refuses WAIT.
  private static func missingAcks(_ seen: Evidence, _ count: Int64?) -> Finding? {
    guard seen.replicaAcks > 0, !seen.isReplica else { return nil }
    if seen.answer(to: "WAIT")?.errorText != nil {
      return Finding(
        .bad, .replicas, "--replica-acks \(seen.replicaAcks): WAIT cannot be asked",
        fix: "ACL SETUSER \(seen.user) +wait", course: .serve)
    }
    guard let count, count < seen.replicaAcks else { return nil }
    return Finding(
      .bad, .replicas,
      "--replica-acks \(seen.replicaAcks), and \(count) follow: every change is "
        + "ERR unknown_outcome", fix: "bring the replicas back, or ask for fewer", course: .serve)
  }

  /// What a Redis with a failover should have.
  private static func advice(
    _ seen: Evidence, _ text: String, count: Int64, least: Int64
  ) -> Finding? {
    let hasFailover = seen.sentinels != nil || seen.isCluster
    guard hasFailover || seen.replicaAcks > 0, !seen.isReplica else { return nil }
    guard count > 0 else {
      // A cluster for more throughput, without replicas, is a choice.
      guard !seen.isCluster else {
        return Finding(
          .info, .replicas, "\(text): while a master is away, its devices are unavailable")
      }
      return Finding(
        .warn, .replicas, "\(text): there is no server for the sentinels to promote",
        fix: "start a replica")
    }
    guard seen.setting("appendonly") != "no" || seen.setting("save") != "" else {
      return Finding(
        .warn, .replicas,
        "\(text); a master that restarts before a failover is empty, and empties its replicas",
        fix: "CONFIG SET appendonly yes, on all of them")
    }
    // A master that a cluster has cut off stops by itself, after cluster-node-timeout.
    guard !seen.isCluster else { return nil }
    // Without the right to CONFIG it cannot be seen.
    guard least == 0, seen.config["min-replicas-to-write"] != nil else { return nil }
    return Finding(
      .warn, .replicas, "\(text); a master that is cut off goes on taking writes, which are lost",
      fix: "CONFIG SET min-replicas-to-write \(max(1, seen.replicaAcks)) and "
        + "min-replicas-max-lag 10, on all of them")
  }
}
