// Owns: the numbers of locks and live sessions that each connected principal has in all, which its
// limits are held against. Runs on the main thread.

internal import Access
internal import Deadlines
internal import Loop
internal import RedisConnection
internal import Scripts
internal import Service
internal import SessionModel
internal import Settings
internal import Store
internal import Synchronization

/// The counts of what quotas are held against by all workers.
final class QuotaCounts: RedisFollower {
  /// Only where --max-live is set.
  private let live: LiveCount?
  private let principals: PrincipalCounts

  init(_ loop: EventLoop, _ store: ControlStore, _ shared: SharedState) {
    live =
      shared.settings.liveMax > 0
      ? LiveCount(loop, store) { shared.setLiveSessions($0) } : nil
    principals = PrincipalCounts(loop, store, shared)
  }

  func start() {
    live?.start()
    principals.start()
  }

  func pause() {
    live?.pause()
    principals.pause()
  }
}

/// Counts what principals have, twice a second where one is near its limit.
final class PrincipalCounts {
  private let store: ControlStore
  private let shared: SharedState
  private var timer: LoopTimer?
  private var waiting: [PrincipalUse] = []
  /// When a principal is counted again, in monotonic ms, by its name.
  private var dueMs: [String: Int64] = [:]

  /// With the time that Redis takes, the sum of a principal near its limit is at most 1 s old.
  private static let everyMs: Int64 = 500
  /// The sum of one that is far from its limit may be older.
  private static let everyMsMax: Int64 = 5_000
  /// So much it gets nearer in a ms at most: more than a Redis makes.
  private static let growthPerMs = 100
  /// So many are counted in a call, which takes Redis some ms.
  private static let countedAtOnce = 16

  init(_ loop: EventLoop, _ store: ControlStore, _ shared: SharedState) {
    self.store = store
    self.shared = shared
    timer = LoopTimer(loop) { [unowned self] in look() }
  }

  func start() { timer?.set(afterMs: 0) }
  func pause() { timer?.cancel() }

  private func look() {
    timer?.set(afterMs: PrincipalCounts.everyMs)
    // A connection that failed begins again when it is back.
    guard store.isReady, waiting.isEmpty else { return }
    let nowMs = MonotonicTime.nowMs()
    waiting = shared.principalUses.ofFile.filter { dueMs[$0.name, default: 0] <= nowMs }
    dueMs = dueMs.filter { $0.value > nowMs }
    countNext()
  }

  private func countNext() {
    guard !waiting.isEmpty else { return }
    let principals = shared.principals.withLock { $0 }
    let counted = waiting.prefix(PrincipalCounts.countedAtOnce).compactMap { use in
      principals?[use.name].map { (use: use, principal: $0) }
    }
    waiting.removeFirst(min(waiting.count, PrincipalCounts.countedAtOnce))
    guard !counted.isEmpty else { return countNext() }
    let marks = counted.map(\.principal.mark).joined(separator: " ")
    let query = ScriptQuery(OwnedCall(marks: ArgumentText(marks)), over: Partition.all)
    store.call(query) { [unowned self] result in
      guard case .success(let reply) = result, reply.kind == .array,
        reply.count == 2 * counted.count
      else {
        waiting = []
        return
      }
      for (place, one) in counted.enumerated() {
        note(
          one.use, one.principal.limits, locks: Int(reply[2 * place].integer ?? 0),
          sessions: Int(reply[2 * place + 1].integer ?? 0))
      }
      countNext()
    }
  }

  private func note(
    _ use: PrincipalUse, _ limits: PrincipalLimits, locks: Int, sessions: Int
  ) {
    use.setOwned(locks: locks, sessions: sessions)
    let room = min(limits[.locks] - locks, limits[.sessions] - sessions)
    let restMs = Int64(max(0, room) / PrincipalCounts.growthPerMs)
    // A little less than the timer's interval, so that no turn of it is missed.
    let everyMs = min(
      max(PrincipalCounts.everyMs / 2, restMs), PrincipalCounts.everyMsMax)
    dueMs[use.name] = MonotonicTime.nowMs() + everyMs
  }
}
