// Owns: the reasons of admission. A value; any thread.

/// Why a connection is rejected; counted by this name.
package enum Refusal: String, CaseIterable, Sendable {
  /// The limit of connections is reached.
  case connections
  /// The limit of connections from the caller's address is reached.
  case address
  /// Its proxy's header is missing, with `--proxy-protocol`.
  case header = "proxy_header"
  /// It speaks without TLS, with `--tls-cert`.
  case plain
}
