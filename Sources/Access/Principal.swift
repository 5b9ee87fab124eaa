// Owns: the principals, each with its rights and what it may see. Values that never change; any
// thread.

internal import Loop

/// The kinds of verbs that a principal may use.
package struct RightsSet: OptionSet, Sendable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  package static let read = RightsSet(rawValue: 1)
  package static let write = RightsSet(rawValue: 2)
  package static let operate = RightsSet(rawValue: 4)

  package static let named: [(name: String, set: RightsSet)] = [
    ("read", .read), ("write", .write), ("operate", .operate),
  ]

  package var text: String {
    RightsSet.named.filter { contains($0.set) }.map(\.name).joined(separator: ",")
  }
}

/// A secret as it is kept: a salted hash, from which the secret cannot be derived.
///
/// Secrets are 256 random bits, so a hash that is quick to make is as good as a slow one, and
/// callers who connect for each request do not pay for a slow one each time.
package struct SecretHash: Sendable, Equatable {
  let salt: [UInt8]
  package let hash: [UInt8]

  private static let scheme = "hmac-sha256"

  package init(salt: [UInt8], of secret: UnsafeBufferPointer<UInt8>) {
    self.salt = salt
    hash = Digest.hmacSHA256(key: salt, secret)
  }

  /// From `hmac-sha256:<salt>:<hash>`, both in hex.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == SecretHash.scheme, let salt = Hex.bytes(parts[1]),
      let hash = Hex.bytes(parts[2]), 16...64 ~= salt.count, hash.count == 32
    else { return nil }
    (self.salt, self.hash) = (salt, hash)
  }

  package var text: String { "\(SecretHash.scheme):\(Hex.text(salt)):\(Hex.text(hash))" }

  func isOf(_ secret: UnsafeBufferPointer<UInt8>) -> Bool {
    Digest.areEqual(hash, Digest.hmacSHA256(key: salt, secret))
  }

  /// The hash that is compared when the name is unknown, so that the comparison takes as long.
  static let placeholder = SecretHash(
    salt: [UInt8](repeating: 0, count: 16), hash: [UInt8](repeating: 0, count: 32))

  private init(salt: [UInt8], hash: [UInt8]) {
    (self.salt, self.hash) = (salt, hash)
  }
}

/// What a principal has of a token.
package struct TokenGrant: Sendable {
  /// The fingerprint of the key that has signed it.
  let key: [UInt8]
  /// When it ends, in monotonic ms.
  let endsAtMs: Int64

  init(key: [UInt8], endsAtMs: Int64) { (self.key, self.endsAtMs) = (key, endsAtMs) }
}

extension SessionRole {
  /// The rights of a principal that may do all that it allows.
  var rights: RightsSet { self == .read ? [.read] : [.read, .write] }
}

/// A named caller with rights.
package final class Principal: Sendable {
  package let name: String
  /// Its name where names of principals and of tokens' users stand side by side: no two principals
  /// have the same, and it is short.
  package let key: String
  /// The name under which it is counted what it uses: its key, or that of its ticket's issuer.
  package let useName: String
  /// The mark of what it has in Redis, six letters and digits; empty but for principals of the
  /// file and the tickets that these have issued, whose locks and sessions are counted.
  package let mark: String
  /// Nil for a principal of the file.
  package let token: TokenGrant?
  /// The ticket that it is; nil for others.
  package let ticket: AccessTicket?
  /// The same as it was signed; empty for others.
  let ticketText: String
  /// Several while one of them is being replaced.
  package let hashes: [SecretHash]
  package let rights: RightsSet
  package let limits: PrincipalLimits
  private let devices: [Pattern]
  private let links: [LinkPattern]
  /// The users to whom its links are limited; nil if they name no user at all, or may name each.
  package let users: UserScope?
  /// Whether no device is hidden from it.
  package let seesAllDevices: Bool

  package init(
    name: String, hashes: [SecretHash], rights: RightsSet, devices: [Pattern],
    links: [LinkPattern], limits: PrincipalLimits = PrincipalLimits()
  ) {
    self.limits = limits
    self.name = name
    (key, useName) = (name, name)
    mark = Principal.mark(of: name)
    token = nil
    (ticket, ticketText) = (nil, "")
    self.hashes = hashes
    self.rights = rights
    self.devices = devices
    self.links = links
    seesAllDevices = devices.contains { $0.isEverything }
    let refs = links.filter { $0.matches(kind: "user") }.map(\.ref)
    users = refs.isEmpty || refs.contains(where: \.isEverything) ? nil : UserScope(refs)
  }

  /// The one that a token shows: it is limited to sessions of these users.
  init(
    users ids: [String], rights: RightsSet, devices: [Pattern], _ token: TokenGrant,
    limits: PrincipalLimits = PrincipalLimits()
  ) {
    name = ids.joined(separator: ",")
    key = Principal.key(ofUsers: name)
    (useName, mark) = (key, "")
    self.token = token
    (ticket, ticketText) = (nil, "")
    hashes = []
    self.limits = limits
    self.rights = rights
    self.devices = devices
    let patterns = ids.map { Pattern(id: $0) }
    links = patterns.map { LinkPattern(user: $0) }
    users = UserScope(patterns)
    seesAllDevices = devices.contains { $0.isEverything }
  }

  /// The one that a ticket shows: it is limited to its session, to which it may make links.
  ///
  /// Each ticket has idempotency keys of its own: no holder sees the reply that another one got.
  /// What it uses counts among what its issuer does, if all may not call.
  init(_ ticket: AccessTicket, text: String, endsAtMs: Int64, _ grant: IssuerGrant?) {
    name = "ticket"
    let mark = Array(text.utf8).withUnsafeBufferPointer { Hex.text(Digest.sha256Prefix($0)) }
    key = "ticket:\(ticket.session)#\(mark)"
    useName = grant?.name ?? key
    self.mark = grant?.mark ?? ""
    token = TokenGrant(key: [], endsAtMs: endsAtMs)
    (self.ticket, ticketText) = (ticket, text)
    limits = grant?.limits ?? PrincipalLimits()
    hashes = []
    rights = ticket.role.rights
    devices = [Pattern(id: ticket.device)]
    links = LinkPattern("*").map { [$0] } ?? []
    users = UserScope(ticket)
    seesAllDevices = false
  }

  /// No name of a principal has a `:` or a `#`, and a long one is a hash: what is kept for each
  /// request is bounded.
  private static func key(ofUsers name: String) -> String {
    if name.utf8.count <= 64, !name.utf8.contains(UInt8(ascii: ",")) { return "jwt:" + name }
    return "jwt#" + Array(name.utf8).withUnsafeBufferPointer { Hex.text(Digest.sha256Prefix($0)) }
  }

  /// A part of a hash of the name: of a thousand principals, two have the same with a chance of
  /// 1 in 100,000, and their counts together.
  private static func mark(of name: String) -> String {
    let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    let hash = Array(name.utf8).withUnsafeBufferPointer { Digest.sha256Prefix($0) }
    return String(
      decoding: hash.prefix(6).map { digits[Int($0) % digits.count] }, as: UTF8.self)
  }

  /// Whose limits it has, as a part of a sentence.
  package var limitedName: String {
    guard ticket != nil else { return "principal \(name)" }
    return useName == key ? "this ticket" : "the issuer of this ticket"
  }

  /// The key of the principal that has issued its ticket; nil without a ticket, and where all may
  /// call.
  package var issuerKey: String? {
    ticket.flatMap { $0.issuer.name.isEmpty ? nil : $0.issuer.name }
  }

  /// When its token ends, in monotonic ms; nil without one.
  package var endsAtMs: Int64? { token?.endsAtMs }

  package func sees(_ device: UnsafeBufferPointer<UInt8>) -> Bool {
    seesAllDevices || devices.contains { $0.matches(device) }
  }

  package func sees(_ device: [UInt8]) -> Bool {
    seesAllDevices || device.withUnsafeBufferPointer { sees($0) }
  }

  package func sees(kind: some StringProtocol, ref: some StringProtocol) -> Bool {
    links.contains { $0.matches(kind: kind, ref: ref) }
  }

  private static let fingerprintBytes = 8

  /// The issuer of tickets by the right that this user has to their session; nil if it is not
  /// limited to users' sessions.
  package func issuer(user: String?) -> TicketIssuer {
    let fingerprint = token?.key.prefix(Principal.fingerprintBytes) ?? []
    return TicketIssuer(name: key, user: user, tokenKey: Hex.text(Array(fingerprint)))
  }

  /// Whether it has the rights that a ticket needs.
  ///
  /// That is to what the ticket allows, to its device, and to the user by whose right to the
  /// session it was issued; that user's right Redis knows.
  fileprivate func mayIssue(_ ticket: AccessTicket) -> Bool {
    guard rights.isSuperset(of: ticket.role.rights) else { return false }
    guard let user = ticket.issuer.user else {
      return users == nil && sees(Array(ticket.device.utf8))
    }
    // A session that is shared with its users may be on a device that it does not see.
    return sees(kind: "user", ref: user) && (users != nil || sees(Array(ticket.device.utf8)))
  }

  /// Whether its requests may still be limited to these users, or to none: its grants may have
  /// changed since.
  package func allows(_ scope: UserScope?) -> Bool {
    guard let scope, let named = scope.named else { return scope == users }
    return sees(kind: "user", ref: named)
  }
}

/// What a ticket has of its issuer.
struct IssuerGrant {
  let name: String
  let mark: String
  let limits: PrincipalLimits
}

/// All principals: those of the file, and the keys of the tokens that show others.
package final class Principals: Sendable {
  private let byName: [String: Principal]
  /// Nil where no tokens are taken.
  package let tokens: TokenVerifier?

  package convenience init(_ principals: [Principal]) {
    self.init(Dictionary(principals.map { ($0.name, $0) }) { first, _ in first }, nil)
  }

  private init(_ byName: [String: Principal], _ tokens: TokenVerifier?) {
    (self.byName, self.tokens) = (byName, tokens)
  }

  /// The same principals with these keys of tokens.
  package func with(_ tokens: TokenVerifier?) -> Principals { Principals(byName, tokens) }

  /// How many the file has.
  package var count: Int { byName.count }

  package subscript(name: String) -> Principal? { byName[name] }

  /// A principal as it is now; nil if there is no such one any more, or its token's key is none of
  /// those that count.
  package func current(_ principal: Principal) -> Principal? {
    guard let token = principal.token else { return byName[principal.name] }
    return tokens?.keys.has(fingerprint: token.key) == true ? principal : nil
  }

  /// What the issuer of a ticket gives to it; nil if it might not issue it any more.
  func grant(of ticket: AccessTicket) -> IssuerGrant? {
    let issuer = ticket.issuer
    if !issuer.tokenKey.isEmpty {
      guard let tokens, tokens.keys.has(fingerprintBeginning: issuer.tokenKey) else { return nil }
      return IssuerGrant(name: issuer.name, mark: "", limits: tokens.limits)
    }
    guard let principal = byName[issuer.name], principal.mayIssue(ticket) else { return nil }
    return IssuerGrant(name: principal.key, mark: principal.mark, limits: principal.limits)
  }

  /// The principal with this secret, `<name>.<random>`; nil if the secret is invalid.
  package func authenticate(_ secret: UnsafeBufferPointer<UInt8>) -> Principal? {
    let principal = named(secret)
    var isRight = false
    for hash in principal?.hashes ?? [.placeholder] where hash.isOf(secret) { isRight = true }
    return isRight ? principal : nil
  }

  /// Whether a text begins with the name of a principal, as its secrets do.
  func isNamed(_ text: UnsafeBufferPointer<UInt8>) -> Bool { named(text) != nil }

  private func named(_ secret: UnsafeBufferPointer<UInt8>) -> Principal? {
    byName[String(decoding: secret.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)]
  }
}

/// Bytes as text.
package enum Hex {
  package static func text(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    let digits = text.utf8.compactMap { digit($0) }
    guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
