// Owns: `latchkey doctor` as a function: options in, diagnosis out. Runs on the caller's thread,
// which it keeps for some ten seconds at most.

package import Loop
package import RedisConnection

/// The options of an examination.
package struct DoctorOptions: Sendable {
  package var endpoint: RedisEndpoint
  package var namespace: String
  /// Whether the report is for a program.
  package var isJSON: Bool
  /// The time limit of the examination; the cleanup comes on top.
  var lookingMs: Int64 = 8_000
  /// Whether only those checks are made that can find a Redis unfit: no round trips are timed, and
  /// no notification is awaited.
  package var isBrief = false
  /// The files of TLS, where the endpoint uses it.
  package var tls: TLSClient
  /// The file of the password, which goes before that of the endpoint.
  package var passwordFile: String?
  /// How many replicas have to have a worker's changes.
  package var replicaAcks = 0
  /// The files of keys that are examined too, as workers have them.
  package var jwtKeysFile: String?
  package var ticketKeysFile: String?
  /// The login at the sentinels, where the endpoint has some.
  package var sentinelLogin = SentinelLogin()
  /// The master as a worker's sentinels name it; without it the doctor asks them itself.
  package var master: KnownMaster?

  package init(
    endpoint: RedisEndpoint, namespace: String, isJSON: Bool, lookingMs: Int64 = 8_000,
    isBrief: Bool = false, tls: TLSClient = TLSClient(TLSFiles()), passwordFile: String? = nil
  ) {
    self.endpoint = endpoint
    self.namespace = namespace
    self.isJSON = isJSON
    self.lookingMs = lookingMs
    self.isBrief = isBrief
    self.tls = tls
    self.passwordFile = passwordFile
  }
}

/// Examines a Redis.
package enum Doctor {
  /// Runs all checks and judges them; leaves Redis as it was.
  package static func examine(_ options: DoctorOptions) -> Diagnosis {
    do throws(SystemError) {
      let loop = try EventLoop()
      // The loop has to outlive the timers that are registered with it.
      defer { withExtendedLifetime(loop) {} }
      return Diagnosis(try evidence(loop, options), of: options)
        .adding(KeyFileChecks.findings(options))
    } catch {
      var seen = Evidence(options)
      seen.ending = .unreachable(error.description)
      return Diagnosis(seen).adding(KeyFileChecks.findings(options))
    }
  }

  private static func evidence(
    _ loop: EventLoop, _ options: DoctorOptions
  ) throws(SystemError) -> [Evidence] {
    guard case .sentinel = options.endpoint.topology, options.master == nil else {
      return examined(loop, options)
    }
    var options = options
    let master = try KnownMaster()
    options.master = master
    let report = asked(loop, options, master)
    var seen = Evidence(options)
    seen.ending = .unreachable(report.reason)
    if report.master != nil { seen = examined(loop, options).first ?? seen }
    seen.sentinels = report
    return [seen]
  }

  /// Asks the sentinels until each has answered, or for some seconds.
  private static func asked(
    _ loop: EventLoop, _ options: DoctorOptions, _ master: KnownMaster
  ) -> SentinelReport {
    let setup = Examination.setup(options.endpoint, options)
    let limit = LoopTimer(loop) { loop.stop() }
    limit.set(afterMs: sentinelsMs)
    let watch = SentinelWatch(loop, setup, master) { report in
      if report.isWhole, report.master != nil || report.answering == 0 { loop.stop() }
    }
    defer {
      limit.cancel()
      watch?.stop()
    }
    watch?.start()
    loop.run()
    return watch?.report ?? SentinelReport(name: "", sentinels: [])
  }

  private static let sentinelsMs: Int64 = 2_500

  private static func examined(_ loop: EventLoop, _ options: DoctorOptions) -> [Evidence] {
    let examination = NodesExamination(loop, options) { loop.stop() }
    loop.atTurnEnd { [weak examination] in examination?.flush() }
    examination.start()
    loop.run()
    return examination.seen
  }
}

extension Evidence {
  package init(_ options: DoctorOptions) {
    let endpoint = options.endpoint
    place = endpoint.publicText
    namespace = options.namespace
    database = endpoint.database
    replicaAcks = options.replicaAcks
    hasPassword = endpoint.password != nil || options.passwordFile != nil
    if hasPassword { user = endpoint.user ?? user }
  }
}
