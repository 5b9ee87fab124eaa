// Owns: the calls for a hook's group in the logs. Values; any thread.

package import RedisConnection
package import Scripts

/// Which definition of a hook it is: revisions only grow.
package struct HookRevision: Sendable, Equatable {
  /// The revision of the HOOK that made the hook: another one is of another hook.
  package let made: Int64
  /// That of the HOOK which changed it last.
  package let changed: Int64

  package init(made: Int64, changed: Int64) { (self.made, self.changed) = (made, changed) }

  /// Of a definition that is corrupt.
  package static let unknown = HookRevision(made: 0, changed: 0)
}

/// A request for read_hook.lua.
package struct ReadHookCall: ScriptCall {
  package static let script = Script.readHook
  let group: ArgumentText
  let worker: ArgumentText
  /// How long a worker holds events that it does not claim again.
  let leaseMs: Int64
  let limit: Int64
  let groupsMax: Int64
  /// Whether the group is made where it is not there.
  let isMade: Bool
  /// Whether Redis is to note that the group asks.
  let isNoted: Bool
  /// The revisions of the worker's definition.
  let made: Int64
  let changed: Int64
  /// Later definitions up to this revision are known to be lost: Redis has none of them.
  let lostMax: Int64

  /// How long a worker holds events that it does not claim again: then it counts as dead.
  package static let leaseMs: Int64 = 3_000
  /// How many groups a namespace may have, those of hooks and of callers.
  package static let groupsMax: Int64 = 64

  package init(
    group: String, worker: String, limit: Int64, isMade: Bool, isNoted: Bool,
    revision: HookRevision, lostMax: Int64
  ) {
    self.group = ArgumentText(group)
    self.worker = ArgumentText(worker)
    leaseMs = ReadHookCall.leaseMs
    groupsMax = ReadHookCall.groupsMax
    (self.limit, self.isMade, self.isNoted) = (limit, isMade, isNoted)
    (made, changed, self.lostMax) = (revision.made, revision.changed, lostMax)
  }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(worker)
    words.word(leaseMs)
    words.word(limit)
    words.word(groupsMax)
    words.word(isMade)
    words.word(isNoted)
    words.word(made)
    words.word(changed)
    words.word(lostMax)
  }
}

/// The state of a partition, as read_hook.lua says it.
package enum HookReadState: Int64, Sendable {
  case corrupt = -1
  /// There may be more.
  case more = 0
  /// It was read to its end.
  case end = 1
  /// Another worker holds events, which come first.
  case blocked = 2
  /// The group is not there.
  case noGroup = 3
  /// It is not there, and there can be no further one.
  case tooManyGroups = 4
  /// It is read by a later definition than the worker has.
  case superseded = 5
}

/// A request for claim_hook.lua.
package struct ClaimHookCall: ScriptCall {
  package static let script = Script.claimHook
  let group: ArgumentText
  let worker: ArgumentText
  let ids: [ArgumentText]

  /// The ids of a partition stand together and in order.
  package init(group: String, worker: String, ids: [String]) {
    self.group = ArgumentText(group)
    self.worker = ArgumentText(worker)
    self.ids = ids.map { ArgumentText($0) }
  }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(worker)
    for id in ids { words.word(id) }
  }
}

/// A request for ack_hook.lua.
package struct AckHookCall: ScriptCall {
  package static let script = Script.ackHook
  let group: ArgumentText
  /// The revision of the HOOK that made the hook.
  let made: Int64
  let ids: [ArgumentText]

  package init(group: String, made: Int64, ids: [String]) {
    self.group = ArgumentText(group)
    self.made = made
    self.ids = ids.map { ArgumentText($0) }
  }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(made)
    for id in ids { words.word(id) }
  }
}

/// A request for drop_group.lua.
package struct DropGroupCall: ScriptCall {
  package static let script = Script.dropGroup
  let group: ArgumentText
  /// The group of a hook that was made by a later revision stays.
  let madeMax: Int64

  package init(group: String, madeMax: Int64) {
    self.group = ArgumentText(group)
    self.madeMax = madeMax
  }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(madeMax)
  }
}
