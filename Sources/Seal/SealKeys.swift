// Owns: the file of keys by which values are sealed: reading it, and what becomes of its keys. No
// error repeats what the file contains. Values; any thread.

internal import Loop

/// A fault in the file of keys: a sentence with the line's number and the allowed form.
package struct SealKeysError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String
}

/// A key by which values are sealed.
package struct SealKey: Sendable, Equatable {
  /// 1 to 32 bytes of `A-Z a-z 0-9 _ -`; it stands before each value that is sealed by the key.
  package let id: String
  /// 32 bytes.
  let secret: [UInt8]

  static let idBytesMax = 32

  static func isIDByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// A key for one use, so that none is used for two.
  func derived(for use: String) -> [UInt8] {
    Array("latchkey seal: \(use)".utf8).withUnsafeBufferPointer {
      Digest.hmacSHA256(key: secret, $0)
    }
  }
}

/// The keys of a worker: the first seals, and all of them open.
package struct SealKeys: Sendable, Equatable {
  package let all: [SealKey]

  package var ids: [String] { all.map(\.id) }

  private static let bytesMax = 1 << 20
  private static let rule =
    "a line is ID:KEY, an id of 1 to 32 of A-Z a-z 0-9 _ and -, and the "
    + "Base64 of 32 random bytes, as 'openssl rand -base64 32' gives it"

  /// Reads `id:key`, one key a line; lines that begin with `#` are comments.
  package static func load(_ path: String) throws(SealKeysError) -> SealKeys {
    let text: [UInt8]
    do throws(FileError) { text = try RegularFile.read(path, bytesMax: bytesMax) } catch {
      throw SealKeysError(description: error.description)
    }
    return try SealKeys(parsing: text)
  }

  package init(parsing text: [UInt8]) throws(SealKeysError) {
    var keys: [SealKey] = []
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let words = line.split { [9, 13, 32].contains($0) }
      guard let first = words.first, first.first != UInt8(ascii: "#") else { continue }
      guard words.count == 1, let key = SealKeys.key(first) else {
        throw SealKeysError(description: "line \(index + 1): \(SealKeys.rule)")
      }
      guard !keys.contains(where: { $0.id == key.id }) else {
        throw SealKeysError(description: "line \(index + 1): the id stands on an earlier line too")
      }
      keys.append(key)
    }
    guard !keys.isEmpty else {
      throw SealKeysError(description: "there is no key in it: \(SealKeys.rule)")
    }
    all = keys
  }

  private static func key(_ line: ArraySlice<UInt8>) -> SealKey? {
    let id = line.prefix { $0 != UInt8(ascii: ":") }
    guard 1...SealKey.idBytesMax ~= id.count, id.allSatisfy(SealKey.isIDByte),
      id.count < line.count
    else { return nil }
    let text = Array(line[(id.endIndex + 1)...])
    guard let secret = text.withUnsafeBufferPointer({ Base64.bytes($0) }),
      secret.count == SealingCipher.keyBytes
    else { return nil }
    return SealKey(id: String(decoding: id, as: UTF8.self), secret: secret)
  }
}
