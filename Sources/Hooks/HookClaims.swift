// Owns: how the delivery keeps Redis informed of the events that it holds, and learns which it
// holds no more. Runs on the thread of the hooks.

internal import Events
internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store

extension HookDelivery {
  /// So many events are claimed, acknowledged or given back in a call.
  static let idsMax = 500

  /// Claims what is held, unless that is under way.
  func claim(_ work: HookWork) {
    guard !work.hold.isClaiming, store.isReady else { return }
    let nowMs = loop.nowMs
    forgetLosses(work, nowMs: nowMs)
    let parts = HookDelivery.parts(work.queue.heldIDs.filter { $0.entry != .zero })
    work.claimedAtMs = nowMs
    work.hold.claimBegan(nowMs: nowMs, calls: parts.count)
    for ids in parts {
      let request = ClaimHookCall(
        group: work.group, worker: setup.workerID, ids: ids.map(\.entry.description))
      calls += 1
      store.callEach(ScriptQuery(request, over: ids.map(\.partition))) {
        [unowned self] partitions, result in
        claimed(ids, of: partitions, result, work)
      } _: { [unowned self] in
        calls -= 1
        work.hold.claimAnswered()
        advance(work)
        endIfDone()
      }
    }
  }

  /// A node has answered for those of the ids whose partitions it has.
  private func claimed(
    _ all: [EventID], of partitions: [Partition], _ result: Result<RedisReply, RedisFailure>,
    _ work: HookWork
  ) {
    let asked = PartitionSet(partitions)
    let ids = all.filter { asked.contains($0.partition) }
    guard case .success(let reply) = result, reply.kind == .array, reply.count == ids.count else {
      return work.hold.claimFailed(partitions)
    }
    let gone = Set(zip(ids, reply.elements).lazy.filter { $0.1.integer == 0 }.map(\.0))
    // What is under way goes to its end: another worker may send it too.
    if !gone.isEmpty { work.queue.settled(work.queue.drop { gone.contains($0.id) }) }
  }

  /// Losses are no entries that could be claimed.
  ///
  /// A worker reads them again by time, as this one perhaps does.
  private func forgetLosses(_ work: HookWork, nowMs: Int64) {
    guard !work.hold.isSure(nowMs: nowMs) else { return }
    let hold = work.hold
    work.queue.settled(
      work.queue.drop { $0.isLoss && !hold.isSure(of: $0.id.partition, nowMs: nowMs) })
  }

  func giveBack(_ work: HookWork, _ ids: [EventID]) {
    transfer(work, ids, to: GroupTarget.returned.rawValue)
  }

  /// A transfer that fails is made by time: what is not claimed goes to another worker.
  func transfer(_ work: HookWork, _ ids: [EventID], to target: String) {
    for part in HookDelivery.parts(ids) {
      let request = TransferPendingCall(
        group: ArgumentText(work.group), worker: ArgumentText(setup.workerID),
        target: ArgumentText(target), ids: part.map { ArgumentText($0.entry.description) })
      call(ScriptQuery(request, over: part.map(\.partition))) { _ in }
    }
  }

  /// The ids of each call, those of a partition together and in order.
  private static func parts(_ ids: [EventID]) -> [[EventID]] {
    let sorted = ids.sorted { ($0.partition.index, $0.entry) < ($1.partition.index, $1.entry) }
    return stride(from: 0, to: sorted.count, by: idsMax).map { start in
      Array(sorted[start..<min(sorted.count, start + idsMax)])
    }
  }
}
