// Owns: the users to whose sessions a request is limited. A value; any thread.

/// Some users: those of a principal, or the one that a request names with `as=`.
package struct UserScope: Sendable, Equatable {
  private let patterns: [Pattern]
  /// The user that a request names; nil for those of a principal.
  package let named: String?
  /// As scripts take it behind the session of an address: `=<user>` for each user, `?<pattern>` for
  /// all whose ids fit a pattern of Lua; of a ticket `#`, its role, generation, end and issuer.
  package let text: String

  /// Those of a principal.
  init(_ patterns: [Pattern]) {
    self.patterns = patterns
    named = nil
    text = patterns.map { $0.id.map { "=\($0)" } ?? "?\($0.luaText)" }.joined()
  }

  /// The one that a request names.
  package init(named user: String) {
    patterns = [Pattern(id: user)]
    named = user
    text = "=\(user)"
  }

  /// No user at all, and one session by a ticket.
  init(_ ticket: AccessTicket) {
    patterns = []
    named = nil
    text = ticket.scope
  }

  /// The only user; nil if there may be several.
  package var onlyUser: String? { patterns.count == 1 ? patterns[0].id : nil }

  package func has(_ user: String) -> Bool { has(Array(user.utf8)) }

  package func has(_ user: [UInt8]) -> Bool {
    user.withUnsafeBufferPointer { id in patterns.contains { $0.matches(id) } }
  }

  /// Whether a session of these users is one of theirs; one without a user is not.
  package func has(anyOf users: [[UInt8]]) -> Bool { users.contains { has($0) } }
}
