// Owns: the surroundings of deadlines in the worker. A value; the control loop's thread.

internal import Loop
internal import SessionModel

/// The surroundings of the reaper, the heartbeat and the subscription to expiries.
struct DeadlineContext {
  /// Names this process among all that share a Redis.
  let workerID: String
  /// How often each partition is reaped, whatever hints came.
  let sweepMs: Int64
  /// How long events are kept.
  let eventsAgeMs: Int64
  let requestTimeoutMs: Int64
  let log: Log
  let figures: DeadlineFigures
  /// The deadlines that serving loops report.
  let upcoming: UpcomingDeadlines
  /// The partitions for which an earlier deadline was reported.
  let mailbox: Mailbox<Partition>
}
