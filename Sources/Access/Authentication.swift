// Owns: which of the ways of saying who is calling a text is, and the principal that it shows, or
// the reason why it shows none. Any thread.

internal import Wire

/// A way of saying who is calling.
package enum CredentialKind: String, Sendable {
  case secret, jwt
}

/// Why a caller is not accepted.
package struct AuthenticationFault: Error, Sendable {
  /// What is said to the caller, and logged; one of few texts.
  package let text: String
  /// Whether it was no attempt: the worker takes none of that kind.
  package let isUnsupported: Bool

  init(_ text: String, isUnsupported: Bool = false) {
    (self.text, self.isUnsupported) = (text, isUnsupported)
  }
}

extension Principals {
  /// The principal of a secret or a token.
  package func authenticate(
    _ kind: CredentialKind, _ text: UnsafeBufferPointer<UInt8>, _ clock: TokenClock
  ) throws(AuthenticationFault) -> Principal {
    switch kind {
    case .secret:
      guard let principal = authenticate(text) else { throw AuthenticationFault("invalid secret") }
      return principal
    case .jwt:
      guard let tokens else {
        throw AuthenticationFault(
          "this worker takes no tokens: --jwt-keys names no file of keys", isUnsupported: true)
      }
      do throws(TokenFault) { return try tokens.principal(of: text, clock) } catch {
        throw AuthenticationFault("invalid token: \(error.rawValue)")
      }
    }
  }

  /// What a bearer is: a secret begins with the name of a principal.
  package func kind(ofBearer text: UnsafeBufferPointer<UInt8>) -> CredentialKind {
    tokens != nil && TokenVerifier.isToken(text) && !isNamed(text) ? .jwt : .secret
  }
}
