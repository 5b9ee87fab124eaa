// Owns: the control loop's part in the limits of the process: its descriptors, and the admin port's
// connections. Runs on the main thread.

internal import Loop
internal import Metrics
internal import Service
internal import Settings
internal import Synchronization

extension Control {
  /// Divides the descriptors that the process may have; lowers the limits of `settings` to them.
  static func divideDescriptors(
    _ settings: inout Settings, threads: Int, _ log: Log
  ) throws(StartError) -> DescriptorBudget {
    let limit = DescriptorBudget.raiseLimit()
    let openNow = ProcessFigures.openDescriptors() ?? DescriptorBudget.openAtStart
    guard
      let budget = DescriptorBudget(
        limit: limit, openNow: openNow, threads: threads, settings: settings)
    else {
      throw StartError(
        text: "the system allows \(limit) open files, and the worker needs more for itself: "
          + DescriptorBudget.fix)
    }
    if budget.connectionsMax < settings.connectionsMax {
      log.warn(
        "fewer callers are served than --max-connections",
        [
          "asked": "\(settings.connectionsMax)", "served": "\(budget.connectionsMax)",
          "open_files": "\(limit)", "needed": "\(budget.wantedLimit)", "fix": DescriptorBudget.fix,
        ])
    }
    log.info(
      "the worker's open files are divided",
      [
        "open_files": "\(limit)", "callers": "\(budget.callers)", "admin": "\(budget.admin)",
        "webhooks": "\(budget.hooks)",
      ])
    settings.connectionsMax = budget.connectionsMax
    settings.adminConnectionsMax = budget.admin
    return budget
  }

  /// A limit of the admin port was reached.
  func adminLimited(_ limit: HTTPLimit) {
    switch limit {
    case .slow(let count):
      shared.adminEnded.add(count, ordering: .relaxed)
      log.repeated(
        .warn, "a connection to the admin port was closed", cause: "slow", count: count,
        ["limit": "--admin-timeout"])
    case .full:
      shared.adminEnded.add(1, ordering: .relaxed)
      log.repeated(
        .warn, "a connection to the admin port was closed", cause: "full",
        ["limit": "--max-admin-connections"])
    case .refused(let error):
      log.repeated(
        .warn, "the admin port takes no connection for a moment", cause: error.description,
        ["error": error.description])
    }
  }
}
