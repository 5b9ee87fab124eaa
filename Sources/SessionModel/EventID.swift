// Owns: the names of events' types, and the ids of events. Values; any thread.

/// The kinds of events.
package enum EventType: String, CaseIterable, Sendable {
  case lockAbandoned = "lock.abandoned"
  case lockHandedOff = "lock.handed_off"
  case lockReturned = "lock.returned"
  case lockSeized = "lock.seized"
  case lockCleared = "lock.cleared"
  case turnAbandoned = "turn.abandoned"
  case sessionOpened = "session.opened"
  case sessionPaused = "session.paused"
  case sessionResumed = "session.resumed"
  case sessionExpiring = "session.expiring"
  case sessionClosed = "session.closed"
  case sessionExpired = "session.expired"
  case sessionAbandoned = "session.abandoned"
  case sessionRecovered = "session.recovered"
  case sessionArchived = "session.archived"
  case sessionDeleted = "session.deleted"
}

/// The kinds of changes that are pushed to watchers and are in no log.
package enum ChangeType: String, CaseIterable, Sendable {
  case lockAcquired = "lock.acquired"
  case lockReleased = "lock.released"
  case turnBegan = "turn.began"
  case turnEnded = "turn.ended"
  case sessionChanged = "session.changed"
  case chatAdded = "chat.added"
  case chatChanged = "chat.changed"
  case chatRemoved = "chat.removed"
  case chatSaid = "chat.said"
  case chatAmended = "chat.amended"
  case chatUnsaid = "chat.unsaid"
  case chatPart = "chat.part"
  case linkAdded = "link.added"
  case linkRemoved = "link.removed"
  case shareAdded = "share.added"
  case shareRemoved = "share.removed"
  case ticketsEnded = "tickets.ended"
}

/// The id of an entry of a Redis stream: milliseconds and a number within them.
package struct StreamID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let ms: UInt64
  package let number: UInt64

  package init(ms: UInt64, number: UInt64) {
    self.ms = ms
    self.number = number
  }

  /// Before every entry.
  package static let zero = StreamID(ms: 0, number: 0)

  /// The number of ids that stand for moments, in scripts too.
  private static let noEntry: UInt64 = 9_007_199_254_740_991

  /// Before all entries of a millisecond.
  package static func before(ms: UInt64) -> StreamID {
    ms == 0 ? .zero : StreamID(ms: ms - 1, number: noEntry)
  }

  /// Whether an entry may have it.
  package var isOfEntry: Bool { number != StreamID.noEntry }

  /// Reads `<ms>-<number>`, digits only, in the one spelling that Redis writes.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let ms = StreamID.number(parts[0]),
      let number = StreamID.number(parts[1])
    else { return nil }
    self.init(ms: ms, number: number)
  }

  private static func number(_ text: some StringProtocol) -> UInt64? {
    let isDigits = text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    let hasZero = text.hasPrefix("0") && text.utf8.count > 1
    return isDigits && !hasZero ? UInt64(text) : nil
  }

  package static func < (left: StreamID, right: StreamID) -> Bool {
    (left.ms, left.number) < (right.ms, right.number)
  }

  package var description: String { "\(ms)-\(number)" }
}

/// The id of an event: its stream entry's, with the partition's tag before it.
package struct EventID: Hashable, Sendable, CustomStringConvertible {
  package let partition: Partition
  package let entry: StreamID

  package init(partition: Partition, entry: StreamID) {
    self.partition = partition
    self.entry = entry
  }

  /// Reads `<tag>-<ms>-<number>`.
  package init?(_ text: some StringProtocol) {
    guard let dash = text.firstIndex(of: "-"),
      let partition = Partition(tag: text[..<dash]),
      let entry = StreamID(text[text.index(after: dash)...])
    else { return nil }
    self.partition = partition
    self.entry = entry
  }

  package var description: String { "\(partition.tag)-\(entry)" }
}
