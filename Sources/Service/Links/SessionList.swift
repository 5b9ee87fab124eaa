// Owns: the lists of sessions that lie in many partitions: those of a link, and all. The entries
// come from one place, the records from each device's. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// One LIST on its way.
final class SessionList {
  /// Where entries come from.
  enum Source {
    case link(LinkName)
    /// All sessions, partition by partition.
    case all
  }

  /// The position at which a list continues.
  private struct Position {
    /// Of `all`: which partition.
    var partition = 0
    /// After this entry; nil for the beginning.
    var after: SessionEntry?
  }

  private let request: HeldRequest
  private let source: Source
  private let state: String
  private let limit: Int
  private var place: Position
  /// The position of the latest session that was found: cursors name no other, since it could be
  /// one that the caller may not see.
  private var shown = Position()
  /// Whether the cursor is past the beginning of this page.
  private var hasMoved = false
  private var found: [[UInt8]] = []
  private var foundBytes = 0
  /// How many of them count as kept for the caller.
  private var keptBytes = 0

  /// Records read in one call, which bounds how long it occupies Redis.
  private static let rowsMax = 50
  /// Partitions read in one call.
  private static let partitionsMax = 16
  /// A page ends when it has grown so large; a call for its records does too.
  private static let pageBytesMax = 4 << 20

  /// Begins; the caller's next request waits for the answer.
  @discardableResult
  init(_ call: borrowing Call, _ source: Source) throws(RequestError) {
    place = try SessionList.place(call.text(.cursor), source)
    request = try HeldRequest(call)
    self.source = source
    state = call.text(.state)
    limit = Int(call.number(.limit) ?? 50)
    next()
  }

  deinit { request.context.keeps(more: -keptBytes) }

  private var store: Store { request.store }

  /// Reads the next entries; or ends, if there are none, or the page is full.
  private func next() {
    let isFull = found.count >= limit || foundBytes >= SessionList.pageBytesMax
    guard !isFull, !(request.context.hasMemoryPressure && !found.isEmpty) else {
      return finish(isAtEnd: false)
    }
    // The entries that were read need not be read again: the cursor is behind them.
    guard !request.isOver else {
      guard hasMoved else {
        return request.end(.failed(RequestError(.unavailable, "the list took too long; retry")))
      }
      return finish(isAtEnd: false)
    }
    switch source {
    case .link(let link): nextOfLink(link)
    case .all: nextOfAll()
    }
  }

  private func nextOfLink(_ link: LinkName) {
    request.readPage(of: link, after: place.after, most: SessionList.rowsMax) { [self] entries in
      guard !entries.isEmpty else { return finish(isAtEnd: true) }
      fetch(entries, isLast: entries.count < SessionList.rowsMax)
    }
  }

  /// Of several partitions in one call, the list continues with the first that has entries.
  private func nextOfAll() {
    let range = place.partition..<min(Partition.count, place.partition + SessionList.partitionsMax)
    guard !range.isEmpty else { return finish(isAtEnd: true) }
    let after = place.after.map { ArgumentText("\($0.device)/\($0.session)") }
    let query = ScriptQuery(
      range.map { index in
        let page = SessionPageCall(
          from: index == place.partition ? after : nil, limit: Int64(SessionList.rowsMax))
        return (Partition(index: index), page)
      })
    request.read(query) { [self] rows in
      for (index, row) in zip(range, rows) {
        let entries = SessionEntry.texts(in: row).compactMap { SessionEntry(address: $0) }
        guard !entries.isEmpty else { continue }
        if index != place.partition { place = Position(partition: index) }
        fetch(entries, isLast: false)
        return
      }
      place = Position(partition: range.upperBound)
      if range.upperBound < Partition.count {
        shown = place
        hasMoved = true
      }
      next()
    }
  }

  private func fetch(_ all: [SessionEntry], isLast: Bool) {
    let entries = all.filter { request.maySee($0.device) }
    guard !entries.isEmpty else {
      place.after = all.last
      if isLast { finish(isAtEnd: true) } else { next() }
      return
    }
    let link: LinkName? = if case .link(let link) = source { link } else { nil }
    let (kind, ref) = (link.map { ArgumentText($0.kind) }, link.map { ArgumentText($0.ref) })
    let query = ScriptQuery(
      entries.map { entry in
        let (device, session) = (ArgumentText(entry.device), ArgumentText(entry.session))
        let call = EntryCall(
          device: device, session: session, kind: kind, ref: ref, state: ArgumentText(state))
        return (entry.partition, call)
      })
    request.readAll(query) { [self] rows in
      take(rows, of: entries, upTo: all.last, isLast: isLast)
    }
  }

  /// Takes the records of entries, which are those up to `last` that the caller may see.
  private func take(
    _ rows: [[UInt8]], of entries: [SessionEntry], upTo last: SessionEntry?, isLast: Bool
  ) {
    var dead: [SessionEntry] = []
    for (at, (entry, row)) in zip(entries, rows).enumerated() {
      if row.elementsEqual("LATER".utf8) {
        removeStale(dead)
        return next()
      }
      place.after = entry
      shown = place
      hasMoved = true
      if row.starts(with: Array("OK ".utf8)) {
        found.append(Array(row.dropFirst(3)))
        foundBytes += row.count
        request.context.keeps(more: row.count)
        keptBytes += row.count
      } else if row.elementsEqual("NONE".utf8) {
        dead.append(entry)
      } else if let error = request.error(in: row, of: .entry) {
        removeStale(dead)
        return request.end(.failed(error))
      }
      if found.count == limit || foundBytes >= SessionList.pageBytesMax {
        finish(isAtEnd: isLast && at == entries.count - 1 && entry == last)
        removeStale(dead)
        return
      }
    }
    place.after = last
    removeStale(dead)
    if isLast { finish(isAtEnd: true) } else { next() }
  }

  /// Has the stale entries of a link removed.
  private func removeStale(_ dead: [SessionEntry]) {
    guard case .link(let link) = source else { return }
    let entries = dead.map { LinkEntry(link, $0) }
    LinkCheck.run(store, entries, timeoutMs: store.requestTimeoutMs) { _ in }
  }

  private func finish(isAtEnd: Bool) {
    var line = Array("OK {\"sessions\":[".utf8)
    for (index, record) in found.enumerated() {
      if index > 0 { line.append(UInt8(ascii: ",")) }
      line += record
    }
    line += Array("],\"cursor\":\(isAtEnd ? "null" : "\"\(cursor)\"")}".utf8)
    request.end(line)
  }

  // MARK: Cursors

  /// Of a link `<session>.<device>`; of all, the partition before that.
  private var cursor: String {
    let entry = shown.after.map { ".\($0.session).\($0.device)" } ?? ""
    switch source {
    case .link: return String(entry.dropFirst())
    case .all: return Partition(index: shown.partition).tag + entry
    }
  }

  private static func place(_ cursor: String, _ source: Source) throws(RequestError) -> Position {
    guard !cursor.isEmpty else { return Position() }
    var place = Position()
    var parts = cursor.split(
      separator: ".", maxSplits: 2, omittingEmptySubsequences: false)[...]
    if case .all = source {
      guard let tag = parts.popFirst(), let partition = Partition(tag: tag) else {
        throw forged(cursor)
      }
      place.partition = partition.index
      if parts.isEmpty { return place }
    }
    guard let session = parts.popFirst(), !parts.isEmpty,
      Array(session.utf8).withUnsafeBufferPointer({ SessionID.isOne($0) })
    else { throw forged(cursor) }
    let device = parts.joined(separator: ".")
    guard IDText.isID(device) else { throw forged(cursor) }
    place.after = SessionEntry(device: device, session: String(session))
    return place
  }

  static func forged(_ cursor: String) -> RequestError {
    RequestError(.badRequest, "cursor=\(cursor.prefix(64)) is none that this LIST gave")
  }
}

/// A request for session_page.lua.
struct SessionPageCall: ScriptCall {
  static let script = Script.sessionPage
  let from: ArgumentText?
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(from)
    words.word(limit)
  }
}

/// A request for entry.lua.
struct EntryCall: ScriptCall {
  static let script = Script.entry
  let device: ArgumentText
  let session: ArgumentText
  let kind: ArgumentText?
  let ref: ArgumentText?
  let state: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
    words.word(state)
  }
}
