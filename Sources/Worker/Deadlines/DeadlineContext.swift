// Owns: what deadlines need of the worker around them. A value; the control loop's thread.

internal import Loop
internal import SessionModel

/// The surroundings of the reaper, the heartbeat and the subscription to expiries.
struct DeadlineContext {
  /// Names this process among all that share a Redis.
  let workerID: String
  /// Each partition is looked at this often, whatever is known of it.
  let sweepMs: Int64
  /// How long events are kept.
  let eventsAgeMs: Int64
  let requestTimeoutMs: Int64
  let log: Log
  let figures: DeadlineFigures
  /// What serving loops know of deadlines.
  let board: DeadlineBoard
  /// The partitions of which the board has something new.
  let news: Mailbox<Partition>
}
