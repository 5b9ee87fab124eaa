// Owns: the surroundings of deadlines in the worker. A value; the control loop's thread.

package import Loop
package import Metrics
package import SessionModel

/// The surroundings of the reaper, the heartbeat and the subscription to expiries.
package struct DeadlineContext {
  /// Names this process among all that share a Redis.
  package let workerID: String
  /// How often each partition is reaped, whatever hints came.
  package let sweepMs: Int64
  package let requestTimeoutMs: Int64
  package let log: Log
  package let figures: DeadlineFigures
  /// The deadlines that serving loops report.
  package let upcoming: UpcomingDeadlines
  /// The partitions for which an earlier deadline was reported.
  package let mailbox: Mailbox<Partition>

  package init(
    workerID: String, sweepMs: Int64, requestTimeoutMs: Int64, log: Log,
    figures: DeadlineFigures, upcoming: UpcomingDeadlines, mailbox: Mailbox<Partition>
  ) {
    self.workerID = workerID
    self.sweepMs = sweepMs
    self.requestTimeoutMs = requestTimeoutMs
    self.log = log
    self.figures = figures
    self.upcoming = upcoming
    self.mailbox = mailbox
  }
}
