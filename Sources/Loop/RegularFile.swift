// Owns: reading a file that an operator names while a loop runs: it never waits for anything, and
// takes no more memory than it may. Any thread.

internal import Glibc

/// A file that could not be read; a sentence with its path.
package struct FileError: Error, Sendable, CustomStringConvertible {
  package let description: String

  package init(description: String) { self.description = description }
}

/// Files of ordinary data, no pipes, devices or folders.
package enum RegularFile {
  /// Reads a whole file of at most `bytesMax` bytes.
  ///
  /// A pipe would be opened when its writer comes, and a device may have no end: either would hold
  /// up the thread for good.
  package static func read(_ path: String, bytesMax: Int) throws(FileError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure("stat", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw FileError(description: "\(path) is \(kind(status.st_mode)): a regular file is needed")
    }
    let tooLarge = FileError(description: "\(path) has more than \(bytesMax) bytes")
    guard status.st_size <= bytesMax else { throw tooLarge }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("read", path) }
      if count == 0 { return bytes }
      // It may have grown meanwhile, or be one whose size the kernel does not say.
      guard bytes.count + count <= bytesMax else { throw tooLarge }
      bytes += chunk[..<count]
    }
  }

  /// Whether users of this host beside its owner and its group may read a file.
  package static func isReadByOthers(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
  }

  private static func failure(_ call: String, _ path: String) -> FileError {
    FileError(description: SystemError("\(call) \(path)", errno).description)
  }

  private static func kind(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "a folder"
    case S_IFIFO: "a pipe"
    case S_IFSOCK: "a socket"
    default: "a device"
    }
  }
}
