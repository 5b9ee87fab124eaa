// Owns: the patterns by which a principal's devices and links are named. Values; any thread.

internal import Wire

/// An id in which `*` stands for any characters, none included.
struct Pattern: Sendable, Equatable {
  private let bytes: [UInt8]
  /// Whether it is `*` alone.
  let isEverything: Bool

  private static let star = UInt8(ascii: "*")
  static let everything = Pattern(bytes: [star])

  private init(bytes: [UInt8]) {
    self.bytes = bytes
    isEverything = bytes == [Pattern.star]
  }

  /// Nil for what no id can look like: as many characters as one may have, each of an id or `*`.
  init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard 1...IDText.idBytesMax ~= bytes.count,
      bytes.allSatisfy({ $0 == Pattern.star || IDText.isIDByte($0) })
    else { return nil }
    self.init(bytes: bytes)
  }

  /// Goes back to the latest star where the text does not fit: each byte is looked at for as many
  /// times as the pattern is long, at the very most.
  func matches(_ id: UnsafeBufferPointer<UInt8>) -> Bool {
    if isEverything { return true }
    var (at, place) = (0, 0)
    var star: (pattern: Int, id: Int)?
    while at < id.count {
      if place < bytes.count, bytes[place] == Pattern.star {
        star = (place, at)
        place += 1
      } else if place < bytes.count, bytes[place] == id[at] {
        place += 1
        at += 1
      } else if let last = star {
        star = (last.pattern, last.id + 1)
        place = last.pattern + 1
        at = last.id + 1
      } else {
        return false
      }
    }
    return bytes[place...].allSatisfy { $0 == Pattern.star }
  }

  func matches(_ id: some StringProtocol) -> Bool {
    Array(id.utf8).withUnsafeBufferPointer { matches($0) }
  }
}

/// The links of a kind whose refs look so.
struct LinkPattern: Sendable, Equatable {
  private let kind: Pattern
  private let ref: Pattern

  /// `kind=ref`, either of them a pattern; or `*` for every link.
  init?(_ text: some StringProtocol) {
    if text == "*" {
      (kind, ref) = (.everything, .everything)
      return
    }
    let parts = text.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, let kind = Pattern(parts[0]), let ref = Pattern(parts[1]) else {
      return nil
    }
    (self.kind, self.ref) = (kind, ref)
  }

  func matches(kind: some StringProtocol, ref: some StringProtocol) -> Bool {
    self.kind.matches(kind) && self.ref.matches(ref)
  }
}
