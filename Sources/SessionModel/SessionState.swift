// Owns: the states of a session. Values; any thread. The transitions between states are in
// Lua/lib/{clocks,transitions}.lua of Scripts: Redis decides.

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
