// Owns: the names of a namespace's keys by partition, made once: 256 of each. A value; any thread.

internal import RedisConnection
internal import SessionModel

/// The keys of scripts.
struct StoreKeys {
  private let bases: [String]
  /// The base keys as words for Redis.
  let baseWords: [[UInt8]]
  /// The prefix of the keys of locks' records, in each partition.
  let recordPrefixes: [[UInt8]]

  init(_ keyspace: Keyspace) {
    bases = Partition.all.map { keyspace.base($0) }
    baseWords = bases.map { key in
      var word = CommandBuffer()
      word.word(key)
      return word.bytes
    }
    recordPrefixes = Partition.all.map { Array(keyspace.recordPrefix($0).utf8) }
  }

  /// The base key of a partition.
  func base(_ partition: Partition) -> String { bases[partition.index] }
}
