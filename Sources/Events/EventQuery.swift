// Owns: what a request reads that may wait for an event or a change. A value; any thread.

internal import Access
package import SessionModel
package import Store

/// One EVENTS request, or a read that waits for a change.
package struct EventQuery: Sendable {
  /// The source: one device's events, what a group's consumer is given, or what changes of a device
  /// concern.
  package enum Source: Sendable {
    case device([UInt8], Partition)
    case group(String)
    case changes(ChangeScope, Unchanged)
  }

  /// The answer of Redis that says that nothing has changed.
  package enum Unchanged: Sendable {
    /// No messages after a number.
    case history
    /// The revision that its caller has seen.
    case record
  }

  /// How Redis gets to know that a group asks: the log waits for it then.
  package struct Note: Sendable {
    /// The query's call, which also notes that.
    let call: ScriptQuery
    /// How often a loop notes it, in ms.
    let everyMs: Int64

    /// `groupKeepMs` is how long the log waits for a group that does not ask any more.
    package init(call: ScriptQuery, groupKeepMs: Int64) {
      self.call = call
      everyMs = min(60_000, groupKeepMs / 4)
    }
  }

  package let source: Source
  package let call: ScriptQuery
  /// Nil when it reads a device's events.
  let note: Note?

  package init(source: Source, call: ScriptQuery, note: Note? = nil) {
    self.source = source
    self.call = call
    self.note = note
  }

  /// The partition that it reads; nil for all.
  package var partition: Partition? {
    if case .device(_, let partition) = source { return partition }
    return nil
  }

  /// The group's name; nil when it reads a device's events.
  package var group: String? {
    if case .group(let name) = source { return name }
    return nil
  }

  /// The changes for which it waits; nil where it waits for events of the log.
  package var scope: ChangeScope? {
    if case .changes(let scope, _) = source { return scope }
    return nil
  }

  /// Whether an answer of Redis says that there is nothing yet.
  func isNothing(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    switch source {
    case .device:
      // A request that waits learns of lost events at the end of its wait: callers that ignore it
      // would ask again at once.
      return line.elementsEqual(EventQuery.noEvents) || line.elementsEqual(EventQuery.noEventsLeft)
    case .group: return false
    case .changes(_, .record): return line.elementsEqual(EventQuery.unchanged)
    case .changes(_, .history):
      guard line.starts(with: EventQuery.noMessages) else { return false }
      // Messages behind the number were dropped: its caller is to know at once.
      return !line.suffix(EventQuery.lost.count).elementsEqual(EventQuery.lost)
    }
  }

  static let noEvents = Array("OK {\"events\":[]}".utf8)
  private static let noEventsLeft = Array("OK {\"events\":[],\"lost\":true}".utf8)
  private static let unchanged = Array("OK {\"unchanged\":true}".utf8)
  private static let noMessages = Array("OK {\"messages\":[],".utf8)
  private static let lost = Array(",\"lost\":true}".utf8)

  /// Whether its caller may have the answer.
  func isAllowed(_ principal: Principal?) -> Bool {
    guard let principal, principal.rights.contains(.read) else { return false }
    return switch source {
    case .device(let device, _): principal.sees(device)
    case .group: principal.seesAllDevices
    case .changes(let scope, _): principal.sees(scope.device)
    }
  }
}
