// Sessions and chats by sections 4, 6 and 7 of the contract: small enough to be read, and without
// clocks, batches or Redis. It gives each reply, byte for byte.

import Foundation

/// A member of a record: the revision of its latest change, and its JSON unless it was removed.
struct ModelMember {
  let rev: Int
  let json: String?
}

struct ModelLink: Equatable {
  let kind: String
  let ref: String
}

struct ModelChat {
  var number = 1
  var name = "null"
  var config = "null"
  /// The members of a configuration that was merged.
  var settings: [(key: String, json: String)]?
  var seq = 0
  /// The highest number that a full chat has dropped.
  var dropped = 0
  /// The member by which it is indexed.
  var idMember: String?
  var messages: [(seq: Int, json: String)] = []
}

/// The limits that the workers under test are started with.
enum ModelLimits {
  static let sessions = 4
  static let chats = 3
  static let messages = 6
  static let fields = 16
  static let links = 3
  static let flags =
    [
      "--max-sessions", "\(sessions)", "--max-chats", "\(chats)", "--max-messages", "\(messages)",
      "--max-fields", "\(fields)", "--max-links", "\(links)", "--max-user-sessions", "10000",
    ] + ModelPolicy.flags
}

/// A record as a reply shows it: values that common JSON readers refuse are part of the test.
struct ShownRecord {
  let id: String
  private let text: Substring

  /// All records of a reply, in order.
  static func all(in reply: Reply) -> [ShownRecord] {
    reply.raw.components(separatedBy: "{\"session\":\"").dropFirst().map { part in
      ShownRecord(id: String(part.prefix { $0 != "\"" }), text: part[...])
    }
  }

  /// A number of the worker's own; they stand before all that callers have stored.
  func int(_ name: String) -> Int? {
    guard let found = text.range(of: "\"\(name)\":") else { return nil }
    return Int(text[found.upperBound...].prefix { $0.isNumber })
  }
}

/// The state of one session.
///
/// Times are learned from the first reply that shows them; from then on they must not differ.
struct ModelSession {
  let id: String
  let device: String
  var clocks: ModelClocks
  var policy: String?
  var state = "active"
  var reason = "null"
  var rev = 1
  var isFenced = false
  var thread = "null"
  var members: [String: ModelMember] = [:]
  var chats = [ModelChat()]
  /// The number of the current chat; nil while there is none.
  var chat: Int? = 1
  /// The highest number that a chat has had.
  var lastChat = 1
  var links: [ModelLink] = []
  var documents: [String: ModelDocument] = [:]

  var created: Int?
  /// The latest activity; nil until a reply shows it.
  var active: Int?
  /// It was no earlier than this.
  var activeSince = 0
  /// When its life began.
  var born: Int?
  /// When it came to be closed, expired or archived.
  var ended: Int?
  /// The order in which things were done, by which ties of times are eventMembers apart: its latest
  /// activity, and the end of its latest life.
  var activeStep = 0
  var endedStep = 0

  /// The thread that it was given; nil if its id is its thread.
  var givenThread: String? { thread == "\"\(id)\"" ? nil : thread }
  var isLive: Bool { state == "active" || state == "paused" }
  var isEnded: Bool { !isLive && state != "abandoned" }
  var fieldCount: Int { members.count { $0.key.hasPrefix("f:") && $0.value.json != nil } }

  mutating func touch() {
    activeSince = active ?? activeSince
    active = nil
  }

  /// Changes its state; gives the event of the transition.
  mutating func move(to next: String, reason: String, as kind: String? = nil) -> String {
    let kinds = ["active": "resumed", "completed": "closed", "failed": "closed"]
    state = next
    self.reason = reason
    rev += 1
    ended = nil
    return "session.\(kind ?? kinds[next] ?? next) \(eventMembers)"
  }

  /// Takes times from a record that shows them for the first time.
  mutating func learn(_ shown: ShownRecord) {
    if created == nil { created = shown.int("created_at") }
    if active == nil, let at = shown.int("active_at"), at >= activeSince { active = at }
    if born == nil { born = created }
    if ended == nil { ended = shown.int("keep_until").map { $0 - clocks.keep } }
  }

  /// The record, as JSON.
  var record: String {
    func text(_ name: String) -> String { members[name]?.json ?? "null" }
    func number(_ value: Int?) -> String { value.map { "\($0)" } ?? "null" }
    func time(_ start: Int?, _ clock: Int, _ runs: Bool) -> String {
      runs && clock > 0 ? "\((start ?? -1) + clock)" : "null"
    }
    let fields = members.filter { $0.key.hasPrefix("f:") && $0.value.json != nil }
      .map { "\($0.key.dropFirst(2)):\($0.value.json ?? "")" }
      .sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    return "{\"session\":\"\(id)\",\"device\":\"\(device)\",\"state\":\"\(state)\""
      + ",\"reason\":\(reason),\"rev\":\(rev),\"name\":\(text("name")),\"thread\":\(thread)"
      + ",\"phase\":\(text("phase")),\"step\":\(text("step"))"
      + ",\"policy\":\(policy.map { "\"\($0)\"" } ?? "null")"
      + ",\"fenced\":\(isFenced),\"created_at\":\(created ?? -1),\"updated_at\":U"
      + ",\"active_at\":\(active ?? -1),\"idle_at\":\(time(active, clocks.idle, state == "active"))"
      + ",\"abandon_at\":\(time(active, clocks.abandon, isLive))"
      + ",\"life_at\":\(time(born, clocks.life, isLive))"
      + ",\"keep_until\":\(time(ended, clocks.keep, isEnded)),\"clocks\":\(clocks.json)"
      + ",\"chat\":\(number(chat))"
      + ",\"chats\":\(chats.count),\"messages\":\(chats.map(\.messages.count).reduce(0, +))"
      + ",\"links\":\(linksJSON),\"fields\":{\(fields.joined(separator: ","))}}"
  }

  /// Kinds and their references, each in the order in which they came.
  private var linksJSON: String {
    var kinds: [String] = []
    for link in links where !kinds.contains(link.kind) { kinds.append(link.kind) }
    let lists = kinds.map { kind in
      let refs = links.filter { $0.kind == kind }.map { "\"\($0.ref)\"" }
      return "\"\(kind)\":[\(refs.joined(separator: ","))]"
    }
    return "{\(lists.joined(separator: ","))}"
  }

  /// The members of an event of the session after its time.
  var eventMembers: String {
    "\"session\":\"\(id)\",\"state\":\"\(state)\",\"reason\":\(reason),\"links\":\(linksJSON)"
  }

  /// Merges a request's members; gives a word other than OK if it must not.
  mutating func merge(_ writes: [(String, String)], seen: Int?) -> String? {
    // A member that stands twice counts as its last value.
    let last = Dictionary(writes) { $1 }
    guard !last.isEmpty else { return nil }
    if let seen, last.keys.contains(where: { (members[$0]?.rev ?? 0) > seen }) {
      return "STALE {\"rev\":\(rev)}"
    }
    var next = self
    for (name, json) in last {
      next.members[name] = ModelMember(rev: rev + 1, json: json == "null" ? nil : json)
    }
    guard next.fieldCount <= ModelLimits.fields else { return "ERR quota" }
    self = next
    rev += 1
    return nil
  }

  /// The place of an addressed chat, or nil if there is none.
  func place(of chat: String?) -> Int? {
    let number = chat == nil || chat == "current" ? self.chat : chat.flatMap { Int($0) }
    return chats.firstIndex { $0.number == number }
  }

  /// Makes a chat, which is the current one.
  mutating func addChat(_ name: String, _ config: String) {
    lastChat += 1
    chats.append(ModelChat(number: lastChat, name: name, config: config))
    chat = lastChat
    rev += 1
  }
}

/// A request that the model understands.
struct ModelRequest {
  var verb: String
  var session: String?
  var chat: String?
  /// The word after the address.
  var word: String?
  /// As text, in the order in which they are sent.
  var options: [(name: String, value: String)] = []
  /// Members of the payload, names as JSON.
  var members: [(name: String, json: String)]?
  /// Of LIST: the session that the page before ended with; an option has its cursor.
  var after: String?
  /// The messages of a SAY, or the configuration of a CHAT.
  var texts: [String] = []
  var token: Int?
  var req: String?

  func option(_ name: String) -> String? { options.first { $0.name == name }?.value }

  /// The options of RECOVER that an existing session ignores.
  var ignoredOptions: [String] {
    let names = [
      "name", "phase", "step", "policy", "idle", "abandon", "archive", "life", "keep", "warn",
      "fenced",
      "chat",
    ]
    return (names.filter { option($0) != nil } + (members == nil ? [] : ["payload"]))
      .map { "\"\($0)\"" }
  }

  func line(_ device: String) -> String {
    let address = [device, session ?? (chat == nil ? nil : "current"), chat].compactMap { $0 }
    var parts = [verb, address.joined(separator: "/")]
    if let word { parts.append(word) }
    parts += options.map { "\($0.name)=\($0.value)" }
    if let token { parts.append("token=\(token)") }
    if let req { parts.append("req=\(req)") }
    if let members {
      parts.append("{" + members.map { "\($0.name):\($0.json)" }.joined(separator: ",") + "}")
    } else if texts.count == 1 {
      parts.append(texts[0])
    } else if texts.count > 1 {
      parts.append("[" + texts.joined(separator: ", ") + "]")
    } else if verb == "SAY" {
      parts.append("[]")
    }
    return parts.joined(separator: " ")
  }
}
