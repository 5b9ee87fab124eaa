// Owns: why connections are closed. A value; any thread.

/// Why a connection was closed; counted by this name.
package enum CloseReason: String, CaseIterable, Sendable {
  /// The caller has closed its side and has all its answers.
  case ended
  /// The caller sent QUIT, or its request of HTTP was to be the last one.
  case quit
  /// The network broke it.
  case broken
  /// Its TLS handshake failed.
  case handshake
  /// No request came for too long.
  case idle
  /// It does not read what it is sent.
  case slow
  /// A line was begun and not ended.
  case stalled
  /// It was rejected by admission.
  case refused
  /// It sent what is no request of HTTP, where it was to.
  case malformed
  /// It speaks another protocol.
  case otherProtocol = "other_protocol"
  /// It did not authenticate, or sent wrong secrets.
  case unauthenticated
  /// It watches events that its principal may not see any more.
  case revoked
  /// The worker is stopping.
  case drained

  /// Whether the caller may still be writing, so that its side is waited for before the end.
  package var isAnnounced: Bool {
    switch self {
    case .quit, .idle, .stalled, .refused, .malformed, .otherProtocol, .unauthenticated, .revoked,
      .drained:
      true
    case .ended, .broken, .handshake, .slow: false
    }
  }
}
