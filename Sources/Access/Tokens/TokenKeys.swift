// Owns: the keys by which tokens are checked, and their file. No error repeats what the file
// contains beside names of keys. It never changes: when its file does, another one is made. Any
// thread.

internal import Loop
internal import Wire

/// A fault in the file of keys; a sentence with its path.
package struct TokenKeysError: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// The keys of a file: a JWK set (RFC 7517), or public keys and certificates in PEM.
package final class TokenKeys: Sendable {
  /// A key, and the name by which tokens ask for it; those of PEM have none.
  struct Entry: Sendable {
    let id: String?
    let key: SignatureKey

    /// By bytes: Swift's texts are equal by what Unicode says is equivalent.
    func hasID(_ other: String?) -> Bool {
      id.map { Array($0.utf8) } == other.map { Array($0.utf8) }
    }
  }

  private let contents: [UInt8]
  private let entries: [Entry]

  private static let bytesMax = 1 << 20
  static let keysMax = 64

  /// Reads the file.
  package static func load(_ path: String) throws(TokenKeysError) -> TokenKeys {
    try TokenKeys(read(path), path)
  }

  /// The keys of the file as it is now; nil if it is as it was.
  package func renewed(from path: String) throws(TokenKeysError) -> TokenKeys? {
    let contents = try TokenKeys.read(path)
    return contents == self.contents ? nil : try TokenKeys(contents, path)
  }

  private static func read(_ path: String) throws(TokenKeysError) -> [UInt8] {
    do throws(FileError) { return try RegularFile.read(path, bytesMax: bytesMax) } catch {
      throw TokenKeysError(description: error.description)
    }
  }

  init(_ contents: [UInt8], _ path: String) throws(TokenKeysError) {
    self.contents = contents
    let isObject = contents.first { !TokenKeys.isSpace($0) } == UInt8(ascii: "{")
    entries =
      isObject ? try TokenKeys.set(contents, path) : try TokenKeys.pem(contents, path)
    guard entries.count <= TokenKeys.keysMax else {
      throw TokenKeysError(
        description: "\(path) has \(entries.count) keys, and \(TokenKeys.keysMax) are allowed")
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte <= UInt8(ascii: " ") }

  package var count: Int { entries.count }

  /// The algorithms for which it has keys, each once.
  package var algorithms: [String] { Set(entries.map(\.key.algorithm.rawValue)).sorted() }

  /// Whether one of the keys signs as well.
  package var hasSecret: Bool { entries.contains { $0.key.algorithm == .hs256 } }

  /// Whether a key is one of these.
  func has(fingerprint: [UInt8]) -> Bool { entries.contains { $0.key.fingerprint == fingerprint } }

  /// The same by the beginning of the fingerprint, in hexadecimal digits.
  func has(fingerprintBeginning digits: String) -> Bool {
    entries.contains { Hex.text($0.key.fingerprint).hasPrefix(digits) }
  }

  /// The keys by one of which a token may be signed: the one that it names, else those without a
  /// name; all for a token that names none.
  func candidates(id: String?) -> [SignatureKey] {
    guard let id else { return entries.map(\.key) }
    let named = entries.filter { $0.hasID(id) }
    return (named.isEmpty ? entries.filter { $0.id == nil } : named).map(\.key)
  }
}

// MARK: - JWK sets

extension TokenKeys {
  private static func set(
    _ contents: [UInt8], _ path: String
  ) throws(TokenKeysError) -> [Entry] {
    guard let object = TokenObject(contents), object.has("keys") else {
      throw TokenKeysError(
        description: "\(path) is no JWK set: an object with \"keys\", no name in it twice")
    }
    var entries: [Entry] = []
    for (index, text) in object.objects("keys").enumerated() {
      guard let jwk = TokenObject(text) else {
        throw TokenKeysError(
          description: "\(path): key \(index + 1) is no object, or has a name twice")
      }
      let id = jwk.string("kid")
      let name =
        id.map { "key \(EchoText.quoted(Array($0.utf8).span, 0..<$0.utf8.count))" }
        ?? "key \(index + 1)"
      do throws(SignatureKeyError) {
        guard let key = try key(jwk) else { continue }
        guard id != nil || !jwk.has("kid") else {
          throw SignatureKeyError("its \"kid\" is no text")
        }
        guard id == nil || !entries.contains(where: { $0.hasID(id) }) else {
          throw SignatureKeyError("another one has the same name")
        }
        entries.append(Entry(id: id, key: key))
      } catch {
        throw TokenKeysError(description: "\(path): \(name) cannot be used: \(error)")
      }
    }
    guard !entries.isEmpty else {
      throw TokenKeysError(
        description: "\(path) has no key for signatures by RS256, ES256, EdDSA or HS256")
    }
    return entries
  }

  /// The key of a JWK; nil for one of another algorithm, or for another use: sets have such.
  private static func key(_ jwk: TokenObject) throws(SignatureKeyError) -> SignatureKey? {
    guard [.absent, .string("sig")].contains(jwk["use"]), isForChecking(jwk["key_ops"]),
      let kind = jwk.string("kty"), let algorithm = algorithm(kind, jwk.string("crv"))
    else { return nil }
    guard [.absent, .string(algorithm.rawValue)].contains(jwk["alg"]) else { return nil }
    // The parts that make a key private, of each kind.
    let privateParts = ["d", "p", "q", "dp", "dq", "qi", "oth"]
    guard algorithm == .hs256 || !privateParts.contains(where: { jwk.has($0) }) else {
      throw SignatureKeyError("it is a private key: give the public one")
    }
    switch algorithm {
    case .rs256:
      return try .rsa(modulus: number(jwk, "n"), exponent: number(jwk, "e"))
    case .es256: return try .p256(x: number(jwk, "x"), y: number(jwk, "y"))
    case .edDSA: return try .ed25519(number(jwk, "x"))
    case .hs256: return try SignatureKey(secret: number(jwk, "k"))
    }
  }

  private static func algorithm(_ kind: String, _ curve: String?) -> SignatureKey.Algorithm? {
    switch (kind, curve) {
    case ("RSA", _): .rs256
    case ("EC", "P-256"): .es256
    case ("OKP", "Ed25519"): .edDSA
    case ("oct", _): .hs256
    default: nil
    }
  }

  private static func isForChecking(_ operations: TokenValue) -> Bool {
    switch operations {
    case .absent: true
    case .strings(let names): names.contains("verify")
    case .string, .number, .other: false
    }
  }

  private static func number(
    _ jwk: TokenObject, _ name: String
  ) throws(SignatureKeyError) -> [UInt8] {
    guard let text = jwk.string(name), let bytes = Base64URL.decode(text.utf8), !bytes.isEmpty
    else { throw SignatureKeyError("its \"\(name)\" is missing or no base64url") }
    return bytes
  }

  private static func pem(
    _ contents: [UInt8], _ path: String
  ) throws(TokenKeysError) -> [Entry] {
    let keys: [SignatureKey]
    do throws(SignatureKeyError) { keys = try SignatureKey.keys(inPEM: contents) } catch {
      throw TokenKeysError(description: "\(path): a key in PEM cannot be used: \(error)")
    }
    guard !keys.isEmpty else {
      throw TokenKeysError(
        description: "\(path) has neither a JWK set nor a public key or certificate in PEM")
    }
    return keys.map { Entry(id: nil, key: $0) }
  }
}
