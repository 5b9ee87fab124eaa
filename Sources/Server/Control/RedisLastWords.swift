// Owns: the reading of an embedded Redis' own log: why it ended, in its words, and what to do about
// that. Any thread.

internal import Glibc

/// What a redis-server has logged last.
struct RedisLastWords {
  private static let bytesMax = 8_192
  private static let linesMax = 2
  /// Of each line.
  private static let charactersMax = 200

  /// The lines, without their times; empty if there are none.
  let text: String

  /// Reads the end of a log, of which the part before `offset` is another process' log.
  init(of path: String, from offset: Int) {
    self.init(log: RedisLastWords.tail(path, from: offset))
  }

  init(log: String) {
    let lines = log.split(whereSeparator: \.isNewline)
      .filter { !$0.allSatisfy(\.isWhitespace) }.map(RedisLastWords.parts)
    // Those with this word are advice at each start, such as on overcommitted memory.
    let warnings = lines.filter { $0.isWarning && !$0.text.hasPrefix("WARNING ") }
    let last = (warnings.isEmpty ? lines : warnings).suffix(RedisLastWords.linesMax)
    text = last.map { String($0.text.prefix(RedisLastWords.charactersMax)) }
      .joined(separator: " / ")
  }

  /// The size of a file now; 0 if there is none.
  static func size(of path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  private static func tail(_ path: String, from offset: Int) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    let start = max(offset, size(of: path) - bytesMax)
    let bytes = [UInt8](unsafeUninitializedCapacity: bytesMax) { buffer, count in
      count = max(0, pread(descriptor, buffer.baseAddress, bytesMax, start))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A line without `12:M 26 Nov 2026 04:00:00.000 # `; a line without that is a complaint too.
  private static func parts(_ line: Substring) -> (text: Substring, isWarning: Bool) {
    let words = line.split(separator: " ", maxSplits: 6, omittingEmptySubsequences: true)
    guard words.count == 7, words[0].contains(":"), words[4].contains(":"), words[5].count == 1
    else {
      return (line, true)
    }
    return (words[6], words[5] == "#")
  }

  /// What to do about it.
  func remedy(folder: String) -> String {
    let says: (String) -> Bool = { part in text.lowercased().contains(part) }
    if says("append only file") || says("aof") {
      return "copy \(folder), then: redis-check-aof --fix \(folder)/appendonlydir/*.manifest"
    }
    if says("no space left") { return "make room on the disk of \(folder)" }
    if says("permission denied") { return "let this user write everything in \(folder)" }
    if says("failed to execute") {
      return "install Debian's package redis-server, or name a Redis with --redis"
    }
    return "see \(folder)/redis.log"
  }
}
