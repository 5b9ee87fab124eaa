// Owns: how documents' keys stand in Redis, and the bounds of a range of them. Pure; any thread.

internal import RedisConnection
internal import Wire

/// Keys of documents as Redis keeps them: an entry goes on behind its key with a zero, so that
/// entries have the order of their keys' bytes; a zero in a key is escaped.
package enum DocumentKey {
  /// The most bytes of a key.
  package static let bytesMax = 512

  /// Appends a key's text as it stands in Redis: 0 as 1 1, and 1 as 1 2.
  package static func escape(_ key: some Collection<UInt8>, into out: inout [UInt8]) {
    for byte in key {
      if byte <= 1 { out.append(1) }
      out.append(byte <= 1 ? byte + 1 : byte)
    }
  }

  package static func escaped(_ key: some Collection<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    escape(key, into: &out)
    return out
  }
}

/// A range of keys, as ZRANGEBYLEX takes its bounds.
package struct DocumentRange: Equatable {
  /// Inclusive, of the bytes that entries begin with; nil from the first one on.
  private var low: [UInt8]?
  /// Exclusive; nil up to the last one.
  private var high: [UInt8]?

  package init() {}

  /// Of two bounds the narrower one counts.
  package mutating func begins(with prefix: some Collection<UInt8>) {
    let bytes = DocumentKey.escaped(prefix)
    raise(to: bytes)
    // No UTF-8 has this byte.
    lower(to: bytes + [0xFF])
  }

  package mutating func starts(at key: some Collection<UInt8>) {
    raise(to: DocumentKey.escaped(key))
  }

  package mutating func ends(before key: some Collection<UInt8>) {
    lower(to: DocumentKey.escaped(key))
  }

  /// Only what comes behind the entry of a key.
  package mutating func goesOn(after key: some Collection<UInt8>) {
    raise(to: DocumentKey.escaped(key) + [1])
  }

  private mutating func raise(to bound: [UInt8]) {
    if low.map({ $0.lexicographicallyPrecedes(bound) }) ?? true { low = bound }
  }

  private mutating func lower(to bound: [UInt8]) {
    if high.map({ bound.lexicographicallyPrecedes($0) }) ?? true { high = bound }
  }

  package var lowBound: [UInt8] { low.map { [UInt8(ascii: "[")] + $0 } ?? [UInt8(ascii: "-")] }
  package var highBound: [UInt8] { high.map { [UInt8(ascii: "(")] + $0 } ?? [UInt8(ascii: "+")] }
}
