// Owns: the names of a namespace's keys by partition, made once: 256 of each. A value; any thread.

internal import RedisConnection
internal import SessionModel

/// The keys of scripts.
struct StoreKeys {
  private let keyspace: Keyspace
  private let bases: [String]
  /// The base keys as words for Redis.
  let baseWords: [[UInt8]]
  /// The prefix of the keys of locks' records, in each partition.
  let recordPrefixes: [[UInt8]]

  init(_ keyspace: Keyspace) {
    self.keyspace = keyspace
    bases = Partition.all.map { keyspace.base($0) }
    baseWords = bases.map { key in
      var word = CommandBuffer()
      word.word(key)
      return word.bytes
    }
    recordPrefixes = Partition.all.map { Array(keyspace.recordPrefix($0).utf8) }
  }

  /// The partition whose base key a message of a script ends with; nil if it names none.
  func partition(in message: String) -> Partition? {
    let words = message.split(separator: " ")
    guard words.count > 1, words[0] == "ELSEWHERE" else { return nil }
    return keyspace.partition(ofKey: "\(words[1]):")
  }

  /// The base key of a partition.
  func base(_ partition: Partition) -> String { bases[partition.index] }
}
