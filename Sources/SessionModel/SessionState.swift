// Owns: the states of a session and its clocks' defaults. Values; any thread. The transitions
// between states are in Lua/lib/{clocks,transitions}.lua of Scripts: Redis decides.

/// The state of a session.
package enum SessionState: String, CaseIterable, Sendable {
  /// In use. Goes to paused, abandoned, expired, completed, failed or archived.
  case active
  /// Put aside. Goes to active, abandoned, expired, completed, failed or archived.
  case paused
  /// Its caller did not come back. Goes to active or archived.
  case abandoned
  /// Kept for the record, then gone.
  case archived
  /// Closed well; kept, then gone or archived.
  case completed
  /// Closed badly; kept, then gone or archived.
  case failed
  /// Its life has ended; kept, then gone or archived.
  case expired
}

/// How long each clock of a session runs, in ms; 0 turns one off, except `keep`.
package struct SessionClocks: Hashable, Sendable {
  package var idleMs: Int64 = 30 * 60_000
  package var abandonMs: Int64 = 24 * 3_600_000
  package var archiveMs: Int64 = 7 * 86_400_000
  package var lifeMs: Int64 = 24 * 3_600_000
  package var keepMs: Int64 = 30 * 86_400_000
  package var warnMs: Int64 = 2 * 60_000

  package init() {}

  /// In the order in which a record keeps them.
  package var inOrder: [Int64] { [idleMs, abandonMs, archiveMs, lifeMs, keepMs, warnMs] }
}
