// Owns: which of the ways of saying who is calling a text is, and the principal that it shows, or
// the reason why it shows none. Any thread.

internal import Wire

/// A way of saying who is calling.
package enum CredentialKind: String, Sendable {
  case secret, jwt, ticket
}

/// Why a caller is not accepted.
package struct AuthenticationFault: Error, Sendable {
  /// What is said to the caller, and logged; one of few texts.
  package let text: String
  /// Whether it was no attempt: the worker takes none of that kind.
  package let isUnsupported: Bool

  /// The worker has not read the keys of tickets yet.
  package static let noTicketKey = AuthenticationFault(
    "the key of tickets could not be read from Redis yet; retry in a moment", isUnsupported: true)

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
    case .ticket: preconditionFailure("tickets have keys of their own")
    }
  }

  /// What a bearer is: a secret begins with the name of a principal.
  package func kind(ofBearer text: UnsafeBufferPointer<UInt8>) -> CredentialKind {
    tokens != nil && TokenVerifier.isToken(text) && !isNamed(text) ? .jwt : .secret
  }
}

extension TicketKeys {
  /// The principal of a ticket, whose issuer has to be one of the principals still; nil where all
  /// may call.
  package func principal(
    _ text: UnsafeBufferPointer<UInt8>, _ clock: TokenClock, issuers: Principals?
  ) throws(AuthenticationFault) -> Principal {
    guard let ticket = AccessTicket(text, self) else { throw AuthenticationFault("invalid ticket") }
    guard ticket.endsAtMs > clock.wallMs else {
      throw AuthenticationFault("invalid ticket: it has expired")
    }
    let grant = issuers?.grant(of: ticket)
    guard issuers == nil || grant != nil else {
      throw AuthenticationFault("invalid ticket: its issuer has no longer the rights for it")
    }
    return Principal(
      ticket, text: String(decoding: text, as: UTF8.self),
      endsAtMs: clock.monotonicMs + min(ticket.endsAtMs - clock.wallMs, Int64.max / 4), grant)
  }

  /// The principal of a ticket that was accepted, as it is now; nil if none of the keys has signed
  /// it, or its issuer has not the rights for it any more.
  package func current(_ known: Principal, issuers: Principals?) -> Principal? {
    let text = known.ticketText
    guard let endsAtMs = known.endsAtMs,
      let ticket = Array(text.utf8).withUnsafeBufferPointer({ AccessTicket($0, self) })
    else { return nil }
    let grant = issuers?.grant(of: ticket)
    guard issuers == nil || grant != nil else { return nil }
    return Principal(ticket, text: text, endsAtMs: endsAtMs, grant)
  }
}
