// Owns: the pages of the admin port: health, readiness and metrics. Runs on the main thread.

internal import Loop
internal import Service

enum AdminPages {
  typealias NodeReport = (name: String, partitions: Int, awayReason: String?)

  /// `unfitness` says why Redis is not fit, and `outage` why it cannot be asked, if that is known;
  /// `nodes` are those of a cluster.
  static func answer(
    _ path: String, _ shared: SharedState, isReady: Bool, isAccepting: Bool,
    unfitness: String? = nil, outage: String? = nil, nodes: [NodeReport] = []
  ) -> HTTPAnswer {
    switch path {
    case "/healthz": HTTPAnswer(status: 200, body: "ok\n")
    case "/readyz":
      if isReady {
        HTTPAnswer(status: 200, body: "ready\n" + nodes.compactMap(awayLine).joined())
      } else {
        HTTPAnswer(status: 503, body: unreadyReason(shared, unfitness, outage) + "\n")
      }
    case "/acceptz":
      if isAccepting {
        HTTPAnswer(status: 200, body: "accepting\n")
      } else {
        HTTPAnswer(status: 503, body: shared.isDraining ? "draining\n" : "starting\n")
      }
    case "/metrics":
      HTTPAnswer(
        status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
        body: MetricsPage.text(
          shared, isReady: isReady, isFit: unfitness == nil, nodes: nodes))
    default:
      HTTPAnswer(status: 404, body: "there are /, /healthz, /readyz, /acceptz and /metrics\n")
    }
  }

  /// Devices of a node that is away are refused; those of the others are served.
  private static func awayLine(_ node: NodeReport) -> String? {
    node.awayReason.map { "unavailable: \(node.partitions) of 256 partitions: \($0)\n" }
  }

  private static func unreadyReason(
    _ shared: SharedState, _ unfitness: String?, _ outage: String?
  ) -> String {
    if shared.isDraining { return "draining" }
    if let unfitness { return "redis is not fit: \(unfitness)" }
    return "redis does not answer" + (outage.map { ": \($0)" } ?? "")
  }
}
