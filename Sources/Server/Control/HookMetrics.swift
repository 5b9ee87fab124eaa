// Owns: the figures of webhooks in /metrics.

internal import Hooks

enum HookMetrics {
  static func put(_ gauges: HookGauges, into page: inout MetricsText) {
    let hooks = gauges.all
    let rows: [(name: String, type: String, help: String, value: (HookStatus) -> Int)] = [
      (
        "latchkey_hook_delivered_total", "counter",
        "Events of webhooks that their receivers took from this worker.", { $0.delivered }
      ),
      (
        "latchkey_hook_failed_total", "counter",
        "Attempts of this worker to send an event of a webhook that failed.", { $0.failed }
      ),
      (
        "latchkey_hook_held_events", "gauge",
        "Events of webhooks that this worker has read and not delivered.", { $0.held }
      ),
      (
        "latchkey_hook_lag_seconds", "gauge", "The age of the oldest of these events.",
        { Int($0.lagMs / 1_000) }
      ),
      (
        "latchkey_hook_down", "gauge", "1 while a webhook's receiver takes nothing.",
        { $0.isDown ? 1 : 0 }
      ),
    ]
    for row in rows {
      page.family(row.name, row.type, row.help)
      // A family without a sample is none.
      if hooks.isEmpty { page.sample(row.name, "", 0) }
      for hook in hooks { page.sample(row.name, "hook=\"\(hook.name)\"", row.value(hook)) }
    }
    page.histogram(
      "latchkey_hook_attempt_seconds", "How long attempts to send an event of a webhook took.",
      [gauges.latencyMs], scale: 1e3)
    page.histogram(
      "latchkey_hook_delivery_lag_seconds", "From an event of a webhook to its being taken.",
      [gauges.lagMs], scale: 1e3)
  }
}
