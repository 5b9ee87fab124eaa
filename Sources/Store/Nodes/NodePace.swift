// Owns: how fast a node answers a loop, and so which further requests it would answer in time. A
// value without a clock; its loop's thread.

/// The requests that wait for a node or are with it, and how many of them it answers.
///
/// By Little's law a request waits for as long as all before it take: where no more are outstanding
/// than were answered within some time, a further one waits no longer than that. Only time in which
/// requests were outstanding counts, so that a node with little to do is not taken for a slow one.
struct NodePace {
  /// A request that would wait for longer is refused.
  private let waitMaxNs: Int64
  /// Nothing is refused while answers come sooner than that, however many requests come at once.
  private let promptNs: Int64
  /// So many may be outstanding at any node; and so many at one that was prompt within `waitMaxNs`,
  /// as it may have paused only.
  static let outstandingMin = 32
  static let outstandingAtPause = 1_024

  /// Requests that wait for the node, or are with it.
  private(set) var outstanding = 0
  /// Since when there are some, or when there were some last, in monotonic ns.
  private var latestNs: Int64 = 0
  /// When the latest answers came, or the first request after a time without any.
  private var answeredNs: Int64 = 0
  /// How long the first request of the latest answers had waited.
  private var waitedNs: Int64 = 0
  /// Whether the latest requests had no answer in time.
  private var isLate = false
  /// When an answer was prompt last, or there was no request.
  private var promptAtNs: Int64 = 0
  /// Since when there have been requests without a break, by `busyNs`, and how many of these were
  /// answered.
  private var period: (sinceNs: Int64, answered: Int) = (0, 0)

  /// The time with outstanding requests, cut into slots that go round, and how many were answered
  /// in each of those that make up `waitMaxNs`.
  private var answered = [Int](repeating: 0, count: NodePace.slots)
  private var busyNs: Int64 = 0
  private var slot: Int64 = 0
  private let slotNs: Int64
  /// How many were answered within the last `waitMaxNs` of it.
  private(set) var answeredLately = 0
  private static let slots = 20

  /// The longest times without an answer, of this period and of the one before.
  private var pauseNs: (now: Int64, before: Int64) = (0, 0)
  private static let pausePeriodNs: Int64 = 500_000_000
  private var pausePeriod: Int64 = 0

  init(requestTimeoutMs: Int64) {
    waitMaxNs = requestTimeoutMs * 1_000_000 * 2 / 5
    promptNs = requestTimeoutMs * 1_000_000 / 20
    slotNs = max(1, waitMaxNs / Int64(NodePace.slots))
  }

  /// Whether a further request would be answered in time, as far as is known.
  mutating func admits(nowNs: Int64) -> Bool {
    guard outstanding >= NodePace.outstandingMin, delayNs(nowNs) > promptNs else { return true }
    advance(nowNs)
    return outstanding < limit(nowNs)
  }

  private func limit(_ nowNs: Int64) -> Int {
    let least =
      nowNs - promptAtNs < waitMaxNs ? NodePace.outstandingAtPause : NodePace.outstandingMin
    var most = max(least, answeredLately)
    // One that had little to do before answers more than it did then.
    let elapsedNs = busyNs - period.sinceNs
    if elapsedNs < waitMaxNs {
      most = max(most, Int(Int64(period.answered) * waitMaxNs / max(elapsedNs, waitMaxNs / 4)))
    }
    return most
  }

  /// A request waits for the node.
  mutating func began(nowNs: Int64) {
    if outstanding == 0 {
      (latestNs, answeredNs) = (nowNs, nowNs)
      period = (busyNs, 0)
      if !isLate { (waitedNs, promptAtNs) = (0, nowNs) }
    }
    outstanding += 1
  }

  /// So many requests were answered, the first of which came at that time.
  mutating func answered(_ count: Int, arrivedNs: Int64, nowNs: Int64) {
    advance(nowNs)
    (waitedNs, isLate) = (nowNs - arrivedNs, false)
    if waitedNs <= promptNs { promptAtNs = nowNs }
    period.answered += count
    pauseNs.now = max(pauseNs.now, nowNs - answeredNs)
    answeredNs = nowNs
    answered[Int(slot % Int64(NodePace.slots))] += count
    answeredLately += count
    leave(count)
  }

  /// So many requests have failed, with `isLate` for want of an answer in time, or go elsewhere.
  mutating func left(_ count: Int, isLate: Bool, nowNs: Int64) {
    advance(nowNs)
    leave(count)
    guard isLate else { return }
    // The node has them still, and further ones would wait behind them.
    (waitedNs, self.isLate) = (max(waitedNs, waitMaxNs), true)
  }

  private mutating func leave(_ count: Int) {
    outstanding -= count
    assert(outstanding >= 0, "more requests are answered than were outstanding")
  }

  /// A new connection leads to the node: nothing waits there.
  mutating func connected(nowNs: Int64) {
    (waitedNs, isLate) = (0, false)
    (answeredNs, promptAtNs) = (nowNs, nowNs)
  }

  /// How many requests may be outstanding so that a further one waits for about 10 ms and twice the
  /// longest pause that the node has lately made; nil while answers come promptly.
  ///
  /// A node that gets its processor in slices has to find enough to do in each of them.
  mutating func room(nowNs: Int64) -> Int? {
    guard outstanding > 0, delayNs(nowNs) > NodePace.calmNs else { return nil }
    advance(nowNs)
    let pause = max(pauseNs.now, pauseNs.before, nowNs - answeredNs)
    let within = min(waitMaxNs, NodePace.calmNs + 2 * pause)
    return Int(Int64(answeredLately) * within / waitMaxNs)
  }

  private static let calmNs: Int64 = 10_000_000

  /// For how long requests wait at least.
  private func delayNs(_ nowNs: Int64) -> Int64 { max(waitedNs, nowNs - answeredNs) }

  /// Counts the time since the latest event, if requests were outstanding.
  private mutating func advance(_ nowNs: Int64) {
    guard outstanding > 0, nowNs > latestNs else { return }
    busyNs += nowNs - latestNs
    latestNs = nowNs
    let next = busyNs / slotNs
    for _ in 0..<min(next - slot, Int64(NodePace.slots)) {
      slot += 1
      let place = Int(slot % Int64(NodePace.slots))
      answeredLately -= answered[place]
      answered[place] = 0
    }
    slot = next
    let period = busyNs / NodePace.pausePeriodNs
    if period != pausePeriod {
      pauseNs = (0, period == pausePeriod + 1 ? pauseNs.now : 0)
      pausePeriod = period
    }
  }
}
