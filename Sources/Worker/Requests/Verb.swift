// Owns: how a verb declares itself: its words, its options, its rights and its text for HELP.
// A value; any thread.

internal import SessionModel
internal import Wire

/// A kind of value that a word or an option can have, and how it is checked.
enum ValueKind: Sendable, Equatable {
  /// An id as `IDText` has it; a device must also be what `--device-ids` asks for.
  case device
  /// A device, or `*` for all.
  case deviceOrAll
  /// What LIST lists: a device's sessions, those of a link (`kind=ref`), or all (`*`).
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

  /// The most bytes of a text that a session keeps, such as its name.
  static let storedTextBytesMax = 4_096
}

/// A word that stands right after the verb.
struct WordRule: Sendable {
  let name: String
  let kind: ValueKind
  var isOptional = false
  /// The last word of a verb may stand many times.
  var isRepeated = false

  static let device = WordRule(name: "device", kind: .device)
  static let deviceOrAll = WordRule(name: "device|*", kind: .deviceOrAll)
  static let listed = WordRule(name: "device|kind=ref|*", kind: .listed)
  /// A session's address; one that goes on to a chat of it will do as well.
  static let session = WordRule(name: "address", kind: .address(parts: 3))
  static let sessionIfAny = WordRule(
    name: "address", kind: .address(parts: 3), isOptional: true)
  static let chat = WordRule(name: "address", kind: .address(parts: 3))
  static let agent = WordRule(name: "agent", kind: .agent)
  static let kind = WordRule(name: "kind", kind: .linkKind)
  static let ref = WordRule(name: "ref", kind: .linkRef)
}

/// The options of the protocol: a name has the same kind wherever it stands.
enum OptionName: Int, CaseIterable, Sendable {
  case ttl, token, req
  case types, after, group, limit, wait
  case agent
  case user, name, thread, phase, step, reason
  case idle, abandon, archive, life, keep, warn
  case fenced, rev, state, cursor, hint, last, replace

  var text: String { OptionName.texts[rawValue] }

  private static let texts = allCases.map { "\($0)" }

  /// The clocks of a session, in the order in which its record keeps them.
  static let clocks: [OptionName] = [.idle, .abandon, .archive, .life, .keep, .warn]

  var kind: ValueKind {
    switch self {
    case .ttl: .duration(allowsZero: false)
    case .token: .integer(1...((1 << 53) - 1))
    case .req, .after, .group: .id
    case .types: .text(bytesMax: 1_024)
    case .limit: .integer(1...1_000)
    case .wait: .duration(allowsZero: true)
    case .agent: .agent
    case .user: .id
    case .name, .thread, .phase, .step, .reason: .text(bytesMax: ValueKind.storedTextBytesMax)
    case .idle, .abandon, .archive, .life, .warn: .duration(allowsZero: true)
    case .keep: .duration(allowsZero: false)
    case .fenced, .replace: .oneOf(["yes", "no"])
    case .rev: .integer(0...((1 << 53) - 1))
    case .state: .oneOf(SessionState.allCases.map(\.rawValue))
    case .hint: .id
    // A partition's tag, a session and a device, with points between them.
    case .cursor: .text(bytesMax: IDText.idBytesMax + 64)
    case .last: .integer(1...1_000)
    }
  }
}

extension OptionName {
  /// What an option gives access to.
  enum Reach { case nothing, user, everyDevice }

  var reach: Reach {
    switch self {
    case .user: .user
    // A report on an agent adds up its locks on all devices; a group takes events of all.
    case .agent, .group: .everyDevice
    case .ttl, .token, .req, .types, .after, .limit, .wait, .name, .thread, .phase, .step, .reason,
      .idle, .abandon, .archive, .life, .keep, .warn, .fenced, .rev, .state, .cursor, .hint, .last,
      .replace:
      .nothing
    }
  }
}

/// Whether a verb takes a JSON payload.
enum PayloadRule: Sendable {
  case none, optionalObject, any, optionalAny
  /// An exported session: an object that may be longer, and nest deeper, than others.
  case record
}

/// What a caller must be allowed to do.
enum Rights: String, Sendable {
  /// Nothing: it is part of every connection.
  case connection
  /// To have said who it is.
  case known
  case read
  case write
  /// The operator's.
  case operate
}

/// One verb of the protocol.
///
/// A class, so that handing it on costs one reference and not one for each of its texts.
final class Verb: Sendable {
  /// In capitals; eight letters at most.
  let name: String
  let rights: Rights
  let words: [WordRule]
  let options: [OptionName]
  /// Those of the options that must be given.
  let required: [OptionName]
  let payload: PayloadRule
  /// One sentence for HELP.
  let summary: String
  /// What it needs with `*`, or without a word.
  let reach: Reach
  /// What it can be answered with besides ERR.
  let replies: [String]
  let run: @Sendable (Call) throws(RequestError) -> Void

  init(
    name: String, rights: Rights, words: [WordRule] = [], options: [OptionName] = [],
    required: [OptionName] = [], payload: PayloadRule = .none, summary: String,
    reach: Reach = .shown, replies: [String],
    run: @escaping @Sendable (Call) throws(RequestError) -> Void
  ) {
    self.name = name
    self.rights = rights
    self.words = words
    self.options = options
    self.required = required
    self.payload = payload
    self.summary = summary
    self.reach = reach
    self.replies = replies
    self.run = run
  }

  /// Whether it is answered by the worker alone, without anything that can run out.
  var isAboutConnection: Bool { rights == .connection || rights == .known }

  /// How it is written, such as `UNLOCK device agent [token=] [req=]`.
  var usage: String {
    var parts = [name]
    parts += words.map { word in
      let name = word.isRepeated ? "\(word.name)…" : word.name
      return word.isOptional ? "[\(name)]" : name
    }
    parts += options.map { required.contains($0) ? "\($0.text)=" : "[\($0.text)=]" }
    switch payload {
    case .none: break
    case .any, .record: parts.append("payload")
    case .optionalObject, .optionalAny: parts.append("[payload]")
    }
    return parts.joined(separator: " ")
  }
}
