// Owns: what a reap finds that concerns another partition: notes that a link's partition is to be
// told where a session stands, and entries of links that are to be checked. Each may be done
// twice, or by two workers at once, with the same end. Runs on the main thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel

/// Does the errands between partitions.
final class LinkErrands {
  private let store: ControlStore

  init(_ store: ControlStore) { self.store = store }

  /// An errand as `reap` writes it, found in this partition.
  func run(_ errand: String, from partition: Partition) {
    let words = errand.split(separator: " ")
    if words.count == 5, let entry = SessionEntry(address: words[0].dropFirst(2)),
      let name = LinkName(text: words[1]), let standing = LinkStanding(words: words[3...])
    {
      let note = "\(words[0]) \(words[1])"
      settle(entry, standing, of: name) { [self] in
        Failpoint.told.hit()
        store.call(
          ScriptQuery(.linkDone, at: partition, [note, String(words[2])])
        ) { _ in }
      }
    } else if words.count == 3, let name = LinkName(text: words[0].dropFirst(2)),
      let entry = SessionEntry(text: words[1])
    {
      Failpoint.due.hit()
      check(entry, of: name)
    }
  }

  /// Asks the session where it stands.
  ///
  /// Whatever fails is done again: the entry is due again soon.
  private func check(_ entry: SessionEntry, of name: LinkName) {
    store.call(.standing([entry], of: name)) { [self] result in
      guard case .success(let reply) = result, reply.count == 1,
        let standing = LinkStanding(words: reply[0].text.split(separator: " "))
      else { return }
      settle(entry, standing, of: name) {}
    }
  }

  private func settle(
    _ entry: SessionEntry, _ standing: LinkStanding, of name: LinkName,
    _ done: @escaping () -> Void
  ) {
    store.call(.settle([(entry, standing)], of: name)) { result in
      guard case .success(let reply) = result, reply.kind == .array else { return }
      done()
    }
  }
}
