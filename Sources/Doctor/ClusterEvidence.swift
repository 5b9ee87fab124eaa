// Owns: what a node says of the cluster that it belongs to. A value; any thread.

internal import Loop
internal import SessionModel

/// A cluster as one of its nodes sees it.
package struct ClusterEvidence: Sendable {
  /// A node that has slots, or is a replica of one that has.
  struct Node: Equatable, Sendable {
    let id: String
    let address: Address
    let isReplica: Bool
  }

  /// The name that the node which was asked has in its cluster.
  let id: String
  /// All nodes, the masters first, each once.
  let nodes: [Node]
  /// The node's own slots.
  let ownSlots: [ClosedRange<Int>]
  /// How many nodes have slots, and how many slots have a node.
  let masters: Int
  let slots: Int
  /// `ok`, or `fail` where slots have no node or most masters are away.
  let state: String
  /// Why it does not say which slots there are.
  let refusal: String?

  /// Reads the replies to `CLUSTER MYID`, `CLUSTER SLOTS` and `CLUSTER INFO` of a node at `asked`.
  init(id: String, slots: Answer, info: [String: String], asked: Address) {
    var (own, ids, count) = ([ClosedRange<Int>](), Set<String>(), 0)
    var (masters, replicas) = ([Node](), [Node]())
    for shard in slots.list.map(\.list) where shard.count >= 3 {
      guard let first = shard[0].number, let last = shard[1].number, 0...last ~= first,
        last < Int64(HashSlot.count), let master = Node(shard[2], isReplica: false, asked)
      else { continue }
      ids.insert(master.id)
      count += Int(last - first) + 1
      if master.id == id { own.append(Int(first)...Int(last)) }
      if !masters.contains(master) { masters.append(master) }
      for replica in shard[3...].compactMap({ Node($0, isReplica: true, asked) })
      where !replicas.contains(replica) { replicas.append(replica) }
    }
    self.id = id
    nodes = masters + replicas
    (ownSlots, self.masters, self.slots) = (own, ids.count, count)
    state = info["cluster_state"] ?? "unknown"
    refusal = slots.errorText
  }

  /// A hash tag that begins so, of a slot of the node; nil if it has none.
  func tag(of name: String) -> String? {
    guard !ownSlots.isEmpty else { return nil }
    return (0..<65_536).lazy.map { $0 == 0 ? name : "\(name)-\($0)" }
      .first { tag in
        let slot = HashSlot.of(key: "{\(tag)}")
        return ownSlots.contains { $0.contains(slot) }
      }
  }
}

extension ClusterEvidence.Node {
  /// A node in the reply to `CLUSTER SLOTS`: its host, port and name, and more.
  ///
  /// A node that does not know its own address leaves it out: it is the one that was asked.
  fileprivate init?(_ answer: Answer, isReplica: Bool, _ asked: Address) {
    let node = answer.list
    guard node.count >= 3, let id = node[2].word,
      let port = node[1].number.flatMap({ UInt16(exactly: $0) })
    else { return nil }
    var host = node[0].word ?? ""
    if host.isEmpty || host == "?" {
      if case .tcp(let name, _) = asked { host = name } else { host = "127.0.0.1" }
    }
    self.init(id: id, address: .tcp(host: host, port: port), isReplica: isReplica)
  }
}
