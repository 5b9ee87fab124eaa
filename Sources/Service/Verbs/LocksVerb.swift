// LOCKS: the locks that are held, over all devices.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum LocksVerb {
  static let verb = Verb(
    name: "LOCKS", rights: .operate, options: [.agent, .limit, .cursor],
    summary: "The locks that are held, of all agents or of one, in no order.",
    reach: .everyDevice, replies: ["OK"], onlyReads: true
  ) { (call) throws(RequestError) in
    let place = try LockList.place(call.text(.cursor))
    let list = LockList(
      request: try HeldRequest(call), agent: call[.agent]?.kept, limit: call.number(.limit) ?? 100,
      partition: place.partition, after: place.after)
    list.next()
  }
}

/// A page of LOCKS on its way, which goes through the partitions.
private struct LockList {
  let request: HeldRequest
  let agent: ArgumentText?
  let limit: Int64
  /// Where the next step begins, and behind which device.
  var partition: Int
  var after: String
  private var rows: [LockRow] = []

  /// So many partitions are read in one step, which takes Redis some 4 ms where each has 100 locks.
  private static let partitionsMax = 8

  init(
    request: HeldRequest, agent: ArgumentText?, limit: Int64, partition: Int, after: String
  ) {
    (self.request, self.agent, self.limit) = (request, agent, limit)
    (self.partition, self.after) = (partition, after)
  }

  /// Reads the next partitions; or ends, if there are none, or the page is full.
  func next() {
    let range = partition..<min(Partition.count, partition + LockList.partitionsMax)
    guard !range.isEmpty else { return finish(cursor: nil) }
    guard !request.isOver else { return finish(cursor: LockList.cursor(partition, after)) }
    let query = ScriptQuery(
      range.map { index in
        let from = index == partition && !after.isEmpty ? ArgumentText(after) : nil
        return (Partition(index: index), LocksPageCall(from: from, agent: agent, limit: limit + 1))
      })
    request.read(query) { lines in
      var list = self
      for (index, line) in zip(range, lines) {
        for row in LockRow.all(in: line) {
          guard list.rows.count < limit else {
            return list.finish(cursor: LockList.cursor(list.partition, list.after))
          }
          list.rows.append(row)
          (list.partition, list.after) = (index, String(row.device))
        }
      }
      (list.partition, list.after) = (range.upperBound, "")
      list.next()
    }
  }

  private func finish(cursor: String?) {
    let shown = rows.map { row in
      "{\"device\":\"\(row.device)\",\"agent\":\"\(row.agent)\",\"acquired_at\":\(row.acquiredAt)"
        + ",\"ttl_ms\":\(row.ttlMs)}"
    }
    let end = cursor.map { "\"\($0)\"" } ?? "null"
    request.end(Array("OK {\"locks\":[\(shown.joined(separator: ","))],\"cursor\":\(end)}".utf8))
  }

  // MARK: Cursors

  /// A partition's tag, and behind a point the device to go on after.
  private static func cursor(_ partition: Int, _ after: String) -> String {
    Partition(index: partition).tag + (after.isEmpty ? "" : ".\(after)")
  }

  static func place(_ cursor: String) throws(RequestError) -> (partition: Int, after: String) {
    guard !cursor.isEmpty else { return (0, "") }
    let parts = cursor.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
      .map(String.init)
    guard let tag = parts.first, let partition = Partition(tag: tag),
      parts.count == 1 || IDText.isID(parts[1])
    else {
      throw RequestError(.badRequest, "cursor=\(cursor.prefix(64)) is none that LOCKS gave")
    }
    return (partition.index, parts.count == 2 ? parts[1] : "")
  }
}

/// A held lock, as locks_page.lua has it.
private struct LockRow {
  let device: Substring
  let agent: Substring
  let acquiredAt: Substring
  let ttlMs: Substring

  static func all(in line: [UInt8]) -> [LockRow] {
    let words = String(decoding: line, as: UTF8.self).split(separator: " ").dropFirst()
    return stride(from: words.startIndex, to: words.endIndex - 3, by: 4).map { at in
      LockRow(
        device: words[at], agent: words[at + 1], acquiredAt: words[at + 2], ttlMs: words[at + 3])
    }
  }
}

/// A request for locks_page.lua.
struct LocksPageCall: ScriptCall {
  static let script = Script.locksPage
  let from: ArgumentText?
  let agent: ArgumentText?
  let limit: Int64

  func write(to words: inout CommandBuffer) {
    words.word(from)
    words.word(agent)
    words.word(limit)
  }
}
