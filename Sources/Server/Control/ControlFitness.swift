// Owns: the reaction to a Redis that is not fit: the worker does not start, waits, or is not ready.
// Runs on the main thread.

internal import Doctor
internal import Loop
internal import RedisConnection
internal import Service
internal import Settings
internal import Store

extension Control {
  private static let unfitAgainMs: Int64 = 1_000
  /// How often a running worker looks whether Redis may evict keys.
  private static let policyCheckMs: Int64 = 5_000

  /// Examines Redis; the loops connect to it once it is fit.
  func startChecking() {
    fitness = FitnessCheck(loop, setup, replicaAcks: settings.replicaAcks) { [unowned self] in
      judged($0)
    }
    fitness?.start()
  }

  /// Looks at the eviction policy from now on: it can be changed while Redis runs, and then held
  /// locks are given away.
  func watchPolicy() {
    policyCheck = policyCheck ?? LoopTimer(loop) { [unowned self] in checkPolicy() }
    policyCheck?.set(afterMs: Control.policyCheckMs)
  }

  private func checkPolicy() {
    policyCheck?.set(afterMs: Control.policyCheckMs)
    guard unfitness == nil, !shared.isDraining else { return }
    // Without the right to INFO there is an error, and the log has said so at the start.
    askRedis(["INFO", "memory"]) { [unowned self] result in
      guard case .success(let reply) = result, reply.kind == .text else { return }
      if MemoryPolicy(info: reply.text).mayEvict { checkAgain() }
    }
  }

  /// A new connection may lead to another Redis, or to another configuration.
  func checkAgain() { fitness?.start() }

  private func judged(_ verdict: FitnessCheck.Verdict) {
    switch verdict {
    case .fit(let warnings):
      for finding in warnings {
        log.repeated(
          .warn, "redis may not be fit", cause: finding.check.rawValue, finding.logFields)
      }
      if unfitness != nil { log.info("redis is fit again") }
      unfitness = nil
      guard !isConnected else { return }
      if fitness?.isClusterNode == true, let address = setup.endpoint.address {
        setup.endpoint.topology = .cluster([address])
      }
      connect()
    case .waiting(let findings): waits(for: findings)
    case .unfit(let findings): refuse(findings)
    }
  }

  /// Logs what a worker that has not served yet waits for, once per cause.
  private func waits(for findings: [Finding]) {
    let causes = findings.map(\.text)
    // A Redis that was just started beside this worker may take a moment.
    let isStarting = MonotonicTime.nowMs() - shared.startedAtMs < 1_000
    guard !isConnected, causes != waitingFor, !isStarting || findings[0].check != .connection else {
      return
    }
    waitingFor = causes
    for finding in findings {
      log.repeated(.warn, "waiting for redis", cause: finding.check.rawValue, finding.logFields)
    }
  }

  private func refuse(_ findings: [Finding]) {
    guard isConnected else {
      for finding in findings { log.error("cannot serve from this redis", finding.logFields) }
      exitStatus = 1
      stopServing()
      return
    }
    // Balancers avoid this worker by /readyz; callers that still come are served.
    if unfitness != findings[0].text {
      for finding in findings {
        log.repeated(
          .error, "redis is not fit any more", cause: finding.check.rawValue, finding.logFields)
      }
    }
    unfitness = findings[0].text
    fitness?.start(afterMs: Control.unfitAgainMs)
  }
}

extension Finding {
  fileprivate var logFields: KeyValuePairs<String, String> {
    ["check": check.rawValue, "error": text, "fix": fix ?? ""]
  }
}

extension Control {
  /// Lets Redis announce expired keys, in addition to what it announces already.
  func configureRedis() {
    guard settings.configureRedis else { return }
    for node in store?.nodes ?? [] { configure(node) }
  }

  private func configure(_ node: ControlNode) {
    let flag = "notify-keyspace-events"
    store?.command(["CONFIG", "GET", flag], at: node) { [unowned self] result in
      guard case .success(let reply) = result, reply.count == 2 else {
        log.repeated(.warn, "--configure-redis: CONFIG GET is not possible on this redis")
        return
      }
      let now = reply[1].text
      let covers: (Character) -> Bool = { now.contains($0) || ($0 == "x" && now.contains("A")) }
      let wanted = now + "Ex".filter { !covers($0) }
      guard wanted != now else { return }
      store?.command(["CONFIG", "SET", flag, wanted], at: node) { [unowned self] result in
        if case .success(let reply) = result, reply.kind != .error {
          log.info("keyspace notifications have been turned on", ["flags": wanted])
        } else {
          log.repeated(.warn, "--configure-redis: CONFIG SET is not possible on this redis")
        }
      }
    }
  }
}
