// Owns: the reading of all sessions of a list that are to be counted, or ordered by their activity:
// which there are, and when each was active last. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// A list's sessions, read whole.
final class ListSurvey {
  /// More than so many sessions are not read for one request.
  static let entriesMax = 10_000
  /// Entries of an index read in one call.
  private static let pageMax = 1_000
  /// Partitions read in one call.
  private static let partitionsMax = 16
  /// Sessions looked at in one call.
  private static let siftedMax = 250

  private let request: HeldRequest
  private let source: ListSource
  private let filter: ArgumentText?
  /// Gets those that pass, in no order; nil if there are too many to look at.
  private let done: ([ListedEntry]?) -> Void

  private var entries: [SessionEntry] = []
  private var sifted = 0
  private var found: [ListedEntry] = []
  /// Of `all`: the partitions that are still to be read, each after an entry.
  private var partitions = Partition.all.map { (partition: $0, after: String?.none) }

  @discardableResult
  init(
    _ request: HeldRequest, _ source: ListSource, _ filter: ArgumentText?,
    _ done: @escaping ([ListedEntry]?) -> Void
  ) {
    self.request = request
    self.source = source
    self.filter = filter
    self.done = done
    read(after: nil)
  }

  // MARK: Which there are

  private func read(after entry: SessionEntry?) {
    guard mayGoOn() else { return }
    switch source {
    case .link(let link):
      request.readPage(of: link, after: entry, most: ListSurvey.pageMax) { [self] page in
        take(page, isLast: page.count < ListSurvey.pageMax) { read(after: page.last) }
      }
    case .device(let device): read(of: device, after: entry)
    case .all: readPartitions()
    }
  }

  /// The sessions of a device stand together among those of its partition.
  private func read(of device: String, after entry: SessionEntry?) {
    let from = "\(device)/\(entry?.session ?? "")"
    let page = SessionPageCall(from: ArgumentText(from), limit: Int64(ListSurvey.pageMax))
    request.read(ScriptQuery(page, at: Partition(of: device))) { [self] rows in
      let all = SessionEntry.texts(in: rows[0]).compactMap { SessionEntry(address: $0) }
      let own = all.prefix { $0.device == device }
      take(Array(own), isLast: own.count < ListSurvey.pageMax) { read(after: own.last) }
    }
  }

  private func readPartitions() {
    let now = Array(partitions.prefix(ListSurvey.partitionsMax))
    partitions.removeFirst(now.count)
    guard !now.isEmpty else { return sift() }
    let query = ScriptQuery(
      now.map { place in
        let page = SessionPageCall(
          from: place.after.map { ArgumentText($0) }, limit: Int64(ListSurvey.pageMax))
        return (place.partition, page)
      })
    request.read(query) { [self] rows in
      var page: [SessionEntry] = []
      for (place, row) in zip(now, rows) {
        let texts = SessionEntry.texts(in: row)
        page += texts.compactMap { SessionEntry(address: $0) }
        if texts.count == ListSurvey.pageMax, let last = texts.last {
          partitions.append((place.partition, String(last)))
        }
      }
      take(page, isLast: partitions.isEmpty) { read(after: nil) }
    }
  }

  private func take(_ page: [SessionEntry], isLast: Bool, _ goOn: () -> Void) {
    entries += page.filter { request.maySee($0.device) }
    guard entries.count <= ListSurvey.entriesMax else { return done(nil) }
    if isLast { sift() } else { goOn() }
  }

  // MARK: What they are

  private func sift() {
    guard sifted < entries.count else { return done(found) }
    guard mayGoOn() else { return }
    let now = entries[sifted..<min(entries.count, sifted + ListSurvey.siftedMax)]
    sifted = now.endIndex
    let link = source.link
    let (kind, ref) = (link.map { ArgumentText($0.kind) }, link.map { ArgumentText($0.ref) })
    let query = ScriptQuery(
      now.map { entry in
        let call = SiftCall(
          device: ArgumentText(entry.device), session: ArgumentText(entry.session), kind: kind,
          ref: ref, filter: filter)
        return (entry.partition, call)
      })
    request.read(query) { [self] rows in
      for (entry, row) in zip(now, rows) where row.starts(with: "OK ".utf8) {
        let active = Int64(String(decoding: row.dropFirst(3), as: UTF8.self)) ?? 0
        found.append(ListedEntry(entry: entry, activeMs: active))
      }
      sift()
    }
  }

  private func mayGoOn() -> Bool {
    guard request.isOver else { return true }
    request.end(.failed(RequestError(.unavailable, "the list took too long; retry")))
    return false
  }
}

/// A request for sift.lua.
struct SiftCall: ScriptCall {
  static let script = Script.sift
  let device: ArgumentText
  let session: ArgumentText
  let kind: ArgumentText?
  let ref: ArgumentText?
  let filter: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
    words.word(filter)
  }
}
