// Owns: which words are no kinds of links. A constant; any thread.

/// The kinds of links.
enum LinkKind {
  /// The words that are no kinds, because LIST has, or will have, another meaning for them.
  static let reserved: Set<String> = [
    "agent", "device", "session", "chat", "thread", "state", "order", "since", "before", "fields",
    "count", "limit", "cursor",
  ]

  /// Whether a kind is reserved, in capitals or not, as the names of options are.
  static func isReserved(_ kind: String) -> Bool { reserved.contains(kind.lowercased()) }

  /// The fault of such a kind, and the remedy.
  static func whyReserved(_ kind: String) -> String {
    switch kind.lowercased() {
    case "agent":
      "kind 'agent' is reserved: sessions are linked to no agent; HOLDER device shows who holds "
        + "a lock, and LOCKS agent= lists an agent's locks"
    case "device": "kind 'device' is reserved: LIST and the device lists its sessions"
    default: "kind '\(kind)' is reserved: name the link otherwise"
    }
  }
}
