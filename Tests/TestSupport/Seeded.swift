// Owns: the random numbers of tests, which a printed seed repeats (SplitMix64).

import Foundation

/// A repeatable source of random numbers; it prints the seed that repeats it.
///
/// `LATCHKEY_TEST_SEED` sets the seed of all purposes, each of which has numbers of its own.
/// `scripts/test` sets it, so that its runs are alike.
package struct Seeded: RandomNumberGenerator {
  /// The seed that repeats the sequence.
  package let seed: UInt64
  private var state: UInt64

  package init(_ purpose: String) {
    let given = ProcessInfo.processInfo.environment["LATCHKEY_TEST_SEED"].flatMap { UInt64($0) }
    self.init(seed: given ?? UInt64.random(in: 1...UInt64(UInt32.max)))
    print("seed \(seed): \(purpose)")
    // FNV-1a.
    state ^= purpose.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  private init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// A source for another thread, which the same seed repeats too.
  package mutating func fork() -> Seeded { Seeded(seed: next()) }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
