// Owns: what share of callers' values is sealed by which key, from a sample: which keys of Redis
// are read for it, and how their values count. Values; any thread.

internal import Seal
internal import SessionModel

/// Some values of callers, by the key that has sealed them.
package struct SealingSample: Equatable, Sendable {
  /// How many are sealed by each key, by its id; those that are not sealed have an empty one.
  private(set) var counts: [String: Int] = [:]

  /// So many messages and documents of a session are read, and about so many members.
  private static let valuesEach = 4
  private static let membersEach = 16
  /// Of all sessions so many, one of a partition: values may be long.
  private static let sessionsMax = 64

  package init() {}

  // MARK: Commands

  /// The commands that name sessions.
  static func lists(_ namespace: String) -> [[String]] {
    let keyspace = Keyspace(namespace: namespace)
    return Partition.all.map {
      ["ZRANGE", keyspace.base($0) + ":sessions", "-1", "-1"]
    }
  }

  /// The commands that read the sessions of which the answers to those have the addresses.
  static func reads(_ namespace: String, _ answers: [Answer]) -> [[String]] {
    let keyspace = Keyspace(namespace: namespace)
    let keys = zip(Partition.all, answers).flatMap { partition, answer in
      answer.list.compactMap(\.word).map { "\(keyspace.base(partition)):session:\($0)" }
    }
    return keys.prefix(sessionsMax).flatMap { key in
      [
        ["HSCAN", key, "0", "COUNT", "\(membersEach)"],
        ["LRANGE", key + "/1", "-\(valuesEach)", "-1"],
        ["ZRANGE", key + "/docs", "0", "\(valuesEach - 1)"],
      ]
    }
  }

  // MARK: Counting

  /// Takes the answers to those, three of each session.
  mutating func take(_ answers: [Answer]) {
    for at in stride(from: 0, to: answers.count - 2, by: 3) {
      let members = answers[at].list.last?.pairs ?? [:]
      for (name, line) in members where name.hasPrefix("f:") || name.hasPrefix("c:") {
        // A field has its revision before its value, and a removed one has no value.
        let value = name.hasPrefix("f:") ? line.drop { $0 != " " }.dropFirst() : line[...]
        if !value.isEmpty { count(value) }
      }
      for entry in answers[at + 1].list.compactMap(\.word) {
        guard let message = entry.firstRange(of: "\"message\":") else { continue }
        count(entry[message.upperBound...].dropLast())
      }
      for entry in answers[at + 2].list.compactMap(\.word) {
        // Behind the key and a zero stand numbers; a long value is elsewhere.
        let behind = entry.drop { $0 != "\0" }.dropFirst()
        let value = behind.drop { $0.isNumber || $0 == " " }
        if !value.isEmpty { count(value) }
      }
    }
  }

  private mutating func count(_ value: Substring) {
    let id = Array(value.utf8).withUnsafeBufferPointer { SealedValue.keyID(of: $0) }
    counts[id ?? "", default: 0] += 1
  }

  // MARK: Finding

  /// The shares; nil where nothing is sealed.
  var finding: Finding? {
    let total = counts.values.reduce(0, +)
    guard counts.keys.contains(where: { !$0.isEmpty }) else { return nil }
    let shares = counts.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.map { id, count in
      let share = "\((200 * count + total) / (2 * total)) %"
      return id.isEmpty ? "\(share) not sealed" : "\(share) sealed by \(id)"
    }
    return Finding(
      .info, .sealing, "of \(total) values of a sample \(shares.joined(separator: ", "))")
  }
}
