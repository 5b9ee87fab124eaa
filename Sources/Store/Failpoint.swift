// Owns: the failpoints at which a test makes the worker die, between two steps of a change that
// takes several. Debug builds only; a release has none. Any thread.

internal import Glibc

/// A named moment between two steps.
package enum Failpoint: String {
  /// A reservation is made in the link's partition, and the session does not know it.
  case reserved
  /// The session has its link; its caller has not been answered.
  case linked
  /// The link's partition has been informed; the outbox entry is still there.
  case informed
  /// An entry was found to be due; the session has not been asked.
  case due

  /// Dies here, as by SIGKILL, if `FAILPOINT` names this moment.
  package func hit() {
    #if DEBUG
      guard let named = getenv("FAILPOINT") else { return }
      if String(cString: named) == rawValue { kill(getpid(), SIGKILL) }
    #endif
  }
}
