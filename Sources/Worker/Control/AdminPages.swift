// Owns: what the admin port answers: health, readiness and metrics. Runs on the main thread.

internal import Loop

enum AdminPages {
  static func answer(_ path: String, _ shared: SharedState, isReady: Bool) -> HTTPAnswer {
    switch path {
    case "/healthz": HTTPAnswer(status: 200, body: "ok\n")
    case "/readyz":
      if isReady {
        HTTPAnswer(status: 200, body: "ready\n")
      } else {
        HTTPAnswer(
          status: 503, body: shared.isDraining ? "draining\n" : "redis does not answer\n")
      }
    case "/metrics":
      HTTPAnswer(
        status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
        body: MetricsPage.text(shared, isReady: isReady))
    default:
      HTTPAnswer(status: 404, body: "there are /healthz, /readyz and /metrics\n")
    }
  }
}
