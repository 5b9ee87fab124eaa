// Owns: the functions that are used of OpenSSL: hashes with and without a key, a comparison in
// constant time, and random bytes. Pure functions; any thread.

internal import COpenSSL
internal import Glibc

package enum Digest {
  /// HMAC-SHA256, 32 bytes.
  package static func hmacSHA256(key: [UInt8], _ message: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { room, count in
      var size: UInt32 = 0
      let made = HMAC(
        EVP_sha256(), key, Int32(key.count), message.baseAddress, message.count, room.baseAddress,
        &size)
      // It fails only where the library has no SHA-256 or no memory: there is no going on.
      guard made != nil, size == 32 else { fatalError("OpenSSL has made no HMAC-SHA256") }
      count = 32
    }
  }

  /// The first 16 bytes of the SHA-256 of texts, one behind the other.
  package static func sha256Prefix(_ texts: UnsafeBufferPointer<UInt8>...) -> [UInt8] {
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    var hash = [UInt8](repeating: 0, count: 32)
    var isGood = EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
    for text in texts {
      isGood = isGood && EVP_DigestUpdate(context, text.baseAddress, text.count) == 1
    }
    // It fails only where the library has no SHA-256 or no memory: there is no going on.
    guard isGood, EVP_DigestFinal_ex(context, &hash, nil) == 1 else {
      fatalError("OpenSSL has made no SHA-256")
    }
    return Array(hash.prefix(16))
  }

  /// Whether both are the same, in a time that does not depend on where they differ.
  package static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
  }

  /// Bytes that cannot be guessed.
  package static func randomBytes(_ count: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw SystemError("RAND_bytes", EIO) }
    return bytes
  }
}
