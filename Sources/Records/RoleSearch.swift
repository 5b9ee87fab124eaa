// Owns: the part of `HISTORY role=` that Redis cannot do: which of the sealed messages of a page
// are of the role. On a loop's thread.

internal import RedisConnection
internal import Wire

/// A search for messages of a role, of which a script has given all that may be found.
struct RoleSearch {
  private let limit: Int
  /// Whether it goes from the newest message down.
  private let isDown: Bool
  private let role: LentBytes

  /// From `<limit> <up or down> <role>`; nil if a text is none.
  init?(_ text: LentBytes) {
    let words = text.split(separator: UInt8(ascii: " "), maxSplits: 2)
    guard words.count == 3, let limit = StoredNumber.parse(words[0]) else { return nil }
    self.limit = Int(limit)
    isDown = words[1].elementsEqual("down".utf8)
    role = LentBytes(rebasing: words[2])
  }

  /// The messages that were found, by their places in a reply; `isCut` if there were more than the
  /// limit.
  func found(
    _ places: [Int], of reply: RedisReply, in line: RecordLine
  ) -> (places: [Int], isCut: Bool) {
    let found = places.filter { StoredMessage(reply[$0].bytes).isOf(role: role, in: line) }
    guard found.count > limit else { return (found, false) }
    return (Array(isDown ? found.suffix(limit) : found.prefix(limit)), true)
  }
}

/// The members of messages that the worker looks at.
package enum MessageMember {
  /// The JSON text of a member's value, the last one of that name; nil without one.
  package static func value(_ name: some Collection<UInt8>, of message: LentBytes) -> Range<Int>? {
    var members = JSONMembers(0, message.count)
    var found: Range<Int>?
    while let (key, value) = members.next(in: message.span) {
      if text(key, of: message).elementsEqual(name) { found = value }
    }
    return found
  }

  /// Whether the last member of a name is a string that says this.
  static func says(_ said: LentBytes, _ name: StaticString, _ message: LentBytes) -> Bool {
    let name = LentBytes(start: name.utf8Start, count: name.utf8CodeUnitCount)
    guard let value = value(name, of: message), message[value.lowerBound] == UInt8(ascii: "\"")
    else { return false }
    let inside = Token(
      start: value.lowerBound + 1, end: value.upperBound - 1, isQuoted: true)
    return text(inside, of: message).elementsEqual(said)
  }

  /// What the inside of a JSON string says; one with half of a surrogate pair stays as it is
  /// written.
  private static func text(_ token: Token, of message: LentBytes) -> [UInt8] {
    var text: [UInt8] = []
    do throws(RequestError) {
      try JSONString.decode(message.span, token, into: &text)
      return text
    } catch {
      return Array(message[token.range])
    }
  }
}
