// The error words of the protocol and the error that carries one to the caller. None of them
// costs the caller its connection: what it has pipelined behind would be lost with it.

/// The code word of an `ERR` reply.
///
/// The raw value is what goes over the wire, and callers branch on it, so it never changes.
package enum ErrorCode: String, CaseIterable, Sendable {
  /// The line breaks the grammar, or a word or option is unknown, missing or out of range.
  case badRequest = "bad_request"
  /// The first word of the line is no verb of this protocol.
  case unknownVerb = "unknown_verb"
  /// A line, message or record is over its limit; the rest of such a line is thrown away.
  case tooLarge = "too_large"
  /// The worker requires a secret, and this connection has not authenticated.
  case authRequired = "auth_required"
  /// The secret was wrong, or it does not allow this verb.
  case forbidden
  /// The session is in a state that does not allow this; the text names both.
  case illegalState = "illegal_state"
  /// The idempotency key of `req=` was used for another request.
  case conflict
  /// A limit on sessions, chats or fields is reached; the text names it.
  case quota
  /// Redis cannot be reached and nothing was done, so a retry is safe.
  case unavailable
  /// Redis was asked and did not answer, so the change may or may not have been applied.
  case unknownOutcome = "unknown_outcome"
  /// The worker has too much to do and shed this request before it did anything.
  case overloaded
  /// The worker is shutting down and shed this request before it did anything.
  case draining
  /// A bug in the worker; the details are in its log and not in the reply.
  case `internal` = "internal"
}

/// A refusal that becomes one `ERR` line.
package struct RequestError: Error, Equatable, Sendable {
  /// The word that programs branch on.
  package var code: ErrorCode
  /// One line for people; it names the word, option or limit at fault.
  package var text: String
  /// The limit of the caller's principal that a script found reached, by the name that the file of
  /// principals has for it; it is counted and logged, and not sent.
  package var principalLimit: String?

  /// Makes an error; the text may hold anything, as `appendError` cleans it when it is sent.
  package init(_ code: ErrorCode, _ text: String, principalLimit: String? = nil) {
    self.code = code
    self.text = text
    self.principalLimit = principalLimit
  }
}
