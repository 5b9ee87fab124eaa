// Owns: what is put into Redis for each row of the table of memory: by a worker where it is
// Latchkey's, and by Redis' own commands where it is another store's. A value.

/// One row: what is stored, so many times.
enum StoredThing: String, CaseIterable {
  case lock, session
  /// A session that is linked to a user, who has no other.
  case userSession = "user_session"
  /// One message of a chat that has 100.
  case message
  /// A document of a session that has 100: 50 bytes of JSON, and 1 KiB of it.
  case document
  case longDocument = "long_document"
  case springText = "spring_text"
  case springTextSorted = "spring_text_sorted"
  case springJDK = "spring_jdk"

  /// Things of one kind are written with so many requests each, sent together.
  var perDevice: Int { needsSession ? 100 : 1 }

  /// Whether it is in a session that is there before anything is counted.
  var needsSession: Bool { [.message, .document, .longDocument].contains(self) }

  var isLatchkeys: Bool {
    switch self {
    case .lock, .session, .userSession, .message, .document, .longDocument: true
    case .springText, .springTextSorted, .springJDK: false
    }
  }

  static let fields = [("lang", "\"en\""), ("step", "7"), ("topic", "\"invoices\"")]

  private static func padded(_ number: Int) -> String {
    String(String(100_000_000 + number).dropFirst())
  }

  /// The lines that a worker is sent before anything is counted.
  func preparation(_ number: Int) -> String {
    needsSession ? "OPEN device-\(Self.padded(number))\n" : ""
  }

  /// The lines that a worker is sent for one device.
  func lines(_ number: Int) -> String {
    let device = "device-\(Self.padded(number))"
    let fields = Self.fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",")
    switch self {
    case .lock: return "LOCK \(device) agent-\(1_000 + number % 100)\n"
    case .session: return "OPEN \(device) {\(fields)}\n"
    case .userSession: return "OPEN \(device) user=user-\(Self.padded(number)) {\(fields)}\n"
    case .document, .longDocument:
      let text = String(repeating: "x", count: (self == .document ? 50 : 1_024) - 11)
      return (0..<perDevice).map { "PUT \(device) run/\(1_000 + $0) {\"text\":\"\(text)\"}\n" }
        .joined()
    default:
      let message = "{\"role\":\"other\",\"text\":\"How can I help you?\"}"
      let list = repeatElement(message, count: perDevice).joined(separator: ",")
      return "SAY \(device) [\(list)]\n"
    }
  }
}

/// The writes of Spring Session's indexed repository for one session: the record, a key whose end
/// Redis announces, an entry of the expiry index, and an entry of the owner's index.
struct SpringSession {
  let number: Int
  let kind: StoredThing

  private static let namespace = "spring:session"
  private static let principalIndex =
    "org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME"
  private static let startMs = 1_795_233_600_000
  private static let idleS = 1_800

  /// As many digits as a UUID, and different for each.
  private var id: String {
    let digits = String(String(0x1_0000_0000 + number, radix: 16).dropFirst())
    return "\(digits)-b496-4b33-9f7d-df96679d32fe"
  }

  private var createdMs: Int { Self.startMs + number }

  /// Java's own serialization, which is the default: a Long and an Integer
  /// have their classes' names with them, a String seven bytes.
  private func long(_ value: Int) -> String {
    kind == .springJDK ? String(repeating: "x", count: 82) : "\(value)"
  }

  private func integer(_ value: String) -> String {
    kind == .springJDK ? String(repeating: "x", count: 81) : value
  }

  private func text(_ value: String) -> String { kind == .springJDK ? "xxxxxxx\(value)" : value }

  /// How many replies come to `commands`.
  static let replies = 5

  var commands: String {
    let record = "\(Self.namespace):sessions:\(id)"
    let shadow = "\(Self.namespace):sessions:expires:\(id)"
    var hash = ["HSET", record, "creationTime", long(createdMs)]
    hash += ["maxInactiveInterval", integer("\(Self.idleS)"), "lastAccessedTime", long(createdMs)]
    for (name, json) in StoredThing.fields {
      hash += ["sessionAttr:\(name)", json.first == "\"" ? text(json) : integer(json)]
    }
    let minuteMs = (createdMs / 60_000 + 31 + number % 30) * 60_000
    let due =
      kind == .springTextSorted
      ? ["ZADD", "\(Self.namespace):sessions:expirations", "\(createdMs + Self.idleS * 1_000)", id]
      : ["SADD", "\(Self.namespace):expirations:\(minuteMs)", text("expires:\(id)")]
    let principal = "device-\(String(String(100_000_000 + number).dropFirst()))"
    return [
      hash, ["PEXPIRE", record, "\((Self.idleS + 300) * 1_000)"],
      ["SET", shadow, "", "PX", "\(Self.idleS * 1_000)"], due,
      ["SADD", "\(Self.namespace):index:\(Self.principalIndex):\(principal)", text(id)],
    ].map(PatientConnection.command).joined()
  }
}
