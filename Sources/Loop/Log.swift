// Owns: the log: lines of logfmt or JSON on standard error, which no thread waits for. Any thread.
// S10: a log line has no secret, no token, no session content; devices only at debug level.

internal import Synchronization

/// How much a log line matters.
package enum LogLevel: Int, Sendable, Comparable {
  case debug, info, warn, error

  package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

  var word: String {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warn: "warn"
    case .error: "error"
    }
  }
}

/// How lines are written.
package enum LogFormat: String, CaseIterable, Sendable {
  /// `name=value` pairs.
  case logfmt
  /// One JSON object.
  case json
}

extension LogFormat {
  /// A line with these fields, its end included.
  func line(_ fields: [LogField]) -> String {
    switch self {
    case .logfmt:
      fields.map { "\($0.name)=\(Log.quoted($0.value))" }.joined(separator: " ") + "\n"
    case .json: Log.json(fields) + "\n"
    }
  }
}

/// A name and a value of a line.
struct LogField: Equatable {
  let name: String
  let value: String
}

/// Writes lines at or above a level.
///
/// Copies of a log share the counts of its repeated lines, and what waits for a stalled reader.
package struct Log: Sendable {
  /// The repeated lines of a log and its copies.
  private final class Repeats: Sendable {
    let lines = Mutex(RepeatedLines())
  }

  package let level: LogLevel
  private let format: LogFormat
  private let repeats = Repeats()
  private let output = LogOutput()

  package init(level: LogLevel, format: LogFormat = .logfmt) {
    self.level = level
    self.format = format
  }

  /// Whether lines at debug are written; frequent ones are made only after asking.
  package var isDebugging: Bool { level == .debug }

  package func debug(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.debug, message, fields)
  }

  package func info(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.info, message, fields)
  }

  package func warn(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.warn, message, fields)
  }

  package func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.error, message, fields)
  }

  private func write(_ at: LogLevel, _ message: String, _ fields: KeyValuePairs<String, String>) {
    guard at >= level else { return }
    write(at, message, fields.map { LogField(name: $0.key, value: $0.value) })
  }

  private func write(_ at: LogLevel, _ message: String, _ fields: [LogField]) {
    output.write(line(at, message, fields), notice: dropNotice)
  }

  private func line(_ at: LogLevel, _ message: String, _ fields: [LogField]) -> String {
    format.line(
      [
        LogField(name: "time", value: WallTime.text(ms: WallTime.nowMs())),
        LogField(name: "level", value: at.word), LogField(name: "msg", value: message),
      ] + fields)
  }

  private func dropNotice(_ count: Int) -> String {
    line(
      .warn, "log lines were dropped: standard error was not read",
      [LogField(name: "count", value: "\(count)")])
  }

  /// How many lines were dropped, since standard error was not read.
  package var droppedLines: Int { output.dropped }

  // MARK: Repeated lines

  /// Logs what a caller or a fault can cause as often as it likes: the first occurrence of a cause
  /// at once, the next ones every 10 s as a `count` within so many `seconds`, and their end.
  ///
  /// `cause` distinguishes the causes of a message, and is one of few texts: no id, no address.
  /// The fields are those of the latest occurrence; it stands for `count`. Returns whether it has a
  /// line of its own.
  @discardableResult
  package func repeated(
    _ at: LogLevel, _ message: String, cause: String = "", count: Int = 1,
    _ fields: KeyValuePairs<String, String> = [:]
  ) -> Bool {
    guard at >= level else { return false }
    let key = RepeatedLines.Key(message: message, cause: cause)
    let fields = fields.map { LogField(name: $0.key, value: $0.value) }
    let nowMs = MonotonicTime.nowMs()
    let line = repeats.lines.withLock {
      $0.occurred(key, at, fields, count: count, nowMs: nowMs)
    }
    guard let line else { return false }
    write(line)
    return true
  }

  /// Writes the counts and the ends of repeated lines whose time has come; to be called every
  /// second or so.
  package func writeRepeats() {
    let nowMs = MonotonicTime.nowMs()
    for line in repeats.lines.withLock({ $0.due(nowMs: nowMs) }) { write(line) }
    output.flush(notice: dropNotice)
  }

  /// The last lines of a process have so long to be read.
  private static let lastWaitMs: Int32 = 200

  /// Writes the counts that are in no line yet, at the end of a process.
  package func writeLastRepeats() {
    let nowMs = MonotonicTime.nowMs()
    for line in repeats.lines.withLock({ $0.rest(nowMs: nowMs) }) { write(line) }
    output.flush(waitMs: Log.lastWaitMs, notice: dropNotice)
  }

  /// How many occurrences had no line of their own.
  package var suppressedLines: Int { repeats.lines.withLock { $0.suppressed } }

  private func write(_ line: RepeatedLines.Line) {
    guard line.level >= level else { return }
    switch line.kind {
    case .occurred(let count):
      write(line.level, line.message, line.fields + [LogField(name: "count", value: "\(count)")])
    case .repeated(let count, let withinMs):
      let summary = [
        LogField(name: "count", value: "\(count)"),
        LogField(name: "seconds", value: "\(withinMs / 1_000)"),
      ]
      write(line.level, line.message, line.fields + summary)
    case .ended(let total, let lastedMs):
      let summary = [
        LogField(name: "total", value: "\(total)"),
        LogField(name: "seconds", value: "\(lastedMs / 1_000)"),
      ]
      let of = LogField(name: "of", value: line.message)
      write(line.level, "no longer repeated", [of] + line.fields + summary)
    }
  }

  /// The fields as a JSON object; a value is a string, whatever it says.
  static func json(_ fields: [LogField]) -> String {
    let members = fields.map { "\"\($0.name)\":\(jsonString($0.value))" }
    return "{" + members.joined(separator: ",") + "}"
  }

  private static func jsonString(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      default:
        // A terminal obeys some of U+0080 to U+009F.
        let isControl = scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value
        out.unicodeScalars.append(isControl ? " " : scalar)
      }
    }
    return out + "\""
  }

  /// A logfmt value: bare where that is unambiguous, else in double quotes.
  static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3D && $0 < 0x7F }
    return isPlain && !text.isEmpty ? text : jsonString(text)
  }
}
