// Owns: how a loop tells Redis what became of a group's events that it holds. Runs on the loop's
// thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Wire

extension EventSubscriptions {
  /// How soon moves are tried again that Redis has not made.
  private static let retryMs: Int64 = 100

  /// The events are with their caller's connection: its own until `--ack-timeout`.
  func markGiven(_ request: Request) {
    guard let held = request.held else { return }
    let sinceReadMs = Int(server.loop.nowMs - request.readAtMs)
    for ageMs in held.agesMs { server.counters.groupLagMs.add(max(0, ageMs) + sinceReadMs) }
    server.counters.add(held.ids.count, .eventsGiven)
    moves.add(held, .given)
  }

  /// The events could not be written: the next consumer is to have them.
  func giveBack(_ held: HeldEvents?) {
    guard let held, !held.ids.isEmpty else { return }
    server.counters.add(held.ids.count, .eventsReturned)
    moves.add(held, .returned)
  }

  /// Sends what Redis has to know; at the end of each turn.
  func sendMoves() {
    for move in moves.take() {
      let arguments = [move.group, server.workerID, move.target.rawValue]
      let query = ScriptQuery(
        .movePending, over: move.ids.map(\.partition),
        arguments + move.ids.map(\.entry.description))
      server.store.call(raw: query) { [unowned self] result in moved(move, result) }
    }
  }

  /// Without an answer it is sent again: an event that was moved already stays where it is.
  private func moved(_ move: PendingMoves.Move, _ result: Result<RedisReply, RequestError>) {
    switch result {
    case .failure:
      moves.finished(move, isDone: false)
      if movesRetry?.isSet != true { movesRetry?.set(afterMs: EventSubscriptions.retryMs) }
    case .success(let reply):
      moves.finished(move, isDone: true)
      if reply.kind != .integer {
        // Redis gives them to the next consumer when the lease is over.
        _ = server.store.refusal(of: reply, .movePending)
      } else if move.target == .returned {
        wake { $0.group == move.group }
      }
    }
  }
}
