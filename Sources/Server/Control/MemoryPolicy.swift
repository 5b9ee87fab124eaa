// Owns: what INFO says of a Redis' limit of memory and its eviction policy. A value; any thread.

/// Whether a Redis may evict keys.
struct MemoryPolicy: Equatable {
  private(set) var limitBytes = 0
  private(set) var policy = ""

  /// Reads the section `memory` of INFO.
  init(info: String) {
    for line in info.split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "maxmemory": limitBytes = Int(parts[1]) ?? 0
      case "maxmemory_policy": policy = String(parts[1])
      default: continue
      }
    }
  }

  /// Redis evicts nothing below a limit, and there is none by default.
  var mayEvict: Bool { limitBytes > 0 && !policy.isEmpty && policy != "noeviction" }
}
