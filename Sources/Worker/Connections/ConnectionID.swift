// Owns: how connections are numbered. A value; any thread.

/// The number of a connection: its place in the loop's table, and which tenant of that place it is.
struct ConnectionID: Hashable {
  let place: UInt32
  let generation: UInt32

  init(place: UInt32, generation: UInt32) {
    self.place = place
    self.generation = generation
  }

  init(packed: UInt64) {
    place = UInt32(truncatingIfNeeded: packed)
    generation = UInt32(truncatingIfNeeded: packed >> 32)
  }

  var packed: UInt64 { UInt64(generation) << 32 | UInt64(place) }
}
