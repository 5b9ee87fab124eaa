// Owns: the report: one page of HTML that needs nothing from anywhere. A value; any thread.

internal import Loop

/// The report of a run.
package enum ReportPage {
  package static func text(_ result: LoadResult) -> String {
    let plots = [
      TimePlots.rate(result), TimePlots.latency(result), VerbPlot.plot(result),
      TimePlots.errors(result), TimePlots.lateness(result),
    ]
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>Latchkey under load</title>
      <style>
      \(ReportStyle.css)
      </style>
      </head>
      <body>
      <main>
      \(header(result))
      \(tiles(result))
      \(finding(result))
      \(plots.map(card).joined(separator: "\n"))
      \(table(result))
      \(conversations(result))
      \(options(result))
      <footer>Latencies are within 1.6 % of what was measured. \(ownCost(result))</footer>
      </main>
      </body>
      </html>

      """
  }

  private static func escaped(_ text: String) -> String { Drawing.escaped(text) }

  private static func number(_ value: Int) -> String { NumberText.grouped(value) }

  // MARK: - The top

  private static func header(_ result: LoadResult) -> String {
    let options = result.options
    let way =
      options.rate.map { "open loop at \(NumberText.decimal($0, 1)) messages a second" }
      ?? "closed loop with \(LoadArguments.duration(options.thinkMs)) of thinking"
    let connections =
      options.connect == .keep ? "a connection for each" : "a connection for each message"
    let date = WallTime.text(ms: result.startedAtMs).prefix(16)
    let when = "\(date.prefix(10)) \(date.suffix(5)) UTC"
    return """
      <header>
      <p class="brand">Latchkey · load report</p>
      <h1>\(number(options.conversations)) conversations for \
      \(NumberText.decimal(result.seconds, 0)) seconds</h1>
      <p class="meta">\(way), \(connections) · <b>\
      \(escaped(options.targets.map(\.description).joined(separator: ", ")))</b> · \
      \(escaped(result.server)) · \(when)</p>
      <div class="verdict \(result.verdict.word)">\(verdict(result))</div>
      </header>
      """
  }

  private static func verdict(_ result: LoadResult) -> String {
    switch result.verdict {
    case .kept:
      "All promises were kept. <span>\(number(result.counts.checked)) conversations were checked, "
        + "call by call.</span>"
    case .broken(let finding):
      "A promise was broken: <span>\(escaped(finding.violation.rule.promise))</span>"
    case .incomplete(let unchecked):
      "Not all could be checked: <span>\(number(unchecked)) conversations were left when the run "
        + "ended; no promise was seen to be broken.</span>"
    case .failed(let reason): "The run could not go on: <span>\(escaped(reason))</span>"
    }
  }

  private static func tiles(_ result: LoadResult) -> String {
    let message = result.rows.first { $0.verb == .message }?.figures.latency ?? .init()
    let all = result.latency
    let share =
      100 * Double(result.errors) / Double(max(1, result.requests + result.errors))
    let late = result.lateness
    return "<section class=\"tiles\">"
      + tile(
        "Requests a second", number(Int(result.requestsPerSecond.rounded())), "",
        "\(number(result.requests)) in all")
      + tile(
        "Request, p99", NumberText.ms(all.percentileNs(0.99)), "ms",
        "p50 \(NumberText.ms(all.percentileNs(0.5))) ms")
      + tile(
        "Message, p99", NumberText.ms(message.percentileNs(0.99)), "ms",
        "p50 \(NumberText.ms(message.percentileNs(0.5))) ms")
      + tile("Errors", number(result.errors), "", "\(NumberText.decimal(share, 2)) % of requests")
      + tile(
        "Abandoned", number(result.counts.abandonments), "",
        late.count > 0 ? "p99 late by \(NumberText.ms(late.percentileNs(0.99))) ms" : "none watched"
      )
      + tile(
        "Checked", number(result.counts.checked), "",
        "conversations, call by call") + "</section>"
  }

  private static func tile(
    _ name: String, _ value: String, _ unit: String, _ more: String
  ) -> String {
    let unitText = unit.isEmpty ? "" : " <small>\(unit)</small>"
    return "<div class=\"tile\"><div class=\"name\">\(name)</div>"
      + "<div class=\"value\">\(value)\(unitText)</div><div class=\"more\">\(more)</div></div>"
  }

  private static func finding(_ result: LoadResult) -> String {
    guard case .broken(let finding) = result.verdict else { return "" }
    return """
      <section class="card"><h2>What shows it</h2>
      <p>\(escaped(finding.violation.text)). The calls and events of device \
      \(escaped(finding.device)), in seconds from the start:</p>
      <div class="history"><pre>\(history(finding.history))</pre></div></section>
      """
  }

  /// The last two lines are where it shows: the verdict's cause, and what came before.
  private static func history(_ lines: [String]) -> String {
    let before = lines.dropLast(2).map(escaped).joined(separator: "\n")
    let last = lines.suffix(2).map(escaped).joined(separator: "\n")
    return "\(before)\n<mark>\(last)</mark>"
  }

  // MARK: - Plots and tables

  private static func card(_ plot: Plot) -> String {
    let keys = plot.keys.map { "<span><i class=\"\($0.style)\"></i>\(escaped($0.text))</span>" }
    return """
      <section class="card"><div class="top"><h2>\(plot.title)</h2>\
      <div class="keys">\(keys.joined())</div></div>
      <p>\(escaped(plot.explanation))</p>
      \(plot.drawing.map { "<div class=\"scroll\">\($0.svg)</div>" } ?? "")</section>
      """
  }

  private static func table(_ result: LoadResult) -> String {
    let names = [
      "", "count", "per second", "p50 ms", "p90", "p99", "p99.9", "max", "HELD", "STALE", "errors",
    ]
    var rows = "<tr>" + names.map { "<th>\($0)</th>" }.joined() + "</tr>"
    for row in result.rows {
      let latency = row.figures.latency
      let rate = result.seconds > 0 ? Double(latency.count) / result.seconds : 0
      let cells =
        [row.verb.name, number(latency.count), number(Int(rate.rounded()))]
        + [0.5, 0.9, 0.99, 0.999].map { NumberText.ms(latency.percentileNs($0)) }
        + [
          NumberText.ms(latency.maxNs), number(row.figures.held), number(row.figures.stale),
          number(row.figures.errorCount),
        ]
      rows += "<tr>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
    }
    return "<section class=\"card\"><h2>Figures</h2><div class=\"scroll\"><table>\(rows)</table>"
      + "</div></section>"
  }

  private static func pairs(_ title: String, _ pairs: [(String, String)]) -> String {
    let items = pairs.map { "<div><span>\(escaped($0.0))</span><b>\(escaped($0.1))</b></div>" }
    return "<section class=\"card\"><h2>\(title)</h2><div class=\"pairs\">\(items.joined())</div>"
      + "</section>"
  }

  private static func conversations(_ result: LoadResult) -> String {
    let counts = result.counts
    var items = [
      ("messages given up", number(counts.givenUp)),
      ("conversations", number(counts.conversations)), ("messages", number(counts.messages)),
      ("grants", number(counts.grants)), ("renewals", number(counts.renewals)),
      ("HELD replies", number(counts.heldReplies)), ("rivals", number(counts.rivals)),
      ("handed over", number(counts.handoffs)), ("vanished", number(counts.vanished)),
      ("turns", number(counts.turns)), ("BUSY replies", number(counts.busyReplies)),
      ("messages joined", number(counts.joined)), ("turns that went on", number(counts.goneOn)),
      ("turns interrupted", number(counts.interrupted)),
      ("sessions recovered", number(counts.recovered)), ("paused", number(counts.paused)),
      ("chats added", number(counts.chats)), ("refused by a quota", number(counts.overQuota)),
      ("lists", number(counts.listed)),
      ("stale tokens refused", number(counts.staleRefused)),
      ("histories read", number(counts.historiesRead)),
      ("outcomes never known", number(counts.unknownOutcomes)),
      ("endings that cannot be known", number(counts.unverifiable)),
      ("seen in the log only", number(counts.onlyInLog)),
    ]
    if result.options.rate != nil {
      items.append(("waited for a free conversation", number(counts.waited)))
      items.append(("not begun by the end", number(counts.notBegun)))
    }
    if result.options.chaos != nil {
      items.append(("chaos runs", number(result.chaosAtS.count)))
      items.append(("chaos runs that failed", number(result.chaosFailures)))
    }
    return pairs("What happened in the conversations", items)
  }

  private static func options(_ result: LoadResult) -> String {
    let options = result.options
    var items = [
      ("--to", options.targets.map(\.description).joined(separator: ",")),
      ("--conversations", "\(options.conversations)"),
      ("--duration", LoadArguments.duration(options.durationMs)),
      ("--warmup", LoadArguments.duration(options.warmupMs)),
      ("--connect", options.connect.rawValue),
      options.rate.map { ("--rate", NumberText.decimal($0, 2)) }
        ?? ("--think", LoadArguments.duration(options.thinkMs)),
      ("--ttl", LoadArguments.duration(options.ttlMs)),
      ("--timeout", LoadArguments.duration(options.timeoutMs)),
      ("--patience", LoadArguments.duration(options.patienceMs)),
      ("--size", "\(options.messageBytes)"), ("--seed", "\(options.seed)"),
    ]
    items += Mix.parts.map { part in
      ("mix: \(part.name)", "\(NumberText.decimal(options.mix[keyPath: part.field], 1)) %")
    }
    if let group = options.group { items.append(("--group", group)) }
    if let chaos = options.chaos {
      items.append(("--chaos", chaos.command))
      items.append(("--chaos-every", LoadArguments.duration(chaos.everyMs)))
    }
    return pairs("How it was run", items)
  }

  private static func ownCost(_ result: LoadResult) -> String {
    "The harness itself used \(NumberText.decimal(result.ownUsPerRequest, 1)) µs of processor time "
      + "for each request: what it shares a machine with has that much less."
  }
}
