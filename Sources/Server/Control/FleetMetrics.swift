// Owns: the part of /metrics about the whole fleet: locks, turns and sessions as Redis has them.
// Each worker shows the same.

internal import Loop
internal import Metrics
internal import Service

enum FleetMetrics {
  static func put(_ shared: SharedState, into page: inout MetricsText) {
    let entry = shared.fleetFigures.latest
    let figures = entry?.figures ?? FleetFigures()
    page.single(
      "latchkey_fleet_figures_age_seconds", "gauge",
      "How old the figures of locks, turns and sessions are; without any, how old the worker is.",
      Double(entry?.ageMs ?? MonotonicTime.nowMs() - shared.startedAtMs) / 1e3)
    locks(figures, &page)
    turns(figures, &page)
    sessions(figures, &page)
  }

  private static func locks(_ figures: FleetFigures, _ page: inout MetricsText) {
    let held = "latchkey_locks_held"
    page.family(
      held, "gauge", "Locks that are held, by agent; those of agents that are not shown under *.")
    let (shown, others) = figures.agents(most: FleetFigures.agentsMax)
    page.sample(held, "agent=\"\(FleetFigures.otherAgents)\"", others)
    for agent in shown { page.sample(held, "agent=\"\(agent.name)\"", agent.held) }
    page.single(
      "latchkey_locks_held_mean_seconds", "gauge",
      "For how long the locks that are held have been held, on average.",
      Double(figures.heldNowMsMean) / 1e3)
    page.single(
      "latchkey_locks_acquired_total", "counter",
      "Locks that were acquired while their devices had none.", figures.acquired)
    let endings = "latchkey_lock_endings_total"
    page.family(endings, "counter", "Ends of locks' tokens, by how they ended.")
    for ending in FleetFigure.endings {
      page.sample(endings, "how=\"\(ending.label)\"", figures[ending])
    }
    page.single(
      "latchkey_lock_held_seconds_total", "counter",
      "For how long tokens were held that have ended, all together.",
      Double(figures[.heldMs]) / 1e3)
  }

  private static func turns(_ figures: FleetFigures, _ page: inout MetricsText) {
    page.single(
      "latchkey_turns_running", "gauge", "Turns that run.", figures[.turnsRunning])
    page.single(
      "latchkey_turns_waiting", "gauge", "Callers that wait for a turn.", figures[.turnsWaiting])
    page.single(
      "latchkey_turns_begun_total", "counter", "Turns begun.", figures[.turnsBegun])
    page.single(
      "latchkey_turns_abandoned_total", "counter", "Turns whose TTL expired.",
      figures[.turnsAbandoned])
    page.single(
      "latchkey_turns_interrupted_total", "counter", "Turns that another request has ended.",
      figures[.turnsInterrupted])
  }

  private static func sessions(_ figures: FleetFigures, _ page: inout MetricsText) {
    let states = "latchkey_sessions"
    page.family(states, "gauge", "Sessions that are kept, by state.")
    for state in FleetFigure.states {
      page.sample(states, "state=\"\(state.label)\"", figures[state])
    }
    page.single(
      "latchkey_live_chats", "gauge", "Chats of live sessions.", figures.liveChats)
    page.single(
      "latchkey_devices", "gauge", "Devices that have sessions.", figures[.devices])
    page.single("latchkey_users", "gauge", "Users that have sessions.", figures[.users])
    for (name, atMs) in [("oldest", figures.oldestAtMs), ("newest", figures.newestAtMs)] {
      page.single(
        "latchkey_\(name)_session_timestamp_seconds", "gauge",
        "When the \(name) session was opened; 0 without sessions.", Double(atMs ?? 0) / 1e3)
    }
    page.single(
      "latchkey_sessions_opened_total", "counter", "Sessions opened.", figures[.opened])
    page.single(
      "latchkey_sessions_closed_total", "counter", "Sessions closed.", figures[.closed])
    page.single(
      "latchkey_sessions_expired_total", "counter", "Sessions whose life ended.",
      figures[.expired])
  }
}
