// Owns: the tests of the names of keys.

import SessionModel
import Testing

struct KeyspaceTests {
  private let keyspace = Keyspace(namespace: "lk")

  @Test func `a partition's keys begin with its braced tag`() {
    let partition = Partition(index: 0xA3)
    #expect(keyspace.base(partition) == "lk:{0a3}")
    #expect(keyspace.events(partition) == "lk:{0a3}:events")
    #expect(keyspace.layoutKey == "lk:partitions")
    #expect(keyspace.workers(at: partition) == "lk:{0a3}:workers")
    let canary = keyspace.canary("w", at: partition)
    #expect(keyspace.isCanary(canary, of: "w") && !keyspace.isCanary(canary, of: "v"))
  }

  /// Redis Cluster hashes what stands between the first `{` and the first `}` behind it.
  private func hashTag(_ key: String) -> Substring? {
    guard let open = key.firstIndex(of: "{") else { return nil }
    let inside = key[key.index(after: open)...]
    guard let close = inside.firstIndex(of: "}"), close != inside.startIndex else { return nil }
    return inside[..<close]
  }

  @Test(arguments: ["d1", "{x}", "}{", "{}", "{", "}", "a}b{c}", "%7B0ff%7D"])
  func `no id can break the tag, because it comes after the braces`(id: String) {
    let partition = Partition(of: id)
    for kind in ["lock:\(id)", "req:\(id)/{1}", "session:\(id)", "\(id)"] {
      #expect(hashTag(keyspace.base(partition) + ":" + kind) == partition.tag[...])
    }
  }

  @Test func `namespaces share no key`() {
    let other = Keyspace(namespace: "lk2")
    let partition = Partition(index: 7)
    #expect(keyspace != other)
    let ours = [keyspace.base(partition), keyspace.layoutKey, keyspace.workers(at: partition)]
    let theirs = [other.base(partition), other.layoutKey, other.workers(at: partition)]
    for key in theirs { #expect(!ours.contains { key.hasPrefix($0) }) }
  }
}
