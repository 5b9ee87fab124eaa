// Owns: how connections are numbered. A value; any thread.

/// The number of a connection: its place in the loop's table, and which tenant of that place it is.
package struct ConnectionID: Hashable {
  package let place: UInt32
  package let generation: UInt32

  package init(place: UInt32, generation: UInt32) {
    self.place = place
    self.generation = generation
  }

  package init(packed: UInt64) {
    place = UInt32(truncatingIfNeeded: packed)
    generation = UInt32(truncatingIfNeeded: packed >> 32)
  }

  package var packed: UInt64 { UInt64(generation) << 32 | UInt64(place) }
}
