// Owns: a page of a group's events, and the events on their way to another consumer of their group.
// Values without Redis; the shell in EventSubscriptions.swift performs their actions.

internal import Loop
internal import RedisConnection
internal import SessionModel

/// Events of a group that this worker holds: read, and not delivered yet.
package struct HeldEvents: Equatable {
  package let group: String
  /// In the order of each partition; those of one partition stand together.
  let ids: [EventID]
  /// The partitions of which the page says that the group has lost events.
  var losses: [Partition] = []
  /// The age of each in ms when it was read, of those that were not given before.
  var agesMs: [Int] = []
}

/// A page as `read_group` gives it.
struct GroupPage {
  let held: HeldEvents
  /// The partitions where another worker has to go on first.
  let blocked: [Partition]
  /// The ms until an event may be delivered again; nil if there is none.
  let againMs: Int64?
  /// The partitions whose log is corrupt.
  let corrupt: [Partition]
  /// How many of the partitions were read to their ends: the first ones, or of several nodes those
  /// at these places.
  let lookedCount: Int
  let lookedPlaces: [Int]?
  /// Whether all partitions have to be read because the group has lost events of one.
  let isLossMet: Bool

  /// Whether a consumer gets something.
  var isEmpty: Bool { held.ids.isEmpty && held.losses.isEmpty }

  init(
    held: HeldEvents, blocked: [Partition] = [], againMs: Int64? = nil,
    corrupt: [Partition] = [], lookedCount: Int, lookedPlaces: [Int]? = nil,
    isLossMet: Bool = false
  ) {
    (self.held, self.blocked, self.againMs) = (held, blocked, againMs)
    (self.corrupt, self.isLossMet) = (corrupt, isLossMet)
    (self.lookedCount, self.lookedPlaces) = (lookedCount, lookedPlaces)
  }

  /// Reads the reply to a read, as group_page.lua begins it; nil if it is another one.
  init?(_ reply: RedisReply, group: String, _ read: GroupRead) {
    let count = reply.count
    guard count >= 7, count % 2 == 1,
      let blocked = GroupPage.partitions(reply[1], of: read),
      let losses = GroupPage.partitions(reply[3], of: read),
      let corrupt = GroupPage.partitions(reply[4], of: read),
      let looked = GroupPage.places(reply[5], of: read)
    else { return nil }
    var ids: [EventID] = []
    var agesMs: [Int] = []
    for index in stride(from: 7, to: count, by: 2) {
      guard let id = EventID(reply[index].text), let ageMs = reply[index + 1].integer else {
        return nil
      }
      ids.append(id)
      if ageMs >= 0 { agesMs.append(Int(ageMs)) }
    }
    self.init(
      held: HeldEvents(group: group, ids: ids, losses: losses, agesMs: agesMs), blocked: blocked,
      againMs: reply[2].integer.flatMap { $0 >= 0 ? $0 : nil }, corrupt: corrupt,
      lookedCount: looked.count, lookedPlaces: looked, isLossMet: reply[6].integer == 1)
  }

  /// The partitions of a read that were read to their ends.
  func looked(of read: GroupRead) -> PartitionSet {
    let places = lookedPlaces ?? Array(0..<lookedCount)
    return PartitionSet(places.map { read.partitions[$0] })
  }

  /// Places in a read, as a list or as how many are the first ones; nil if one is none.
  private static func places(_ reply: RedisReply, of read: GroupRead) -> [Int]? {
    if reply.kind != .array {
      guard let count = reply.integer, 0...read.partitions.count ~= Int(count) else { return nil }
      return Array(0..<Int(count))
    }
    let places = reply.elements.compactMap { $0.integer.map(Int.init) }
    let areAll = places.count == reply.count && places.allSatisfy(read.partitions.indices.contains)
    return areAll ? places : nil
  }

  /// Partitions by their places in a read; nil if one has none.
  private static func partitions(_ reply: RedisReply, of read: GroupRead) -> [Partition]? {
    let found = reply.elements.map { element in
      element.integer.flatMap { place in
        read.partitions.indices.contains(Int(place)) ? read.partitions[Int(place)] : nil
      }
    }
    return found.contains { $0 == nil } ? nil : found.compactMap(\.self)
  }
}

/// The outcome of events that a worker held.
package enum GroupTarget: String, Sendable {
  /// They are with a caller's connection: its own until `--ack-timeout`.
  case given
  /// They could not be written: the next consumer gets them first.
  case returned
}

/// The transfers of events that are not in Redis yet; in any order, since no event is in two.
struct PendingTransfers {
  /// Events of one group with the same outcome.
  struct Transfer: Equatable {
    let group: String
    let target: GroupTarget
    /// A loss has the entry 0-0.
    var ids: [EventID]
  }

  /// So many ids go in one call, unless one page has more.
  static let idsMax = 1_000

  private var transfers: [Transfer] = []
  private var underWay = 0

  /// Whether Redis has made all of them.
  var isEmpty: Bool { transfers.isEmpty && underWay == 0 }

  mutating func add(_ held: HeldEvents, _ target: GroupTarget) {
    let ids = held.losses.map { EventID(partition: $0, entry: .zero) } + held.ids
    guard !ids.isEmpty else { return }
    let like = transfers.firstIndex { transfer in
      transfer.group == held.group && transfer.target == target
        && transfer.ids.count + ids.count <= PendingTransfers.idsMax
    }
    if let like {
      transfers[like].ids += ids
    } else {
      transfers.append(Transfer(group: held.group, target: target, ids: ids))
    }
  }

  /// The calls to send now; `finished` follows for each.
  mutating func take() -> [Transfer] {
    guard !transfers.isEmpty else { return [] }
    defer { transfers = [] }
    underWay += transfers.count
    return transfers.map { transfer in
      // The script wants the ids of a partition together and in order.
      var transfer = transfer
      transfer.ids.sort { ($0.partition.index, $0.entry) < ($1.partition.index, $1.entry) }
      return transfer
    }
  }

  /// Redis has applied a transfer; or has not, and it is sent again.
  mutating func finished(_ transfer: Transfer, isDone: Bool) {
    precondition(underWay > 0, "no transfer is under way")
    underWay -= 1
    if !isDone { transfers.append(transfer) }
  }
}
