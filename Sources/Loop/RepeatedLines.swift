// Owns: the rate of log lines that a caller or a fault can cause as often as it likes: which of
// them are written, and how many stand for which. A value, without a clock.

/// The causes that are being repeated, each with its count.
///
/// The first occurrence of a cause is written at once. As long as the cause goes on, one line in
/// each interval has the count of those since the line before; a last line says that it has ended.
struct RepeatedLines {
  struct Key: Hashable {
    let message: String
    /// Distinguishes the causes of one message; of a small number of texts.
    let cause: String
  }

  /// A line to be written.
  struct Line: Equatable {
    enum Kind: Equatable {
      /// The first occurrence of a cause, which stands for so many.
      case occurred(Int)
      /// So many occurrences since the line before, that many ms ago.
      case repeated(Int, withinMs: Int64)
      /// There were none for an interval, after so many within so many ms.
      case ended(total: Int, lastedMs: Int64)
    }

    let level: LogLevel
    let message: String
    /// The fields of the latest occurrence.
    let fields: [LogField]
    let kind: Kind
  }

  private struct Entry {
    var level: LogLevel
    var fields: [LogField]
    let firstMs: Int64
    var lastMs: Int64
    var writtenMs: Int64
    /// The occurrences that are in no line yet.
    var pending = 0
    var total: Int
    var isRepeated = false
  }

  /// How long a cause is silent after a line, and how long it must not occur to have ended.
  static let intervalMs: Int64 = 10_000
  /// Further causes of a message share one count.
  static let causesMax = 256

  private var entries: [Key: Entry] = [:]
  /// How many occurrences had no line of their own.
  private(set) var suppressed = 0

  /// Counts an occurrence that stands for `count`; returns the line to write now, if any.
  mutating func occurred(
    _ key: Key, _ level: LogLevel, _ fields: [LogField], count: Int, nowMs: Int64
  ) -> Line? {
    var key = key
    if entries[key] == nil, entries.count >= RepeatedLines.causesMax {
      key = Key(message: key.message, cause: "others")
    }
    guard var entry = entries[key] else {
      entries[key] = Entry(
        level: level, fields: fields, firstMs: nowMs, lastMs: nowMs, writtenMs: nowMs, total: count)
      return Line(level: level, message: key.message, fields: fields, kind: .occurred(count))
    }
    entry.level = level
    entry.fields = fields
    entry.lastMs = nowMs
    entry.pending += count
    entry.total += count
    entry.isRepeated = true
    let line = RepeatedLines.take(key, &entry, nowMs: nowMs)
    if line == nil { suppressed += 1 }
    entries[key] = entry
    return line
  }

  /// The lines whose time has come: counts of what has occurred since, and ends.
  mutating func due(nowMs: Int64) -> [Line] {
    take { key, entry in
      if let line = RepeatedLines.take(key, &entry, nowMs: nowMs) { return (line, stays: true) }
      let isQuiet = nowMs - entry.lastMs >= RepeatedLines.intervalMs && entry.pending == 0
      guard isQuiet else { return (nil, stays: true) }
      let kind = Line.Kind.ended(total: entry.total, lastedMs: entry.lastMs - entry.firstMs)
      let line = Line(level: .info, message: key.message, fields: entry.fields, kind: kind)
      return (entry.isRepeated ? line : nil, stays: false)
    }
  }

  /// The counts that are in no line yet; all causes begin anew.
  mutating func rest(nowMs: Int64) -> [Line] {
    take { key, entry in
      let kind = Line.Kind.repeated(entry.pending, withinMs: nowMs - entry.writtenMs)
      let line = Line(
        level: entry.level, message: key.message, fields: entry.fields, kind: kind)
      return (entry.pending > 0 ? line : nil, stays: false)
    }
  }

  private mutating func take(
    _ judge: (Key, inout Entry) -> (Line?, stays: Bool)
  ) -> [Line] {
    var lines: [(key: Key, line: Line)] = []
    for key in entries.keys {
      guard var entry = entries[key] else { continue }
      let (line, stays) = judge(key, &entry)
      entries[key] = stays ? entry : nil
      if let line { lines.append((key, line)) }
    }
    return lines.sorted {
      ($0.key.message, $0.key.cause) < ($1.key.message, $1.key.cause)
    }.map(\.line)
  }

  private static func take(_ key: Key, _ entry: inout Entry, nowMs: Int64) -> Line? {
    guard entry.pending > 0, nowMs - entry.writtenMs >= intervalMs else { return nil }
    defer { (entry.pending, entry.writtenMs) = (0, nowMs) }
    return Line(
      level: entry.level, message: key.message, fields: entry.fields,
      kind: .repeated(entry.pending, withinMs: nowMs - entry.writtenMs))
  }
}
