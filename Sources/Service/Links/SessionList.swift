// Owns: the lists of sessions that lie in many partitions, or in another order than they are kept:
// their entries come from one place, the records from each device's. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// One LIST on its way.
final class SessionList {
  /// The order in which entries come.
  private enum Order {
    /// As they are kept: those of a link the newest first, all by partition and device.
    case kept
    /// By activity: of those that were read and sorted.
    case sorted(ArraySlice<ListedEntry>)
    /// By activity, as the index has it.
    case indexed(ActivityWalk)
  }

  /// The position at which a list continues.
  private struct Position {
    /// Of `all`: which partition.
    var partition = 0
    /// After this entry; nil for the beginning.
    var after: ListedEntry?
  }

  private let request: HeldRequest
  private let source: ListSource
  private let shape: ListShape
  private var order = Order.kept
  /// How many there are on all pages, where that was asked for; null where they are too many.
  private var total: String?
  private var limit: Int { shape.limit }
  private var place: Position
  /// The position of the latest session that was found: cursors name no other, since it could be
  /// one that the caller may not see.
  private var shown = Position()
  /// Whether it is limited to some users' sessions: no cursor names one that was left out.
  private let isLimited: Bool
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
  private static let pageBytesMax = 1 << 20

  /// Begins; the caller's next request waits for the answer.
  ///
  /// `isCounted`: the reply says how many there are on all pages.
  @discardableResult
  init(
    _ call: borrowing Call, _ source: ListSource, _ shape: ListShape, isCounted: Bool
  ) throws(RequestError) {
    place = try SessionList.place(call.text(.cursor), source, isByActivity: shape.isByActivity)
    isLimited = call.users != nil
    request = try HeldRequest(call)
    self.source = source
    self.shape = shape
    let isOfAll = if case .all = source { true } else { false }
    guard isCounted || shape.isByActivity && !isOfAll else {
      begin(nil)
      return
    }
    ListSurvey(request, source, shape.filter) { [self] found in
      if isCounted { total = found.map { "\($0.count)" } ?? "null" }
      begin(found)
    }
  }

  /// Begins with all entries, if they were read.
  private func begin(_ all: [ListedEntry]?) {
    if shape.isByActivity, let all {
      let sorted = all.sorted { $0.isBefore($1) }
      let after = place.after
      order = .sorted(sorted.drop { entry in after.map { !$0.isBefore(entry) } ?? false })
    } else if shape.isByActivity {
      order = .indexed(
        ActivityWalk(
          request, partitions, after: place.after,
          low: shape.since.map { $0 - ActivityWalk.lagMs }, high: shape.before.map { $0 - 1 }))
    }
    next()
  }

  /// Those in whose indexes the sessions of the list are.
  private var partitions: [Partition] {
    if case .device(let device) = source { [Partition(of: device)] } else { Partition.all }
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
    switch order {
    case .sorted(let left):
      order = .sorted(left.dropFirst(SessionList.rowsMax))
      fetch(Array(left.prefix(SessionList.rowsMax)), isLast: left.count <= SessionList.rowsMax)
    case .indexed(let walk):
      walk.next(SessionList.rowsMax) { [self] in fetch($0, isLast: $0.isEmpty) }
    case .kept: nextAsKept()
    }
  }

  private func nextAsKept() {
    guard let link = source.link else { return nextOfAll() }
    let after = place.after?.entry
    request.readPage(of: link, after: after, most: SessionList.rowsMax) { [self] entries in
      fetch(entries.map { ListedEntry(entry: $0) }, isLast: entries.count < SessionList.rowsMax)
    }
  }

  /// Of several partitions in one call, the list continues with the first that has entries.
  private func nextOfAll() {
    let range = place.partition..<min(Partition.count, place.partition + SessionList.partitionsMax)
    guard !range.isEmpty else { return finish(isAtEnd: true) }
    let after = place.after.map { ArgumentText("\($0.entry.device)/\($0.entry.session)") }
    let query = ScriptQuery(
      range.map { index in
        let page = SessionPageCall(
          from: index == place.partition ? after : nil, limit: Int64(SessionList.rowsMax))
        return (Partition(index: index), page)
      })
    request.read(query) { [self] rows in
      for (index, row) in zip(range, rows) {
        let entries = SessionEntry.texts(in: row).compactMap { SessionEntry(address: $0) }
          .map { ListedEntry(entry: $0) }
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

  private func fetch(_ all: [ListedEntry], isLast: Bool) {
    let entries = all.filter { listed in
      if case .device(let device) = source, listed.entry.device != device { return false }
      return request.maySee(listed.entry.device)
    }
    guard !entries.isEmpty else {
      place.after = all.last ?? place.after
      if isLast { finish(isAtEnd: true) } else { next() }
      return
    }
    let link = source.link
    let (kind, ref) = (link.map { ArgumentText($0.kind) }, link.map { ArgumentText($0.ref) })
    let query = ScriptQuery(
      entries.map { listed in
        let entry = listed.entry
        let (device, session) = (ArgumentText(entry.device), ArgumentText(entry.session))
        let call = EntryCall(
          device: device, session: session, kind: kind, ref: ref, filter: shape.filter,
          fields: shape.fields)
        return (entry.partition, call)
      })
    request.readAll(query) { [self] rows in
      take(rows, of: entries, upTo: all.last, isLast: isLast)
    }
  }

  /// Takes the records of entries, which are those up to `last` that the caller may see.
  private func take(
    _ rows: [[UInt8]], of entries: [ListedEntry], upTo last: ListedEntry?, isLast: Bool
  ) {
    var dead: [SessionEntry] = []
    for (at, (entry, row)) in zip(entries, rows).enumerated() {
      if row.elementsEqual("LATER".utf8) {
        removeStale(dead)
        return later(entries[at...], isLast: isLast)
      }
      if row.starts(with: "LARGE ".utf8) {
        removeStale(dead)
        return takeLarge(row, of: entries[at...], upTo: last, isLast: isLast)
      }
      place.after = entry
      if !isLimited || row.starts(with: "OK ".utf8) {
        shown = place
        hasMoved = true
      }
      if row.starts(with: Array("OK ".utf8)) {
        add(row)
      } else if row.elementsEqual("NONE".utf8) {
        dead.append(entry.entry)
      } else if let error = request.error(in: row, of: .entry) {
        removeStale(dead)
        return request.end(.failed(error))
      }
      if found.count == limit || foundBytes >= SessionList.pageBytesMax {
        finish(isAtEnd: isLast && at == entries.count - 1 && entry.entry == last?.entry)
        removeStale(dead)
        return
      }
    }
    place.after = last ?? place.after
    removeStale(dead)
    if isLast { finish(isAtEnd: true) } else { next() }
  }

  /// Adds the record of a row.
  private func add(_ row: [UInt8]) {
    found.append(Array(row.dropFirst(3)))
    foundBytes += row.count
    request.context.keeps(more: row.count)
    keptBytes += row.count
  }

  /// Reads the first one of these in parts, and goes on with the others.
  private func takeLarge(
    _ row: [UInt8], of entries: ArraySlice<ListedEntry>, upTo last: ListedEntry?, isLast: Bool
  ) {
    request.read(large: row) { [self] outcome in
      guard case .line(let line, _) = outcome else { return request.end(outcome) }
      place.after = entries.first
      if line.starts(with: "OK ".utf8) {
        shown = place
        hasMoved = true
        add(Array(line))
      }
      let others = entries.dropFirst()
      if found.count == limit || foundBytes >= SessionList.pageBytesMax {
        return finish(isAtEnd: isLast && others.isEmpty && entries.first?.entry == last?.entry)
      }
      guard others.isEmpty else { return later(others, isLast: isLast) }
      place.after = last ?? place.after
      if isLast { finish(isAtEnd: true) } else { next() }
    }
  }

  /// Goes on with entries whose records did not fit into the call.
  private func later(_ entries: ArraySlice<ListedEntry>, isLast: Bool) {
    // As they are kept they are read again, after the last that was shown.
    if case .kept = order { return next() }
    fetch(Array(entries), isLast: isLast)
  }

  /// Has the stale entries of a link removed.
  private func removeStale(_ dead: [SessionEntry]) {
    // Of the index of all sessions, the others do not have the link.
    if case .indexed = order { return }
    guard let link = source.link else { return }
    let entries = dead.map { LinkEntry(link, $0) }
    LinkCheck.run(store, entries, timeoutMs: store.requestTimeoutMs) { _ in }
  }

  private func finish(isAtEnd: Bool) {
    var line = Array("OK {\"sessions\":[".utf8)
    for (index, record) in found.enumerated() {
      if index > 0 { line.append(UInt8(ascii: ",")) }
      line += record
    }
    line += Array("],\"cursor\":\(isAtEnd ? "null" : "\"\(cursor)\"")".utf8)
    if let total { line += Array(",\"total\":\(total)".utf8) }
    line += Array("}".utf8)
    request.end(line)
  }

  // MARK: Cursors

  /// Of a link `<session>.<device>`; of all, the partition before that.
  private var cursor: String {
    if shape.isByActivity { return shown.after?.cursor ?? "" }
    let entry = shown.after.map { ".\($0.entry.session).\($0.entry.device)" } ?? ""
    if case .all = source { return Partition(index: shown.partition).tag + entry }
    return String(entry.dropFirst())
  }

  private static func place(
    _ cursor: String, _ source: ListSource, isByActivity: Bool
  ) throws(RequestError) -> Position {
    guard !cursor.isEmpty else { return Position() }
    var place = Position()
    guard !isByActivity else {
      place.after = ListedEntry(cursor: cursor)
      guard place.after != nil else { throw forged(cursor) }
      return place
    }
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
    place.after = ListedEntry(entry: SessionEntry(device: device, session: String(session)))
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
  let filter: ArgumentText?
  let fields: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
    words.word(filter)
    words.word(fields)
  }
}
