// Owns: the names of the members that an export has. A constant; any thread.

/// The members of an export, of its policy, of a chat in it, and of a message.
enum ExportedNames {
  static let ofSession: Set<String> = [
    "format", "device", "session", "state", "reason", "rev", "clocks", "created_at", "updated_at",
    "ended_at", "active_at", "born_at", "since", "warned", "thread", "fenced", "floor", "chat",
    "last_chat", "answers", "links", "spent", "members", "fields", "chats",
    "documents", "policy", "shares", "sealed",
  ]
  static let ofPolicy: Set<String> = [
    "name", "max_sessions", "max_user_sessions", "max_chats", "max_messages", "full", "at_most",
  ]
  static let ofChat: Set<String> = [
    "chat", "created_at", "seq", "dropped", "asked_at", "name", "config", "messages",
    "max_messages", "full",
  ]
  static let ofDocument: Set<String> = ["key", "rev", "at", "expires_at", "value"]
  static let ofShare: Set<String> = ["user", "role", "until"]
  static let ofMessage: Set<String> = ["seq", "at", "message"]
}
