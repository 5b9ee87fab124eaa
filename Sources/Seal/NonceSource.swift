// Owns: the nonces of sealed values, none of which may come twice with one key. A value.

internal import Loop

/// Gives nonces of 12 bytes: 8 random ones, the source's prefix, and a counter of 4 behind them.
///
/// Under one prefix none comes twice, for a new one is drawn before the counter begins anew. So two
/// nonces are the same only if two sources, or a source twice, have drawn the same prefix. Of n
/// prefixes of 64 random bits two are the same with a probability below n² / 2^65; with
/// `prefixesMax` of them that is 2^-32, the bound that NIST SP 800-38D (section 8) sets. A prefix
/// is drawn when a worker starts, when its keys are read anew, and after 2^32 values.
struct NonceSource {
  /// How many prefixes may be drawn for one key: 2^16.5.
  static let prefixesMax = 92_681

  private let draw: () -> [UInt8]
  private var prefix: [UInt8] = []
  private var counter: UInt32

  /// `draw` gives 8 random bytes.
  init(counter: UInt32 = 0, _ draw: @escaping () -> [UInt8] = NonceSource.random) {
    self.draw = draw
    self.counter = counter
    prefix = draw()
  }

  mutating func next() -> [UInt8] {
    var nonce = prefix
    for shift in stride(from: UInt32(24), through: 0, by: -8) {
      nonce.append(UInt8(truncatingIfNeeded: counter >> shift))
    }
    if counter == .max { prefix = draw() }
    counter &+= 1
    return nonce
  }

  private static func random() -> [UInt8] {
    do throws(SystemError) { return try Digest.randomBytes(8) } catch {
      // Without random bytes nothing can be sealed, and nothing may be kept unsealed.
      fatalError("OpenSSL has no random bytes: \(error)")
    }
  }
}
