// The monitoring of workers: Prometheus' configuration and rules, checked by its own tool, and the
// dashboard, compared with the metrics of a real worker.

import Foundation
import Testing

/// A use of a metric in an expression: its name, and the conditions on its labels.
private struct Selector {
  var name: String
  var labels: [(name: String, value: String)]

  static func all(in expression: String) -> [Selector] {
    let shape = /\b((?:latchkey|process)_\w+|up)\b(?:\{([^}]*)\})?/
    return expression.matches(of: shape).map { match in
      let labels = (match.2 ?? "").matches(of: /(\w+)(?:=~|!~|!=|=)"([^"]*)"/)
      return Selector(
        name: String(match.1), labels: labels.map { (String($0.1), String($0.2)) })
    }
  }
}

extension SystemSuites.Deploy {
  @Suite(.lab(.init(extra: TestCluster.notifying))) struct Monitoring {
    private static let folder = "deploy/prometheus"
    /// The labels that Prometheus itself puts on each series.
    private static let given: Set = ["job", "instance"]

    private static func promtool(_ words: String..., input: String = "/dev/null") throws -> ToolRun
    {
      try ToolRun("promtool", words, input: input)
    }

    private static func place(_ name: String) -> String {
      Project.root.appending(path: "\(folder)/\(name)").path
    }

    private static func rules() throws -> [JSON] {
      try YAML.documents("\(folder)/latchkey.rules.yml").flatMap { $0.all("rules") }
        .flatMap(\.items)
    }

    private static func dashboard() throws -> JSON {
      try JSON(Project.text("deploy/grafana/latchkey.json"))
    }

    /// The series of a worker that has answered well and badly, by name, with their labels.
    private static func shown() throws -> [String: [String: Set<String>]] {
      let lab = try Lab.current
      let client = try lab.connect()
      expect(try client.request("LOCK \(Lab.device()) a"), "OK")
      expect(try client.request("NOSUCHVERB"), "ERR", "unknown_verb")
      let hook = "HOOK monitored url=http://127.0.0.1:1/ types=lock.seized"
      expect(try client.request(hook), "OK")
      try eventually("the worker knows the hook") {
        try lab.worker.get("/metrics").body.contains("latchkey_hook_lag_seconds{")
      }
      var series: [String: [String: Set<String>]] = [:]
      for family in try PrometheusPage(lab.worker.get("/metrics").body).families {
        for sample in family.samples {
          series[sample.name, default: [:]].merge(sample.labels.mapValues { [$0] }) {
            $0.union($1)
          }
        }
      }
      return series
    }

    /// The values of `outcome`: replies, and the codes of errors.
    private static func outcomes() throws -> Set<String> {
      let codes = try Project.text("Sources/Wire/ErrorCode.swift").split(separator: "\n")
        .compactMap { $0.wholeMatch(of: /\s*case `?(\w+)`?(?: = "(\w+)")?/) }
        .map { String($0.2 ?? $0.1) }
      return Set(codes + ["ok", "held", "none", "stale"])
    }

    /// The metrics and labels of an expression that no worker shows.
    private static func missing(
      in expression: String, _ shown: [String: [String: Set<String>]]
    ) throws -> [String] {
      let selectors = Selector.all(in: expression)
      guard !selectors.isEmpty else { return ["it asks for nothing"] }
      var missing: [String] = []
      for selector in selectors where selector.name != "up" {
        guard let labels = shown[selector.name] else {
          missing.append(selector.name)
          continue
        }
        for (name, value) in selector.labels where !given.contains(name) {
          guard let values = labels[name] else {
            missing.append("\(selector.name){\(name)}")
            continue
          }
          let allowed = name == "outcome" ? try outcomes() : values
          if name == "verb" { continue }
          for word in value.split(separator: "|") where !allowed.contains(String(word)) {
            missing.append("\(selector.name){\(name)=\(word)}")
          }
        }
        for words in expression.matches(of: /by \(([^)]*)\)/) {
          let names = words.1.split(separator: ",").map { $0.filter { $0 != " " } }
          let known = given.union(selectors.flatMap { shown[$0.name]?.keys.map { $0 } ?? [] })
          missing += names.filter { !known.contains($0) }.map { "by \($0)" }
        }
      }
      return missing
    }

    @Test func `Prometheus takes the configuration and the rules`() throws {
      let run = try Self.promtool("check", "config", "--lint-fatal", Self.place("prometheus.yml"))
      #expect(run.status == 0 && run.output.contains("1 rule files found"), "\(run)")
      let rules = try Self.promtool(
        "check", "rules", "--lint-fatal", Self.place("latchkey.rules.yml"))
      #expect(rules.status == 0, "\(rules)")
    }

    @Test func `each alert comes when it should, and not when all is well`() throws {
      let run = try Self.promtool("test", "rules", Self.place("latchkey.tests.yml"))
      #expect(run.status == 0, "\(run)")
      let checks = try YAML.documents("\(Self.folder)/latchkey.tests.yml")
        .flatMap { $0.all("alert_rule_test") }.flatMap(\.items)
      let names = Set(try Self.rules().compactMap { $0["alert"]?.string })
      #expect(names.count > 10)
      for isFiring in [true, false] {
        let shown = checks.filter { $0["exp_alerts"]?.items.isEmpty != isFiring }
        let named = Set(shown.compactMap { $0["alertname"]?.string })
        #expect(named.symmetricDifference(names) == [], "firing: \(isFiring)")
      }
    }

    @Test func `alerts and panels use metrics that a worker shows`() throws {
      let shown = try Self.shown()
      let alerts = try Self.rules().compactMap { $0["expr"]?.string }
      let panels = try Self.dashboard().all("expr").compactMap(\.string)
      #expect(alerts.count > 10 && panels.count > 30)
      for expression in alerts + panels {
        #expect(try Self.missing(in: expression, shown) == [], "\(expression)")
      }
      // The check finds missing metrics.
      for (planted, found) in [
        ("sum(latchkey_nosuch)", "latchkey_nosuch"), ("1 + 1", "it asks for nothing"),
        ("latchkey_ready{nosuch=\"1\"}", "latchkey_ready{nosuch}"),
        ("latchkey_reaps_total{cause=\"no\"}", "latchkey_reaps_total{cause=no}"),
        ("latchkey_requests_total{outcome=~\"ok|no\"}", "latchkey_requests_total{outcome=no}"),
        ("sum by (nosuch) (latchkey_ready)", "by nosuch"),
      ] {
        #expect(try Self.missing(in: planted, shown) == [found])
      }
    }

    @Test func `Prometheus can read each query of the dashboard`() throws {
      let queries = try Self.dashboard().all("expr").compactMap(\.string).map {
        $0.replacingOccurrences(of: "$__rate_interval", with: "1m")
          .replacingOccurrences(of: "$instance", with: ".*")
      }
      let left = queries.filter { $0.contains("$") }
      #expect(left.isEmpty, "a variable that is not known")
      // As rules, since the tool checks those; JSON is YAML too.
      let rules = queries.enumerated().map { ["record": "q:\($0.offset)", "expr": $0.element] }
      let file = ["groups": [["name": "queries", "rules": rules]]] as [String: Any]
      let path = "\(try Scratch.folder("queries"))/queries.yml"
      try JSONSerialization.data(withJSONObject: file, options: .withoutEscapingSlashes)
        .write(to: URL(filePath: path))
      let run = try Self.promtool("check", "rules", path)
      #expect(run.status == 0, "\(run)")
    }

    @Test func `panels have a place each, and a data source that can be chosen`() throws {
      let panels = try #require(try Self.dashboard()["panels"]?.items)
      let ids = panels.compactMap { $0["id"]?.int }
      #expect(ids.count == panels.count && Set(ids).count == ids.count)
      var taken: Set<[Int]> = []
      for panel in panels {
        let place = ["x", "y", "w", "h"].compactMap { panel.at("gridPos", $0)?.int }
        try #require(place.count == 4)
        #expect(place[0] + place[2] <= 24)
        for x in place[0]..<(place[0] + place[2]) {
          for y in place[1]..<(place[1] + place[3]) {
            #expect(taken.insert([x, y]).inserted, "two panels at \(x), \(y)")
          }
        }
      }
      let sources = Set(try Self.dashboard().all("datasource").compactMap { $0["uid"]?.string })
      #expect(sources == ["${datasource}"])
    }

    @Test func `the dashboard begins with the owners' figures, and has marks`() throws {
      let dashboard = try Self.dashboard()
      let panels = try #require(dashboard["panels"]?.items)
      let first = panels.prefix(7).compactMap { $0["title"]?.string }
      #expect(
        first == [
          "Conversations", "Conversations now", "Abandoned in an hour", "Lateness of events",
          "Requests that failed", "Waiting", "Events not handled",
        ])
      #expect(panels.prefix(7).allSatisfy { ($0.at("gridPos", "y")?.int ?? 9) <= 1 })
      let marks = try #require(dashboard.at("annotations", "list")?.items)
      #expect(marks.compactMap { $0["name"]?.string } == ["Drains", "Versions"])
      for mark in marks {
        // Older versions of Grafana read the one, newer ones the other.
        #expect(mark["expr"]?.string == mark.at("target", "expr")?.string)
        #expect(mark["enable"]?.bool == true, "\(mark)")
      }
    }

    @Test func `operations.md lists the alerts, and no others`() throws {
      let listed = try Project.text("docs/operations.md")
        .matches(of: /\n\| `(Latchkey\w+)` \| (\w+) \|/).map { "\($0.1) \($0.2)" }
      let rules = try Self.rules().map {
        "\($0["alert"]?.string ?? "") \($0.at("labels", "severity")?.string ?? "")"
      }
      #expect(listed == rules)
    }

    @Test func `each alert leads to a part of the manual that is there`() throws {
      let headings = try Project.text("docs/operations.md").split(separator: "\n")
        .compactMap { $0.wholeMatch(of: /#+ (.*)/)?.1.lowercased() }
        .map { $0.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" } }
        .map { "docs/operations.md#" + $0.replacingOccurrences(of: " ", with: "-") }
      // The address of the manual, or where it is in the repository.
      let base = "{{ or $externalLabels.latchkey_manual \"docs\" }}/"
      for rule in try Self.rules() {
        let link = try #require(rule.at("annotations", "runbook_url")?.string, "\(rule)")
        let place = link.replacing(base, with: "docs/", maxReplacements: 1)
        #expect(link.hasPrefix(base) && headings.contains(place), "\(link)")
        let severity = rule.at("labels", "severity")?.string
        #expect(["page", "ticket"].contains(severity), "\(rule)")
      }
    }

    @Test func `Prometheus finds nothing to complain of in the metrics`() throws {
      _ = try Self.shown()
      let path = "\(try Scratch.folder("metrics"))/metrics"
      let page = try Lab.current.worker.get("/metrics").body
      try page.write(toFile: path, atomically: true, encoding: .utf8)
      let run = try Self.promtool("check", "metrics", input: path)
      #expect(run.status == 0 && run.output.isEmpty, "\(run)")
    }
  }
}
