// Owns: why connections are not let in. A value; any thread.

/// Why a connection is not let in; counted by this name.
enum Refusal: String, CaseIterable, Sendable {
  /// The worker has as many connections as it may have.
  case connections
  /// The caller's address has.
  case address
  /// It does not come through a proxy, as it has to with `--proxy-protocol`.
  case header = "proxy_header"
}
