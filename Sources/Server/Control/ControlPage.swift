// Owns: the control loop's part of the admin port: which requests are the page's, and what the page
// needs of the control loop. Runs on the main thread.

internal import Loop
internal import Service
internal import Settings
internal import Store

extension Control {
  func answerAdmin(_ call: HTTPCall) -> HTTPAnswer? {
    if call.path == "/" || call.path.hasPrefix("/page/") {
      return page?.respond(call) ?? (page == nil ? PageServer.text(503, "starting") : nil)
    }
    guard call.method != .post else {
      return HTTPAnswer(status: 405, body: "this is read by GET\n")
    }
    return AdminPages.answer(
      call.path, shared, isReady: isReady, isAccepting: isAccepting, unfitness: unfitness,
      outage: outage, nodes: store?.nodeReports ?? [])
  }

  func makePage() -> PageServer {
    PageServer(
      loop, shared, isOpenToOthers: !isAdminLoopback,
      PageServer.Surroundings(
        overview: { [unowned self] in
          PageOverview(
            shared: shared, isReady: isReady, workers: livingWorkers.sorted(),
            nodes: store?.nodeReports ?? [], outage: unfitness ?? outage
          ).text
        },
        join: { [unowned self] in join($0) }))
  }

  /// An address that cannot be looked up again counts as one that others reach.
  private var isAdminLoopback: Bool {
    (try? SocketAddress.resolve(settings.admin.address))?.isLoopback ?? false
  }

  /// Gives the page's connections to the serving loops in turn.
  private func join(_ caller: InternalCaller) -> Bool {
    guard isAccepting, !serving.isEmpty else { return false }
    nextJoined = (nextJoined + 1) % serving.count
    serving[nextJoined].post(.joined(caller))
    return true
  }
}
