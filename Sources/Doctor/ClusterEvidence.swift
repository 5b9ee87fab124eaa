// Owns: what a node says of the cluster that it belongs to. A value; any thread.

internal import SessionModel

/// A cluster as one of its nodes sees it.
package struct ClusterEvidence: Sendable {
  /// The node's own slots.
  let ownSlots: [ClosedRange<Int>]
  /// How many nodes have slots, and how many slots have a node.
  let masters: Int
  let slots: Int
  /// `ok`, or `fail` where slots have no node or most masters are away.
  let state: String
  /// Why it does not say which slots there are.
  let refusal: String?

  init(id: String, slots: Answer, info: [String: String]) {
    var (own, ids, count) = ([ClosedRange<Int>](), Set<String>(), 0)
    for shard in slots.list.map(\.list) where shard.count >= 3 {
      let node = shard[2].list
      guard let first = shard[0].number, let last = shard[1].number, 0...last ~= first,
        last < Int64(HashSlot.count), node.count >= 3, let name = node[2].word
      else { continue }
      ids.insert(name)
      count += Int(last - first) + 1
      if name == id { own.append(Int(first)...Int(last)) }
    }
    (ownSlots, masters, self.slots) = (own, ids.count, count)
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
