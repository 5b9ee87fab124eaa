// Owns: the upkeep of the event logs: at intervals it trims each partition's log and reads how
// large it is, how far its groups are behind, and whether it is corrupt. Runs on the main thread.

package import Loop
package import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
package import Store

/// Keeps the event logs within their limits, also while no event is written.
package final class LogUpkeep {
  private let store: ControlStore
  private let eventsAgeMs: Int64
  private let log: Log
  private let figures: LogFigures
  private var timer: LoopTimer?

  private let firstMs: Int64 = 1_000
  private let everyMs: Int64 = 15_000

  package init(
    _ loop: EventLoop, _ store: ControlStore, eventsAgeMs: Int64, log: Log, figures: LogFigures
  ) {
    self.store = store
    self.eventsAgeMs = eventsAgeMs
    self.log = log
    self.figures = figures
    timer = LoopTimer(loop) { [unowned self] in run() }
    timer?.set(afterMs: firstMs)
  }

  /// Attends to each partition by a call of its own, all within one turn.
  private func run() {
    timer?.set(afterMs: everyMs)
    guard store.isReady else { return }
    for partition in Partition.all {
      store.call(
        ScriptQuery(TrimCall(ageMaxMs: eventsAgeMs), at: partition)
      ) { [unowned self] result in attended(partition, result) }
    }
  }

  private func attended(_ partition: Partition, _ result: Result<RedisReply, RedisFailure>) {
    // The owner of the connection logs its loss.
    guard case .success(let reply) = result else { return }
    guard reply.kind == .array, reply.count == 5, let bytes = reply[0].integer,
      let isFull = reply[1].integer, let behindMs = reply[2].integer, let lost = reply[3].integer,
      reply[4].kind == .array
    else {
      log.repeated(
        .warn, "the upkeep of an event log failed", cause: StoreError.firstWord(reply.text),
        ["error": reply.text])
      return
    }
    let status = LogFigures.Status(
      bytes: Int(bytes), isFull: isFull == 1, behindMs: Int(behindMs), lost: Int(lost))
    if status.isCorrupt { log.corruptEventLog(of: partition) }
    if status.isFull {
      log.repeated(
        .warn, "an event log is full: devices with over a sixteenth of it are refused",
        ["partition": partition.tag, "behind_ms": "\(behindMs)"])
    }
    let (groups, places) = (reply[4], stride(from: 0, to: reply[4].count - 1, by: 2))
    figures.set(
      lags: places.map { (groups[$0].text, Int(groups[$0 + 1].integer ?? 0)) }, at: partition.index)
    let before = figures.set(status, at: partition.index)
    if let before, before.lost < status.lost {
      log.repeated(
        .error, "events were dropped that a group had not acknowledged",
        count: status.lost - before.lost, ["partition": partition.tag])
    }
  }
}

/// A request for trim.lua.
struct TrimCall: ScriptCall {
  static let script = Script.trim
  let ageMaxMs: Int64

  func write(to words: inout CommandBuffer) { words.word(ageMaxMs) }
}
