// Owns: the checks of notifications, round trips, clocks and expiry: how soon Latchkey learns of a
// change. Pure functions; any thread.

enum TimingChecks {
  // MARK: Notifications

  /// Whether these flags announce keys that expire.
  static func announcesExpiry(_ flags: String) -> Bool {
    flags.contains("E") && (flags.contains("x") || flags.contains("A"))
  }

  /// The flags that are set, and those that are missing.
  static func completed(_ flags: String) -> String {
    var flags = flags
    if !flags.contains("A"), !flags.contains("x") { flags += "x" }
    if !flags.contains("E") { flags += "E" }
    return flags == "xE" ? "Ex" : flags
  }

  static func notifications(_ seen: Evidence) -> Finding? {
    let without = "deadlines are met without, a little later"
    guard let flags = seen.setting("notify-keyspace-events") else {
      return unseenFlags(seen, without)
    }
    let shown = flags.isEmpty ? "empty" : flags
    guard announcesExpiry(flags) else {
      return Finding(
        .warn, .notifications,
        "notify-keyspace-events is \(shown) and does not announce expired keys: \(without)",
        fix: "CONFIG SET notify-keyspace-events \(completed(flags)), or latchkey serve "
          + "--configure-redis")
    }
    switch seen.announcement {
    case .received:
      return Finding(
        .ok, .notifications, "notify-keyspace-events is \(shown), and an expired key was announced")
    case .notTried:
      return Finding(
        .info, .notifications, "notify-keyspace-events is \(shown); that it works was not seen")
    case .silent(let waitedMs):
      return Finding(
        .warn, .notifications,
        "notify-keyspace-events is \(shown), but an expired key was not announced within "
          + "\(waitedMs / 1_000) s: \(without)", fix: "see whether a proxy stands before Redis")
    }
  }

  private static func unseenFlags(_ seen: Evidence, _ without: String) -> Finding {
    let unseen = "notify-keyspace-events cannot be seen (CONFIG GET is refused)"
    switch seen.announcement {
    case .received:
      return Finding(.ok, .notifications, "\(unseen), but an expired key was announced")
    case .notTried:
      return Finding(.info, .notifications, "\(unseen), and no key could be watched expiring")
    case .silent(let waitedMs):
      return Finding(
        .warn, .notifications,
        "\(unseen), and an expired key was not announced within \(waitedMs / 1_000) s: \(without)",
        fix: "CONFIG SET notify-keyspace-events Ex, by a user with the right to")
    }
  }

  // MARK: Round trips and clocks

  static func latency(_ seen: Evidence) -> Finding? {
    let sorted = seen.roundTripsUs.sorted()
    guard let worst = sorted.last else { return nil }
    let median = sorted[sorted.count / 2]
    let text =
      "a round trip takes \(milliseconds(median)), the worst of \(sorted.count) took "
      + milliseconds(worst)
    // A long median slows every request; a long worst one comes near a request's time limit.
    guard median > 5_000 || worst > 100_000 else { return Finding(.ok, .latency, text) }
    return Finding(
      .warn, .latency, text, fix: "run workers near Redis; look at SLOWLOG GET and LATENCY DOCTOR")
  }

  /// Microseconds as milliseconds with two decimals.
  static func milliseconds(_ us: Int64) -> String {
    let hundredths = String(1_000 + us % 1_000).dropFirst().prefix(2)
    return "\(us / 1_000).\(hundredths) ms"
  }

  static func clock(_ seen: Evidence) -> Finding? {
    guard let ahead = seen.clockAheadMs else { return nil }
    let way = ahead < 0 ? "behind" : "ahead of"
    let text =
      ahead == 0
      ? "Redis' clock agrees with this machine's"
      : "Redis' clock is \(ahead.magnitude) ms \(way) this machine's"
    guard ahead.magnitude > 1_000 else { return Finding(.info, .clock, text) }
    return Finding(
      .warn, .clock, "\(text): deadlines go by Redis' clock, and logs by this one",
      fix: "have both machines set their clocks by NTP")
  }

  // MARK: Expiry

  /// How busy Redis is with removing keys; only to know.
  static func expiry(_ seen: Evidence) -> Finding? {
    guard let hz = seen.info["hz"] else { return nil }
    var text = "hz \(hz)"
    let database = seen.info["db\(seen.database)"] ?? ""
    let expires = database.split(separator: ",").first { $0.hasPrefix("expires=") }
    text += ", \(expires?.dropFirst(8) ?? "0") keys with a TTL"
    if let stale = seen.info["expired_stale_perc"] { text += ", \(stale) % of them overdue" }
    return Finding(.info, .expiry, text)
  }
}
