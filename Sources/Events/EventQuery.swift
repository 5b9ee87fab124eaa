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

  package let source: Source
  package let call: ScriptQuery

  package init(source: Source, call: ScriptQuery) {
    self.source = source
    self.call = call
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
