// Owns: tickets for sessions: what one says, how it is signed, and how one is verified. Values; any
// thread.

package import Loop
internal import Wire

/// Who has issued a ticket, which counts as long as that one might issue it.
package struct TicketIssuer: Sendable, Equatable {
  /// The principal's key; empty where all may call.
  package let name: String
  /// The user by whose right to the session it was issued; nil for an issuer who is not limited to
  /// users' sessions.
  package let user: String?
  /// The beginning of the fingerprint of the key that has signed the issuer's token, in hexadecimal
  /// digits; empty for a principal of the file.
  package let tokenKey: String

  package init(name: String = "", user: String? = nil, tokenKey: String = "") {
    (self.name, self.user, self.tokenKey) = (name, user, tokenKey)
  }

  /// From what was signed.
  fileprivate init(_ words: ArraySlice<String>) {
    let words = Array(words)
    (user, name, tokenKey) = (words[0].isEmpty ? nil : words[0], words[1], words[2])
  }

  fileprivate var words: String { "\(user ?? "") \(name) \(tokenKey)" }
}

/// The right to one session in one role, until a time.
///
/// Redis decides whether it still counts: it compares the generation with that of the session's
/// tickets, and the end with its own clock. Whether its issuer might still issue it, the worker
/// decides.
package struct AccessTicket: Sendable, Equatable {
  package let device: String
  package let session: String
  package let role: SessionRole
  /// That of the session's tickets when it was made, in hexadecimal digits.
  package let generation: String
  /// Milliseconds since 1970.
  package let endsAtMs: Int64
  package let issuer: TicketIssuer

  /// What begins each: no name of a principal has a `~`, and no JWT.
  private static let prefix = "t~"
  /// The most bytes of one: its device and its issuer have 512 each.
  package static let bytesMax = 2_048

  package init(
    device: String, session: String, role: SessionRole, generation: String, endsAtMs: Int64,
    issuer: TicketIssuer = TicketIssuer()
  ) {
    (self.device, self.session, self.role) = (device, session, role)
    (self.generation, self.endsAtMs, self.issuer) = (generation, endsAtMs, issuer)
  }

  /// Whether a text may be a ticket, and is nothing else.
  package static func isOne(_ text: some Collection<UInt8>) -> Bool {
    text.starts(with: prefix.utf8)
  }

  /// As scripts take it behind the session of an address.
  var scope: String {
    "#\(role.rawValue).\(generation).\(endsAtMs)" + (issuer.user.map { ".\($0)" } ?? "")
  }

  private var words: String {
    "\(role.rawValue) \(generation) \(endsAtMs) \(session) \(device) \(issuer.words)"
  }

  /// The signed text, of characters that need no escape in a URL.
  fileprivate func text(_ key: TicketKeys.Key) -> String {
    let words = Array("\(key.id) \(words)".utf8)
    return AccessTicket.prefix + Base64URL.encode(words) + "~"
      + Base64URL.encode(AccessTicket.signature(of: words, key))
  }

  /// The ticket of a text, with the key that has signed it; nil if none of these has.
  init?(_ text: UnsafeBufferPointer<UInt8>, _ keys: TicketKeys) {
    guard text.count <= AccessTicket.bytesMax, AccessTicket.isOne(text) else { return nil }
    let parts = text.dropFirst(AccessTicket.prefix.utf8.count).split(
      separator: UInt8(ascii: "~"), omittingEmptySubsequences: false)
    guard parts.count == 2, let words = Base64URL.decode(parts[0]),
      let signature = Base64URL.decode(parts[1]),
      let key = keys[String(decoding: words.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)],
      Digest.areEqual(signature, AccessTicket.signature(of: words, key))
    else { return nil }
    self.init(words: String(decoding: words, as: UTF8.self))
  }

  /// From what was signed.
  private init?(words text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 9, let role = SessionRole(rawValue: words[1]), role != .own,
      let endsAtMs = Int64(words[3])
    else { return nil }
    self.init(
      device: words[5], session: words[4], role: role, generation: words[2], endsAtMs: endsAtMs,
      issuer: TicketIssuer(words[6...]))
  }

  private static func signature(of words: [UInt8], _ key: TicketKeys.Key) -> [UInt8] {
    // A key that signs something else as well signs no ticket by it.
    (Array("latchkey ticket\n".utf8) + words).withUnsafeBufferPointer {
      Digest.hmacSHA256(key: key.bytes, $0)
    }
  }
}

/// A fault in the file of keys.
package struct TicketKeysError: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// The keys that sign tickets: the first one signs, all of them verify.
package final class TicketKeys: Sendable {
  fileprivate struct Key: Sendable, Equatable {
    let id: String
    let bytes: [UInt8]
  }

  private let keys: [Key]

  private static let fileBytesMax = 64 << 10
  private static let keysMax = 16
  private static let keyBytes = 32...512
  /// How many hexadecimal digits the fleet's own key has.
  private static let fleetDigits = 64

  private init(_ keys: [Key]) { self.keys = keys }

  package var count: Int { keys.count }

  fileprivate subscript(id: String) -> Key? { keys.first { $0.id == id } }

  /// Whether these are the same keys in the same order.
  package func isSame(as other: TicketKeys?) -> Bool { keys == other?.keys }

  // MARK: Where they come from

  /// A new key for a fleet.
  package static func madeForFleet() throws(SystemError) -> String {
    Hex.text(try Digest.randomBytes(fleetDigits / 2))
  }

  /// The key that a fleet keeps in Redis; nil if the text is none.
  package convenience init?(ofFleet text: String) {
    guard text.utf8.count == TicketKeys.fleetDigits, let bytes = Hex.bytes(text) else { return nil }
    self.init([Key(id: "fleet", bytes: bytes)])
  }

  /// Those of a file: `ID:BASE64` on each line, of 32 bytes or more.
  package static func load(_ path: String) throws(TicketKeysError) -> TicketKeys {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try RegularFile.read(path, bytesMax: fileBytesMax) } catch {
      throw TicketKeysError(description: error.description)
    }
    return try TicketKeys(lines: String(decoding: bytes, as: UTF8.self))
  }

  package convenience init(lines text: String) throws(TicketKeysError) {
    var keys: [Key] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated()
    {
      let words = line.split { $0 == " " || $0 == "\t" }
      guard let word = words.first, !word.hasPrefix("#") else { continue }
      guard words.count == 1, let key = TicketKeys.key(word),
        !keys.contains(where: { $0.id == key.id })
      else {
        throw TicketKeysError(
          description:
            "line \(index + 1) is not ID:KEY: an id of its own of 1 to 64 of A-Z a-z 0-9 "
            + "_ and -, and 32 to 512 random bytes in base64, as 'openssl rand -base64 32' makes "
            + "them")
      }
      keys.append(key)
    }
    guard 1...TicketKeys.keysMax ~= keys.count else {
      throw TicketKeysError(
        description: "it has \(keys.count) keys, and 1 to \(TicketKeys.keysMax) are allowed")
    }
    self.init(keys)
  }

  private static func key(_ word: Substring) -> Key? {
    let parts = word.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].wholeMatch(of: /[0-9A-Za-z_\-]{1,64}/) != nil
    else { return nil }
    // The alphabet of files, with or without padding.
    let text = parts[1].utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 }
      .map { $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0 }
    let digits = text.prefix { $0 != UInt8(ascii: "=") }
    guard text.count - digits.count <= 2,
      text[digits.count...].allSatisfy({ $0 == UInt8(ascii: "=") }),
      let bytes = Base64URL.decode(digits), keyBytes ~= bytes.count
    else { return nil }
    return Key(id: String(parts[0]), bytes: bytes)
  }

  // MARK: Tickets

  package func sign(_ ticket: AccessTicket) -> String { ticket.text(keys[0]) }
}
