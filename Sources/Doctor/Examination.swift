// Owns: one examination of a Redis: the questions, their order, and the cleanup of what was
// written. It looks at an answer as far as the next question depends on it; findings are made of
// the evidence elsewhere. Runs on its loop's thread.

package import Loop
package import RedisConnection
internal import Scripts
internal import SessionModel

/// Examines Redis, step by step, until all is known or the time is up.
package final class Examination: RedisConnectionOwner {
  private enum Phase {
    case connecting
    case looking
    /// The doctor's keys are being removed, on a new connection if need be.
    case cleaning
    case over
  }

  /// The message that the subscribed connection waits for.
  private enum Awaited {
    case subscription
    case patternSubscription
    case announcement
  }

  // MARK: Constants
  private let loop: EventLoop
  private let setup: RedisSetup
  private var keys: ProbeKeys
  private let namespace: String
  private let run: String
  private let lookingMs: Int64
  private let isBrief: Bool
  private let ended: () -> Void
  private static let cleaningMs: Int64 = 1_500
  private static let roundTrips = 20
  /// Slow Redises get fewer PINGs, so that there is time for the rest.
  private static let pingingMs: Int64 = 2_000
  private static let endingKeyMs: Int64 = 20
  private static let silenceMs: Int64 = 2_000

  // MARK: The loop's thread
  package private(set) var seen: Evidence
  private var phase = Phase.connecting
  private var redis: RedisConnection?
  private var subscriber: RedisConnection?
  private var awaited = Awaited.subscription
  private var isSubscribed = false
  private var hasWritten = false
  private var limit: LoopTimer?
  private var keyHasEnded: LoopTimer?
  private var silence: LoopTimer?

  /// `ended` is called once, when all is known that will be.
  package init(_ loop: EventLoop, _ options: DoctorOptions, ended: @escaping () -> Void) {
    self.loop = loop
    self.ended = ended
    isBrief = options.isBrief
    // SELECT is sent here, so that its refusal can be distinguished from a failed login.
    var endpoint = options.endpoint
    endpoint.database = 0
    setup = Examination.setup(endpoint, options)
    lookingMs = options.lookingMs
    run = String(UInt64.random(in: .min ... .max), radix: 36)
    namespace = options.namespace
    keys = ProbeKeys(namespace: options.namespace, run: run)
    seen = Evidence(options)
    limit = LoopTimer(loop) { [unowned self] in timeIsUp() }
    keyHasEnded = LoopTimer(loop) { [unowned self] in touchEndedKey() }
    silence = LoopTimer(loop) { [unowned self] in
      seen.announcement = .silent(waitedMs: Examination.silenceMs)
      cleanUp()
    }
    redis = RedisConnection(loop, setup, owner: self)
  }

  static func setup(_ endpoint: RedisEndpoint, _ options: DoctorOptions) -> RedisSetup {
    var setup = RedisSetup(
      endpoint: endpoint, keyspace: Keyspace(namespace: options.namespace),
      constants: ScriptConstants(reqKeepMs: 0, eventsMax: 0), requestTimeoutMs: options.lookingMs,
      tls: options.tls)
    setup.passwordFile = options.passwordFile
    (setup.sentinelLogin, setup.master) = (options.sentinelLogin, options.master)
    setup.loadsScripts = false
    setup.takesAnyServer = true
    return setup
  }

  /// Begins; `ended` is called when the examination is over.
  package func start() {
    limit?.set(afterMs: lookingMs)
    redis?.start()
  }

  /// Sends the commands that are queued; call it at the end of each turn of the loop.
  package func flush() {
    redis?.flush()
    subscriber?.flush()
  }

  /// Ends at once, without `ended`; the doctor's keys expire by themselves.
  package func stop() {
    phase = .over
    limit?.cancel()
    subscriber?.stop()
    redis?.stop()
  }

  // MARK: Connections

  package func redisServes(_ redis: RedisConnection) {
    if redis === subscriber {
      listen()
      return
    }
    switch phase {
    case .connecting:
      phase = .looking
      introduce()
    case .cleaning: removeKeys()
    case .looking, .over: break
    }
  }

  package func redisFailed(_ redis: RedisConnection, reason: String) {
    if redis === subscriber {
      // All results stay; notifications are not worth a second try.
      if phase == .looking { cleanUp() }
      return
    }
    switch phase {
    case .connecting:
      seen.ending = .unreachable(withoutPassword(reason))
      finish()
    case .looking:
      seen.ending = .lost(reason)
      // The connection reconnects by itself, and then the keys are removed.
      cleanUp()
    case .cleaning, .over: break
    }
  }

  /// A proxy before Redis may answer a login by repeating it.
  private func withoutPassword(_ reason: String) -> String {
    guard let password = setup.endpoint.password, !password.isEmpty,
      reason.hasPrefix("Redis said:"), reason.contains(password)
    else { return reason }
    return "the login was refused, in words that repeat the password"
  }

  package func redisRefused(_ redis: RedisConnection, reason: String) {
    if redis === subscriber { return }
    seen.ending = .unusable(reason)
    finish()
  }

  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}

  // MARK: Asking

  /// Sends all commands in one write and continues when the last of them is answered.
  ///
  /// If the connection fails on the way `then` is not called: `redisFailed` is.
  private func ask(_ commands: [[String]], _ then: @escaping ([Answer]) -> Void) {
    var answers: [Answer] = []
    for command in commands {
      redis?.call(timeoutMs: lookingMs + Examination.cleaningMs) { out in
        out.begin(words: command.count)
        for word in command { out.word(word) }
      } _: { result in
        guard case .success(let reply) = result else { return }
        answers.append(Answer(reply))
        if answers.count == commands.count { then(answers) }
      }
    }
  }

  /// Continues unless the time is up.
  private func look(_ commands: [[String]], _ then: @escaping ([Answer]) -> Void) {
    ask(commands) { [unowned self] answers in
      if phase == .looking { then(answers) }
    }
  }

  private func tryOut(_ probes: [Probe], _ words: (Probe) -> [String], then: @escaping () -> Void) {
    look(probes.map(words)) { [unowned self] answers in
      for (probe, answer) in zip(probes, answers) {
        seen.tried.append(Evidence.Tried(probe: probe, answer: answer))
      }
      then()
    }
  }
}

// MARK: Looking

extension Examination {
  private static let settings = [
    "maxmemory", "maxmemory-policy", "notify-keyspace-events", "appendonly", "appendfsync", "save",
    "stop-writes-on-bgsave-error", "min-replicas-to-write",
  ]

  /// Asks for the server's identity, and for each setting by itself: Redis 6.2 takes one name at a
  /// time.
  private func introduce() {
    let sentMs = WallTime.nowMs()
    let select = seen.database == 0 ? ["PING"] : ["SELECT", "\(seen.database)"]
    let settings = Examination.settings.map { ["CONFIG", "GET", $0] }
    let first = [["HELLO", "2"], select, ["TIME"], ["INFO"], ["GET", keys.layout]]
    look(first + settings) { [unowned self] answers in
      seen.hello = answers[0].pairs
      if seen.database != 0 { seen.selected = answers[1] }
      noteClock(answers[2], sentMs: sentMs)
      seen.info = answers[3].infoFields
      if seen.info.isEmpty { seen.unanswered.append("INFO") }
      seen.layout = answers[4]
      for answer in answers[5...] { seen.config.merge(answer.pairs) { $1 } }
      if seen.config.isEmpty { seen.unanswered.append("CONFIG GET") }
      if seen.selected?.errorText != nil { return finish() }
      if seen.isCluster { findSlots() } else { tryRemovers() }
    }
  }

  /// Of a cluster a node takes the keys of its own slots only.
  private func findSlots() {
    look(Probe.cluster.map(\.words)) { [unowned self] answers in
      let asked = setup.endpoint.address ?? .tcp(host: "", port: 0)
      let cluster = ClusterEvidence(
        id: answers[1].word ?? "", slots: answers[0], info: answers[2].infoFields, asked: asked)
      seen.cluster = cluster
      if seen.isReplica { return tryRights() }
      guard let tag = cluster.tag(of: "doctor") else { return finish() }
      keys = ProbeKeys(namespace: namespace, run: run, tag: tag)
      tryRemovers()
    }
  }

  /// Of a replica only the rights are found out, which may be others than its master's: it refuses
  /// everything else, and makes no key.
  private func tryRights() {
    let probes =
      Probe.removers(keys) + Probe.others(keys, endsAtMs: 0)
      + (redisMajor >= 7 ? Probe.functions : [])
    look(probes.map(\.words)) { [unowned self] answers in
      for (probe, answer) in zip(probes, answers) {
        let isDenied = answer.errorWord == "NOPERM" || answer.isUnknownCommand
        seen.tried.append(
          Evidence.Tried(probe: probe, answer: isDenied ? answer : .text("not done")))
      }
      finish()
    }
  }

  /// Redis read its clock at some moment between the two of ours.
  private func noteClock(_ time: Answer, sentMs: Int64) {
    let parts = time.list.compactMap { $0.word.flatMap { Int64($0) } }
    guard parts.count == 2 else { return }
    let theirs = parts[0] * 1_000 + parts[1] / 1_000
    let receivedMs = WallTime.nowMs()
    if theirs < sentMs {
      seen.clockAheadMs = theirs - sentMs
    } else {
      seen.clockAheadMs = max(0, theirs - receivedMs)
    }
  }

  private func tryRemovers() {
    hasWritten = true
    tryOut(Probe.removers(keys)) {
      $0.words
    } then: { [unowned self] in
      tryOthers()
    }
  }

  private func tryOthers() {
    let endsAtMs = WallTime.nowMs() + (seen.clockAheadMs ?? 0) + ProbeKeys.ttlMs
    // A user that may neither remove a key nor overwrite it creates none.
    let canRemove = seen.tried.contains { $0.answer.errorWord != "NOPERM" }
    tryOut(Probe.others(keys, endsAtMs: endsAtMs)) { probe in
      canRemove ? probe.words : probe.harmless ?? probe.words
    } then: { [unowned self] in
      tryFunctions()
    }
  }

  private var redisMajor: Int {
    ServerChecks.versionNumbers(seen.hello["version"] ?? "")?.major ?? 0
  }

  private func tryFunctions() {
    guard redisMajor >= 7 else { return tryScript() }
    tryOut(Probe.functions) {
      $0.words
    } then: { [unowned self] in
      tryScript()
    }
  }

  private func tryScript() {
    let major = redisMajor
    look([Probe.writingScript(keys, redisMajor: major)]) { [unowned self] answers in
      seen.script = answers[0]
      guard !isBrief else { return cleanUp() }
      ping(untilMs: MonotonicTime.nowMs() + Examination.pingingMs)
    }
  }

  private func ping(untilMs: Int64) {
    guard seen.roundTripsUs.count < Examination.roundTrips, MonotonicTime.nowMs() < untilMs else {
      sampleValues()
      return
    }
    let beganNs = MonotonicTime.nowNs()
    look([["PING"]]) { [unowned self] _ in
      seen.roundTripsUs.append((MonotonicTime.nowNs() - beganNs) / 1_000)
      ping(untilMs: untilMs)
    }
  }
}

// MARK: Values

extension Examination {
  /// Reads some sessions; a node of a cluster has those of its own slots, and refuses others.
  private func sampleValues() {
    look(SealingSample.lists(namespace)) { [unowned self] answers in
      let reads = SealingSample.reads(namespace, answers)
      guard !reads.isEmpty else { return lookAtHooks() }
      look(reads) { [unowned self] answers in
        seen.sealing.take(answers)
        lookAtHooks()
      }
    }
  }

  private func lookAtHooks() {
    look(HookSample.reads(namespace)) { [unowned self] answers in
      seen.hooks.take(answers)
      openSubscriber()
    }
  }
}

// MARK: Listening

extension Examination {
  private func openSubscriber() {
    let subscriber = RedisConnection(loop, setup, owner: self)
    subscriber.pushReceived = { [unowned self] in received($0) }
    self.subscriber = subscriber
    subscriber.start()
  }

  private func listen() {
    guard phase == .looking else { return }
    awaited = .subscription
    post(Probe.subscribe(database: seen.database))
  }

  private func post(_ probe: Probe) {
    subscriber?.post { out in
      out.begin(words: probe.words.count)
      for word in probe.words { out.word(word) }
    }
  }

  private func received(_ reply: RedisReply) {
    guard phase == .looking else { return }
    let answer = Answer(reply)
    // Announcements of other keys may come at any time, also before the next subscription.
    let kind = answer.list.first?.word
    if kind == "message" || kind == "pmessage" {
      if answer.list.last?.word == keys.ending { announced() }
      return
    }
    switch awaited {
    case .subscription:
      isSubscribed = answer.errorText == nil
      seen.tried.append(.init(probe: Probe.subscribe(database: seen.database), answer: answer))
      awaited = .patternSubscription
      post(Probe.patternSubscribe(database: seen.database))
    case .patternSubscription:
      let probe = Probe.patternSubscribe(database: seen.database)
      seen.tried.append(.init(probe: probe, answer: answer))
      awaited = .announcement
      if isSubscribed || answer.errorText == nil { letKeyEnd() } else { cleanUp() }
    case .announcement: break
    }
  }

  /// Lets a key of our own expire, unless notifications are known to be off.
  private func letKeyEnd() {
    let flags = seen.setting("notify-keyspace-events")
    guard flags.map(TimingChecks.announcesExpiry) ?? true else {
      cleanUp()
      return
    }
    look([["SET", keys.ending, "1", "PX", "\(Examination.endingKeyMs)"]]) {
      [unowned self] answers in
      guard answers[0].errorText == nil else {
        cleanUp()
        return
      }
      keyHasEnded?.set(afterMs: 2 * Examination.endingKeyMs)
    }
  }

  /// Any access to a key that is due has Redis remove and announce it at once.
  private func touchEndedKey() {
    guard phase == .looking else { return }
    silence?.set(afterMs: Examination.silenceMs)
    look([["GET", keys.ending], ["PTTL", keys.ending]]) { _ in }
  }

  private func announced() {
    seen.announcement = .received
    cleanUp()
  }
}

// MARK: Ending

extension Examination {
  private func timeIsUp() {
    switch phase {
    case .connecting:
      seen.ending = .unreachable("no connection within \(lookingMs / 1_000) s")
      finish()
    case .looking:
      seen.ending = .tooSlow(limitMs: lookingMs)
      cleanUp()
    case .cleaning:
      seen.leftovers = hasWritten
      finish()
    case .over: break
    }
  }

  /// Ends the examination; a lost connection has the time of one phase to come back.
  private func cleanUp() {
    guard phase == .looking else { return }
    phase = .cleaning
    keyHasEnded?.cancel()
    silence?.cancel()
    subscriber?.stop()
    guard hasWritten else {
      finish()
      return
    }
    limit?.set(afterMs: Examination.cleaningMs)
    if redis?.isReady == true { removeKeys() }
  }

  private func removeKeys() {
    let select = seen.database == 0 ? [] : [["SELECT", "\(seen.database)"]]
    ask(select + [["DEL"] + keys.written]) { [unowned self] answers in
      guard answers.last?.errorText != nil else {
        finish()
        return
      }
      // A user that may not remove a key may overwrite it with one that expires at once.
      ask(keys.written.map { ["SET", $0, "", "PX", "1"] }) { [unowned self] answers in
        seen.leftovers = answers.contains { $0.errorText != nil }
        finish()
      }
    }
  }

  private func finish() {
    guard phase != .over else { return }
    stop()
    ended()
  }
}
