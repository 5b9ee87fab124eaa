// Owns: the request for a page of an event log, of which EVENTS and WATCH have need. A value; any
// thread.

package import RedisConnection
package import Scripts

/// A request for events.lua.
package struct EventsCall: ScriptCall {
  package static let script = Script.events
  /// `*` for all devices of the partition.
  let device: ArgumentText
  /// Those whose sessions' events count, as `UserScope` has them; nil for all.
  let users: ArgumentText?
  let after: ArgumentText
  let limit: Int64

  package init(device: ArgumentText, users: ArgumentText?, after: ArgumentText, limit: Int64) {
    self.device = device
    self.users = users
    self.after = after
    self.limit = limit
  }

  package func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(users)
    words.word(after)
    words.word(limit)
  }
}
