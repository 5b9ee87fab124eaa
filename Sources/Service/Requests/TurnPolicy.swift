// Owns: the names of what a TURN does while another turn runs. A value; any thread.

/// What a TURN does while another turn runs.
enum TurnPolicy: String, CaseIterable {
  /// It waits, as long as it may; then it is BUSY.
  case enqueue
  /// It is BUSY at once.
  case reject
  /// Its message goes to the running turn.
  case join
  /// The running turn is over; its messages stay.
  case interrupt
  /// The running turn is over, and its messages are removed.
  case rollback
}
