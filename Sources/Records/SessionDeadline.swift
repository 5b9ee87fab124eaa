// Owns: when a session that is shown after a change has its next deadline, so that its partition is
// reaped then. Redis decides what happens (Lua/lib/clocks.lua of Scripts). On a loop's thread.

internal import SessionModel

extension StoredSession {
  /// How long after its latest activity or transition a session has its next deadline, in ms; nil
  /// if it has none.
  ///
  /// 0, at which the partition is reaped and says it, where a value is corrupt, and where the link
  /// index of a user is to be informed of the session's end.
  func dueInMs(_ clocks: StoredClocks) -> Int64? {
    guard let state, let active = number(.active).number, let since = since.number,
      let born = born.number
    else { return 0 }
    let latest = max(active, since)
    switch state {
    case .active, .paused:
      let idle = state == .active ? warned(clocks, .idle, from: active, after: latest) : nil
      let life = warned(clocks, .life, from: born, after: latest)
      let ends = [idle, life, end(clocks, .abandon, from: active)]
      return ends.compactMap(\.self).min().map { max(0, $0 - latest) }
    case .abandoned:
      return hasUser ? 0 : end(clocks, .archive, from: since).map { max(0, $0 - latest) }
    case .archived, .completed, .failed, .expired:
      return hasUser ? 0 : end(clocks, .keep, from: since).map { max(0, $0 - latest) }
    }
  }

  /// When a clock ends; nil if it is off, or corrupt.
  private func end(_ clocks: StoredClocks, _ clock: SessionClock, from start: Int64) -> Int64? {
    guard let ms = clocks[clock], ms > 0 else { return nil }
    return start + ms
  }

  /// When a clock that warns before its end does so; when it ends, if it has warned by then.
  private func warned(
    _ clocks: StoredClocks, _ clock: SessionClock, from start: Int64, after latest: Int64
  ) -> Int64? {
    guard let ms = clocks[clock], let at = end(clocks, clock, from: start) else { return nil }
    let warn = clocks[.warn] ?? 0
    return warn < ms && at - warn > latest ? at - warn : at
  }

  private var hasUser: Bool {
    guard let links = self[.links] else { return false }
    return links.split(separator: UInt8(ascii: "\n")).contains { $0.starts(with: "user ".utf8) }
  }
}
