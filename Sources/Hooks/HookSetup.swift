// Owns: what the delivery of hooks gets of the worker around it, and the figures that it shows.
// Values, and gauges that one thread sets; any thread.

package import Loop
package import Metrics
package import Seal
internal import Synchronization
package import Webhooks

/// The surroundings of the delivery.
package struct HookSetup: Sendable {
  package let workerID: String
  /// The source of all events, as CloudEvents have it.
  package let source: String
  package let limits: WebhookLimits
  /// From a request's beginning to its reply.
  package let timeoutMs: Int64
  /// The most descriptors that the connections of all hooks may have.
  package let descriptorsMax: Int
  /// How often Redis notes that the groups ask: the logs wait for them.
  package let noteEveryMs: Int64
  package let seal: Seal?
  package let log: Log
  package let gauges: HookGauges

  package init(
    workerID: String, source: String, limits: WebhookLimits, timeoutMs: Int64, descriptorsMax: Int,
    groupKeepMs: Int64, seal: Seal?, log: Log, gauges: HookGauges
  ) {
    (self.workerID, self.source, self.limits) = (workerID, source, limits)
    (self.timeoutMs, self.descriptorsMax) = (timeoutMs, descriptorsMax)
    noteEveryMs = min(30_000, groupKeepMs / 4)
    (self.seal, self.log, self.gauges) = (seal, log, gauges)
  }
}

/// The figures of one hook in this worker.
package struct HookStatus: Sendable, Equatable {
  package let name: String
  /// The events that it has read and not delivered.
  package let held: Int
  package let underWay: Int
  /// The age of the oldest of them.
  package let lagMs: Int64
  package let delivered: Int
  package let failed: Int
  /// Whether its receiver takes nothing.
  package let isDown: Bool
}

/// The figures of the hooks, written by their thread.
package final class HookGauges: Sendable {
  private let statuses = Mutex<[HookStatus]>([])
  /// How long attempts took, and how old delivered events were, in ms.
  package let latencyMs = Histogram(HookGauges.boundsMs)
  package let lagMs = Histogram(HookGauges.boundsMs)

  private static let boundsMs = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 600_000,
  ]

  package init() {}

  package var all: [HookStatus] { statuses.withLock { $0 } }

  func set(_ statuses: [HookStatus]) { self.statuses.withLock { $0 = statuses } }
}
