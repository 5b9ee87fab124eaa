// Owns: the check of a signed token (JWT, RFC 7519, in the compact form of RFC 7515), and the
// principal that its claims make. Knows neither connections nor files. Never changes; any thread.

internal import Loop
package import Settings
internal import Wire

/// Why a token is not accepted; few texts, which are logged as causes.
package enum TokenFault: String, Error, Sendable, CaseIterable {
  case malformed = "it is no signed token of three parts"
  case critical = "its header asks for an extension (crit), and none is known"
  case type = "its type (typ) is not that of an access token"
  case unknownKey = "no key of --jwt-keys has its kid"
  case algorithm = "its alg is not that of its key"
  case signature = "its signature is wrong"
  case claims = "a claim is missing, stands there twice or has a wrong form"
  case expired = "it has expired"
  case notYet = "it is not valid yet"
  case audience = "it is for another audience (aud)"
  case issuer = "it is of another issuer (iss)"
}

/// The two clocks that a token's times are held against, at one moment.
package struct TokenClock: Sendable {
  /// Milliseconds since 1970.
  package let wallMs: Int64
  /// Those of the loop, by which connections end.
  package let monotonicMs: Int64

  package init(wallMs: Int64, monotonicMs: Int64) {
    (self.wallMs, self.monotonicMs) = (wallMs, monotonicMs)
  }
}

/// What a token has to say beside being signed.
package struct TokenRules: Sendable {
  /// One of them has to be in `aud`; empty for any.
  let audiences: [String]
  /// One of them has to be `iss`; empty for any.
  let issuers: [String]
  let map: TokenMap
  let deviceIDs: DeviceIDs
  let limits: PrincipalLimits

  package init(
    audiences: [String] = [], issuers: [String] = [], map: TokenMap = TokenMap(),
    deviceIDs: DeviceIDs = .any, limits: PrincipalLimits = PrincipalLimits()
  ) {
    (self.audiences, self.issuers, self.map) = (audiences, issuers, map)
    (self.deviceIDs, self.limits) = (deviceIDs, limits)
  }

  package init(_ settings: Settings) {
    self.init(
      audiences: settings.jwtAudiences, issuers: settings.jwtIssuers, map: settings.jwtMap,
      deviceIDs: settings.deviceIDs, limits: PrincipalLimits(settings.jwtLimits))
  }
}

/// Checks tokens with the keys of a file.
package final class TokenVerifier: Sendable {
  package let keys: TokenKeys
  private let rules: TokenRules

  /// What clocks may differ by.
  private static let leewayMs: Int64 = 60_000
  /// A token in an AUTH has to fit into the 4 KiB that a line may have before it.
  package static let bytesMax = 4_087
  /// A token that names no key is checked with so many at most: each costs some 50 µs.
  private static let triesMax = 4
  /// The types that an access token has; others are made for other uses (RFC 8725, section 3.11).
  private static let types: Set<String> = ["jwt", "at+jwt", "application/at+jwt"]
  /// From the year 1 to 9999, in seconds since 1970.
  private static let seconds = -62_135_596_800.0...253_402_300_799.0
  private static let usersMax = 64
  private static let devicesMax = 1_000

  package init(_ keys: TokenKeys, _ rules: TokenRules) { (self.keys, self.rules) = (keys, rules) }

  /// Those of each user of tokens.
  var limits: PrincipalLimits { rules.limits }

  /// Whether a text can only be a token: three parts, of which the first is that of an object.
  package static func isToken(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    text.starts(with: "ey".utf8) && text.count { $0 == UInt8(ascii: ".") } == 2
  }

  /// The principal of a token.
  package func principal(
    of token: UnsafeBufferPointer<UInt8>, _ clock: TokenClock
  ) throws(TokenFault) -> Principal {
    guard token.count <= TokenVerifier.bytesMax else { throw .malformed }
    let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3, let header = TokenVerifier.object(parts[0]),
      let signature = Base64URL.decode(parts[2]), !signature.isEmpty
    else { throw .malformed }
    let key = try key(header)
    let signed = UnsafeBufferPointer(rebasing: token[..<parts[1].endIndex])
    guard let signer = key.first(where: { $0.verifies(signature, of: signed) }) else {
      throw .signature
    }
    // What is not signed is not read.
    guard let claims = TokenVerifier.object(parts[1]) else { throw .claims }
    let endsAtMs = try checkTimes(claims, clock)
    try checkOrigin(claims)
    return try principal(
      claims, TokenGrant(key: signer.fingerprint, endsAtMs: clock.monotonicMs + endsAtMs))
  }

  private static func object(_ part: Slice<UnsafeBufferPointer<UInt8>>) -> TokenObject? {
    Base64URL.decode(part).flatMap { TokenObject($0) }
  }

  /// The keys by one of which it has to be signed.
  private func key(_ header: TokenObject) throws(TokenFault) -> [SignatureKey] {
    guard let algorithm = header.string("alg") else { throw .malformed }
    guard !header.has("crit") else { throw .critical }
    switch header["typ"] {
    case .absent: break
    case .string(let type) where TokenVerifier.types.contains(type.lowercased()): break
    case .string, .strings, .number, .other: throw .type
    }
    let id: String?
    switch header["kid"] {
    case .absent: id = nil
    case .string(let given): id = given
    case .strings, .number, .other: throw .malformed
    }
    let candidates = keys.candidates(id: id)
    guard !candidates.isEmpty else { throw .unknownKey }
    let fitting = candidates.filter { $0.algorithm.rawValue == algorithm }
    guard !fitting.isEmpty else { throw .algorithm }
    guard fitting.count <= TokenVerifier.triesMax else { throw .unknownKey }
    return fitting
  }

  // MARK: - Claims

  /// In how many ms it ends.
  ///
  /// What has ended by this clock just now, and not yet by the issuer's, ends with the leeway.
  private func checkTimes(_ claims: TokenObject, _ clock: TokenClock) throws(TokenFault) -> Int64 {
    guard let expiresMs = try ms(claims, "exp") else { throw .claims }
    guard clock.wallMs < expiresMs + TokenVerifier.leewayMs else { throw .expired }
    if let beginsMs = try ms(claims, "nbf"), beginsMs > clock.wallMs + TokenVerifier.leewayMs {
      throw .notYet
    }
    let isOver = clock.wallMs >= expiresMs
    return expiresMs + (isOver ? TokenVerifier.leewayMs : 0) - clock.wallMs
  }

  private func ms(_ claims: TokenObject, _ name: String) throws(TokenFault) -> Int64? {
    switch claims[name] {
    case .absent: return nil
    case .number(let seconds) where TokenVerifier.seconds.contains(seconds):
      return Int64(seconds * 1_000)
    case .number, .string, .strings, .other: throw .claims
    }
  }

  private func checkOrigin(_ claims: TokenObject) throws(TokenFault) {
    if !rules.issuers.isEmpty {
      guard let issuer = claims.string("iss"), isOne(issuer, of: rules.issuers) else {
        throw .issuer
      }
    }
    guard !rules.audiences.isEmpty else { return }
    let audiences =
      switch claims["aud"] {
      case .string(let one): [one]
      case .strings(let several): several
      case .absent, .number, .other: [String]()
      }
    guard audiences.contains(where: { isOne($0, of: rules.audiences) }) else { throw .audience }
  }

  /// By code points (RFC 7519, section 2): Swift's texts are equal by what Unicode says is
  /// equivalent.
  private func isOne(_ name: String, of names: [String]) -> Bool {
    names.contains { $0.utf8.elementsEqual(name.utf8) }
  }

  private func principal(
    _ claims: TokenObject, _ grant: TokenGrant
  ) throws(TokenFault) -> Principal {
    let users: [String]
    switch claims[rules.map.user] {
    case .string(let one): users = [one]
    case .strings(let several): users = several
    case .absent, .number, .other: throw .claims
    }
    // In order, each once: the same users are the same principal.
    let ids = Set(users.map { TokenVerifier.id(of: $0) }).sorted()
    guard 1...TokenVerifier.usersMax ~= ids.count, ids.allSatisfy({ IDText.isID($0) }) else {
      throw .claims
    }
    return Principal(
      users: ids, rights: try rights(claims), devices: try devices(claims), grant,
      limits: rules.limits)
  }

  /// Any text as an id, no two of them as the same: what no id has, and `%`, is percent-encoded.
  static func id(of text: String) -> String {
    if text == "*" { return "%2A" }
    var id: [UInt8] = []
    for part in Array(text.utf8).split(
      separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
    {
      PercentText.appendID(part, into: &id)
      id += "%25".utf8
    }
    return String(decoding: id.dropLast(3), as: UTF8.self)
  }

  /// Words of a claim: an array of them, or a text with spaces or commas between.
  private func words(_ claims: TokenObject, _ name: String?) throws(TokenFault) -> [String]? {
    guard let name else { return nil }
    switch claims[name] {
    case .absent: return nil
    case .string(let text):
      return text.split { $0 == " " || $0 == "," }.map(String.init)
    case .strings(let words): return words
    case .number, .other: throw .claims
    }
  }

  /// Words that are no rights are those of other services.
  private func rights(_ claims: TokenObject) throws(TokenFault) -> RightsSet {
    guard let words = try words(claims, rules.map.rights) else { return [.read, .write] }
    return RightsSet(RightsSet.named.filter { words.contains($0.name) }.map(\.set))
  }

  private func devices(_ claims: TokenObject) throws(TokenFault) -> [Pattern] {
    guard let words = try words(claims, rules.map.devices) else { return [.everything] }
    let patterns = words.compactMap { Pattern($0) }
    guard patterns.count == words.count, patterns.count <= TokenVerifier.devicesMax else {
      throw .claims
    }
    return rules.deviceIDs == .uuid ? patterns.map(\.inSmallLetters) : patterns
  }
}
