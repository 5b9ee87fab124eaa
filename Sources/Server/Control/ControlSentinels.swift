// Owns: the worker's watch over its sentinels, and the lines of the log about them. Main thread.

internal import Loop
internal import RedisConnection
internal import Settings

extension Control {
  /// Adds the login at the sentinels and the place for what they say, where the URL names some.
  static func addSentinels(to setup: inout RedisSetup, _ settings: Settings) throws(StartError) {
    guard case .sentinel = setup.endpoint.topology else { return }
    setup.sentinelLogin = SentinelLogin(
      user: settings.sentinelUser, passwordFile: settings.sentinelPasswordFile)
    do throws(SystemError) { setup.master = try KnownMaster() } catch {
      throw StartError(text: error.description)
    }
  }

  /// Begins to ask the sentinels; all connections to Redis wait for their answer.
  func watchSentinels() {
    guard let master = setup.master else { return }
    sentinels = SentinelWatch(loop, setup, master) { [unowned self] in sentinelsReport($0) }
    sentinels?.start()
  }

  private func sentinelsReport(_ report: SentinelReport) {
    let last = sentinelReport
    sentinelReport = report
    for (index, sentinel) in report.sentinels.enumerated() {
      let before = last?.sentinels[index].state ?? .unknown
      if sentinel.state != before { noteSentinel(sentinel, before) }
    }
    guard let master = report.master, master != last?.master else { return }
    log.info(
      "sentinel names the master",
      [
        "master": "\(master)", "before": last?.master?.description ?? "none",
        "sentinels": "\(report.answering) of \(report.sentinels.count)",
      ])
  }

  /// A worker that was just started beside its sentinels finds some of them not there yet.
  private func noteSentinel(_ sentinel: SentinelReport.Sentinel, _ before: SentinelState) {
    let name = sentinel.address.description
    switch (sentinel.state, before) {
    case (.unknown, _), (.names, .unknown), (.names, .names), (.away, .away): return
    case (.names, .away), (.names, .knowsNoSuchMaster):
      log.repeated(.info, "a sentinel answers again", cause: name, ["sentinel": name])
    case (.away(let reason), _):
      log.repeated(
        .warn, "a sentinel does not answer", cause: name, ["sentinel": name, "error": reason])
    case (.knowsNoSuchMaster, _):
      log.repeated(
        .warn, "a sentinel does not watch the master", cause: name,
        ["sentinel": name, "master": sentinelReport?.name ?? ""])
    }
  }
}
