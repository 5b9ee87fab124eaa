// Owns: how a loop reports the outcome of a group's events to Redis. Runs on the loop's thread.

internal import Loop
internal import Metrics
package import RedisConnection
package import Scripts
internal import SessionModel
internal import Store
internal import Wire

extension EventSubscriptions {
  /// How soon failed transfers are tried again.
  private static let retryMs: Int64 = 100

  /// The events are with their caller's connection: its own until `--ack-timeout`.
  func markGiven(_ request: EventRequest) {
    guard let held = request.held else { return }
    let sinceReadMs = Int(server.loop.nowMs - request.readAtMs)
    for ageMs in held.agesMs { server.counters.groupLagMs.add(max(0, ageMs) + sinceReadMs) }
    server.counters.add(held.ids.count, .eventsGiven)
    if !held.losses.isEmpty { server.counters.add(.lossesGiven) }
    transfers.add(held, .given)
  }

  /// The events could not be written: the next consumer gets them.
  package func giveBack(_ held: HeldEvents?) {
    guard let held else { return }
    server.counters.add(held.ids.count, .eventsReturned)
    transfers.add(held, .returned)
  }

  /// Sends the pending transfers; call it at the end of each turn.
  package func sendTransfers() {
    for transfer in transfers.take() {
      let call = TransferPendingCall(
        group: ArgumentText(transfer.group), worker: ArgumentText(server.workerID),
        target: ArgumentText(transfer.target.rawValue),
        ids: transfer.ids.map { ArgumentText($0.entry.description) })
      let query = ScriptQuery(call, over: transfer.ids.map(\.partition))
      server.store.call(raw: query) { [unowned self] result in transferred(transfer, result) }
    }
  }

  /// Without an answer it is sent again: a transfer that was applied already changes nothing.
  private func transferred(
    _ transfer: PendingTransfers.Transfer, _ result: Result<RedisReply, RequestError>
  ) {
    switch result {
    case .failure:
      transfers.finished(transfer, isDone: false)
      if transferRetry?.isSet != true { transferRetry?.set(afterMs: EventSubscriptions.retryMs) }
    case .success(let reply):
      transfers.finished(transfer, isDone: true)
      if reply.kind != .integer {
        // Redis gives them to the next consumer when the lease is over.
        _ = server.store.refusal(of: reply, .transferPending)
      } else {
        moved(transfer)
      }
    }
  }
}

/// A request for transfer_pending.lua.
package struct TransferPendingCall: ScriptCall {
  package static let script = Script.transferPending
  let group: ArgumentText
  let worker: ArgumentText
  let target: ArgumentText
  let ids: [ArgumentText]

  /// The ids of a partition stand together and in order.
  package init(
    group: ArgumentText, worker: ArgumentText, target: ArgumentText, ids: [ArgumentText]
  ) {
    (self.group, self.worker, self.target, self.ids) = (group, worker, target, ids)
  }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(worker)
    words.word(target)
    for id in ids { words.word(id) }
  }
}

/// A request for ack.lua.
package struct AckCall: ScriptCall {
  package static let script = Script.ack
  let group: ArgumentText
  let ids: [ArgumentText]

  package init(group: ArgumentText, ids: [ArgumentText]) { (self.group, self.ids) = (group, ids) }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    for id in ids { words.word(id) }
  }
}
