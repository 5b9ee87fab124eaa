// Owns: how the findings about the nodes of a cluster become one report. Pure functions; any
// thread.

internal import RedisConnection

extension Diagnosis {
  /// Judges the evidence of all nodes of a Redis; of one server that of the server.
  ///
  /// What is true of all masters is said once; else the nodes stand before it. Replicas are
  /// mentioned where they would not do as masters.
  package init(_ nodes: [Evidence], of options: DoctorOptions) {
    guard nodes.count > 1 else {
      self = nodes.first.map { Diagnosis($0) } ?? Diagnosis(Evidence(options))
      return
    }
    let judged = nodes.sorted { ($0.node ?? "") < ($1.node ?? "") }
      .map { (node: $0, diagnosis: Diagnosis($0)) }
    let masters = judged.filter { !$0.node.isReplica }
    let serves = masters.contains { master in
      master.node.hello["role"] == "master" && master.diagnosis.findings(.wait).isEmpty
    }
    var merged: [(finding: Finding, nodes: [String])] = []
    for (node, diagnosis) in judged {
      for finding in diagnosis.findings {
        guard let finding = Diagnosis.weighed(finding, of: node, serves: serves) else { continue }
        let name = (node.node ?? node.place) + (node.isReplica ? " (replica)" : "")
        if let at = merged.firstIndex(where: { $0.finding == finding }) {
          merged[at].nodes.append(name)
        } else {
          merged.append((finding, [name]))
        }
      }
    }
    let findings = Finding.Check.allCases.flatMap { check in
      merged.filter { $0.finding.check == check }.map { finding, nodes in
        nodes.count == masters.count && !nodes.contains { $0.hasSuffix(" (replica)") }
          ? finding : finding.at(nodes)
      }
    }
    self.init(
      Evidence(options).place, namespace: options.namespace, findings: findings,
      isReachable: judged.contains { $0.diagnosis.verdict != .unreachable })
  }

  /// A finding about a node among others; nil if it does not matter.
  private static func weighed(_ finding: Finding, of node: Evidence, serves: Bool) -> Finding? {
    var (level, course) = (finding.level, finding.course)
    if node.isReplica {
      // No master is its own fault, and nothing was tried.
      let isOfMaster = [.role, .mode, .writes, .scripts, .replicas].contains(finding.check)
      let isProblem = level == .warn || level == .bad
      guard finding.check == .connection || isProblem && !isOfMaster else { return nil }
      if level == .bad { level = .warn }
    } else if finding.check == .mode, level == .bad, serves, node.cluster?.ownSlots.isEmpty == true
    {
      // A spare one: the others have its slots.
      level = .warn
    }
    // The devices of the others are served.
    if course == .wait, serves { course = .serve }
    return Finding(level, finding.check, finding.text, fix: finding.fix, course: course)
  }
}

extension Finding {
  /// The same, of these nodes.
  fileprivate func at(_ nodes: [String]) -> Finding {
    let isNamed = nodes.count == 1 && text.contains(nodes[0])
    let names = nodes.joined(separator: ", ")
    return Finding(
      level, check, isNamed ? text : "\(names): \(text)", fix: fix, course: course)
  }
}
