// Owns: how a loop reads the events of groups for its requests: one read of a group at a time, and
// what it finds goes to the request that has waited longest. Runs on the loop's thread.

internal import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// The readers of a loop's groups.
struct AllGroupReads {
  private var readers: [String: GroupReads] = [:]
  /// Whether the tail reports the partitions whose logs have grown.
  var isFollowed = false
  /// The groups whose next read is being sent.
  private var advancing: Set<String> = []
  private var made = 0
  /// Groups may be removed, and others made, for as long as a worker lives.
  private static let idleMax = 128

  subscript(group: String) -> GroupReads? {
    get { readers[group] }
    _modify { yield &readers[group] }
  }

  var names: [String] { Array(readers.keys) }

  /// Makes a group's reader if there is none.
  mutating func make(_ query: GroupQuery) {
    guard readers[query.name] == nil else { return }
    if readers.count >= AllGroupReads.idleMax { readers = readers.filter { !$0.value.isIdle } }
    made = (made + 1) % Partition.count
    readers[query.name] = GroupReads(
      startAt: made,
      wholeEveryMs: min(AllGroupReads.wholeEveryMs, query.noteEveryMs, query.ackTimeoutMs))
  }

  /// All partitions are read so often at least, in case the tail cannot follow the logs; and once
  /// in the time that a consumer has to acknowledge, since such a read learns when the events that
  /// others were given are due again.
  private static let wholeEveryMs: Int64 = 30_000

  /// These partitions may have events for all groups.
  mutating func logsGrew(_ partitions: PartitionSet) {
    for name in readers.keys { readers[name]?.logsGrew(partitions) }
  }

  /// The tail does not report growth any more.
  mutating func forgetGrowth() {
    isFollowed = false
    for name in readers.keys { readers[name]?.forgetGrowth() }
  }

  /// False if the group's next read is being sent already, by what called this.
  mutating func begin(_ group: String) -> Bool { advancing.insert(group).inserted }
  mutating func end(_ group: String) { advancing.remove(group) }

  /// When the first of them is to be asked for its next read; nil for none.
  var timerAtMs: Int64? { readers.values.lazy.compactMap(\.timerAtMs).min() }
}

extension EventSubscriptions {
  /// A request of a group waits for its turn.
  func join(_ number: UInt64, _ request: EventRequest, _ query: GroupQuery) {
    readers.make(query)
    readers[query.name]?.joined(number, needsAll: request.wait.isBrief)
    readNext(query.name)
  }

  /// These partitions have new events.
  func logsGrew(_ partitions: PartitionSet) {
    readers.logsGrew(partitions)
    for name in readers.names { readNext(name) }
  }

  /// Redis has transferred what this worker held.
  func moved(_ transfer: PendingTransfers.Transfer) {
    let partitions = PartitionSet(transfer.ids.map(\.partition))
    switch transfer.target {
    case .given: readers[transfer.group]?.released(partitions)
    case .returned: readers[transfer.group]?.returned(partitions)
    }
    readNext(transfer.group)
  }

  /// A node of Redis can be asked again, or there is another one.
  package func storeServes() {
    for name in readers.names { readNext(name) }
  }

  func readerTimerFired() {
    readerTimerAtMs = .max
    for name in readers.names { readNext(name) }
  }

  /// Sends the next read of a group; where there is nothing to look at, those who await an answer
  /// get it.
  private func readNext(_ group: String) {
    guard readers[group] != nil, readers.begin(group) else { return }
    defer { readers.end(group) }
    let nowMs = server.loop.nowMs
    let isFollowed = readers.isFollowed
    readers[group]?.away = PartitionSet(server.store.away)
    while let read = readers[group]?.next(isFollowed: isFollowed, nowMs: nowMs) {
      send(read)
    }
    let isHeldUp = readers[group]?.isBlocked == true
    for number in readers[group]?.takeUnanswered() ?? [] {
      guard
        let (request, action) = settle(
          number, { $0.foundNothing(isHeldUp: isHeldUp, nowMs: $1) })
      else { continue }
      if request.wait.awaitsRelease(nowMs: nowMs) { readers[group]?.awaits(number) }
      perform(action, number, request)
    }
    setReaderTimer()
  }

  /// Sets the timer for the first read that time brings; a needless firing does no harm.
  private func setReaderTimer() {
    guard let atMs = readers.timerAtMs, atMs < readerTimerAtMs else { return }
    readerTimerAtMs = atMs
    readerTimer?.set(afterMs: max(1, atMs - server.loop.nowMs))
  }

  private func send(_ read: GroupRead) {
    guard case .group(let query)? = requests[read.number]?.query else {
      preconditionFailure("a read for a request that has gone")
    }
    let nowMs = server.loop.nowMs
    let notedAtMs = readers[query.name]?.notedAtMs ?? nowMs
    let isNoted = read.isWhole && nowMs - notedAtMs >= query.noteEveryMs
    _ = requests.change(read.number) { $0.wait.readBegan(nowMs: nowMs) }
    ask(read, query, isNoted: isNoted)
  }

  /// A new group is made in several calls, before the one that reads.
  private func ask(_ read: GroupRead, _ query: GroupQuery, isNoted: Bool, isMade: Bool = false) {
    let call = query.call(read, worker: server.workerID, isNoted: isNoted, isMade: isMade)
    server.store.call(raw: call) { [unowned self] result in
      if case .success(let reply) = result, reply.kind == .text, reply.text == "MORE" {
        return ask(read, query, isNoted: isNoted, isMade: true)
      }
      received(result, of: read, query, isNoted: isNoted)
    }
  }

  /// A group was read; what it gave is this worker's until it is handed over or given back.
  private func received(
    _ result: Result<RedisReply, RequestError>, of read: GroupRead, _ query: GroupQuery,
    isNoted: Bool
  ) {
    let nowMs = server.loop.nowMs
    switch result {
    case .failure(let error): failed(read, query.name, error)
    case .success(let reply):
      guard let page = GroupPage(reply, group: query.name, read) else {
        return failed(read, query.name, server.store.refusal(of: reply, .readGroup))
      }
      for partition in page.corrupt { server.store.log.corruptEventLog(of: partition) }
      if isNoted { readers[query.name]?.noted(nowMs: nowMs) }
      readers[query.name]?.found(page, nowMs: nowMs)
      server.store.withLine(of: reply[0]) { deliver(read.number, page, $0) }
    }
    readNext(query.name)
  }

  private func failed(_ read: GroupRead, _ group: String, _ error: RequestError) {
    readers[group]?.failed(nowMs: server.loop.nowMs)
    failed(read.number, error)
    readNext(group)
  }

  /// A page of a group has come; its line is good during the call.
  private func deliver(_ number: UInt64, _ page: GroupPage, _ line: UnsafeBufferPointer<UInt8>) {
    guard !page.isEmpty else {
      guard let (request, action) = settle(number, { $0.answered(.nothing, nowMs: $1) }) else {
        return
      }
      // It is the first still, or there is nothing for any.
      readers[page.held.group]?.awaits(number)
      return perform(action, number, request)
    }
    hold(page.held, for: number)
    guard let (request, action) = settle(number, { $0.answered(.events, nowMs: $1) }) else {
      return giveBack(page.held)
    }
    switch action {
    case .deliver: server.handOver(request.ticket, line)
    case .giveBackAndAnswerNothing:
      giveBack(page.held)
      answerNothing(request)
    default: perform(action, number, request)
    }
  }
}
