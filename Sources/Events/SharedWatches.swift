// Owns: the watches of single sessions by callers who are limited to users. Redis is asked again
// whether a caller may see the session: when its right is over by the clock, when rights there
// change, and when changes may have been lost; of a session that is shared with it also before each
// event of the log, and what comes meanwhile is held until Redis has answered. Without the right
// the watch ends, with a last line. On the loop's thread.

internal import Loop
internal import SessionModel
internal import Store
internal import Wire

extension Watch {
  /// Whether changes of its device have to come, for the watch itself or for the check of it.
  var needsChanges: Bool { wantsChanges || access != nil }
}

extension EventSubscriptions {
  /// After so long Redis is asked again, if it did not answer.
  private static let accessRetryMs: Int64 = 500

  // MARK: Sending

  /// Whether a watch may show what is of this device; of a shared session Redis has said it.
  func maySee(_ watch: Watch, _ device: [UInt8]) -> Bool {
    watch.isLent || server.maySee(watch.connection, device)
  }

  /// Sends an event of the log, if its caller may see it.
  func deliver(_ watch: Watch, _ event: FleetEvent) {
    guard maySee(watch, event.device) else { return }
    // The log and the changes come on two ways: what was written after a right has ended may be
    // here before that is known.
    if watch.isLent { askAccess(watch.number) }
    deliver(watch, event.line)
  }

  /// Sends a line, or holds it.
  func deliver(_ watch: Watch, _ line: [UInt8]) {
    guard watch.isLent else { return server.push(watch, line) }
    guard watchers[watch.number] != nil,
      !accessChecks.hold(watch.number, line, lost: EventSubscriptions.lostLine)
    else { return }
    server.push(watch, line)
  }

  // MARK: Checking

  /// A watch has begun: its right may have ended before changes came.
  func beginAccess(_ watch: Watch) {
    guard let access = watch.access else { return }
    accessChecks.begin(watch.number, endsAtMs: access.leftMs.map { server.loop.nowMs + $0 })
    askAccess(watch.number)
  }

  /// Who may see a session may have changed.
  func rightsChanged(_ change: DeviceChange) {
    for number in watchers.endable(by: change) { askAccess(number) }
  }

  /// Asks Redis whether the watch may go on.
  func askAccess(_ number: UInt64) {
    guard let access = watchers[number]?.access, accessChecks.ask(number) else { return }
    callAccess(number, access)
  }

  private func callAccess(_ number: UInt64, _ access: WatchAccess) {
    server.store.call(access.query) { [unowned self] outcome in
      guard let watch = watchers[number] else { return }
      switch outcome {
      case .line(let line, _):
        guard let left = WatchAccess.left(line) else { return endAccess(watch, .forbidden) }
        if !left.isOwn, !watch.isLent { watchers.lend(number) }
        allowed(watch, leftMs: left.leftMs)
      case .failed(let error) where [.forbidden, .authRequired].contains(error.code):
        endAccess(watch, error.code)
      case .failed:
        accessChecks.failed(number)
        setAccessTimer()
      }
    }
  }

  private func allowed(_ watch: Watch, leftMs: Int64?) {
    let said = accessChecks.allowed(
      watch.number, endsAtMs: leftMs.map { server.loop.nowMs + max(1, $0) })
    for line in said.lines { server.push(watch, line) }
    setAccessTimer()
    if said.again { askAccess(watch.number) }
  }

  /// Ends a watch whose caller may not see its session any more.
  private func endAccess(_ watch: Watch, _ why: ErrorCode) {
    guard case .part(let scope) = watch.scope else { return }
    // A credential whose time is over is the whole connection's.
    guard why != .authRequired else {
      endWatches(watch.connection, why)
      return server.watchEnded(watch.connection)
    }
    let device = String(decoding: scope.device, as: UTF8.self)
    let session = String(decoding: scope.session ?? [], as: UTF8.self)
    let line =
      "EVENT {\"type\":\"watch.ended\",\"device\":\"\(device)\",\"session\":\"\(session)\","
      + "\"reason\":\"\(why.rawValue)\"}\n"
    server.push(watch, Array(line.utf8))
    catchUps[watch.number] = nil
    endWatch(watch.number)
    server.watchEnded(watch.connection)
  }

  // MARK: Time

  private func setAccessTimer() {
    var atMs = accessChecks.nextDeadlineMs ?? .max
    let nowMs = server.loop.nowMs
    if accessChecks.hasFailed { atMs = min(atMs, nowMs + EventSubscriptions.accessRetryMs) }
    if atMs < .max { accessTimer?.set(afterMs: max(0, atMs - nowMs)) }
  }

  func accessTimerFired() {
    for number in accessChecks.takeDue(nowMs: server.loop.nowMs) { askAccess(number) }
    for number in accessChecks.takeFailed() {
      if let access = watchers[number]?.access { callAccess(number, access) }
    }
    setAccessTimer()
  }
}
