// Owns: the census: the fleet's figures for /metrics, at intervals. One worker counts and leaves
// the result in Redis, the others read it there. Runs on the main thread.

package import Loop
package import Metrics
internal import RedisConnection
internal import SessionModel
package import Store

/// Keeps a worker's record of the fleet's figures.
///
/// The owner of the first partition counts: all workers agree on that, and another one takes over
/// as soon as it is known to be dead. Two that count at once, or none for a moment, do no harm.
package final class FleetCensus: RedisFollower {
  private let loop: EventLoop
  private let store: ControlStore
  private let record: FleetRecord
  private var timer: LoopTimer?
  private var isCounting = false
  private var counts = false
  /// What was read last where another worker counts.
  private var latestText = ""
  private var count = FleetCount()
  /// The ages of sessions are read over several rounds where there are many.
  private var ages: FleetCount?
  private var agesLeft = 0
  private var oldestAtMs: Int64?
  private var newestAtMs: Int64?
  private var startedMs: Int64 = 0

  private static let firstMs: Int64 = 500
  private static let everyMs: Int64 = 5_000
  /// A round may take a hundredth of the time.
  private static let restFactor: Int64 = 100
  /// How many calls for the ages of sessions a round may have: some 100,000 sessions.
  private static let agesPerRound = 100

  package init(_ loop: EventLoop, _ store: ControlStore, record: FleetRecord) {
    self.loop = loop
    self.store = store
    self.record = record
    timer = LoopTimer(loop) { [unowned self] in look() }
  }

  package func start() { timer?.set(afterMs: FleetCensus.firstMs) }
  package func pause() { timer?.cancel() }

  /// The share of this worker may have changed; one that has to count now does so at once.
  package func share(_ share: PartitionShare) {
    let counted = counts
    counts = share.rank(0) == 0
    if counts, !counted, !isCounting { look() }
  }

  private func look() {
    // A connection that failed begins again when it is back.
    guard store.isReady else { return }
    timer?.set(afterMs: FleetCensus.everyMs)
    guard !isCounting else { return }
    guard counts else { return readShared() }
    isCounting = true
    startedMs = MonotonicTime.nowMs()
    count = FleetCount()
    agesLeft = FleetCensus.agesPerRound
    step()
  }

  /// Reads the next partitions, then the ages of some sessions.
  private func step() {
    if let query = count.next() {
      return ask(query) { [unowned self] in count.take($0) }
    }
    if ages == nil, agesLeft > 0 {
      ages = count
      ages?.readSessions()
    }
    if agesLeft > 0, let query = ages?.next() {
      agesLeft -= 1
      return ask(query) { [unowned self] in ages?.take($0) }
    }
    finish()
  }

  private func ask(_ query: ScriptQuery, _ take: @escaping ([[UInt8]]) -> Void) {
    store.call(query) { [unowned self] result in
      guard case .success(let reply) = result, reply.kind == .array,
        reply.count == query.partitions.count
      else {
        // The owner of the connection logs its loss.
        isCounting = false
        return
      }
      take(reply.elements.map { Array($0.bytes) })
      step()
    }
  }

  private func finish() {
    isCounting = false
    // A round that left some for the next one has no ages yet.
    if agesLeft > 0, let ages {
      (oldestAtMs, newestAtMs) = (ages.figures.oldestAtMs, ages.figures.newestAtMs)
      self.ages = nil
    }
    var figures = count.figures
    (figures.oldestAtMs, figures.newestAtMs) = (oldestAtMs, newestAtMs)
    record.set(figures)
    let spentMs = MonotonicTime.nowMs() - startedMs
    let nextMs = max(FleetCensus.everyMs, FleetCensus.restFactor * spentMs)
    timer?.set(afterMs: nextMs)
    store.shareFigures("at \(WallTime.nowMs()) \(figures.text)", keepMs: 4 * nextMs)
  }

  private func readShared() {
    store.sharedFigures { [unowned self] text in
      guard let text, text != latestText, let figures = FleetFigures(text: text) else { return }
      latestText = text
      record.set(figures)
    }
  }
}
