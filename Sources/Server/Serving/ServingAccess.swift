// Owns: how connections get, keep and lose their principal. Runs on the loop's thread.

internal import Access
internal import Events
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Service
internal import SessionModel
internal import Settings
internal import Store
internal import Synchronization
internal import Wire

extension ServingLoop {
  /// Wrong secrets after which a connection is closed.
  var failuresMax: Int { 3 }

  func authenticate(
    _ ticket: Ticket, _ secret: UnsafeBufferPointer<UInt8>
  ) throws(RequestError) {
    guard let principals else {
      throw ServingLoop.noAuthentication
    }
    guard let connection = connections[ConnectionID(packed: ticket.client)] else { return }
    guard let principal = principals.authenticate(secret) else {
      noteWrongSecret(connection)
      answer(ticket, RequestError(.forbidden, "invalid secret"))
      if connection.authFailures >= failuresMax { connection.finish(.unauthenticated) }
      return
    }
    connection.authFailures = 0
    try count(connection, principal)
    give(connection, principal)
    Array("OK {\"name\":\"\(principal.name)\"}".utf8).withUnsafeBufferPointer {
      answerText(ticket, $0)
    }
  }

  /// Counts a wrong secret.
  func noteWrongSecret(_ connection: Connection) {
    counters.add(.authFailures)
    shared.log.repeated(.warn, "invalid secret", ["from": connection.peer?.description ?? "?"])
    connection.authFailures += 1
  }

  /// Counts a connection as the principal's.
  func count(_ connection: Connection, _ principal: Principal) throws(RequestError) {
    let use = shared.principalUses.of(principal.name)
    guard use !== connection.use.principal else { return }
    guard use.admitConnection(principal.limits) else {
      let most = principal.limits[.connections]
      throw limited(
        principal, .connections,
        RequestError(
          .overloaded,
          "quota exceeded: \(most) of \(most) connections of principal \(principal.name)"))
    }
    connection.use.change(to: use)
  }

  /// Logs that a principal has met a limit, and gives the error.
  private func limited(
    _ principal: Principal, _ kind: PrincipalLimits.Kind, _ error: RequestError
  ) -> RequestError {
    shared.log.repeated(
      .warn, "a principal has met its limit", cause: "\(principal.name) \(kind.rawValue)",
      [
        "principal": principal.name, "limit": kind.rawValue,
        "most": "\(principal.limits[kind])",
      ])
    return error
  }

  /// Refuses a request that comes too soon after the principal's others.
  func checkRate(_ connection: Connection) throws(RequestError) {
    guard let principal = connection.principal, let use = connection.use.principal else { return }
    guard !use.admitRequest(nowNs: loop.nowNs, principal.limits) else { return }
    throw limited(
      principal, .rate,
      RequestError(
        .overloaded,
        "rate limited: principal \(principal.name) may send \(principal.limits[.rate]) requests a "
          + "second; nothing was done, retry after a pause"))
  }

  /// Refuses a request that may wait, if as many of the principal's do as may.
  func checkWaiters(_ connection: Connection) throws(RequestError) {
    guard let principal = connection.principal, let use = connection.use.principal else { return }
    guard !use.admitsWaiter(principal.limits) else { return }
    let most = principal.limits[.waiters]
    throw limited(
      principal, .waiters,
      RequestError(
        .quota,
        "quota exceeded: \(most) of \(most) waiting requests of principal \(principal.name)"))
  }

  func give(_ connection: Connection, _ principal: Principal) {
    let wasKnown = connection.principal != nil
    connection.principal = principal
    connection.setLineLimits(isKnown: true)
    // A connection without a principal has no watches and no waits.
    if wasKnown { subscriptions.accessChanged() }
  }

  /// The file was read again: connections keep their principal by its name.
  func principalsChanged() {
    principals = shared.principals.withLock { $0 }
    guard let principals else { return }
    for connection in connections.all {
      // The next request's secret is looked up anew.
      connection.http?.authorization = nil
      guard let name = connection.principal?.name else { continue }
      let principal = principals[name]
      connection.principal = principal
      if principal == nil {
        connection.use.change(to: nil)
        connection.setLineLimits(isKnown: false)
        connection.unknownSinceMs = loop.nowMs
        if connection.http?.isStreaming == true { connection.finish(.revoked) }
      }
    }
    subscriptions.accessChanged()
  }

  /// Closes a connection that has not authenticated in time.
  func authStalled(_ connection: Connection) {
    let most = SettingText.duration(ms: settings.authTimeoutMs)
    if let http = connection.http {
      // Between two requests a response would be taken for that of the next one.
      guard connection.takesRequests, http.holdsPart || !connection.replies.hasBegun else {
        return connection.finish(.unauthenticated)
      }
      let text = "a request with the header Authorization has to come within \(most)"
      return connection.endHTTP(http, HTTPRefusal(.requestTimeout, text), .unauthenticated)
    }
    var line: [UInt8] = []
    line.appendError(RequestError(.authRequired, "AUTH has to come within \(most)"))
    connection.reject(line, .unauthenticated)
  }

  /// Whether events of the device may be shown on this connection.
  func maySee(_ connection: ConnectionID, _ device: [UInt8]) -> Bool {
    guard principals != nil else { return true }
    return connections[connection]?.principal?.sees(device) ?? false
  }
}
