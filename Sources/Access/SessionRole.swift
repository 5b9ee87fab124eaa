// Owns: the roles that a caller may have in one session. A value; any thread.

/// A role in a session, each with the rights of those before it.
package enum SessionRole: String, CaseIterable, Sendable {
  /// To see it: GET, HISTORY, CHATS, KEYS, TAKE, WATCH and EXPORT.
  case read
  /// To change it as well, except who may reach it.
  case write
  /// All: its users have it, who are those that it is linked to.
  case own
}
