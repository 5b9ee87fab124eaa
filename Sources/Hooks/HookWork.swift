// Owns: what the delivery keeps of one hook. Runs on the thread of the hooks.

internal import RedisConnection
internal import SessionModel
internal import Webhooks

/// Where the events of a hook go.
struct HookTarget {
  let hook: HookDefinition
  let address: WebhookAddress
}

/// One hook at work.
final class HookWork {
  let name: String
  /// The definition as Redis keeps it, and which one it is.
  private(set) var kept: KeptHook
  /// The latest definition by which its group is read in a partition, if Redis says so and this
  /// worker has a former one; 0 if there is none.
  var supersededBy: Int64 = 0
  /// Later definitions up to this revision are known to be lost.
  private(set) var lostMax: Int64 = 0
  /// Nil if the definition cannot be used here.
  var target: HookTarget?
  var sender: WebhookSender?
  /// The most connections that it may have now; nil before that was decided.
  var connectionsMax: Int?
  var queue: HookQueue
  /// What is being sent.
  var tickets: [EventID: WebhookSender.Ticket] = [:]
  /// What is to be acknowledged.
  var done: [EventID] = []
  var isAcknowledging = false

  // MARK: The hold on what was read
  var hold: HookHold
  /// When all that is held was claimed last.
  var claimedAtMs: Int64

  // MARK: Reading
  /// The partitions that may have events, and those that have got some since the read in flight.
  private var news = PartitionSet()
  private var newsSince = PartitionSet()
  /// Those in which another worker holds events that come first.
  private var blocked = PartitionSet()
  private var blockedUntilMs: Int64 = 0
  /// Those without the group: it is made once the hook is known to be there still.
  private var withoutGroup = PartitionSet()
  private(set) var makesUntilMs: Int64 = 0
  private(set) var isReading = false
  /// When the read that is under way was begun.
  private(set) var readAtMs: Int64 = 0
  var retryAtMs: Int64 = 0
  private var startAt: Int
  private(set) var wholeAtMs: Int64 = 0
  /// The partitions of which Redis has yet to note that the group asks, and when that was begun.
  private var unnoted = PartitionSet.all
  private(set) var notedAtMs: Int64 = Int64.min / 2

  // MARK: Figures
  var delivered = 0
  var failed = 0
  /// The latest failure that is not noted in Redis.
  var fault: String?
  private var tally: HookTally
  /// Whether the last note before the end of a drain was sent.
  var hasSaidLast = false

  init(_ kept: KeptHook, startAt: Int, nowMs: Int64) {
    (name, self.kept) = (kept.name, kept)
    queue = HookQueue(underWayMax: 0)
    self.startAt = startAt % Partition.count
    (hold, claimedAtMs) = (HookHold(nowMs: nowMs), nowMs)
    tally = HookTally(after: nowMs)
  }

  /// Whether it is read, and its events sent.
  var isServed: Bool { target != nil && sender != nil && queue.underWayMax > 0 }

  var group: String { HookDefinition.group(of: name) }

  /// There is another definition, of the same hook.
  func isReplaced(by kept: KeptHook) {
    (self.kept, supersededBy) = (kept, 0)
    newsCame(.all)
  }

  /// Redis has had no later definition than this worker's since its group was seen to be read by
  /// `revision`: that one is lost, as a failover may lose it.
  func isLost(_ revision: Int64) {
    lostMax = max(lostMax, revision)
    newsCame(.all)
  }

  /// These partitions may have events.
  func newsCame(_ partitions: PartitionSet) {
    news.formUnion(partitions)
    if isReading { newsSince.formUnion(partitions) }
  }

  /// The hook was there a moment ago.
  func isListed(nowMs: Int64) {
    guard withoutGroup != PartitionSet() else { return }
    makesUntilMs = nowMs + HookWork.makesForMs
    newsCame(withoutGroup)
    withoutGroup = PartitionSet()
  }

  private static let makesForMs: Int64 = 300

  /// The partitions to read now, of those that are this worker's.
  func toRead(_ owned: PartitionSet, nowMs: Int64, most: Int) -> [Partition] {
    var wanted = news
    if nowMs >= blockedUntilMs { wanted.formUnion(blocked) }
    return wanted.intersection(owned).members(from: startAt).lazy
      .filter { self.queue.hasRoom(in: $0) }.prefix(most).map(\.self)
  }

  /// When a read is to be tried though nothing happens; nil if none is.
  var readsAtMs: Int64? {
    guard !isReading, isServed, queue.room > 0 else { return nil }
    if retryAtMs > 0, !news.isEmpty { return retryAtMs }
    return blocked.isEmpty ? nil : blockedUntilMs
  }

  func noteBegins(_ partitions: [Partition], nowMs: Int64) {
    unnoted = .all
    notedAtMs = nowMs
  }

  /// Whether Redis is to note with this read that the group asks.
  func isNoting(_ partitions: [Partition]) -> Bool {
    let isWanted = partitions.contains { unnoted.contains($0) }
    unnoted.subtract(PartitionSet(partitions))
    return isWanted
  }

  func readBegan(nowMs: Int64) {
    isReading = true
    readAtMs = nowMs
    newsSince = PartitionSet()
  }

  func readEnded() { isReading = false }

  /// A partition was looked at.
  func looked(_ partition: Partition, _ state: HookReadState, nowMs: Int64) {
    startAt = (partition.index + 1) % Partition.count
    blocked.remove(partition)
    retryAtMs = 0
    if state != .more { if !newsSince.contains(partition) { news.remove(partition) } }
    switch state {
    case .more, .end: break
    case .blocked, .corrupt, .tooManyGroups, .superseded:
      blocked.insert(partition)
      news.remove(partition)
      let isShort = state == .blocked || state == .superseded
      let pauseMs = isShort ? HookDelivery.retryMs : HookDelivery.wholeEveryMs / 6
      blockedUntilMs = nowMs + pauseMs
    case .noGroup: withoutGroup.insert(partition)
    }
  }

  /// A read of all partitions is due from now on.
  func wholeBegins(nowMs: Int64) { wholeAtMs = nowMs }

  /// The call that adds the figures since the last one to those in Redis; nil if there is none to
  /// send now.
  func takeNote(worker: String, nowMs: Int64) -> NoteHookCall? {
    let figures = HookTally.Figures(
      delivered: delivered, failed: failed, underWay: queue.underWay, fault: fault)
    guard let note = tally.take(figures, nowMs: nowMs) else { return nil }
    if note.isNew { fault = nil }
    return NoteHookCall(
      worker: ArgumentText(worker), name: ArgumentText(name), number: note.number,
      delivered: Int64(note.figures.delivered), failed: Int64(note.figures.failed),
      underWay: Int64(note.figures.underWay), fault: note.figures.fault.map { ArgumentText($0) })
  }

  /// The call has ended; without an answer it is made again.
  func noteEnded(isAnswered: Bool) { tally.ended(isAnswered: isAnswered) }
}
