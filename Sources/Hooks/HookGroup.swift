// Owns: the calls for a hook's group in the logs. Values; any thread.

package import RedisConnection
package import Scripts

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

  /// How long a worker holds events that it does not claim again: then it counts as dead.
  package static let leaseMs: Int64 = 3_000
  /// How many groups a namespace may have, those of hooks and of callers.
  package static let groupsMax: Int64 = 64

  package init(group: String, worker: String, limit: Int64, isMade: Bool, isNoted: Bool) {
    self.group = ArgumentText(group)
    self.worker = ArgumentText(worker)
    leaseMs = ReadHookCall.leaseMs
    groupsMax = ReadHookCall.groupsMax
    (self.limit, self.isMade, self.isNoted) = (limit, isMade, isNoted)
  }

  package func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(worker)
    words.word(leaseMs)
    words.word(limit)
    words.word(groupsMax)
    words.word(isMade)
    words.word(isNoted)
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
}

/// A request for drop_group.lua.
package struct DropGroupCall: ScriptCall {
  package static let script = Script.dropGroup
  let group: ArgumentText

  package init(group: String) { self.group = ArgumentText(group) }

  package func write(to words: inout CommandBuffer) { words.word(group) }
}
