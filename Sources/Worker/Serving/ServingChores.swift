// Owns: what a serving loop looks at now and then: idle callers, and the course of a drain.
// Runs on the loop's thread.

internal import Loop
internal import RedisConnection

extension ServingLoop {
  /// What has to be looked at now and then: idle callers, and the end of a drain.
  func runChores() {
    let now = loop.nowMs
    makeRoom()
    logWarnings()
    if let drainStartedMs {
      drain(forMs: now - drainStartedMs, now)
      return
    }
    for connection in connections.all { look(at: connection, now) }
    chores?.set(afterMs: choresMs)
  }

  /// What is kept behind a request that waits has to go when others need the room; and those who
  /// were held back for want of it go on.
  private func makeRoom() {
    if isCrowded {
      subscriptions.endWaits { (connections[$0]?.keptBytes ?? 0) >= Connection.littleBytes }
    }
    for connection in connections.all { connection.reconsider() }
  }

  /// Ends a connection that has used up its time for something.
  private func look(at connection: Connection, _ now: Int64) {
    if isOver(connection.blockedSinceMs, settings.unreadTimeoutMs, now) {
      connection.abort(.slow)
    } else if connection.isEnding {
      return
    } else if isOver(connection.waitsForLineEndSinceMs, settings.lineTimeoutMs, now) {
      lineStalled(connection)
    } else if isOver(unknownSinceMs(connection), settings.authTimeoutMs, now) {
      authStalled(connection)
    } else if isOver(connection.activeAtMs, settings.idleTimeoutMs, now), connection.isQuiet {
      // Who watches asks nothing for as long as nothing happens.
      if subscriptions.isWatching(connection.id) || connection.hasUnreadInput { return }
      connection.finish(.idle)
    }
  }

  private func isOver(_ sinceMs: Int64?, _ limitMs: Int64, _ now: Int64) -> Bool {
    guard let sinceMs, limitMs > 0 else { return false }
    return now - sinceMs >= limitMs
  }

  /// From now on nobody new comes in, and who is here is to leave.
  func startDrain() {
    drainStartedMs = loop.nowMs
    subscriptions.drain()
    let soonMs = loop.nowMs + lingerOfDrainMs
    lingering = ArraySlice(lingering.map { ($0.id, min($0.untilMs, soonMs)) })
    endLingering()
    chores?.set(afterMs: 0)
  }

  /// Within the grace callers are served, and whoever is quiet is closed.
  ///
  /// In its last part callers who go on asking are told to go elsewhere, and closed once they have
  /// been; whoever is left when the grace is over, with half a line or replies that it does not
  /// read, is cut off.
  private func drain(forMs: Int64, _ now: Int64) {
    let graceMs = settings.drainGraceMs
    isShedding = forMs >= graceMs - min(sheddingMs, graceMs / 2)
    for connection in connections.all {
      if forMs >= graceMs {
        connection.abort(.drained)
        continue
      }
      let isQuiet = connection.isQuiet && now - connection.activeAtMs >= drainQuietMs
      guard isQuiet || (connection.isToldToLeave && connection.isQuiet) else { continue }
      // What has come in this very moment is answered; it would be lost otherwise.
      if !connection.hasUnreadInput { connection.finish(.drained) }
    }
    // Redis has to know first which events the last callers got; if it is away, the lease ends.
    let isLate = forMs >= graceMs + settings.requestTimeoutMs
    if connections.count == 0, subscriptions.isSettled || isLate {
      redis?.stop()
      loop.stop()
    }
    chores?.set(afterMs: 20)
  }
}
