// Owns: how lines of the log get to standard error, whose reader may stall: a few wait for it, and
// what comes beyond is counted. Any thread.

internal import Glibc
internal import Synchronization

/// Writes lines without waiting for their reader.
final class LogOutput: Sendable {
  private struct Lines {
    /// What has not been taken yet, whole lines but for the first.
    var bytes: [UInt8] = []
    /// The lines of which no line has said yet that they were dropped.
    var unreported = 0
    var dropped = 0
  }

  /// So much waits at most.
  static let bytesMax = 64 << 10
  /// A pipe that takes more takes so much at once.
  private static let chunkBytes = 4_096
  private let descriptor: Int32
  private let lines = Mutex(Lines())

  init(_ descriptor: Int32 = STDERR_FILENO) { self.descriptor = descriptor }

  /// The lines that were dropped so far.
  var dropped: Int { lines.withLock { $0.dropped } }

  /// Writes a line, keeps it until the reader goes on, or drops it.
  ///
  /// `notice` makes the line that says how many were dropped, which comes before the next one.
  func write(_ line: String, notice: (Int) -> String) {
    lines.withLock { lines in
      send(&lines)
      report(&lines, notice)
      guard lines.unreported == 0, lines.bytes.count + line.utf8.count <= LogOutput.bytesMax else {
        lines.unreported += 1
        lines.dropped += 1
        return
      }
      lines.bytes += line.utf8
      send(&lines)
    }
  }

  /// Goes on with what waits; at the end of a process for `waitMs` at most.
  func flush(waitMs: Int32 = 0, notice: (Int) -> String) {
    lines.withLock { lines in
      send(&lines, waitMs: waitMs)
      report(&lines, notice)
      send(&lines)
    }
  }

  private func report(_ lines: inout Lines, _ notice: (Int) -> String) {
    guard lines.unreported > 0, lines.bytes.isEmpty else { return }
    lines.bytes += notice(lines.unreported).utf8
    lines.unreported = 0
  }

  private func send(_ lines: inout Lines, waitMs: Int32 = 0) {
    var sent = 0
    while sent < lines.bytes.count, OutputRoom.isThere(descriptor, waitMs: waitMs) {
      let count = min(lines.bytes.count - sent, LogOutput.chunkBytes)
      let written = lines.bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress.map { $0 + sent }, count)
      }
      if written >= 0 {
        sent += written
      } else if errno == EAGAIN {
        break
      } else if errno != EINTR {
        // A log line that standard error refuses has nowhere else to go.
        sent = lines.bytes.count
      }
    }
    lines.bytes.removeFirst(sent)
  }
}

/// Whether a descriptor that blocks can be written.
///
/// Standard error is shared with other processes, so that it stays one that blocks.
enum OutputRoom {
  /// Whether a write of 4 KiB at most is done at once, or fails at once; after `waitMs` at most.
  static func isThere(_ descriptor: Int32, waitMs: Int32 = 0) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    var ready = poll(&entry, 1, waitMs)
    while ready < 0, errno == EINTR { ready = poll(&entry, 1, waitMs) }
    return ready > 0
  }
}
