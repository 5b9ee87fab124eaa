// Owns: how a verb declares itself: its words, its options, its rights and its text for HELP.
// A value; any thread.

package import Access
package import Wire

/// Whether a verb takes a JSON payload.
package enum PayloadRule: Sendable {
  case none, optionalObject, object, any, optionalAny
  /// A document: an object, an array, or a string at the end of the line.
  case document
  /// An exported session: an object that may be longer, and nest deeper, than others.
  case record
}

/// The right that a verb needs.
package enum Rights: String, Sendable {
  /// Nothing: it is part of every connection.
  case connection
  /// To have said who it is.
  case known
  case read
  case write
  /// The operator's.
  case operate
}

/// The scope of a verb with `*`, or of one that reads more than the devices and links that it
/// names.
enum Reach: Sendable {
  /// It shows what the caller may see, and nothing else.
  case shown
  /// The same, and only to operators.
  case shownToOperators
  /// It covers every device at once, so that nothing of it can be hidden.
  case everyDevice
}

/// Whether `user=ID` may stand in place of a verb's first word, the address.
enum UserAddress: Sendable {
  case none
  /// The user's live session of the latest activity is looked up by this, and addressed.
  case session(@Sendable (borrowing Call) throws(RequestError) -> Void)
  /// The verb itself knows what it means.
  case own

  var isAllowed: Bool { if case .none = self { false } else { true } }
}

/// One verb of the protocol.
///
/// A class, so that handing it on costs one reference and not one for each of its texts.
package final class Verb: Sendable {
  /// In capitals; eight letters at most.
  package let name: String
  package let rights: Rights
  package let words: [WordRule]
  /// Those that it declares, and `as=` where it has an address.
  package let options: [OptionName]
  /// The word before the point in options that name a link, such as `and.KIND=REF`.
  package let linkOption: String?
  /// Whether a user may be its address.
  let userAddress: UserAddress
  /// Whether `user=` has a meaning of its own beside an address.
  private let declaresUser: Bool
  /// Those of the options that must be given.
  package let required: [OptionName]
  package let payload: PayloadRule
  /// The limits of the payload that are checked while it is read.
  private let limits: JSONLimits
  /// The same where the first word is the address of a chat.
  private let limitsOfChat: JSONLimits?
  /// One sentence for HELP.
  package let summary: String
  /// The scope with `*`, or without a word.
  let reach: Reach
  /// The role that it needs in the session that it addresses; nil if it addresses none.
  package let role: SessionRole?
  /// The first words of its replies, besides ERR.
  package let replies: [String]
  /// Whether it changes nothing, so that a request that is lost or repeated does no harm.
  package let onlyReads: Bool
  /// Whether it writes an event into a log where it succeeds, or may: TURN, which can open a
  /// session.
  ///
  /// What a clock, a TTL or a policy ends has its event then, which counts for no request.
  package let writesEvents: Bool
  /// The option that makes another event certain, by whichever request or TTL it comes.
  private let laterEvent: OptionName?
  let run: @Sendable (borrowing Call) throws(RequestError) -> Void

  init(
    name: String, rights: Rights, words: [WordRule] = [], options: [OptionName] = [],
    linkOption: String? = nil, userAddress: UserAddress = .none, required: [OptionName] = [],
    payload: PayloadRule = .none,
    limits: JSONLimits = .usual, limitsOfChat: JSONLimits? = nil, summary: String,
    reach: Reach = .shown, role: SessionRole? = nil, replies: [String], onlyReads: Bool? = nil,
    writesEvents: Bool = false, laterEvent: OptionName? = nil,
    run: @escaping @Sendable (borrowing Call) throws(RequestError) -> Void
  ) {
    self.name = name
    self.rights = rights
    self.words = words
    self.userAddress = userAddress
    declaresUser = options.contains(.user)
    self.options =
      options + (words.first?.kind.isAddress == true ? [.asUser] : [])
      + (userAddress.isAllowed && !declaresUser ? [.user] : [])
    self.linkOption = linkOption
    self.required = required
    self.payload = payload
    self.limits = limits
    self.limitsOfChat = limitsOfChat
    self.summary = summary
    self.reach = reach
    let isAddressed = words.first?.kind.isAddress == true
    self.role = isAddressed ? role ?? (rights == .read ? .read : .write) : nil
    self.replies = replies
    self.onlyReads = onlyReads ?? (rights != .write && rights != .operate)
    self.writesEvents = writesEvents
    self.laterEvent = laterEvent
    self.run = run
  }

  /// Whether the worker answers it by itself, and it needs no bounded resource.
  package var isAboutConnection: Bool { rights == .connection || rights == .known }

  /// How many events a request with these options may write, now and later, if it writes any.
  package func eventsMost(_ arguments: Arguments) -> Int {
    laterEvent.map { arguments[$0] == nil } ?? true ? 1 : 2
  }

  /// The limits of a request's payload.
  package func limits(_ line: Span<UInt8>, _ words: [Token]) -> JSONLimits {
    guard let limitsOfChat, let address = words.first else { return limits }
    var slashes = 0
    for at in address.range where line[at] == UInt8(ascii: "/") { slashes += 1 }
    return slashes < 2 ? limits : limitsOfChat
  }

  /// Whether `user=` stands in place of the address where a request has it, with so many words.
  func isAddressedByUser(words: Int) -> Bool {
    userAddress.isAllowed && (!declaresUser || words == 0)
  }

  /// How it is written, such as `UNLOCK device agent [token=] [req=]`.
  package var usage: String {
    var parts = [name]
    parts += words.enumerated().map { index, word in
      let user = index == 0 && userAddress.isAllowed ? "|user=ID" : ""
      let name = word.isRepeated ? "\(word.name)…" : word.name + user
      return word.isOptional ? "[\(name)]" : name
    }
    parts += options.filter { $0 != .user || declaresUser }.map {
      required.contains($0) ? "\($0.text)=" : "[\($0.text)=]"
    }
    if let linkOption { parts.append("[\(linkOption).KIND=]") }
    switch payload {
    case .none: break
    case .any, .object, .record: parts.append("payload")
    case .document: parts.append("value")
    case .optionalObject, .optionalAny: parts.append("[payload]")
    }
    return parts.joined(separator: " ")
  }
}
