// Owns: the file of the audit: lines in the form of the log, one write each. Any thread.

internal import Glibc
internal import Synchronization

/// Appends lines to a file, or writes them to standard error.
package final class AuditLog: Sendable {
  private let path: String
  private let format: LogFormat
  private let file: Mutex<OpenFile>

  private struct OpenFile {
    var descriptor: Int32
    /// Whether a line was written in part, as on a full disk: the next one begins behind its end.
    var isTorn = false
  }

  /// The path that stands for standard error.
  package static let standardError = "-"

  package var isStandardError: Bool { path == AuditLog.standardError }

  package init(_ path: String, format: LogFormat) throws(FileError) {
    (self.path, self.format) = (path, format)
    file = Mutex(OpenFile(descriptor: try AuditLog.open(path)))
  }

  deinit { file.withLock { AuditLog.close($0.descriptor) } }

  /// Opens the file anew, which was moved away; if that fails, lines go where they went.
  package func reopen() throws(FileError) {
    let opened = try AuditLog.open(path)
    let before = file.withLock { file in
      defer { file = OpenFile(descriptor: opened) }
      return file
    }
    AuditLog.close(before.descriptor)
  }

  /// Writes a line with the time before its fields; false if it could not be written whole.
  ///
  /// Does not wait: a pipe or terminal whose reader is stalled gets none of it. No line is as long
  /// as what a pipe takes that takes more.
  package func write(_ fields: KeyValuePairs<String, String>) -> Bool {
    let time = LogField(name: "time", value: WallTime.text(ms: WallTime.nowMs()))
    let line = format.line([time] + fields.map { LogField(name: $0.key, value: $0.value) })
    return file.withLock { file in
      guard !isStandardError || OutputRoom.isThere(file.descriptor) else { return false }
      let bytes = Array(file.isTorn ? "\n\(line)".utf8 : line.utf8)
      var written = Glibc.write(file.descriptor, bytes, bytes.count)
      while written < 0, errno == EINTR {
        written = Glibc.write(file.descriptor, bytes, bytes.count)
      }
      // Of nothing, or of the line feed alone, nothing is torn.
      if written > (file.isTorn ? 1 : 0) { file.isTorn = written < bytes.count }
      return written == bytes.count
    }
  }

  /// A pipe would be opened when its reader comes, and may hold up each writer.
  private static func open(_ path: String) throws(FileError) -> Int32 {
    if path == standardError { return STDERR_FILENO }
    let descriptor = Glibc.open(
      path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw FileError(description: SystemError("open \(path)", errno).description)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      Glibc.close(descriptor)
      throw FileError(description: "\(path) is no regular file")
    }
    return descriptor
  }

  private static func close(_ descriptor: Int32) {
    if descriptor != STDERR_FILENO { Glibc.close(descriptor) }
  }
}
