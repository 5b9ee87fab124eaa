// Owns: buffers for output that are used again. A value; the loop's thread.

/// Empty buffers, enough for the callers of one turn.
struct BufferPool {
  private static let countMax = 1_024
  /// Larger ones are not kept: they would hold for good what one caller needed once.
  private static let capacityMax = 1 << 14

  private var spare: [[UInt8]] = []

  /// One that was used before, or a new one.
  mutating func take() -> [UInt8] { spare.popLast() ?? [] }

  /// Takes a buffer back, and leaves an empty one without capacity in its place.
  mutating func giveBack(_ buffer: inout [UInt8]) {
    defer { buffer = [] }
    guard 1...BufferPool.capacityMax ~= buffer.capacity, spare.count < BufferPool.countMax else {
      return
    }
    buffer.removeAll(keepingCapacity: true)
    spare.append(buffer)
  }
}
