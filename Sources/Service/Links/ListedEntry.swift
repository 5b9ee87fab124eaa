// Owns: what a list is asked for: which sessions, in which order; and a session's place in it.
// Values; on a loop's thread.

internal import RedisConnection
internal import SessionModel
internal import Store
internal import Wire

/// Where the sessions of a list come from.
enum ListSource {
  case device(String)
  case link(LinkName)
  /// All sessions, partition by partition.
  case all

  /// The link whose sessions they are; nil for others.
  var link: LinkName? { if case .link(let link) = self { link } else { nil } }
}

/// The order and the bounds of a list.
struct ListShape {
  /// Whether the one that was active last comes first; else the newest does.
  let isByActivity: Bool
  /// What entry.lua and its like let pass; nil for all.
  let filter: ArgumentText?
  /// The names of the fields to show, as parts; nil for all.
  let fields: ArgumentText?
  let since: Int64?
  let before: Int64?
  let limit: Int
}

/// A session of a list, with its last activity where the list is in that order.
struct ListedEntry {
  let entry: SessionEntry
  var activeMs: Int64 = 0

  /// Whether it comes before another by activity: of two at once by their addresses.
  func isBefore(_ other: ListedEntry) -> Bool {
    guard activeMs == other.activeMs else { return activeMs > other.activeMs }
    return other.address.utf8.lexicographicallyPrecedes(address.utf8)
  }

  /// As the index has it.
  private var address: String { "\(entry.device)/\(entry.session)" }

  // MARK: Cursors

  /// `<ms>.<session>.<device>`.
  var cursor: String { "\(activeMs).\(entry.session).\(entry.device)" }

  /// Nil if a text is no such cursor.
  init?(cursor: String) {
    let parts = cursor.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, 1...16 ~= parts[0].utf8.count, let ms = Int64(parts[0]), ms >= 0,
      Array(parts[1].utf8).withUnsafeBufferPointer({ SessionID.isOne($0) }),
      IDText.isID(parts[2])
    else { return nil }
    self.init(
      entry: SessionEntry(device: String(parts[2]), session: String(parts[1])), activeMs: ms)
  }

  init(entry: SessionEntry, activeMs: Int64 = 0) {
    self.entry = entry
    self.activeMs = activeMs
  }
}
