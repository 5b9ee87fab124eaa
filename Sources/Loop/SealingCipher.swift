// Owns: AES-256-GCM and Base64, by OpenSSL. A cipher is used by one thread at a time.

internal import COpenSSL

/// One key, ready to seal and to open.
///
/// Its contexts have the key's schedule: making them anew took longer than sealing a message.
package final class SealingCipher {
  package static let keyBytes = 32
  package static let nonceBytes = 12
  package static let tagBytes = 16

  private let sealing: OpaquePointer?
  private let opening: OpaquePointer?

  /// `key` has 32 bytes.
  package init(key: [UInt8]) {
    precondition(key.count == SealingCipher.keyBytes, "a key of \(key.count) bytes")
    sealing = EVP_CIPHER_CTX_new()
    opening = EVP_CIPHER_CTX_new()
    // It fails only where the library has no AES-256-GCM or no memory: there is no going on.
    guard EVP_EncryptInit_ex(sealing, EVP_aes_256_gcm(), nil, key, nil) == 1,
      EVP_DecryptInit_ex(opening, EVP_aes_256_gcm(), nil, key, nil) == 1
    else { fatalError("OpenSSL has no AES-256-GCM") }
  }

  deinit {
    EVP_CIPHER_CTX_free(sealing)
    EVP_CIPHER_CTX_free(opening)
  }

  /// The nonce, the sealed text and its tag; `place` is authenticated with it and not in it.
  ///
  /// A nonce must never be used twice with one key.
  package func seal(
    _ text: UnsafeBufferPointer<UInt8>, nonce: [UInt8], place: [UInt8]
  ) -> [UInt8] {
    let (nonceBytes, tagBytes) = (SealingCipher.nonceBytes, SealingCipher.tagBytes)
    precondition(nonce.count == nonceBytes, "a nonce of \(nonce.count) bytes")
    let size = nonceBytes + text.count + tagBytes
    return [UInt8](unsafeUninitializedCapacity: size) { room, count in
      _ = room.update(fromContentsOf: nonce)
      var length: Int32 = 0
      guard let out = room.baseAddress, EVP_EncryptInit_ex(sealing, nil, nil, nil, nonce) == 1,
        EVP_EncryptUpdate(sealing, nil, &length, place, Int32(place.count)) == 1,
        EVP_EncryptUpdate(sealing, out + nonceBytes, &length, text.baseAddress, Int32(text.count))
          == 1,
        EVP_EncryptFinal_ex(sealing, out + nonceBytes + text.count, &length) == 1,
        EVP_CIPHER_CTX_ctrl(
          sealing, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), out + nonceBytes + text.count) == 1
      else { fatalError("OpenSSL has sealed nothing") }
      count = size
    }
  }

  /// The text of what `seal` gave for this place; nil if it is not that, byte for byte.
  package func open(_ sealed: [UInt8], place: [UInt8]) -> [UInt8]? {
    let (nonceBytes, tagBytes) = (SealingCipher.nonceBytes, SealingCipher.tagBytes)
    let size = sealed.count - nonceBytes - tagBytes
    guard size >= 0 else { return nil }
    var tag = Array(sealed.suffix(tagBytes))
    var isGood = false
    let text = [UInt8](unsafeUninitializedCapacity: max(size, 1)) { room, count in
      sealed.withUnsafeBufferPointer { sealed in
        guard let from = sealed.baseAddress, let out = room.baseAddress else { return }
        var length: Int32 = 0
        isGood =
          EVP_DecryptInit_ex(opening, nil, nil, nil, from) == 1
          && EVP_DecryptUpdate(opening, nil, &length, place, Int32(place.count)) == 1
          && EVP_DecryptUpdate(opening, out, &length, from + nonceBytes, Int32(size)) == 1
          && EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes), &tag) == 1
          && EVP_DecryptFinal_ex(opening, out + size, &length) == 1
      }
      count = isGood ? size : 0
    }
    return isGood ? text : nil
  }
}

/// Base64 with `+`, `/` and `=`.
package enum Base64 {
  package static func text(_ bytes: [UInt8]) -> [UInt8] {
    let size = (bytes.count + 2) / 3 * 4
    // A zero is put behind it.
    return [UInt8](unsafeUninitializedCapacity: size + 1) { room, count in
      if let out = room.baseAddress { EVP_EncodeBlock(out, bytes, Int32(bytes.count)) }
      count = size
    }
  }

  /// The bytes; nil if a text is none.
  package static func bytes(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    guard let from = text.baseAddress, text.count % 4 == 0, text.count <= Int32.max else {
      return nil
    }
    let padding = text.suffix(2).count { $0 == UInt8(ascii: "=") }
    var isGood = false
    let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { room, count in
      guard let out = room.baseAddress else { return }
      let size = Int(EVP_DecodeBlock(out, from, Int32(text.count)))
      isGood = size == text.count / 4 * 3
      count = isGood ? size - padding : 0
    }
    return isGood ? bytes : nil
  }
}
