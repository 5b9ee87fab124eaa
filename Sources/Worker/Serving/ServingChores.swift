// Owns: what a serving loop looks at now and then: idle callers, and the course of a drain.
// Runs on the loop's thread.

internal import Loop
internal import RedisLink

extension ServingLoop {
  /// What has to be looked at now and then: idle callers, and the end of a drain.
  func runChores() {
    let now = loop.nowMs
    if let drainStartedMs {
      drain(forMs: now - drainStartedMs, now)
      return
    }
    if settings.idleTimeoutMs > 0 {
      for connection in connections.all where connection.isQuiet {
        // Who watches asks nothing for as long as nothing happens.
        if desk.isWatching(connection.id) { continue }
        if now - connection.activeAtMs >= settings.idleTimeoutMs { connection.finish(.idle) }
      }
    }
    chores?.set(afterMs: min(1_000, max(100, settings.idleTimeoutMs / 4)))
  }

  /// Within the grace callers are served, and whoever is quiet is closed.
  ///
  /// Then callers who go on asking are told to go elsewhere, and closed once they have been;
  /// whoever is left when that time is over too, with half a line or replies that it does not read,
  /// is cut off.
  private func drain(forMs: Int64, _ now: Int64) {
    isShedding = forMs >= settings.drainGraceMs
    let isOver = forMs >= settings.drainGraceMs + sheddingMs
    for connection in connections.all {
      let isQuiet = connection.isQuiet && now - connection.activeAtMs >= drainQuietMs
      if isOver {
        connection.abort(.drained)
      } else if isQuiet || (connection.isToldToLeave && connection.isQuiet) {
        connection.finish(.drained)
      }
    }
    if connections.count == 0 {
      link?.stop()
      loop.stop()
    }
    chores?.set(afterMs: 20)
  }
}
