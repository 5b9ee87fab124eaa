// Owns: the tests of how the findings about the nodes of a cluster become one report.

import Loop
import RedisConnection
import Testing

@testable import Doctor

struct NodesFindingsTests {
  private static let options = DoctorOptions(
    endpoint: RedisEndpoint(
      topology: .cluster([.tcp(host: "10.0.0.1", port: 7_000), .tcp(host: "10.0.0.2", port: 7_000)])
    ), namespace: "lk", isJSON: false)

  private static func host(_ number: Int) -> String { "10.0.0.\(number)" }

  /// The reply to `CLUSTER SLOTS` of three masters, the first of which has a replica and does not
  /// know its own address.
  private static let slots = Answer.list(
    (1...3).map { number in
      let first = Int64(number - 1) * 5_000
      func node(_ number: Int, _ host: String) -> Answer {
        .list([.text(host), .integer(7_000), .text("id\(number)")])
      }
      let nodes = [node(number, number == 1 ? "" : host(number))]
      return .list(
        [.integer(first), .integer(number == 3 ? 16_383 : first + 4_999)] + nodes
          + (number == 1 ? [node(4, host(4))] : []))
    })

  private static func evidence(
    _ number: Int, role: String = "master", _ change: (inout Evidence) -> Void = { _ in }
  ) -> Evidence {
    var seen = DoctorTests.fit
    seen.place = "redis://\(host(number)):7000"
    seen.node = "\(host(number)):7000"
    seen.hello["mode"] = "cluster"
    seen.hello["role"] = role
    seen.isNamedReplica = role == "replica"
    seen.cluster = ClusterEvidence(
      id: "id\(number)", slots: slots, info: ["cluster_state": "ok"],
      asked: .tcp(host: host(number), port: 7_000))
    change(&seen)
    return seen
  }

  private static func diagnosis(_ nodes: [Evidence]) -> Diagnosis { Diagnosis(nodes, of: options) }

  private static func away(_ number: Int, role: String = "master") -> Evidence {
    evidence(number, role: role) {
      ($0.hello, $0.cluster, $0.ending) = ([:], nil, .unreachable("connect: refused"))
      $0.tried = []
    }
  }

  @Test func `a node names all others, masters first, and has the address it was asked at`() {
    let cluster = Self.evidence(1).cluster
    #expect(cluster?.nodes.map { "\($0.address)" } == (1...4).map { "10.0.0.\($0):7000" })
    #expect(cluster?.nodes.map(\.isReplica) == [false, false, false, true])
    #expect(cluster?.nodes.map(\.id) == (1...4).map { "id\($0)" })
  }

  @Test func `what is true of all masters is said once, and each node is named`() {
    let report = Self.diagnosis(
      (1...3).map { Self.evidence($0) } + [Self.evidence(4, role: "replica")])
    #expect(report.problems + report.warnings == 0, "\(report.text(isColoured: false))")
    #expect(report.findings(of: .eviction).count == 1)
    #expect(report.findings(of: .eviction).first?.hasPrefix("maxmemory-policy is noev") == true)
    #expect(report.findings(of: .mode).first?.hasPrefix("cluster: 3 masters, 16384") == true)
    let places = report.findings(of: .connection)
    #expect(places.count == 4)
    for (number, place) in zip(1...3, places) {
      #expect(place.hasPrefix("redis://10.0.0.\(number):7000 as "), "\(place)")
    }
    #expect(places.last?.hasPrefix("10.0.0.4:7000 (replica): redis://10.0.0.4:7000 as ") == true)
  }

  @Test func `a difference of one node is found, with its name`() {
    let full: (inout Evidence) -> Void = {
      $0.config["maxmemory"] = "99999999"
      $0.config["maxmemory-policy"] = "allkeys-lru"
    }
    let report = Self.diagnosis([Self.evidence(1), Self.evidence(2), Self.evidence(3, full)])
    #expect(report.verdict == .notFit && report.findings(.refuse).count == 1)
    #expect(report.findings(of: .eviction).contains { $0.hasPrefix("10.0.0.3:7000: maxmemory-") })
    #expect(report.findings(of: .eviction).contains { $0.hasPrefix("10.0.0.1:7000, 10.0.0.2:") })
    // It may become a master, and is none now.
    let other = Self.diagnosis([Self.evidence(1), Self.evidence(4, role: "replica", full)])
    #expect(other.verdict == .fit && other.warnings == 1)
    #expect(other.findings(of: .eviction).contains { $0.hasPrefix("10.0.0.4:7000 (replica): m") })
  }

  @Test func `a node that is away is a problem, and no reason for a worker to wait`() {
    let report = Self.diagnosis([Self.evidence(1), Self.away(2), Self.away(4, role: "replica")])
    #expect(report.verdict == .notFit && report.problems == 1 && report.warnings == 1)
    #expect(report.findings(.wait).isEmpty && report.findings(.serve).count == 1)
    #expect(report.findings(of: .connection).contains { $0.contains("to redis://10.0.0.2:7000") })
    let none = Self.diagnosis([Self.away(1), Self.away(2)])
    #expect(none.verdict == .unreachable && none.findings(.wait).count == 2)
    // A wrong password does not get right by itself.
    let refused = Self.diagnosis([
      Self.evidence(1), Self.evidence(2) { $0.ending = .unreachable("no (WRONGPASS)") },
    ])
    #expect(refused.findings(.refuse).count == 1)
  }

  @Test func `a node without slots is a warning beside those that have them`() {
    let spare = Self.evidence(5)
    #expect(Self.diagnosis([spare]).findings(.wait).count == 1)
    let report = Self.diagnosis([Self.evidence(1), spare])
    #expect(report.problems == 0 && report.warnings == 1)
    #expect(report.findings(of: .mode).contains { $0.contains("none of them") })
  }
}

extension Diagnosis {
  fileprivate func findings(of check: Finding.Check) -> [String] {
    findings.filter { $0.check == check }.map(\.text)
  }
}
