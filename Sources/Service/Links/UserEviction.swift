// Owns: how room is made among a user's live sessions: those that were active longest ago are
// closed, each in a step of its own. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// Closes sessions of a user that are over the quota.
enum UserEviction {
  /// Closes `count` of the entries' sessions, unless they are used meanwhile; `done` follows when
  /// that was tried and the user's partition has been updated.
  static func run(
    _ store: Store, _ entries: [LinkEntry], count: Int, timeoutMs: Int64,
    _ done: @escaping () -> Void
  ) {
    let digests = ScriptQuery(
      entries.map { entry in
        let call = DigestCall(
          device: ArgumentText(entry.session.device), session: ArgumentText(entry.session.session),
          kind: ArgumentText(entry.link.kind), ref: ArgumentText(entry.link.ref))
        return (entry.session.partition, call)
      })
    store.gather(digests, timeoutMs: timeoutMs) { result in
      guard case .success(let rows) = result else { return done() }
      let oldest = live(entries, rows).sorted { $0.activeMs < $1.activeMs }.prefix(count)
      guard !oldest.isEmpty else { return done() }
      close(store, Array(oldest), timeoutMs: timeoutMs, done)
    }
  }

  /// A live session, and when it was active last.
  private typealias Candidate = (entry: LinkEntry, activeMs: Int64)

  /// The live ones, by their digests: `OK`, whether it is live, chats, messages, last activity.
  private static func live(_ entries: [LinkEntry], _ rows: [[UInt8]]) -> [Candidate] {
    zip(entries, rows).compactMap { entry, row in
      let words = String(decoding: row, as: UTF8.self).split(separator: " ")
      guard words.count == 5, words[0] == "OK", words[1] == "1", let activeMs = Int64(words[4])
      else { return nil }
      return (entry, activeMs)
    }
  }

  private static func close(
    _ store: Store, _ candidates: [Candidate], timeoutMs: Int64, _ done: @escaping () -> Void
  ) {
    let evictions = ScriptQuery(
      candidates.map { candidate in
        let session = candidate.entry.session
        let call = EvictCall(
          device: ArgumentText(session.device), session: ArgumentText(session.session),
          active: candidate.activeMs)
        return (session.partition, call)
      })
    store.gather(evictions, timeoutMs: timeoutMs) { _ in
      LinkCheck.run(store, candidates.map(\.entry), timeoutMs: timeoutMs) { _ in done() }
    }
  }
}

/// A request for evict.lua.
struct EvictCall: ScriptCall {
  static let script = Script.evict
  let device: ArgumentText
  let session: ArgumentText
  let active: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(active)
  }
}
