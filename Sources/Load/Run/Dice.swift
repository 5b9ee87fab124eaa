// Owns: random numbers that a seed repeats (SplitMix64, by Sebastiano Vigna, prng.di.unimi.it).
// A value; any thread.

internal import Glibc

/// A source of decisions.
struct Dice: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// From 0 to 1, without 1.
  mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// True in so many of a hundred cases.
  mutating func happens(_ percent: Double) -> Bool { fraction() * 100 < percent }

  /// A length of time between events that come at random, with this mean.
  mutating func pause(mean: Double) -> Double { -log(1 - fraction()) * mean }

  mutating func below(_ count: Int) -> Int { Int(next() % UInt64(max(1, count))) }
}
