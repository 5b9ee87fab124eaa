// Owns: the text of /metrics, in Prometheus' exposition format. docs/operations.md names each.

internal import Access
internal import Glibc
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Seal
internal import Service
internal import Settings
internal import Synchronization

/// Composes metric families.
struct MetricsText {
  private(set) var text = ""

  mutating func family(_ name: String, _ type: String, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }

  mutating func sample(_ name: String, _ labels: String = "", _ value: some CustomStringConvertible)
  {
    text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
  }

  /// A histogram of all loops' values; `scale` turns them into the unit that the name says.
  mutating func histogram(
    _ name: String, _ help: String, _ parts: [Histogram], scale: Double = 1
  ) {
    family(name, "histogram", help)
    guard let bounds = parts.first?.bounds else { return }
    func text(_ value: Int) -> String { scale == 1 ? "\(value)" : "\(Double(value) / scale)" }
    var seen = 0
    for bucket in 0...bounds.count {
      seen += parts.reduce(0) { $0 + $1.count(bucket: bucket) }
      let bound = bucket < bounds.count ? text(bounds[bucket]) : "+Inf"
      sample("\(name)_bucket", "le=\"\(bound)\"", seen)
    }
    sample("\(name)_sum", "", text(parts.reduce(0) { $0 + $1.sum }))
    sample("\(name)_count", "", seen)
  }

  /// A family of one sample without labels.
  mutating func single(
    _ name: String, _ type: String, _ help: String, _ value: some CustomStringConvertible
  ) {
    family(name, type, help)
    sample(name, "", value)
  }
}

enum MetricsPage {
  static func text(
    _ shared: SharedState, isReady: Bool, isFit: Bool = true, nodes: [AdminPages.NodeReport] = []
  ) -> String {
    var page = MetricsText()
    page.family("latchkey_build_info", "gauge", "The version that runs.")
    page.sample("latchkey_build_info", "version=\"\(Version.text)\"", 1)
    page.single("latchkey_ready", "gauge", "1 if /readyz answers 200.", isReady ? 1 : 0)
    drain(shared, &page)
    page.single(
      "latchkey_redis_fit", "gauge", "0 while the doctor finds a cause for which Redis is unfit.",
      isFit ? 1 : 0)
    requests(shared, &page)
    connections(shared, &page)
    descriptors(shared, &page)
    buffers(shared, &page)
    access(shared, &page)
    redis(shared, &page)
    self.nodes(nodes, &page)
    calls(shared, &page)
    deadlines(shared.deadlineFigures, &page)
    events(shared, &page)
    FleetMetrics.put(shared, into: &page)
    logs(shared, &page)
    groups(shared, &page)
    HookMetrics.put(shared.hookGauges, into: &page)
    process(&page, shared)
    return page.text
  }

  private static func requests(_ shared: SharedState, _ page: inout MetricsText) {
    let names = VerbTable.all.map(\.name) + ["unknown"]
    page.family("latchkey_requests_total", "counter", "Requests answered, by verb and outcome.")
    for (verb, name) in names.enumerated() {
      for outcome in Outcome.allCases {
        let count = shared.counters.reduce(0) { $0 + $1.requestCount(verb: verb, outcome) }
        guard count > 0 else { continue }
        let labels = "verb=\"\(name)\",outcome=\"\(outcome.label)\""
        page.sample("latchkey_requests_total", labels, count)
      }
    }
    page.family(
      "latchkey_wire_requests_total", "counter", "Requests answered, by the caller's protocol.")
    let all = shared.counters.reduce(0) { sum, loop in
      names.indices.reduce(sum) { sum, verb in
        Outcome.allCases.reduce(sum) { $0 + loop.requestCount(verb: verb, $1) }
      }
    }
    let byHTTP = shared.sum(.httpRequests)
    page.sample("latchkey_wire_requests_total", CallerWire.line.label, max(0, all - byHTTP))
    page.sample("latchkey_wire_requests_total", CallerWire.http.label, byHTTP)
    page.single(
      "latchkey_requests_in_flight", "gauge", "Requests taken and not answered yet.",
      shared.sum(.requestsInFlight))
    let family = "latchkey_request_duration_seconds"
    page.family(family, "histogram", "From a request's arrival to its answer, by verb.")
    for (verb, name) in names.enumerated() { latency(shared, verb, name, family, &page) }
  }

  private static func latency(
    _ shared: SharedState, _ verb: Int, _ name: String, _ family: String,
    _ page: inout MetricsText
  ) {
    var seen = 0
    let buckets = (0...Counters.bucketsUs.count).map { bucket in
      shared.counters.reduce(0) { $0 + $1.latencyCount(verb: verb, bucket: bucket) }
    }
    guard buckets.contains(where: { $0 > 0 }) else { return }
    for (bucket, count) in buckets.enumerated() {
      seen += count
      let bounds = Counters.bucketsUs
      let bound = bucket < bounds.count ? "\(Double(bounds[bucket]) / 1e6)" : "+Inf"
      page.sample("\(family)_bucket", "verb=\"\(name)\",le=\"\(bound)\"", seen)
    }
    let sumUs = shared.counters.reduce(0) { $0 + $1.latencySumUs(verb: verb) }
    page.sample("\(family)_sum", "verb=\"\(name)\"", Double(sumUs) / 1e6)
    page.sample("\(family)_count", "verb=\"\(name)\"", seen)
  }

  private static func connections(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_connections", "gauge", "Open client connections.", shared.connections)
    page.family(
      "latchkey_wire_connections", "gauge", "Open client connections, by protocol.")
    let byHTTP = shared.sum(.httpNow)
    page.sample(
      "latchkey_wire_connections", CallerWire.line.label, max(0, shared.connections - byHTTP))
    page.sample("latchkey_wire_connections", CallerWire.http.label, byHTTP)
    page.single(
      "latchkey_connections_limit", "gauge", "Client connections that there may be.",
      shared.settings.connectionsMax)
    page.single(
      "latchkey_connections_opened_total", "counter", "Client connections taken.",
      shared.sum(.connectionsOpened))
    page.family(
      "latchkey_connections_refused_total", "counter",
      "Client connections that were not let in, by the limit that was reached.")
    for refusal in Refusal.allCases {
      let count = shared.counters.reduce(0) { $0 + $1.refusedCount(refusal) }
      page.sample("latchkey_connections_refused_total", "limit=\"\(refusal.rawValue)\"", count)
    }
    page.family(
      "latchkey_connections_closed_total", "counter", "Client connections closed, by reason.")
    for reason in CloseReason.allCases {
      let count = shared.counters.reduce(0) { $0 + $1.closedCount(reason) }
      page.sample(
        "latchkey_connections_closed_total", "reason=\"\(reason.rawValue)\"", count)
    }
  }

  private static func drain(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_draining", "gauge", "1 while the worker drains.", shared.isDraining ? 1 : 0)
    page.single(
      "latchkey_drain_dismissals_total", "counter",
      "Client connections that were in use until the end of a drain, and ended with ERR draining.",
      shared.sum(.drainDismissals))
  }

  private static func descriptors(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_caller_descriptors", "gauge", "Descriptors of client connections.",
      shared.descriptors.now)
    page.single(
      "latchkey_caller_descriptors_limit", "gauge",
      "Descriptors that client connections may have; the others are for Redis and the admin port.",
      shared.descriptors.most)
    page.single(
      "latchkey_accept_pauses_total", "counter",
      "Times that no client connection was taken for a moment, for want of a descriptor.",
      shared.sum(.acceptPauses))
    page.single(
      "latchkey_admin_connections_closed_total", "counter",
      "Connections to the admin port that were closed because of its limits.",
      shared.adminEnded.load(ordering: .relaxed))
  }

  private static func buffers(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_buffered_bytes", "gauge", "Bytes kept for clients: of requests and of replies.",
      shared.sum(.bufferedBytes))
    page.single(
      "latchkey_buffered_bytes_limit", "gauge",
      "Bytes kept for clients past which they get room for little only.",
      shared.settings.bufferedBytesMax)
    let family = "latchkey_buffer_refusals_total"
    page.family(
      family, "counter", "What clients were refused because that limit was passed, by what it was.")
    let figures: [(what: String, figure: Figure)] = [
      ("request", .pressureRequests), ("reply", .pressureReplies), ("reading", .pressureReadPauses),
      ("watch", .pressureWatches),
    ]
    for (what, figure) in figures {
      page.sample(family, "what=\"\(what)\"", shared.sum(figure))
    }
  }

  private static func access(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_principals", "gauge", "Principals; 0 without --auth.",
      shared.principals.withLock { $0?.count ?? 0 })
    page.single(
      "latchkey_jwt_keys", "gauge", "Keys by which tokens are checked; 0 without --jwt-keys.",
      shared.principals.withLock { $0?.tokens?.keys.count ?? 0 })
    page.single(
      "latchkey_jwt_reload_failed", "gauge", "1 if the latest reload of those keys failed.",
      shared.jwtReloadFailed.load(ordering: .relaxed) ? 1 : 0)
    page.single(
      "latchkey_jwt_ended_total", "counter", "Connections whose token ended while they were open.",
      shared.sum(.tokensEnded))
    page.single(
      "latchkey_audit_failures_total", "counter",
      "Lines of the audit that could not be written.", shared.sum(.auditFailures))
    page.single(
      "latchkey_auth_failures_total", "counter", "Invalid secrets and tokens.",
      shared.sum(.authFailures))
    page.family(
      "latchkey_principal_limited_total", "counter",
      "Requests and connections of a principal that met one of its limits.")
    let uses = shared.principalUses.all
    // A family has a sample, also while no principal has said AUTH.
    for use in uses.isEmpty ? [PrincipalUse(name: "")] : uses {
      for kind in PrincipalLimits.Kind.allCases {
        page.sample(
          "latchkey_principal_limited_total",
          "principal=\"\(use.name)\",limit=\"\(kind.rawValue)\"", use.limited(kind))
      }
    }
    page.single(
      "latchkey_auth_reload_failed", "gauge",
      "1 if the latest reload of the principals failed.",
      shared.hasReloadFailed ? 1 : 0)
  }

  private static func redis(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_redis_connections", "gauge", "Connections to Redis that serving loops need.",
      shared.threads)
    page.single(
      "latchkey_redis_connections_up", "gauge", "Connections to Redis that serve.",
      shared.sum(.redisReady))
    page.single(
      "latchkey_redis_partitions_away", "gauge",
      "Partitions whose node of the cluster cannot be asked, the most of any serving loop.",
      shared.counters.map { $0[.partitionsAway] }.max() ?? 0)
    page.single(
      "latchkey_redis_connection_failures_total", "counter",
      "Times a connection to Redis was lost or could not be made.",
      shared.sum(.redisConnectionFailures))
    page.single(
      "latchkey_redis_wrong_server_total", "counter",
      "Times a server was no master, or not a single Redis, when it was connected to or later.",
      shared.redisFigures.wrongServers)
    page.single(
      "latchkey_redis_connection_resets_total", "counter",
      "Connections to Redis given up, and reset, with requests under way.",
      shared.redisFigures.resets)
    page.single(
      "latchkey_unacknowledged_calls_total", "counter",
      "Calls with changes that fewer replicas had in time than --replica-acks says.",
      shared.redisFigures.unacknowledgedCalls)
    page.family(
      "latchkey_redis_mode", "gauge", "1 for the way in which this worker finds its Redis.")
    page.sample("latchkey_redis_mode", "mode=\"\(shared.redisMode)\"", 1)
    page.single(
      "latchkey_sentinels", "gauge", "Sentinels that this worker asks which Redis is the master.",
      shared.redisFigures.sentinels)
    page.single(
      "latchkey_sentinels_answering", "gauge", "Those of them that answer.",
      shared.redisFigures.answeringSentinels)
    page.single(
      "latchkey_redis_master_changes_total", "counter",
      "Times that the sentinels named another master than before.",
      shared.redisFigures.masterChanges)
    page.single(
      "latchkey_script_calls_total", "counter", "Script calls sent to Redis.",
      shared.sum(.batches))
    page.single(
      "latchkey_script_requests_total", "counter", "Requests carried by those calls.",
      shared.sum(.batchedRequests))
    page.single(
      "latchkey_scripts_reloaded_total", "counter",
      "Script calls sent again because Redis had forgotten the script.",
      shared.sum(.scriptsReloaded))
    page.single(
      "latchkey_corrupt_values_total", "counter",
      "Values shown as null or omitted, and requests refused, because keys in Redis are corrupt.",
      shared.sum(.corruptValues))
  }

  /// The nodes of a cluster, as the control loop reaches them.
  private static func nodes(_ nodes: [AdminPages.NodeReport], _ page: inout MetricsText) {
    guard !nodes.isEmpty else { return }
    page.family("latchkey_redis_node_up", "gauge", "1 if the node of the cluster can be asked.")
    for node in nodes {
      page.sample(
        "latchkey_redis_node_up", "node=\"\(node.name)\"", node.awayReason == nil ? 1 : 0)
    }
    page.family("latchkey_redis_node_partitions", "gauge", "Partitions that the node has.")
    for node in nodes {
      page.sample("latchkey_redis_node_partitions", "node=\"\(node.name)\"", node.partitions)
    }
  }

  /// The way of requests between their callers and Redis.
  private static func calls(_ shared: SharedState, _ page: inout MetricsText) {
    page.histogram(
      "latchkey_script_call_requests", "Requests carried by each script call.",
      shared.counters.map(\.batchSizes))
    page.histogram(
      "latchkey_queue_delay_seconds",
      "From the arrival of a script call's oldest request to its being sent to Redis.",
      shared.counters.map(\.queueDelaysUs), scale: 1e6)
    page.single(
      "latchkey_queue_refusals_total", "counter",
      "Requests refused because Redis would have answered them too late.",
      shared.sum(.queueRefusals))
    page.histogram(
      "latchkey_redis_call_duration_seconds",
      "From a script call's being sent to Redis to its answer.",
      shared.counters.map(\.redisTimesUs), scale: 1e6)
    // A loop that turns does so within a second, if only to look after its connections.
    let nowMs = MonotonicTime.nowMs()
    let turns = shared.counters.map { $0[.turnedAtMs] }.filter { $0 > 0 }
    page.single(
      "latchkey_loop_stall_seconds", "gauge", "How long ago the slowest serving loop has turned.",
      Double(turns.map { max(0, Int(nowMs) - $0) }.max() ?? 0) / 1e3)
  }

  private static func deadlines(_ figures: DeadlineFigures, _ page: inout MetricsText) {
    page.family(
      "latchkey_reaps_total", "counter",
      "Looks at a partition's deadlines, by what caused them and whether anything was due.")
    for cause in ReapCause.allCases {
      for (result, isEmpty) in [("found", false), ("empty", true)] {
        let labels = "cause=\"\(cause.label)\",result=\"\(result)\""
        page.sample("latchkey_reaps_total", labels, figures.reapCount(cause, isEmpty: isEmpty))
      }
    }
    page.family(
      "latchkey_deadlines_met_total", "counter", "Deadlines acted on by this worker, by cause.")
    for cause in ReapCause.allCases {
      page.sample(
        "latchkey_deadlines_met_total", "cause=\"\(cause.label)\"", figures.endingCount(cause))
    }
    let family = "latchkey_deadline_lateness_seconds"
    page.family(family, "histogram", "From a deadline to its event, by Redis' clock.")
    var seen = 0
    for bucket in 0...DeadlineFigures.bucketsMs.count {
      seen += figures.latenessCount(bucket: bucket)
      let bounds = DeadlineFigures.bucketsMs
      let bound = bucket < bounds.count ? "\(Double(bounds[bucket]) / 1e3)" : "+Inf"
      page.sample("\(family)_bucket", "le=\"\(bound)\"", seen)
    }
    page.sample("\(family)_sum", "", Double(figures.latenessSumMs) / 1e3)
    page.sample("\(family)_count", "", seen)
    page.single(
      "latchkey_expiry_notifications_total", "counter",
      "Expiry notifications received of keys in this namespace.", figures.notifications)
    page.single(
      "latchkey_notifications_live", "gauge",
      "1 while Redis' expiry notifications come, as a canary key shows.",
      figures.notificationsLive ? 1 : 0)
    page.single(
      "latchkey_workers", "gauge", "Workers that live, this one included.", figures.workers)
    page.single(
      "latchkey_partitions_owned", "gauge", "Partitions whose deadlines this worker acts on first.",
      figures.partitionsOwned)
  }

  private static func events(_ shared: SharedState, _ page: inout MetricsText) {
    page.single("latchkey_watches", "gauge", "WATCHes that are open.", shared.sum(.watches))
    page.single(
      "latchkey_event_waiters", "gauge", "EVENTS requests that wait with wait=.",
      shared.sum(.waiters))
    page.single(
      "latchkey_change_waiters", "gauge", "HISTORY and GET requests that wait with wait=.",
      shared.sum(.changeWaiters))
    page.single(
      "latchkey_changes_dropped_total", "counter",
      "Watching connections that took no more changes, and got changes.lost.",
      shared.sum(.changesDropped))
    page.single(
      "latchkey_events_pushed_total", "counter", "EVENT lines sent to those who watch.",
      shared.sum(.eventsPushed))
  }

  /// The event logs of all partitions; each worker says the same.
  private static func logs(_ shared: SharedState, _ page: inout MetricsText) {
    let figures = shared.logFigures
    let bytes = figures.bytes
    page.single(
      "latchkey_event_log_bytes", "gauge", "Memory of the event logs in Redis.", bytes.sum)
    page.single(
      "latchkey_event_log_bytes_max", "gauge", "Memory of the largest partition's event log.",
      bytes.most)
    page.single(
      "latchkey_event_log_bytes_limit", "gauge", "Memory that each partition's event log may have.",
      shared.settings.eventBytesMax)
    page.single(
      "latchkey_event_logs_full", "gauge",
      "Partitions that refuse devices because their event log waits for a group.", figures.full)
    page.single(
      "latchkey_event_logs_corrupt", "gauge", "Partitions whose event log is corrupt in Redis.",
      figures.corrupt)
    page.single(
      "latchkey_events_lost_total", "counter",
      "Events that were dropped before a group in use had acknowledged them.", figures.lost)
    page.single(
      "latchkey_groups_behind_seconds", "gauge",
      "The age of the oldest event that a group in use has not acknowledged.",
      Double(figures.behindMs) / 1e3)
  }

  private static func groups(_ shared: SharedState, _ page: inout MetricsText) {
    page.single(
      "latchkey_group_events_given_total", "counter",
      "Events of groups written to a consumer's connection.", shared.sum(.eventsGiven))
    page.single(
      "latchkey_group_events_returned_total", "counter",
      "Events of groups that could not be written, and were given back for the next consumer.",
      shared.sum(.eventsReturned))
    page.single(
      "latchkey_group_losses_reported_total", "counter",
      "Replies that reported a loss of events to a consumer of a group.", shared.sum(.lossesGiven))
    page.histogram(
      "latchkey_group_lag_seconds",
      "From an event to its being written to a consumer of a group for the first time.",
      shared.counters.map(\.groupLagMs), scale: 1e3)
  }

  private static func process(_ page: inout MetricsText, _ shared: SharedState) {
    page.single(
      "latchkey_log_lines_suppressed_total", "counter",
      "Log lines that were not written, since one line stands for many of the same cause.",
      shared.log.suppressedLines)
    page.single(
      "latchkey_sealed_values_unopened_total", "counter",
      "Sealed values that were to be shown, merged or imported, and did not open.",
      SealedValue.unopenedCount)
    page.single(
      "latchkey_log_lines_dropped_total", "counter",
      "Log lines that were dropped, since standard error was not read.", shared.log.droppedLines)
    page.single(
      "process_start_time_seconds", "gauge", "When the process was started, since 1970.",
      Double(shared.startTimeMs) / 1e3)
    page.single(
      "process_cpu_seconds_total", "counter", "User and system time of the process.",
      ProcessFigures.processorSeconds())
    if let bytes = ProcessFigures.residentBytes() {
      page.single(
        "process_resident_memory_bytes", "gauge", "Resident memory of the process.", bytes)
    }
    if let count = ProcessFigures.openDescriptors() {
      page.single("process_open_fds", "gauge", "Descriptors that the process has open.", count)
    }
    page.single(
      "process_max_fds", "gauge", "Descriptors that the process may have.",
      ProcessFigures.descriptorsMax())
  }
}
