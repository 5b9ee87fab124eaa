// Owns: what a loop does with changes: it pushes them to connections that watch, asks the reads
// that wait for one again, and informs both where changes may have been lost. The loop's thread.

internal import Loop
internal import Metrics
internal import Store

extension EventSubscriptions {
  /// The subscription to changes has something for this loop.
  package func noticed(_ notice: ChangeNotice) {
    switch notice {
    case .answer(let source, let number, let comes):
      guard number & EventSubscriptions.waiterBit != 0 else {
        return changesCome(number, source, comes: comes)
      }
      // If they cannot come now, the read answers with the reason.
      advance(number ^ EventSubscriptions.waiterBit) { $0.tailRuns(nowMs: $1) }
    case .changes(let changes):
      for (source, change) in changes {
        if change.isOfRights { rightsChanged(change) }
        if !change.line.isEmpty { push(change, source) }
        if source != .all { wake(change) }
      }
    case .lost(let source): lost(source)
    }
  }

  // MARK: Watching

  private func push(_ change: DeviceChange, _ source: ChangeSource) {
    for watch in watchers.receivers(of: change, from: source)
    where maySee(watch, change.device) && !overrun.contains(watch.connection) {
      guard let connection = server.subscriber(watch.connection) else { continue }
      if connection.hasRoom() {
        deliver(watch, change.line)
      } else {
        // Nothing more is kept for it until it has read what it was sent.
        overrun.insert(watch.connection)
        server.counters.add(.changesDropped)
        connection.announcesSent = true
      }
    }
  }

  /// A connection has read what it was sent: if changes were dropped, it learns it before others.
  func resumeChanges(_ connection: ConnectionID) {
    guard overrun.remove(connection) != nil, let watch = watchers.receiver(connection) else {
      return
    }
    deliver(watch, EventSubscriptions.lostLine)
  }

  private func lost(_ source: ChangeSource) {
    for watch in watchers.receivers(from: source) {
      deliver(watch, EventSubscriptions.lostLine)
    }
    guard case .device(let device) = source else { return }
    for number in watchers.checked(device) { askAccess(number) }
    for number in requests.numbers(waitingForChangesOf: device) {
      advance(number) { $0.eventsCame(nowMs: $1) }
    }
  }

  /// A watch has ended that may have wanted changes.
  func releaseChanges(_ watch: Watch) {
    if watch.needsChanges { releaseChanges(of: watch.scope.source) }
  }

  // MARK: Waiting

  private func wake(_ change: DeviceChange) {
    for number in requests.numbers(waitingForChangesOf: change.device)
    where requests[number]?.query.scope?.concerns(change) == true {
      advance(number) { $0.eventsCame(nowMs: $1) }
    }
  }

  /// Makes the changes of a read's device come; then it is asked, so that it misses none.
  func wantChanges(_ number: UInt64, _ scope: ChangeScope) {
    let source = ChangeSource.device(scope.device)
    _ = requests.change(number) { $0.wantsChanges = true }
    interest.add(source)
    server.changeRequests.post(
      .want(source, loop: index, number: number | EventSubscriptions.waiterBit))
  }

  /// A request has ended that may have wanted changes.
  func releaseChanges(_ request: EventRequest) {
    guard request.wantsChanges, let scope = request.query.scope else { return }
    releaseChanges(of: .device(scope.device))
  }

  private func releaseChanges(of source: ChangeSource) {
    guard interest.remove(source) else { return }
    server.changeRequests.post(.release(source, loop: index))
  }
}
