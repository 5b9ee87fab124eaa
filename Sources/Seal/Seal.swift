// Owns: how values become sealed ones and back, by the keys that the worker has now. Any thread: a
// mutex, held while a cipher is taken or given back, and for a nonce.

internal import Loop
internal import Synchronization

/// The sealing of a worker.
package final class Seal: Sendable {
  private let namespace: [UInt8]
  private let state: Mutex<State>

  private struct State: ~Copyable {
    var keys: Keyring
    var nonces = NonceSource()
    /// Ciphers that no thread uses at the moment.
    var spare: [Ciphers] = []
  }

  /// What is derived from the keys, once.
  private final class Keyring: Sendable {
    let keys: SealKeys
    let ids: [[UInt8]]
    let secrets: [[UInt8]]
    /// By which values that are compared are hashed: the first key's.
    let hashSecret: [UInt8]

    init(_ keys: SealKeys) {
      self.keys = keys
      ids = keys.all.map { Array($0.id.utf8) }
      secrets = keys.all.map { $0.derived(for: "values") }
      hashSecret = keys.all[0].derived(for: "ids")
    }
  }

  /// A cipher for each key, of which those that are used are made.
  ///
  /// Unchecked because of these: it is in the pool, or one thread's that has taken it out.
  private final class Ciphers: @unchecked Sendable {
    let keyring: Keyring
    private var made: [SealingCipher?]

    init(_ keyring: Keyring) {
      self.keyring = keyring
      made = Array(repeating: nil, count: keyring.ids.count)
    }

    subscript(index: Int) -> SealingCipher {
      if let cipher = made[index] { return cipher }
      let cipher = SealingCipher(key: keyring.secrets[index])
      made[index] = cipher
      return cipher
    }
  }

  package init(_ keys: SealKeys, namespace: String) {
    self.namespace = Array(namespace.utf8)
    state = Mutex(State(keys: Keyring(keys)))
  }

  /// The keys that it has now.
  package var keys: SealKeys { state.withLock { $0.keys.keys } }

  /// Goes on with other keys.
  package func replace(_ keys: SealKeys) {
    let keyring = Keyring(keys)
    state.withLock { state in
      state.keys = keyring
      state.nonces = NonceSource()
      state.spare = []
    }
  }

  private func withCiphers<Value>(_ body: (Ciphers) -> Value) -> Value {
    let ciphers = state.withLock { $0.spare.popLast() ?? Ciphers($0.keys) }
    let value = body(ciphers)
    state.withLock { state in
      if state.keys === ciphers.keyring { state.spare.append(ciphers) }
    }
    return value
  }

  /// Seals a JSON value for its place.
  package func seal(_ value: UnsafeBufferPointer<UInt8>, at place: SealContext) -> [UInt8] {
    withCiphers { ciphers in
      let nonce = state.withLock { $0.nonces.next() }
      let sealed = ciphers[0].seal(value, nonce: nonce, place: place.text(namespace: namespace))
      return SealedValue.text(id: ciphers.keyring.keys.all[0].id, sealed: Base64.text(sealed))
    }
  }

  /// The JSON value that was sealed for this place; nil if the worker has not its key, or it is not
  /// as it was, or was another place's.
  package func open(_ value: UnsafeBufferPointer<UInt8>, at place: SealContext) -> [UInt8]? {
    guard let parts = SealedValue.parts(value), let sealed = Base64.bytes(parts.sealed) else {
      return nil
    }
    return withCiphers { ciphers in
      guard let index = ciphers.keyring.ids.firstIndex(where: { $0.elementsEqual(parts.id) }) else {
        return nil
      }
      return ciphers[index].open(sealed, place: place.text(namespace: namespace))
    }
  }

  /// What hashes by the key that seals now.
  package var hashing: SealHashing {
    let keyring = state.withLock { $0.keys }
    return SealHashing(
      keyID: keyring.keys.all[0].id, secret: keyring.hashSecret, namespace: namespace)
  }
}

/// What stands for values that are compared and not shown.
package struct SealHashing: Sendable {
  /// The id of its key: hashes by two keys cannot be compared.
  package let keyID: String
  fileprivate let secret: [UInt8]
  fileprivate let namespace: [UInt8]

  /// 16 bytes, the first half of an HMAC-SHA256, of the value of a member of a device's messages.
  package func hash(
    of value: UnsafeBufferPointer<UInt8>, member: [UInt8], device: some Sequence<UInt8>
  ) -> [UInt8] {
    var text = SealContext(.message, of: device, name: member).text(namespace: namespace)
    text.append(0)
    text += value
    return Array(text.withUnsafeBufferPointer { Digest.hmacSHA256(key: secret, $0) }.prefix(16))
  }
}
