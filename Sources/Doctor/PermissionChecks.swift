// Owns: the judgement of the user's rights by the answers to the probes, and the ACL rules that
// give the missing ones. Pure functions; any thread.

internal import RedisConnection

enum PermissionChecks {
  /// The object of a denial.
  enum Denial: Equatable {
    /// The command itself.
    case command
    /// The key that the command touches.
    case key
    /// The channel that the user subscribes to.
    case channel

    /// Reads a NOPERM of Redis 6.2 to 7.4; nil for any other error.
    init?(_ error: String) {
      guard error.hasPrefix("NOPERM") else { return nil }
      if error.contains("run the") {
        self = .command
      } else if error.contains("channel") {
        self = .channel
      } else if error.contains("key") {
        self = .key
      } else {
        self = .command
      }
    }
  }

  static func permissions(_ seen: Evidence) -> [Finding] {
    guard !seen.tried.isEmpty else { return [] }
    let unknown = unique(
      seen.tried.filter { $0.answer.isUnknownCommand && !$0.probe.isOfFunctions })
    let needed = unique(seen.tried.filter { denial($0) == .command && !$0.probe.isOptional })
    var found = [
      commands(seen, needed), keys(seen), channels(seen), unknownCommands(unknown), functions(seen),
      subscribing(seen), configuration(seen),
    ].compactMap(\.self)
    let isSettled = found.contains { $0.level == .bad } || seen.ending != .whole
    guard !isSettled else { return found }
    // Failures that follow from another denial would only confuse.
    let surprises = surprises(seen)
    guard surprises.isEmpty else { return surprises + found }
    let count = Set(seen.tried.filter { !$0.probe.isOptional }.map(\.probe.name)).count
    let text =
      "user \(seen.user) may use all \(count) commands that Latchkey needs, on "
      + "\(seen.namespace):*"
    found.insert(Finding(.ok, .permissions, text), at: 0)
    return found
  }

  /// Commands that failed on a Redis that takes writes and denies nothing; a proxy may do that.
  private static func surprises(_ seen: Evidence) -> [Finding] {
    guard seen.answer(to: "SET").map({ $0.errorText == nil }) == true else { return [] }
    return seen.tried.compactMap { tried in
      guard let text = tried.answer.errorText, denial(tried) == nil, !tried.probe.isOfFunctions
      else { return nil }
      return Finding(
        tried.probe.isOptional ? .warn : .bad, .permissions,
        "\(tried.probe.name) does not work: \(text)",
        fix: "see whether a proxy, or something that is not quite Redis, stands there",
        course: isPassing(text) ? .wait : .refuse)
    }
  }

  /// Whether the error is of a state that Redis can leave by itself.
  private static func isPassing(_ error: String) -> Bool { StoreError(error).refusal != nil }

  private static func denial(_ tried: Evidence.Tried) -> Denial? {
    tried.answer.errorText.flatMap { Denial($0) }
  }

  /// Each probe once, though several may stand for one command.
  private static func unique(_ tried: [Evidence.Tried]) -> [Probe] {
    var seen: Set<String> = []
    return tried.map(\.probe).filter { seen.insert($0.name).inserted }
  }

  private static func names(_ probes: [Probe]) -> String {
    probes.map(\.name).joined(separator: ", ")
  }

  private static func commands(_ seen: Evidence, _ denied: [Probe]) -> Finding? {
    guard !denied.isEmpty else { return nil }
    return Finding(
      .bad, .permissions, "user \(seen.user) may not use \(names(denied))",
      fix: "ACL SETUSER \(seen.user) \(denied.map(\.rule).joined(separator: " "))")
  }

  /// Scripts inform workers of the callers that wait there, and of changes.
  private static func channels(_ seen: Evidence) -> Finding? {
    let denied = seen.tried.contains { !$0.probe.isOptional && denial($0) == .channel }
    guard denied else { return nil }
    let channels = "\(seen.namespace):*"
    return Finding(
      .bad, .permissions, "user \(seen.user) may not use the channels \(channels)",
      fix: "ACL SETUSER \(seen.user) &\(channels)")
  }

  private static func keys(_ seen: Evidence) -> Finding? {
    let denied = unique(seen.tried.filter { denial($0) == .key })
    guard !denied.isEmpty || seen.layout?.errorText.flatMap({ Denial($0) }) == .key else {
      return nil
    }
    return Finding(
      .bad, .permissions,
      "user \(seen.user) may not touch all keys that begin with "
        + "\(seen.namespace):", fix: "ACL SETUSER \(seen.user) ~\(seen.namespace):*")
  }

  /// Latchkey works without functions too, by the hashes of scripts.
  private static func functions(_ seen: Evidence) -> Finding? {
    let tried = seen.tried.filter(\.probe.isOfFunctions)
    let cost = "each call goes by hash, which costs Redis up to 3 times as much"
    let denied = unique(tried.filter { denial($0) == .command })
    guard denied.isEmpty else {
      // With the right to call it, functions that another worker has loaded will do.
      let isCalled = !denied.contains { $0.name == "FCALL" || $0.name == "FUNCTION LOAD" }
      return Finding(
        .warn, .permissions,
        "user \(seen.user) may not use \(names(denied)): "
          + (isCalled ? "libraries of earlier versions stay in Redis" : cost),
        fix: "ACL SETUSER \(seen.user) \(denied.map(\.rule).joined(separator: " "))")
    }
    guard let failed = tried.first(where: { $0.answer.errorText != nil }) else { return nil }
    return Finding(
      .warn, .permissions,
      "\(failed.probe.name) does not work: \(failed.answer.errorText ?? ""): \(cost)",
      fix: "see whether a proxy or a service that leaves functions out stands there")
  }

  /// Latchkey works without notifications too, so that their rights are only a warning.
  private static func subscribing(_ seen: Evidence) -> Finding? {
    let optional = seen.tried.filter(\.probe.isOptional)
    let commands = unique(optional.filter { denial($0) == .command })
    let channels = optional.filter { denial($0) == .channel }
    guard !commands.isEmpty || !channels.isEmpty else { return nil }
    let channel = Probe.channel(database: seen.database)
    let rules = commands.map(\.rule) + ["&" + channel]
    let what = commands.isEmpty ? "subscribe to \(channel)" : "use \(names(commands))"
    // Patterns are not needed while the channel itself can be subscribed to.
    let isDeaf = seen.answer(to: "SUBSCRIBE")?.errorText != nil
    let why = isDeaf ? "expired keys are not announced to it" : "SUBSCRIBE does for now"
    return Finding(
      isDeaf ? .warn : .info, .permissions, "user \(seen.user) may not \(what): \(why)",
      fix: "ACL SETUSER \(seen.user) \(rules.joined(separator: " "))")
  }

  private static func unknownCommands(_ unknown: [Probe]) -> Finding? {
    guard !unknown.isEmpty else { return nil }
    return Finding(
      .bad, .permissions, "this Redis does not know \(names(unknown))",
      fix: "look for rename-command in its configuration, or for a proxy before it")
  }

  /// Latchkey never needs CONFIG; without it the doctor sees less.
  private static func configuration(_ seen: Evidence) -> Finding? {
    guard !seen.unanswered.isEmpty else { return nil }
    return Finding(
      .info, .permissions,
      "\(seen.unanswered.joined(separator: " and ")) cannot be asked: Latchkey does not need that, "
        + "but the doctor sees less")
  }
}
