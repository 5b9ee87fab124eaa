// Owns: the program's access to its surroundings. Main thread.

import Glibc

/// The command line, the environment, files and the standard streams.
enum Console {
  /// The arguments behind the program's name.
  ///
  /// Text that is not UTF-8 ends the program: a part of it would be replaced without a word.
  static func arguments() -> [String] {
    var words: [String] = []
    for index in 0..<Int(CommandLine.argc) where index > 0 {
      guard let bytes = CommandLine.unsafeArgv[index], let word = String(validatingCString: bytes)
      else { fail("latchkey: argument \(index) is not valid UTF-8\n", status: 2) }
      words.append(word)
    }
    return words
  }

  static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      entry += 1
      let shown = String(cString: text)
      let pair = shown.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2 else { continue }
      let name = String(pair[0])
      let isOurs = name.hasPrefix("LATCHKEY_") || name == "REDIS_URL"
      if isOurs, String(validatingCString: text) == nil {
        fail("latchkey: \(name) in the environment is not valid UTF-8\n", status: 2)
      }
      variables[name] = String(pair[1])
    }
    return variables
  }

  /// Reads HOST:PORT, or says what is wrong and ends.
  static func hostAndPort(
    _ place: String, of flag: String = "--to", command: String
  ) -> (String, UInt16) {
    guard let colon = place.lastIndex(of: ":"),
      let port = UInt16(place[place.index(after: colon)...]), colon > place.startIndex
    else { fail("latchkey \(command): \(flag) takes HOST:PORT, not '\(place)'\n", status: 2) }
    return (place[..<colon].filter { $0 != "[" && $0 != "]" }, port)
  }

  /// Prints to standard error and ends.
  static func fail(_ text: String, status: Int32) -> Never {
    _ = write(text, to: 2)
    exit(status)
  }

  /// Writes all of a text at once; false if its reader is gone.
  static func write(_ text: String, to descriptor: Int32 = 1) -> Bool {
    var copy = text
    return copy.withUTF8 { bytes in
      var sent = 0
      while sent < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        sent += count
      }
      return true
    }
  }

  /// The content of a file, or standard input for `-`; nil if it cannot be read.
  static func text(ofFile path: String, bytesMax: Int) -> String? {
    let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { if descriptor > 0 { close(descriptor) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4_096)
    while bytes.count <= bytesMax {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return String(validating: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
    return nil
  }
}
