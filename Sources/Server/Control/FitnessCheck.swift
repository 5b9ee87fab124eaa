// Owns: the check whether Redis is fit, by the doctor's own checks: when each examination is made,
// and its verdict. Runs on the main thread.

internal import Doctor
internal import Loop
internal import RedisConnection
internal import SessionModel

/// Examines Redis until it is fit, or until it is known that waiting does not help.
final class FitnessCheck {
  enum Verdict {
    /// No objection; the warnings are of properties that could not be read.
    case fit(warnings: [Finding])
    /// These can pass by themselves: Redis is examined again after a moment.
    case waiting([Finding])
    /// These cannot.
    case unfit([Finding])
  }

  private static let retryMs: ClosedRange<Int64> = 20...1_000

  private let loop: EventLoop
  private let options: DoctorOptions
  /// Whether the server that was examined last is a node of a cluster.
  private(set) var isClusterNode = false
  private let judged: (Verdict) -> Void
  private var examination: NodesExamination?
  private var next: LoopTimer?
  private var isDue = false
  private var waitMs = FitnessCheck.retryMs.lowerBound

  /// `judged` is called after each examination.
  init(
    _ loop: EventLoop, _ setup: RedisSetup, replicaAcks: Int, _ judged: @escaping (Verdict) -> Void
  ) {
    self.loop = loop
    self.judged = judged
    var options = DoctorOptions(
      endpoint: setup.endpoint, namespace: setup.keyspace.namespace, isJSON: false, isBrief: true,
      tls: setup.tls, passwordFile: setup.passwordFile)
    (options.master, options.replicaAcks) = (setup.master, replicaAcks)
    self.options = options
    next = LoopTimer(loop) { [unowned self] in nextFired() }
    loop.atTurnEnd { [weak self] in self?.examination?.flush() }
  }

  /// Examines Redis, after `afterMs`.
  func start(afterMs: Int64 = 0) {
    isDue = true
    next?.set(afterMs: afterMs)
  }

  func stop() {
    isDue = false
    next?.cancel()
    examination?.stop()
  }

  private func nextFired() {
    // The last examination is released here, and not within one of its own calls.
    examination?.stop()
    examination = nil
    guard isDue else { return }
    isDue = false
    examination = NodesExamination(loop, options) { [unowned self] in examined() }
    examination?.start()
  }

  private func examined() {
    guard let seen = examination?.seen else { return }
    let diagnosis = Diagnosis(seen, of: options)
    isClusterNode = seen.contains { $0.isCluster }
    next?.set(afterMs: 0)
    let unfit = diagnosis.findings(.refuse)
    let waiting = diagnosis.findings(.wait)
    if unfit.isEmpty, !waiting.isEmpty {
      start(afterMs: Int64.random(in: waitMs / 2...waitMs))
      waitMs = min(2 * waitMs, FitnessCheck.retryMs.upperBound)
      judged(.waiting(waiting))
      return
    }
    waitMs = FitnessCheck.retryMs.lowerBound
    guard unfit.isEmpty else { return judged(.unfit(unfit)) }
    let isWorthALine: (Finding) -> Bool = { finding in
      finding.level == .warn && finding.check == .eviction
        || finding.level == .bad && finding.check == .replicas
    }
    judged(.fit(warnings: diagnosis.findings.filter(isWorthALine)))
  }
}
