// Owns: the patterns by which a principal's devices and links are named. Values; any thread.

internal import Wire

/// An id in which `*` stands for any characters, none included; `\*` is the character itself.
package struct Pattern: Sendable, Equatable {
  /// The bytes to be met; nil stands for any, as `*` does.
  private let parts: [UInt8?]
  /// Whether it is `*` alone.
  let isEverything: Bool

  private static let star = UInt8(ascii: "*")
  package static let everything = Pattern(parts: [nil])

  private init(parts: [UInt8?]) {
    self.parts = parts
    isEverything = parts == [nil]
  }

  /// Nil for what no id can look like: as many characters as one may have, each of an id or `*`.
  package init?(_ text: some StringProtocol) {
    var parts: [UInt8?] = []
    var isEscaped = false
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\\"), !isEscaped {
        isEscaped = true
        continue
      }
      guard IDText.isIDByte(byte), !isEscaped || byte == Pattern.star else { return nil }
      parts.append(byte == Pattern.star && !isEscaped ? nil : byte)
      isEscaped = false
    }
    guard 1...IDText.idBytesMax ~= parts.count, !isEscaped else { return nil }
    self.init(parts: parts)
  }

  /// The pattern that fits this id alone.
  package init(id: some StringProtocol) { self.init(parts: id.utf8.map { $0 }) }

  /// The same as Lua has patterns, for a whole text.
  var luaText: String {
    parts.map { part in
      guard let part else { return ".-" }
      let character = String(UnicodeScalar(part))
      return Pattern.isSpecialInLua(part) ? "%\(character)" : character
    }.joined()
  }

  /// Whether a byte of an id has a meaning in Lua's patterns.
  private static func isSpecialInLua(_ byte: UInt8) -> Bool { "().%+-*".utf8.contains(byte) }

  /// The same for ids in small letters: where devices are UUIDs, in capitals they are the same.
  package var inSmallLetters: Pattern {
    Pattern(
      parts: parts.map { part in
        guard let part, UInt8(ascii: "A")...UInt8(ascii: "Z") ~= part else { return part }
        return part | 0x20
      })
  }

  /// The one id that it fits; nil if others do.
  package var id: String? {
    let bytes = parts.compactMap { $0 }
    return bytes.count == parts.count ? String(decoding: bytes, as: UTF8.self) : nil
  }

  /// Goes back to the latest star where the text does not fit: each byte is looked at for as many
  /// times as the pattern is long, at the very most.
  package func matches(_ id: UnsafeBufferPointer<UInt8>) -> Bool {
    if isEverything { return true }
    var (at, place) = (0, 0)
    var star: (pattern: Int, id: Int)?
    while at < id.count {
      if place < parts.count, parts[place] == nil {
        star = (place, at)
        place += 1
      } else if place < parts.count, parts[place] == id[at] {
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
    return parts[place...].allSatisfy { $0 == nil }
  }

  package func matches(_ id: some StringProtocol) -> Bool {
    Array(id.utf8).withUnsafeBufferPointer { matches($0) }
  }
}

/// The links of a kind whose refs look so.
package struct LinkPattern: Sendable, Equatable {
  private let kind: Pattern
  package let ref: Pattern

  /// `kind=ref`, either of them a pattern; or `*` for every link.
  package init?(_ text: some StringProtocol) {
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

  /// The links to a user.
  init(user: Pattern) { (kind, ref) = (Pattern(id: "user"), user) }

  package func matches(kind: some StringProtocol) -> Bool { self.kind.matches(kind) }

  package func matches(kind: some StringProtocol, ref: some StringProtocol) -> Bool {
    self.kind.matches(kind) && self.ref.matches(ref)
  }
}
