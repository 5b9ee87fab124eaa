// Owns: what a request reads that may wait for an event or a change, and the calls that read it.
// Values; any thread.

package import Access
internal import RedisConnection
internal import Scripts
package import SessionModel
package import Store

/// One EVENTS request, or a read that waits for a change.
package enum EventQuery: Sendable {
  case device(DeviceQuery)
  case group(GroupQuery)
  /// What changes of a device concern, and how it is read.
  ///
  /// With the users to whose sessions that is limited, and whether only what is shared with them
  /// counts, on a device that they do not see.
  case changes(ChangeScope, Unchanged, ScriptQuery, UserScope?, isElsewhere: Bool)

  /// The answer of Redis that says that nothing has changed.
  package enum Unchanged: Sendable {
    /// No messages after a number.
    case history
    /// The revision that its caller has seen.
    case record
  }

  /// The partition that it reads; nil for all.
  package var partition: Partition? {
    if case .device(let query) = self { return query.partition }
    return nil
  }

  /// The group's name; nil when it reads a device's events.
  package var group: String? {
    if case .group(let query) = self { return query.name }
    return nil
  }

  /// The changes for which it waits; nil where it waits for events of the log.
  package var scope: ChangeScope? {
    if case .changes(let scope, _, _, _, _) = self { return scope }
    return nil
  }

  /// Whether an answer of Redis says that nothing has changed yet.
  func isNothing(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    switch self {
    case .device, .group: return false
    case .changes(_, .record, _, _, _): return line.elementsEqual(EventQuery.unchanged)
    case .changes(_, .history, _, _, _):
      guard line.starts(with: EventQuery.noMessages) else { return false }
      // Messages behind the number were dropped: its caller is to know at once.
      return !line.suffix(EventQuery.lost.count).elementsEqual(EventQuery.lost)
    }
  }

  static let noEvents = Array("OK {\"events\":[]}".utf8)
  private static let unchanged = Array("OK {\"unchanged\":true}".utf8)
  private static let noMessages = Array("OK {\"messages\":[],".utf8)
  private static let lost = Array(",\"lost\":true}".utf8)

  /// Whether its caller may have the answer.
  func isAllowed(_ principal: Principal?) -> Bool {
    guard let principal, principal.rights.contains(.read) else { return false }
    return switch self {
    case .device(let query): principal.sees(query.device) && principal.allows(query.users)
    case .group: principal.seesAllDevices && principal.users == nil
    case .changes(let scope, _, _, let users, let isElsewhere):
      (isElsewhere || principal.sees(scope.device)) && principal.allows(users)
    }
  }
}

/// A read of one device's events.
package struct DeviceQuery: Sendable {
  package let device: [UInt8]
  package let partition: Partition
  /// Those whose sessions' events count; nil for all.
  let users: UserScope?
  let after: StreamID
  let limit: Int64

  package init(
    device: [UInt8], partition: Partition, users: UserScope? = nil, after: StreamID, limit: Int64
  ) {
    (self.device, self.partition, self.users) = (device, partition, users)
    (self.after, self.limit) = (after, limit)
  }

  /// The call that reads what comes after an id, when so many events were read already.
  func call(after id: String, found: Int) -> ScriptQuery {
    ScriptQuery(
      EventsCall(
        device: .owned(device), users: users.map { ArgumentText($0.text) }, after: ArgumentText(id),
        limit: limit - Int64(found)),
      at: partition)
  }
}

/// A read for a consumer of a group.
package struct GroupQuery: Sendable {
  package let name: String
  let ackTimeoutMs: Int64
  let limit: Int64
  /// With commas between them; nil for all.
  let types: String?
  /// How often a loop notes in Redis that the group asks, for which the log waits then, in ms; all
  /// partitions are read at least as often.
  let noteEveryMs: Int64

  /// How many groups a namespace may have: each costs an entry in every partition.
  private static let groupsMax: Int64 = 64

  /// `groupKeepMs` is how long the log waits for a group that does not ask any more.
  package init(
    name: String, ackTimeoutMs: Int64, limit: Int64, types: String?, groupKeepMs: Int64
  ) {
    (self.name, self.ackTimeoutMs, self.limit, self.types) = (name, ackTimeoutMs, limit, types)
    noteEveryMs = min(60_000, groupKeepMs / 4)
  }

  func call(_ read: GroupRead, worker: String, isNoted: Bool, isMade: Bool) -> ScriptQuery {
    let call = ReadGroupCall(
      group: ArgumentText(name), ackTimeoutMs: ackTimeoutMs, limit: limit,
      types: types.map { ArgumentText($0) }, groupsMax: GroupQuery.groupsMax,
      worker: ArgumentText(worker), leaseMs: EventWait.leaseMs, isWhole: read.isWhole,
      isNoted: isNoted, isMade: isMade)
    return ScriptQuery(call, over: read.partitions)
  }
}

/// A request for read_group.lua.
struct ReadGroupCall: ScriptCall {
  static let script = Script.readGroup
  let group: ArgumentText
  let ackTimeoutMs: Int64
  let limit: Int64
  let types: ArgumentText?
  let groupsMax: Int64
  let worker: ArgumentText
  /// How long a worker may hold an event.
  let leaseMs: Int64
  /// Whether all partitions are read.
  let isWhole: Bool
  /// Whether Redis is to note that the group asks.
  let isNoted: Bool
  /// Whether the calls of this read before have made the group.
  let isMade: Bool

  func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(ackTimeoutMs)
    words.word(limit)
    words.word(types)
    words.word(groupsMax)
    words.word(worker)
    words.word(leaseMs)
    words.word(isWhole)
    words.word(isNoted)
    words.word(isMade)
  }
}
