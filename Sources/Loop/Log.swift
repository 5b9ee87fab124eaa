// Owns: the log: logfmt lines on standard error, one write each. Any thread.
// S10: a log line has no secret, no token, no session content; devices only at debug level.

internal import Glibc

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

/// Writes logfmt lines at or above a level.
package struct Log: Sendable {
  package let level: LogLevel

  package init(level: LogLevel) { self.level = level }

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
    var line =
      "time=\(WallTime.text(ms: WallTime.nowMs())) level=\(at.word) msg=\(Log.quoted(message))"
    for (key, value) in fields { line += " \(key)=\(Log.quoted(value))" }
    line += "\n"
    // A log line that standard error refuses has nowhere else to go.
    _ = line.withUTF8 { Glibc.write(2, $0.baseAddress, $0.count) }
  }

  /// A logfmt value: bare where that is unambiguous, else in double quotes.
  static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3D && $0 < 0x7F }
    if isPlain, !text.isEmpty { return text }
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
}
