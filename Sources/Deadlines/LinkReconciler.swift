// Owns: the work between partitions that a reap finds: informing a link's partition of a session's
// status, and checking entries of links. Each step may be done twice, or by two workers at once,
// with the same result. Runs on the main thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store

/// Reconciles the links' partitions with those of the sessions.
final class LinkReconciler {
  private let store: ControlStore

  init(_ store: ControlStore) { self.store = store }

  /// Does the work of an entry as `reap` gives it, found in this partition.
  func run(_ entry: String, from partition: Partition) {
    let words = entry.split(separator: " ")
    if words.count == 5, let entry = SessionEntry(address: words[0].dropFirst(2)),
      let name = LinkName(text: words[1]), let status = LinkStatus(words: words[3...])
    {
      let note = "\(words[0]) \(words[1])"
      settle(LinkEntry(name, entry), status) { [self] in
        Failpoint.informed.hit()
        let call = LinkDoneCall(
          entry: ArgumentText(note), dueAt: ArgumentText(String(words[2])))
        store.call(ScriptQuery(call, at: partition)) { _ in }
      }
    } else if words.count == 3, let name = LinkName(text: words[0].dropFirst(2)),
      let entry = SessionEntry(text: words[1])
    {
      Failpoint.due.hit()
      check(LinkEntry(name, entry))
    }
  }

  /// Reads the session's status.
  ///
  /// A failure is retried: the entry is due again soon.
  private func check(_ entry: LinkEntry) {
    store.call(.status([entry])) { [self] result in
      guard case .success(let reply) = result, reply.count == 1,
        let status = LinkStatus(words: reply[0].text.split(separator: " "))
      else { return }
      settle(entry, status) {}
    }
  }

  private func settle(
    _ entry: LinkEntry, _ status: LinkStatus, _ done: @escaping () -> Void
  ) {
    store.call(.settle([(entry, status)])) { result in
      guard case .success(let reply) = result, reply.kind == .array else { return }
      done()
    }
  }
}

/// A request for link_done.lua.
struct LinkDoneCall: ScriptCall {
  static let script = Script.linkDone
  let entry: ArgumentText
  let dueAt: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(entry)
    words.word(dueAt)
  }
}
