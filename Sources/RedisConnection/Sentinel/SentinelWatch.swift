// Owns: the watch over a sentinel set: asks all of its sentinels which server is the master, again
// and again and whenever one of them says that something happened, and publishes what counts.
// Runs on one loop of the process.

package import Loop

/// The state of a sentinel set, for logs and for the doctor.
package struct SentinelReport: Equatable, Sendable {
  /// One sentinel.
  package struct Sentinel: Equatable, Sendable {
    package var address: Address
    package var state: SentinelState

    package init(_ address: Address, _ state: SentinelState) {
      self.address = address
      self.state = state
    }
  }

  /// The name by which they know the master.
  package var name: String
  package var sentinels: [Sentinel]
  /// The master that counts.
  package var master: Address?

  package init(name: String, sentinels: [Sentinel], master: Address? = nil) {
    self.name = name
    self.sentinels = sentinels
    self.master = master
  }

  /// How many of them name a master.
  package var answering: Int {
    sentinels.count { if case .names = $0.state { true } else { false } }
  }

  /// Whether each of them has answered, or cannot be asked.
  package var isWhole: Bool { !sentinels.contains { $0.state == .unknown } }

  /// How many answer, and watch no master of that name.
  private var ignorant: Int { sentinels.count { $0.state == .knowsNoSuchMaster } }

  /// Whether the name is not that of a master: most sentinels say so, and none names one.
  package var isUnknownName: Bool { answering == 0 && 2 * ignorant > sentinels.count }

  /// Why no master is known.
  package var reason: String {
    guard isWhole else { return "no sentinel has answered yet" }
    if isUnknownName { return "\(SentinelReport.unknownName) \(name)" }
    for sentinel in sentinels {
      if case .away(let reason) = sentinel.state {
        return "\(SentinelReport.noAnswer); \(sentinel.address): \(reason)"
      }
    }
    return "no sentinel has answered yet"
  }

  /// The beginnings of reasons.
  package static let unknownName = "the sentinels watch no master named"
  package static let noAnswer = "no sentinel names the master"
}

/// Watches which server is the master.
package final class SentinelWatch {
  private let loop: EventLoop
  private let known: KnownMaster
  private let name: String
  private let changed: (SentinelReport) -> Void
  private var sentinels: [SentinelConnection] = []
  private var choice: MasterChoice
  private var nextLook: LoopTimer?
  private var requests: MailboxReader<KnownMaster.Request>?
  private var lastReport: SentinelReport?
  private let figures: ConnectionFigures

  /// How often each sentinel is asked: a deposed master is left as soon as one of them says so.
  private static let lookEveryMs: Int64 = 250

  /// `setup` has the login at the sentinels; nil if its endpoint is no sentinel set.
  ///
  /// `changed` is called when something is known that was not.
  package init?(
    _ loop: EventLoop, _ setup: RedisSetup, _ known: KnownMaster,
    changed: @escaping (SentinelReport) -> Void
  ) {
    guard case .sentinel(let addresses, let name) = setup.endpoint.topology else { return nil }
    self.loop = loop
    self.known = known
    self.name = name
    self.changed = changed
    figures = setup.figures
    choice = MasterChoice(sentinels: addresses.count)
    let login = setup.ofSentinels
    sentinels = addresses.enumerated().map { index, address in
      SentinelConnection(loop, login, address, master: name) { [unowned self] in stateChanged(index)
      }
    }
    nextLook = LoopTimer(loop) { [unowned self] in look() }
    requests = MailboxReader(loop, known.requests) { [unowned self] _ in
      for sentinel in sentinels { sentinel.ask() }
    }
    loop.atTurnEnd { [weak self] in
      for sentinel in self?.sentinels ?? [] { sentinel.flush() }
    }
  }

  package func start() {
    for sentinel in sentinels { sentinel.start() }
    nextLook?.set(afterMs: SentinelWatch.lookEveryMs)
  }

  package func stop() {
    nextLook?.cancel()
    for sentinel in sentinels { sentinel.stop() }
  }

  private func look() {
    nextLook?.set(afterMs: SentinelWatch.lookEveryMs)
    for sentinel in sentinels { sentinel.ask() }
    publish(choice.look(nowMs: loop.nowMs))
  }

  private func stateChanged(_ index: Int) {
    guard case .names(let answer, _) = sentinels[index].state else {
      choice.lost(index)
      return publish(choice.look(nowMs: loop.nowMs))
    }
    publish(choice.answered(index, answer, nowMs: loop.nowMs))
  }

  private func publish(_ master: Address?) {
    if let master {
      if known.address != nil { figures.addMasterChange() }
      known.set(master)
    }
    let report = report
    guard report != lastReport else { return }
    lastReport = report
    figures.setSentinels(sentinels.count, answering: report.answering)
    known.set(reason: report.reason)
    changed(report)
  }

  package var report: SentinelReport {
    SentinelReport(
      name: name,
      sentinels: sentinels.map { SentinelReport.Sentinel($0.address, $0.state) },
      master: choice.chosen?.address)
  }
}
