// Owns: the sessions of many partitions in the order of their last activity, merged from the index
// of each. Runs on a loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

/// A walk through the indexes by activity, the last one first.
///
/// The indexes are less than a minute behind their sessions.
final class ActivityWalk {
  /// A session's entry may be so much older than its activity.
  static let lagMs: Int64 = 60_000
  /// Entries of a partition that are read at first, and later.
  private static let (firstPage, page): (Int, Int) = (8, 64)

  /// The part of one partition's index that was read and not yet given.
  private struct Shard {
    let partition: Partition
    var entries: ArraySlice<ListedEntry> = []
    /// The last one that was read; the next page begins at its time.
    var last: ListedEntry?
    /// How many of those that were read have the time of the last one.
    var ties = 0
    var limit = ActivityWalk.firstPage
    var isAtEnd = false

    var isEmpty: Bool { entries.isEmpty && !isAtEnd }
  }

  private let request: HeldRequest
  private let low: Int64?
  private let high: Int64?
  private var shards: [Shard]

  /// Begins after an entry, with those whose index entries are from `low` to `high`.
  init(
    _ request: HeldRequest, _ partitions: [Partition], after: ListedEntry?, low: Int64?,
    high: Int64?
  ) {
    self.request = request
    self.low = low
    self.high = high
    shards = partitions.map { Shard(partition: $0, last: after) }
  }

  /// Gives the next entries, `most` at the most; none at the end.
  func next(_ most: Int, _ done: @escaping ([ListedEntry]) -> Void) {
    let needed = shards.indices.filter { shards[$0].isEmpty }
    guard !needed.isEmpty else { return done(merge(most)) }
    let query = ScriptQuery(
      needed.map { index in
        let shard = shards[index]
        let high = [shard.last?.activeMs, self.high].compactMap(\.self).min()
        let call = ActivityPageCall(
          high: ArgumentText(high.map { "\($0)" } ?? "+inf"),
          low: ArgumentText(low.map { "\($0)" } ?? "-inf"), limit: Int64(shard.limit + shard.ties))
        return (shard.partition, call)
      })
    request.read(query) { [self] rows in
      for (index, row) in zip(needed, rows) { fill(index, row) }
      // A page may have had nothing but what was given already.
      guard !shards.contains(where: \.isEmpty) else { return next(most, done) }
      done(merge(most))
    }
  }

  private func fill(_ index: Int, _ row: [UInt8]) {
    let words = Array(SessionEntry.texts(in: row))
    let limit = shards[index].limit + shards[index].ties
    let all: [ListedEntry] = stride(from: 0, to: words.count - 1, by: 2).compactMap { at in
      guard let entry = SessionEntry(address: words[at]), let ms = Int64(words[at + 1]) else {
        return nil
      }
      return ListedEntry(entry: entry, activeMs: ms)
    }
    let last = shards[index].last
    shards[index].entries = all.filter { last?.isBefore($0) ?? true }[...]
    shards[index].isAtEnd = words.count / 2 < limit
    shards[index].limit = shards[index].entries.isEmpty ? 2 * limit : ActivityWalk.page
    guard let newest = shards[index].entries.last else { return }
    shards[index].last = newest
    shards[index].ties = all.count { $0.activeMs == newest.activeMs }
  }

  /// Takes the first of all, one after another, for as long as each partition has one that was read
  /// or has no more.
  private func merge(_ most: Int) -> [ListedEntry] {
    var merged: [ListedEntry] = []
    while merged.count < most, !shards.contains(where: \.isEmpty) {
      var first: Int?
      for index in shards.indices {
        guard let entry = shards[index].entries.first else { continue }
        if let best = first.flatMap({ shards[$0].entries.first }), !entry.isBefore(best) {
          continue
        }
        first = index
      }
      guard let first, let entry = shards[first].entries.popFirst() else { break }
      merged.append(entry)
    }
    return merged
  }
}

/// A request for activity_page.lua.
struct ActivityPageCall: ScriptCall {
  static let script = Script.activityPage
  let high: ArgumentText
  let low: ArgumentText
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(high)
    words.word(low)
    words.word(limit)
  }
}
