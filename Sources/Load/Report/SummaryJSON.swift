// Owns: the figures of a run as one JSON object. Its members are described in docs/load.md. A
// value; any thread.

internal import Loop

/// The figures of a run for programs.
package enum SummaryJSON {
  package static func text(_ result: LoadResult) -> String {
    var json = JSONText()
    json.object { json in
      json.member("verdict", result.verdict.word)
      json.member("exit_status", Int(result.exitStatus))
      violation(result, &json)
      options(result, &json)
      json.member("server", result.server)
      json.member("started_at", result.startedAtMs)
      json.member("seconds", result.seconds)
      json.bool("interrupted", result.counts.wasInterrupted)
      json.member("requests", result.requests)
      json.member("requests_per_s", result.requestsPerSecond)
      json.member("own_cpu_us_per_request", result.ownUsPerRequest)
      json.member("error_count", result.errors)
      errors("errors", result.errorsByCode, &json)
      json.object("latency") { json in latency(result.latency, &json) }
      verbs(result, &json)
      counts(result.counts, &json)
      abandonments(result, &json)
      series(result, &json)
    }
    return json.text + "\n"
  }

  private static func violation(_ result: LoadResult, _ json: inout JSONText) {
    switch result.verdict {
    case .kept: json.null("violation")
    case .incomplete(let unchecked):
      json.null("violation")
      json.member("reason", "\(unchecked) conversations could not be checked")
    case .failed(let reason):
      json.null("violation")
      json.member("reason", reason)
    case .broken(let finding):
      json.object("violation") { json in
        json.member("rule", finding.violation.rule.rawValue)
        json.member("promise", finding.violation.rule.promise)
        json.member("text", finding.violation.text)
        json.member("device", finding.device)
        json.array("history", finding.history) { json, line in json.value(line) }
      }
    }
  }

  private static func options(_ result: LoadResult, _ json: inout JSONText) {
    let options = result.options
    json.object("options") { json in
      json.array("to", options.targets) { json, target in json.value(target.description) }
      json.member("conversations", options.conversations)
      json.member("duration_ms", options.durationMs)
      json.member("warmup_ms", options.warmupMs)
      json.member("connect", options.connect.rawValue)
      if let rate = options.rate {
        json.member("rate", rate)
      } else {
        json.member("think_ms", options.thinkMs)
      }
      json.member("ttl_ms", options.ttlMs)
      json.member("timeout_ms", options.timeoutMs)
      json.member("patience_ms", options.patienceMs)
      json.member("message_bytes", options.messageBytes)
      json.member("mix", options.mix.text)
      json.member("seed", "\(options.seed)")
      if let group = options.group { json.member("group", group) }
      if let chaos = options.chaos {
        json.member("chaos", chaos.command)
        json.member("chaos_every_ms", chaos.everyMs)
      }
    }
  }

  private static func errors(
    _ name: String, _ errors: [(code: String, count: Int)], _ json: inout JSONText
  ) {
    json.object(name) { json in
      for error in errors { json.member(error.code, error.count) }
    }
  }

  private static func latency(_ histogram: LatencyHistogram, _ json: inout JSONText) {
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)] {
      json.member("\(name)_us", histogram.percentileNs(share) / 1_000)
    }
    json.member("max_us", histogram.maxNs / 1_000)
    json.member("mean_us", histogram.meanNs / 1_000)
  }

  private static func verbs(_ result: LoadResult, _ json: inout JSONText) {
    json.object("verbs") { json in
      for row in result.rows {
        json.object(row.verb.name) { json in
          let figures = row.figures
          json.member("count", figures.latency.count)
          json.member(
            "per_s", result.seconds > 0 ? Double(figures.latency.count) / result.seconds : 0)
          latency(figures.latency, &json)
          json.member("held", figures.held)
          json.member("none", figures.none)
          json.member("stale", figures.stale)
          errors("errors", figures.errors.sorted { $0.key < $1.key }.map { ($0, $1) }, &json)
        }
      }
    }
  }

  private static func counts(_ counts: RunCounts, _ json: inout JSONText) {
    json.object("counts") { json in
      json.member("conversations", counts.conversations)
      json.member("messages", counts.messages)
      json.member("given_up", counts.givenUp)
      json.member("rivals", counts.rivals)
      json.member("vanished", counts.vanished)
      json.member("sleepers", counts.sleepers)
      json.member("grants", counts.grants)
      json.member("renewals", counts.renewals)
      json.member("held", counts.heldReplies)
      json.member("handoffs", counts.handoffs)
      json.member("turns", counts.turns)
      json.member("busy", counts.busyReplies)
      json.member("joined", counts.joined)
      json.member("gone_on", counts.goneOn)
      json.member("interrupted", counts.interrupted)
      json.member("recovered", counts.recovered)
      json.member("paused", counts.paused)
      json.member("chats", counts.chats)
      json.member("over_quota", counts.overQuota)
      json.member("listed", counts.listed)
      json.member("changes", counts.changes)
      json.member("delivered", counts.delivered)
      json.member("consumers_lost", counts.consumersLost)
      json.member("said", counts.said)
      json.member("histories_read", counts.historiesRead)
      json.member("stale_refused", counts.staleRefused)
      json.member("unknown_outcomes", counts.unknownOutcomes)
      json.member("waited", counts.waited)
      json.member("not_begun", counts.notBegun)
      json.member("checked", counts.checked)
      json.member("unchecked", counts.unchecked)
      json.member("unverifiable", counts.unverifiable)
      json.member("logs_read", counts.logsRead)
    }
  }

  private static func abandonments(_ result: LoadResult, _ json: inout JSONText) {
    json.object("abandonments") { json in
      json.member("reported", result.counts.abandonments)
      json.member("only_in_log", result.counts.onlyInLog)
      json.member("watched", result.lateness.count)
      latency(result.lateness, &json)
      json.member("clock_error_us", result.clockErrorNs / 1_000)
    }
  }

  private static func series(_ result: LoadResult, _ json: inout JSONText) {
    json.array("intervals", result.intervals) { json, interval in
      json.object { json in
        json.member("start_s", interval.startS)
        json.member("seconds", interval.seconds)
        json.member("requests", interval.requests)
        json.member("errors", interval.errors.values.reduce(0, +))
        json.member("p50_us", interval.p50Ns / 1_000)
        json.member("p99_us", interval.p99Ns / 1_000)
        json.member("max_us", interval.maxNs / 1_000)
      }
    }
    json.array("chaos_at_s", result.chaosAtS) { json, second in json.value(second) }
  }
}
