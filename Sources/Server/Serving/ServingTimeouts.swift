// Owns: a serving loop's periodic checks: idle callers, and the course of a drain. Runs on the
// loop's thread.

internal import Events
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Service
internal import Settings
internal import Store
internal import Wire

extension ServingLoop {
  /// Checks the time-outs, and the end of a drain.
  func checkTimeouts() {
    let now = loop.nowMs
    makeRoom()
    if let drain { return goOn(drain, now) }
    for connection in connections.all { check(connection, now) }
    timeoutCheck?.set(afterMs: timeouts.everyMs)
  }

  /// Under memory pressure, ends waits that keep memory; without it, resumes connections that were
  /// not read because of it.
  private func makeRoom() {
    if hasMemoryPressure {
      let keepsMuch = { [self] (id: ConnectionID) in
        (connections[id]?.keptBytes ?? 0) >= Connection.littleBytes
      }
      subscriptions.endWaits(keepsMuch)
      waits.endWaits(keepsMuch)
    }
    for connection in connections.all { connection.reconsider() }
  }

  /// Ends a connection that has used up its time for something.
  private func check(_ connection: Connection, _ now: Int64) {
    connection.keepStreamAlive(nowMs: now)
    var waits = connection.waits
    if principals == nil { waits.unknownSinceMs = nil }
    switch timeouts.over(waits, nowMs: now) {
    case nil: return
    case .unread: connection.abort(.slow)
    case .line: lineStalled(connection)
    case .auth: authStalled(connection)
    case .idle:
      // A connection that watches sends no requests as long as nothing happens.
      if subscriptions.isWatching(connection.id) || connection.hasUnreadInput { return }
      connection.finish(.idle)
    }
  }

  /// From now on no connection is accepted, and the present ones are closed.
  func startDrain() {
    isStopping = true
    drain = Drain(
      startedMs: loop.nowMs, graceMs: settings.drainGraceMs, replyMs: settings.requestTimeoutMs)
    subscriptions.drain()
    waits.drain()
    lingering.hurry(untilMs: loop.nowMs + Lingering.drainMs)
    endLingering()
    timeoutCheck?.set(afterMs: 0)
  }

  /// Ends the connection of a caller that goes on asking, once it has its replies.
  private func dismiss(_ connection: Connection) {
    // One that watches has had its last event.
    // And one of HTTP has been answered that no request may follow.
    if connection.lastLine.isEmpty, connection.http == nil,
      !subscriptions.isWatching(connection.id)
    {
      counters.add(.drainDismissals)
      connection.lastLine.appendError(ServingLoop.draining)
    }
    connection.finish(.drained)
  }

  private func goOn(_ drain: Drain, _ now: Int64) {
    isShedding = drain.isShedding(nowMs: now)
    for connection in connections.all {
      switch drain.verdict(connection.activity, nowMs: now) {
      case .stays: continue
      case .cutOff: connection.abort(.drained)
      case .finish:
        // Requests that have come in this very moment are answered; they would be lost otherwise.
        if connection.awaitsReplies || !connection.hasUnreadInput { connection.finish(.drained) }
      case .dismiss:
        if connection.awaitsReplies || !connection.hasUnreadInput { dismiss(connection) }
      }
    }
    // Redis has to know first which events the last callers got; if it is away, the lease ends
    // them.
    let isLate = now - drain.startedMs >= drain.graceMs + settings.requestTimeoutMs
    let isSettled = subscriptions.isSettled && waits.isSettled
    if connections.count == 0, !isAccepting, isSettled || isLate {
      store.stop()
      writeUnlisted()
      loop.stop()
    }
    timeoutCheck?.set(afterMs: Drain.everyMs)
  }
}
