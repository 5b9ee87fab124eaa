// Owns: the doctor's findings, and the verdict over all of them. Must not know how anything is
// found out. Values; any thread.

/// One check of the doctor: its result, and what to change.
package struct Finding: Equatable, Sendable {
  /// How much a finding matters, the least first.
  package enum Level: String, Sendable, CaseIterable {
    /// As it should be.
    case ok
    /// Good to know; nothing to do.
    case info
    /// It works, but something is lost or slower that need not be.
    case warn
    /// Latchkey must not run on this Redis before it is changed.
    case bad
  }

  /// The checks, in the order of the report.
  package enum Check: String, Sendable, CaseIterable {
    case connection, version, role, mode, loading, namespace, writes, scripts, permissions
    case eviction, memory, persistence, replicas, notifications, latency, clock, expiry
    case sealing, tokens, tickets, hooks
  }

  /// A worker's reaction to a problem that it finds at its start.
  package enum Course: Sendable {
    /// It ends: the problem stays until an operator fixes it.
    case refuse
    /// It waits, and checks again: the problem may pass by itself.
    case wait
    /// It serves what can be served.
    case serve
  }

  package let level: Level
  package let check: Check
  /// A sentence without a full stop.
  package let text: String
  /// The remedy: a command for Redis where there is one.
  package let fix: String?
  /// A worker's reaction; `serve` unless the finding is `bad`.
  package let course: Course

  /// A problem is final unless `course` says otherwise.
  package init(
    _ level: Level, _ check: Check, _ text: String, fix: String? = nil, course: Course = .refuse
  ) {
    self.level = level
    self.check = check
    self.text = text
    self.fix = fix
    self.course = level == .bad ? course : .serve
  }
}

/// All findings about one Redis, and the verdict.
package struct Diagnosis: Sendable {
  package enum Verdict: String, Sendable {
    case fit = "fit"
    case notFit = "not fit"
    /// There was no Redis to examine, or it refused the login.
    case unreachable = "unreachable"
  }

  /// Where that Redis is, without a secret.
  package let place: String
  package let namespace: String
  package let findings: [Finding]
  private let isReachable: Bool

  package init(_ place: String, namespace: String, findings: [Finding], isReachable: Bool = true) {
    self.place = place
    self.namespace = namespace
    self.findings = findings
    self.isReachable = isReachable
  }

  /// The same with more findings.
  func adding(_ more: [Finding]) -> Diagnosis {
    Diagnosis(place, namespace: namespace, findings: findings + more, isReachable: isReachable)
  }

  /// The findings for which a worker has to end, or else to wait.
  package func findings(_ course: Finding.Course) -> [Finding] {
    findings.filter { $0.level == .bad && $0.course == course }
  }

  package var problems: Int { count(.bad) }
  package var warnings: Int { count(.warn) }

  private func count(_ level: Finding.Level) -> Int { findings.count { $0.level == level } }

  package var verdict: Verdict {
    if !isReachable { return .unreachable }
    return problems == 0 ? .fit : .notFit
  }

  /// The exit status of the program; 2 is left for a wrong command line.
  package var exitStatus: Int32 {
    switch verdict {
    case .fit: 0
    case .notFit: 1
    case .unreachable: 3
    }
  }
}
