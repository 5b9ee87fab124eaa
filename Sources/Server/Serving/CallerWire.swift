// Owns: the names of the wires, as the log, the audit and metrics have them. Values; any thread.

internal import Loop

/// The protocols by which callers speak to a worker.
enum CallerWire: String, Sendable {
  case line, http
  /// Lines of the page for people, from within the process; metrics count them as `line`.
  case page

  /// The label of metrics.
  var label: String { "wire=\"\(rawValue)\"" }
}

/// A bound socket, and what callers speak on it.
struct CallerSocket: Sendable {
  let socket: Socket
  let wire: CallerWire
}

extension Connection {
  var wire: CallerWire { isInternal ? .page : http == nil ? .line : .http }
}
