// Owns: what an EVENTS request reads. A value; any thread.

internal import Access
package import SessionModel
package import Store

/// One EVENTS request.
package struct EventQuery: Sendable {
  /// The source: one device's events, or what a group's consumer is given.
  package enum Source: Sendable {
    case device([UInt8], Partition)
    case group(String)
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

  /// Whether its caller may have the answer.
  func isAllowed(_ principal: Principal?) -> Bool {
    guard let principal, principal.rights.contains(.read) else { return false }
    return switch source {
    case .device(let device, _): principal.sees(device)
    case .group: principal.seesAllDevices
    }
  }
}
