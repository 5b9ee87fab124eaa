// Owns: files of the keys by which workers under test seal values.

import Foundation

/// A file for `--seal-keys`.
struct SealKeysFile: Sendable {
  let path: String

  /// The file of the workers of a lab, with one key.
  static let ofLab = SealKeysFile(["k1"])

  /// Writes a key for each id: the same id has the same key in each file.
  init(_ ids: [String]) {
    path = "\(Scratch.root)/seal-keys-\(UUID().uuidString)"
    write(ids)
  }

  func write(_ ids: [String]) {
    write(
      text: ids.map { id in
        let bytes = (0..<32).map { UInt8(truncatingIfNeeded: id.hashBytes &* 31 &+ $0) }
        return "\(id):\(Data(bytes).base64EncodedString())\n"
      }.joined())
  }

  func write(text: String) {
    let isWritten = FileManager.default.createFile(
      atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
    precondition(isWritten, "\(path) cannot be written")
  }

  var flags: [String] { ["--seal-keys", path] }
}

extension String {
  /// A number of a short text, the same in each run.
  fileprivate var hashBytes: Int { utf8.reduce(7) { $0 &* 131 &+ Int($1) } }
}
