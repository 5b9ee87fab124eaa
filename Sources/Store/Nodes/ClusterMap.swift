// Owns: which node of a cluster has which slots, as a node says it. A value; any thread.

internal import Loop
internal import RedisConnection
internal import SessionModel

/// The masters of a cluster, and the slots that each has.
struct ClusterMap: Equatable, Sendable {
  /// A run of slots, and the nodes that have them.
  struct Shard: Equatable, Sendable {
    let slots: ClosedRange<Int>
    let master: Address
    let replicas: [Address]

    init(slots: ClosedRange<Int>, master: Address, replicas: [Address] = []) {
      self.slots = slots
      self.master = master
      self.replicas = replicas
    }
  }

  let shards: [Shard]

  init(_ shards: [Shard]) { self.shards = shards }

  /// Reads the reply to `CLUSTER SLOTS`; nil if it is an error.
  ///
  /// A node that does not know its own address leaves it out: it is the one that was asked.
  init?(_ reply: RedisReply, asked: Address) {
    guard reply.kind == .array else { return nil }
    shards = reply.elements.compactMap { shard in
      guard shard.count >= 3, let first = shard[0].integer, let last = shard[1].integer,
        0...last ~= first, last < HashSlot.count
      else { return nil }
      let nodes = shard.elements.dropFirst(2).compactMap { Self.address($0, asked: asked) }
      guard let master = nodes.first else { return nil }
      return Shard(
        slots: Int(first)...Int(last), master: master, replicas: Array(nodes.dropFirst()))
    }
  }

  private static func address(_ node: RedisReply, asked: Address) -> Address? {
    guard node.count >= 2, let port = node[1].integer.flatMap({ UInt16(exactly: $0) }) else {
      return nil
    }
    let host = node[0].text
    guard host.isEmpty || host == "?" else { return .tcp(host: host, port: port) }
    guard case .tcp(let host, _) = asked else { return .tcp(host: "127.0.0.1", port: port) }
    return .tcp(host: host, port: port)
  }

  /// The master of each partition; nil where no node has its slot.
  var masters: [Address?] {
    var bySlot = [Address?](repeating: nil, count: HashSlot.count)
    for shard in shards { for slot in shard.slots { bySlot[slot] = shard.master } }
    return HashSlot.ofPartitions.map { bySlot[$0] }
  }

  /// All nodes, masters first.
  var addresses: [Address] {
    var seen: Set<Address> = []
    let all = shards.map(\.master) + shards.flatMap(\.replicas)
    return all.filter { seen.insert($0).inserted }
  }
}
