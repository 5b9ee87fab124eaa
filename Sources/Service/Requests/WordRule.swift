// Owns: the kinds of words and options. Values; any thread.

/// A kind of value that a word or an option can have, and how it is checked.
package enum ValueKind: Sendable, Equatable {
  /// An id as `IDText` has it; a device must also be what `--device-ids` asks for.
  case device
  /// A device, or `*` for all.
  case deviceOrAll
  /// An address as below with up to three parts, or `*` for all devices.
  case addressOrAll
  /// The scope of LIST: a device's sessions, those of a link (`kind=ref`), or all (`*`).
  case listed
  /// An id as `IDText` has it.
  case id
  /// The same, and the kind of the link whose ref is the next word.
  case linkKind
  case linkRef
  /// The same, and the name of a group, which takes the events of all devices.
  case group
  /// `device`, `device/session` or `device/session/chat`; `current` may stand for the latter two.
  case address(parts: Int)
  /// An id that is short enough for an agent.
  case agent
  /// Any text of 1 to so many bytes.
  case text(bytesMax: Int)
  /// A duration; `allowsZero` where a clock can be turned off.
  case duration(allowsZero: Bool)
  /// A whole number within the range.
  case integer(ClosedRange<Int64>)
  /// One of these words.
  case oneOf([String])
  /// Some of these words, with commas between them.
  case someOf([String])

  /// Whether a value is what number it means, however it is written.
  package var isNumber: Bool {
    switch self {
    case .duration, .integer: true
    case .device, .deviceOrAll, .addressOrAll, .listed, .id, .linkKind, .linkRef, .group, .address,
      .agent, .text,
      .oneOf, .someOf:
      false
    }
  }

  /// Whether it names a session, or the device whose current one is meant.
  var isAddress: Bool {
    switch self {
    case .address, .addressOrAll: true
    case .device, .deviceOrAll, .listed, .id, .linkKind, .linkRef, .group, .agent, .text,
      .duration, .integer, .oneOf, .someOf:
      false
    }
  }

  /// The most bytes of the name of a member.
  static let memberNameBytesMax = 1_024
  /// The most bytes of a text that a session keeps, such as its name.
  static let storedTextBytesMax = 4_096
}

/// A word that stands right after the verb.
package struct WordRule: Sendable {
  package let name: String
  package let kind: ValueKind
  package var isOptional = false
  /// The last word of a verb may stand many times.
  var isRepeated = false

  package static let device = WordRule(name: "device", kind: .device)
  static let deviceOrAll = WordRule(name: "device|*", kind: .deviceOrAll)
  static let addressOrAll = WordRule(name: "address|*", kind: .addressOrAll)
  static let listed = WordRule(name: "device|kind=ref|*", kind: .listed)
  static let link = WordRule(name: "kind=ref", kind: .listed)
  /// A session's address: a chat in it would mean nothing, and is refused.
  package static let session = WordRule(name: "address", kind: .address(parts: 2))
  /// The address of a chat, or of a session, whose current chat is meant.
  package static let chat = WordRule(name: "address", kind: .address(parts: 3))
  /// The address of a session, or of one of its chats.
  static let sessionOrChat = WordRule(name: "address", kind: .address(parts: 3))
  static let sessionOrChatIfAny = WordRule(
    name: "address", kind: .address(parts: 3), isOptional: true)
  static let documentKey = WordRule(name: "key", kind: .text(bytesMax: DocumentKey.bytesMax))
  static let documentKeys = WordRule(
    name: "key", kind: .text(bytesMax: DocumentKey.bytesMax), isRepeated: true)
  static let documentKeysIfAny = WordRule(
    name: "key", kind: .text(bytesMax: DocumentKey.bytesMax), isOptional: true, isRepeated: true)
  static let hook = WordRule(name: "name", kind: .group)
  package static let agent = WordRule(name: "agent", kind: .agent)
  package static let kind = WordRule(name: "kind", kind: .linkKind)
  package static let ref = WordRule(name: "ref", kind: .linkRef)
}
