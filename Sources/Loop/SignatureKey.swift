// Owns: the keys by which signatures are checked: how one is made of its numbers or its DER, and
// the check itself, by OpenSSL. A key never changes; any thread.

internal import COpenSSL

/// Why a key cannot be used; a part of a sentence that begins with the key's name.
package struct SignatureKeyError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A public key, or a secret that both sides have, for one algorithm.
package final class SignatureKey: Sendable {
  /// The algorithms, by their names in RFC 7518 and RFC 8037.
  package enum Algorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
    case hs256 = "HS256"
  }

  package let algorithm: Algorithm
  /// Distinguishes the key from all others, and does not show it: 16 bytes.
  package let fingerprint: [UInt8]
  /// OpenSSL's key, which it only reads; nil for a secret.
  nonisolated(unsafe) private let handle: OpaquePointer?
  private let secret: [UInt8]

  package static let rsaBits = 2_048...8_192
  /// What HS256 needs at least (RFC 7518, section 3.2).
  package static let secretBytesMin = 32

  /// Of a SubjectPublicKeyInfo in DER.
  package init(publicKey der: [UInt8]) throws(SignatureKeyError) {
    ERR_clear_error()
    defer { ERR_clear_error() }
    let made = der.withUnsafeBufferPointer { bytes in
      var at = bytes.baseAddress
      let key = d2i_PUBKEY(nil, &at, bytes.count)
      guard let end = bytes.baseAddress.map({ $0 + bytes.count }), at == end else {
        EVP_PKEY_free(key)
        return nil as OpaquePointer?
      }
      return key
    }
    guard let made else { throw SignatureKeyError("it is no valid public key") }
    do throws(SignatureKeyError) { algorithm = try SignatureKey.algorithm(of: made) } catch {
      EVP_PKEY_free(made)
      throw error
    }
    handle = made
    secret = []
    fingerprint = der.withUnsafeBufferPointer { Digest.sha256Prefix($0) }
  }

  /// Of a secret, for HS256.
  package init(secret: [UInt8]) throws(SignatureKeyError) {
    guard secret.count >= SignatureKey.secretBytesMin else {
      throw SignatureKeyError(
        "its secret has \(secret.count) bytes, and HS256 needs \(SignatureKey.secretBytesMin)")
    }
    algorithm = .hs256
    handle = nil
    self.secret = secret
    fingerprint = secret.withUnsafeBufferPointer { bytes in
      Array("HS256 ".utf8).withUnsafeBufferPointer { Digest.sha256Prefix($0, bytes) }
    }
  }

  deinit { EVP_PKEY_free(handle) }

  private static func algorithm(of key: OpaquePointer) throws(SignatureKeyError) -> Algorithm {
    switch Int(key_kind(key)) {
    case key_rsa:
      let bits = Int(key_bits(key))
      guard rsaBits.contains(bits) else {
        throw SignatureKeyError(
          "it has \(bits) bits, and \(rsaBits.lowerBound) to \(rsaBits.upperBound) are allowed")
      }
      guard isOdd("n", of: key), isOdd("e", of: key) else {
        throw SignatureKeyError("its numbers are those of no RSA key")
      }
      return .rs256
    case key_p256: return .es256
    case key_ed25519:
      guard !hasSmallOrder(key) else {
        throw SignatureKeyError("it is a point of small order, for which anyone can sign")
      }
      return .edDSA
    default: throw SignatureKeyError("it is none of RSA, P-256 and Ed25519")
    }
  }

  /// Whether a number of an RSA key is odd, and not 1.
  ///
  /// With an exponent of 1 a signature is what it signs, so that anyone can make one.
  private static func isOdd(_ name: String, of key: OpaquePointer) -> Bool {
    var number: OpaquePointer?
    guard EVP_PKEY_get_bn_param(key, name, &number) == 1 else { return false }
    defer { BN_free(number) }
    return BN_is_odd(number) == 1 && BN_num_bits(number) > 1
  }

  /// The second coordinates of the points of Ed25519 whose order divides 8, the lowest byte first.
  ///
  /// With those that are not reduced; Chalkias, Garillot and Nikolaenko, 'Taming the many EdDSAs'
  /// (2020), list them. Signatures by such a key hold for any message.
  private static let smallOrders: [[UInt8]] = [
    [0] + [UInt8](repeating: 0, count: 31), [1] + [UInt8](repeating: 0, count: 31),
    [0xEC] + [UInt8](repeating: 0xFF, count: 30) + [0x7F],
    [0xED] + [UInt8](repeating: 0xFF, count: 30) + [0x7F],
    [0xEE] + [UInt8](repeating: 0xFF, count: 30) + [0x7F],
    [
      0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
      0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
      0xFC, 0x05,
    ],
    [
      0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
      0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
      0x03, 0x7A,
    ],
  ]

  /// The sign, which is the last byte's highest bit, is of the other coordinate.
  private static func hasSmallOrder(_ key: OpaquePointer) -> Bool {
    var point = [UInt8](repeating: 0, count: 32)
    var count = point.count
    guard EVP_PKEY_get_raw_public_key(key, &point, &count) == 1, count == point.count else {
      return true
    }
    point[31] &= 0x7F
    return smallOrders.contains(point)
  }

  /// Whether it is the signature of the message by this key.
  package func verifies(_ signature: [UInt8], of message: UnsafeBufferPointer<UInt8>) -> Bool {
    switch algorithm {
    case .hs256: Digest.areEqual(Digest.hmacSHA256(key: secret, message), signature)
    case .rs256: verifies(signature, of: message, by: EVP_sha256())
    case .edDSA: verifies(signature, of: message, by: nil)
    case .es256:
      // Two numbers of 32 bytes each, of which OpenSSL takes the DER.
      signature.count == 64
        && verifies(
          DER.sequence(
            DER.integer(signature[..<32]) + DER.integer(signature[32...])),
          of: message, by: EVP_sha256())
    }
  }

  private func verifies(
    _ signature: [UInt8], of message: UnsafeBufferPointer<UInt8>, by hash: OpaquePointer?
  ) -> Bool {
    // What is wrong with a signature stays in OpenSSL's list of errors, where others look.
    defer { ERR_clear_error() }
    guard let context = EVP_MD_CTX_new() else { return false }
    defer { EVP_MD_CTX_free(context) }
    return EVP_DigestVerifyInit(context, nil, hash, nil, handle) == 1
      && EVP_DigestVerify(
        context, signature, signature.count, message.baseAddress, message.count) == 1
  }
}

// MARK: - Keys by their numbers

extension SignatureKey {
  /// An RSA key, by its numbers, the greatest byte first.
  package static func rsa(
    modulus: [UInt8], exponent: [UInt8]
  ) throws(SignatureKeyError) -> SignatureKey {
    guard modulus.count <= rsaBits.upperBound / 8 + 1, 1...8 ~= exponent.count else {
      throw SignatureKeyError("its numbers are too long")
    }
    let numbers = DER.sequence(DER.integer(modulus[...]) + DER.integer(exponent[...]))
    let rsaEncryption: [UInt8] = [
      0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
    ]
    return try SignatureKey(publicKey: DER.sequence(rsaEncryption + DER.bitString(numbers)))
  }

  /// A key of the curve P-256, by the two numbers of its point, 32 bytes each.
  package static func p256(x: [UInt8], y: [UInt8]) throws(SignatureKeyError) -> SignatureKey {
    guard x.count == 32, y.count == 32 else {
      throw SignatureKeyError("x and y have 32 bytes each")
    }
    let curve: [UInt8] = [
      0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
      0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,
    ]
    return try SignatureKey(publicKey: DER.sequence(curve + DER.bitString([0x04] + x + y)))
  }

  /// An Ed25519 key, 32 bytes.
  package static func ed25519(_ x: [UInt8]) throws(SignatureKeyError) -> SignatureKey {
    guard x.count == 32 else { throw SignatureKeyError("x has 32 bytes") }
    let ed25519: [UInt8] = [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70]
    return try SignatureKey(publicKey: DER.sequence(ed25519 + DER.bitString(x)))
  }
}

// MARK: - PEM

extension SignatureKey {
  /// The public keys of a text in PEM, those of certificates included, in its order.
  ///
  /// A secret is never read from PEM, so no public key can be taken for one.
  package static func keys(inPEM pem: [UInt8]) throws(SignatureKeyError) -> [SignatureKey] {
    guard let source = BIO_new_mem_buf(pem, Int32(clamping: pem.count)) else { return [] }
    defer {
      BIO_free(source)
      ERR_clear_error()
    }
    var keys: [SignatureKey] = []
    ERR_clear_error()
    while let block = try nextBlock(source) {
      switch block.name {
      case "PUBLIC KEY": keys.append(try SignatureKey(publicKey: block.der))
      case "CERTIFICATE": keys.append(try SignatureKey(publicKey: publicKey(of: block.der)))
      case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
        throw SignatureKeyError(
          "it is a private key: give the public one, by which signatures are checked")
      default:
        throw SignatureKeyError("'\(block.name)' is none of PUBLIC KEY and CERTIFICATE")
      }
    }
    return keys
  }

  /// The next block of PEM; nil at the end.
  private static func nextBlock(
    _ source: OpaquePointer
  ) throws(SignatureKeyError) -> (name: String, der: [UInt8])? {
    var name: UnsafeMutablePointer<CChar>?
    var header: UnsafeMutablePointer<CChar>?
    var data: UnsafeMutablePointer<UInt8>?
    var count = 0
    defer {
      for text in [name, header] { CRYPTO_free(text, #file, #line) }
      CRYPTO_free(data, #file, #line)
    }
    guard PEM_read_bio(source, &name, &header, &data, &count) == 1, let name, let data else {
      guard tls_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE else {
        throw SignatureKeyError("it is corrupt")
      }
      return nil
    }
    return (
      String(cString: name), Array(UnsafeBufferPointer(start: data, count: count))
    )
  }

  /// The SubjectPublicKeyInfo of a certificate, whose other parts are not looked at.
  private static func publicKey(of certificate: [UInt8]) throws(SignatureKeyError) -> [UInt8] {
    var der: UnsafeMutablePointer<UInt8>?
    let count = certificate.withUnsafeBufferPointer { bytes in
      var at = bytes.baseAddress
      guard let read = d2i_X509(nil, &at, bytes.count) else { return Int32(-1) }
      defer { X509_free(read) }
      return i2d_PUBKEY(X509_get0_pubkey(read), &der)
    }
    defer { CRYPTO_free(der, #file, #line) }
    guard count > 0, let der else { throw SignatureKeyError("it is no valid certificate") }
    return Array(UnsafeBufferPointer(start: der, count: Int(count)))
  }
}

/// What of DER is needed for public keys and signatures.
private enum DER {
  static func sequence(_ content: [UInt8]) -> [UInt8] { tagged(0x30, content) }

  static func bitString(_ content: [UInt8]) -> [UInt8] { tagged(0x03, [0] + content) }

  /// A number that is not negative, the greatest byte first.
  static func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let digits = bytes.drop { $0 == 0 }
    guard let first = digits.first else { return [0x02, 1, 0] }
    return tagged(0x02, (first & 0x80 != 0 ? [0] : []) + digits)
  }

  private static func tagged(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
    let count = content.count
    let length: [UInt8] =
      switch count {
      case ..<0x80: [UInt8(count)]
      case ..<0x100: [0x81, UInt8(count)]
      default: [0x82, UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
      }
    return [tag] + length + content
  }
}
