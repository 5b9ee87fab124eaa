// Owns: the summary that people read at the end of a run. A value; any thread.

internal import Loop

/// The summary of a run.
package enum SummaryText {
  package static func text(_ result: LoadResult) -> String {
    var lines = [givenUp(result), head(result), ""]
    lines += table(result)
    lines.append("")
    lines += events(result)
    lines += check(result)
    lines += verdict(result)
    return lines.joined(separator: "\n") + "\n"
  }

  /// What users felt most: messages that were never handled to their end.
  private static func givenUp(_ result: LoadResult) -> String {
    let (count, all) = (result.counts.givenUp, result.counts.messages)
    let share = NumberText.decimal(Double(count) * 100 / Double(max(1, all)), 2)
    return "messages given up: \(NumberText.grouped(count)) of \(NumberText.grouped(all)) "
      + "(\(share) %)"
  }

  private static func head(_ result: LoadResult) -> String {
    let options = result.options
    let loop =
      options.rate.map { "open loop, \(NumberText.decimal($0, 1)) messages/s" }
      ?? "closed loop, think time \(LoadArguments.duration(options.thinkMs))"
    let targets = options.targets.map(\.description).joined(separator: ", ")
    return """
      \(NumberText.grouped(options.conversations)) conversations on \(targets) for \
      \(NumberText.decimal(result.seconds, 1)) s\
      \(result.counts.wasInterrupted ? ", ended early by a signal" : "")
      \(loop), connections \(options.connect.rawValue), ttl \
      \(LoadArguments.duration(options.ttlMs)), seed \(options.seed)
      \(result.server)
      """
  }

  // MARK: - Requests

  private static let columns = ["count", "per s", "p50 ms", "p90", "p99", "p99.9", "max", "errors"]

  private static func table(_ result: LoadResult) -> [String] {
    let widths = [11, 9, 9, 9, 9, 9, 9, 8]
    func row(_ name: String, _ cells: [String]) -> String {
      NumberText.filled(name, 9)
        + zip(cells, widths).map { NumberText.padded($0, $1) }.joined()
    }
    var lines = [row("", columns)]
    for entry in result.rows {
      let latency = entry.figures.latency
      let rate = result.seconds > 0 ? Double(latency.count) / result.seconds : 0
      let percentiles = [0.5, 0.9, 0.99, 0.999].map { NumberText.ms(latency.percentileNs($0)) }
      lines.append(
        row(
          entry.verb.name,
          [NumberText.grouped(latency.count), NumberText.grouped(Int(rate.rounded()))]
            + percentiles
            + [NumberText.ms(latency.maxNs), NumberText.grouped(entry.figures.errorCount)]))
    }
    lines.append("")
    lines.append(
      "\(NumberText.grouped(result.requests)) requests, "
        + "\(NumberText.grouped(Int(result.requestsPerSecond.rounded()))) a second; the harness "
        + "itself used \(NumberText.decimal(result.ownUsPerRequest, 1)) µs of processor time each")
    if result.options.rate != nil {
      lines.append(
        "latency counts from when a message was due; \(NumberText.grouped(result.counts.waited)) "
          + "messages found every conversation busy, "
          + "\(NumberText.grouped(result.counts.notBegun)) were not begun by the end")
    }
    let errors = result.errorsByCode.map { "\(NumberText.grouped($0.count)) \($0.code)" }
    lines.append(errors.isEmpty ? "no errors" : "errors: " + errors.joined(separator: ", "))
    return lines
  }

  // MARK: - What happened

  private static func events(_ result: LoadResult) -> [String] {
    let counts = result.counts
    func number(_ value: Int) -> String { NumberText.grouped(value) }
    var lines = [
      "\(number(counts.conversations)) conversations, \(number(counts.messages)) messages",
      "locks: \(number(counts.grants)) grants, \(number(counts.renewals)) renewals, "
        + "\(number(counts.heldReplies)) HELD replies, \(number(counts.handoffs)) handed over, "
        + "\(number(counts.vanished)) vanished",
      "turns: \(number(counts.turns)) begun, \(number(counts.busyReplies)) BUSY replies, "
        + "\(number(counts.joined)) messages joined, \(number(counts.goneOn)) answered on, "
        + "\(number(counts.interrupted)) interrupted",
      "sessions: \(number(counts.recovered)) recovered, \(number(counts.paused)) paused, "
        + "\(number(counts.chats)) chats added, \(number(counts.overQuota)) refused by a quota, "
        + "\(number(counts.listed)) lists",
    ]
    let late = result.lateness
    var abandoned = "\(number(counts.abandonments)) abandonments reported"
    if late.count > 0 {
      abandoned +=
        "; to a watching caller after p50 \(NumberText.ms(late.percentileNs(0.5)))"
        + " p99 \(NumberText.ms(late.percentileNs(0.99))) max \(NumberText.ms(late.maxNs)) ms"
        + " (± \(NumberText.ms(result.clockErrorNs)))"
    }
    lines.append(abandoned)
    lines.append("\(number(counts.changes)) changes of chats seen by a watching caller")
    if result.options.group != nil {
      lines.append(
        "group: \(number(counts.delivered)) events delivered, "
          + "\(number(counts.consumersLost)) connections of consumers lost")
    }
    if !result.chaosAtS.isEmpty {
      lines.append(
        "chaos: the command was run \(number(result.chaosAtS.count)) times, and failed "
          + "\(number(result.chaosFailures)) times")
    }
    return lines
  }

  private static func check(_ result: LoadResult) -> [String] {
    let counts = result.counts
    func number(_ value: Int) -> String { NumberText.grouped(value) }
    return [
      "checked: \(number(counts.checked)) conversations, \(number(counts.said)) messages said, "
        + "\(number(counts.staleRefused)) stale tokens refused, "
        + "\(number(counts.unknownOutcomes)) outcomes never known, "
        + "\(number(counts.unverifiable)) endings that cannot be known"
    ]
  }

  private static func verdict(_ result: LoadResult) -> [String] {
    switch result.verdict {
    case .kept: return ["", "All promises were kept."]
    case .incomplete(let unchecked):
      return [
        "",
        "Not all could be checked: \(NumberText.grouped(unchecked)) conversations were left when "
          + "the run ended. No promise was seen to be broken.",
      ]
    case .failed(let reason): return ["", "The run could not go on: \(reason)"]
    case .broken(let finding):
      return [
        "",
        "BROKEN: \(finding.violation.rule.promise) (\(finding.violation.rule.rawValue))",
        "  \(finding.violation.text)",
        "  the history of \(finding.device), in seconds from the start:",
      ] + finding.history.map { "  \($0)" }
    }
  }
}
