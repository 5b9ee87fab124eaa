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
    _ ticket: Ticket, _ kind: CredentialKind, _ text: UnsafeBufferPointer<UInt8>
  ) throws(RequestError) {
    guard principals != nil || kind == .ticket else { throw ServingLoop.noAuthentication }
    if kind == .ticket { try requireTicketKeys() }
    guard let connection = connections[ConnectionID(packed: ticket.client)] else { return }
    let principal: Principal
    do throws(AuthenticationFault) {
      principal = try self.principal(kind, text)
    } catch {
      guard !error.isUnsupported else {
        return answer(ticket, RequestError(.badRequest, error.text))
      }
      noteFailure(connection, error)
      answer(ticket, RequestError(.forbidden, error.text))
      if connection.authFailures >= failuresMax { connection.finish(.unauthenticated) }
      return
    }
    connection.authFailures = 0
    try count(connection, principal)
    give(connection, principal)
    Array("OK {\"name\":\"\(principal.name)\"\(ticketMembers(principal))}".utf8)
      .withUnsafeBufferPointer { answerText(ticket, $0) }
  }

  /// What the holder of a ticket learns of it.
  private func ticketMembers(_ principal: Principal) -> String {
    guard let ticket = principal.ticket else { return "" }
    return ",\"device\":\"\(ticket.device)\",\"session\":\"\(ticket.session)\",\"role\":"
      + "\"\(ticket.role.rawValue)\",\"expires_at\":\(ticket.endsAtMs)"
  }

  /// The principal of what a caller says.
  func principal(
    _ kind: CredentialKind, _ text: UnsafeBufferPointer<UInt8>
  ) throws(AuthenticationFault) -> Principal {
    if kind != .ticket, let principals {
      return try principals.authenticate(kind, text, tokenClock)
    }
    guard let ticketKeys else { throw AuthenticationFault.noTicketKey }
    return try ticketKeys.principal(text, tokenClock, issuers: principals)
  }

  /// Refuses a ticket as long as there is nothing to verify it by.
  func requireTicketKeys() throws(RequestError) {
    guard ticketKeys == nil else { return }
    throw RequestError(.unavailable, AuthenticationFault.noTicketKey.text)
  }

  var tokenClock: TokenClock { TokenClock(wallMs: WallTime.nowMs(), monotonicMs: loop.nowMs) }

  /// Counts a wrong secret or token.
  func noteFailure(_ connection: Connection, _ fault: AuthenticationFault) {
    counters.add(.authFailures)
    shared.log.repeated(
      .warn, "authentication failed", cause: fault.text,
      ["error": fault.text, "from": connection.peer?.description ?? "?"])
    connection.authFailures += 1
  }

  /// Counts a connection as the principal's.
  func count(_ connection: Connection, _ principal: Principal) throws(RequestError) {
    let use = shared.principalUses.of(principal)
    guard use !== connection.use.principal else { return }
    guard use.admitConnection(principal.limits) else {
      let most = principal.limits[.connections]
      let text = QuotaText(most, of: most, "connections of \(principal.limitedName)").text
      throw limited(principal, .connections, RequestError(.overloaded, text))
    }
    connection.change(to: use)
  }

  /// Logs that a principal has met a limit, and gives the error.
  private func limited(
    _ principal: Principal, _ kind: PrincipalLimits.Kind, _ error: RequestError
  ) -> RequestError {
    shared.log.repeated(
      .warn, "a principal has met its limit", cause: "\(principal.useName) \(kind.rawValue)",
      [
        "principal": principal.useName, "limit": kind.rawValue,
        "most": "\(principal.limits[kind])",
      ])
    return error
  }

  /// Counts, and logs, a script's refusal for what the caller's principal has in all.
  func noteQuota(_ ticket: Ticket, _ error: RequestError) {
    guard let kind = error.principalLimit.flatMap({ PrincipalLimits.Kind(rawValue: $0) }),
      let connection = connections[ConnectionID(packed: ticket.client)],
      let principal = connection.principal
    else { return }
    connection.use.principal?.countRefusal(kind)
    _ = limited(principal, kind, error)
  }

  /// Refuses a request that comes too soon after the principal's others, or after so many bytes of
  /// them; `verb` is nil for a large request, of which it is not known yet.
  func checkRate(
    _ connection: Connection, _ verb: Verb?, bytes: Int
  ) throws(RequestError) {
    guard let principal = connection.principal, let use = connection.use.principal else { return }
    let (nowNs, limits) = (loop.nowNs, principal.limits)
    guard use.admitRequest(nowNs: nowNs, limits) else {
      throw tooFast(principal, .rate, "\(limits[.rate]) requests a second")
    }
    guard verb?.onlyReads != true else { return }
    guard use.admitWritten(bytes + PrincipalLimits.bytesBeside, nowNs: nowNs, limits) else {
      throw tooFast(principal, .written, "\(limits[.written]) bytes a second that are written")
    }
  }

  /// Refuses a request that writes an event so soon after the principal's others; its options are
  /// the site's now, be it large or not.
  func checkEvents(_ connection: Connection, _ verb: Verb) throws(RequestError) {
    guard verb.writesEvents, let principal = connection.principal,
      let use = connection.use.principal
    else { return }
    let (count, limits) = (verb.eventsMost(site.arguments), principal.limits)
    guard !use.admitEvents(count, nowNs: loop.nowNs, limits) else { return }
    throw tooFast(
      principal, .events, "\(limits[.events]) requests a second that write an event")
  }

  private func tooFast(
    _ principal: Principal, _ kind: PrincipalLimits.Kind, _ most: String
  ) -> RequestError {
    limited(
      principal, kind,
      RequestError(
        .overloaded,
        "rate limited: \(principal.limitedName) may send \(most); nothing was done, retry after "
          + "a pause"))
  }

  /// Refuses a request that may wait, if as many of the principal's do as may.
  func checkWaiters(_ connection: Connection) throws(RequestError) {
    guard let principal = connection.principal, let use = connection.use.principal else { return }
    guard !use.admitsWaiter(principal.limits) else { return }
    let most = principal.limits[.waiters]
    throw limited(
      principal, .waiters,
      .quota(most, of: most, "waiting requests of \(principal.limitedName)"))
  }

  func give(_ connection: Connection, _ principal: Principal) {
    connection.principal = principal
    connection.setLineLimits(isKnown: true)
    noteEnd(of: connection)
    subscriptions.accessChanged(connection.id, ServingLoop.accessRemoved)
  }

  /// The principals have changed: connections keep theirs if there is such a one still.
  ///
  /// Those that never had one, where all may call, are not concerned.
  func principalsChanged() {
    principals = shared.principals.withLock { $0 }
    ticketKeys = shared.ticketKeys.withLock { $0 }
    for connection in connections.all {
      // The next request's secret is looked up anew.
      connection.http?.authorization = nil
      guard let known = connection.principal else { continue }
      connection.principal = current(known)
      subscriptions.accessChanged(connection.id, ServingLoop.accessRemoved)
      guard connection.principal == nil else { continue }
      waits.accessEnded(connection.id, ServingLoop.accessRemoved)
      becomesUnknown(connection)
    }
  }

  /// The same principal as it is now; nil if it may not call any more.
  private func current(_ known: Principal) -> Principal? {
    if known.ticket != nil { return ticketKeys?.current(known, issuers: principals) }
    return principals?.current(known)
  }

  private static let accessRemoved = RequestError(.forbidden, "this is not yours any more")

  /// A connection has no principal any more, and is to say anew who is calling.
  private func becomesUnknown(_ connection: Connection) {
    connection.change(to: nil)
    connection.setLineLimits(isKnown: false)
    connection.unknownSinceMs = loop.nowMs
    // Where all may call, it may not do more than before.
    if connection.http?.isStreaming == true || principals == nil { connection.finish(.revoked) }
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

  /// A watch has ended: a response that is its events ends with it.
  func watchEnded(_ id: ConnectionID) {
    guard let connection = connections[id], connection.http?.isStreaming == true,
      !subscriptions.isWatching(id)
    else { return }
    connection.finish(.revoked)
  }

  /// Whether events of the device may be shown on this connection.
  func maySee(_ connection: ConnectionID, _ device: [UInt8]) -> Bool {
    guard principals != nil else { return true }
    return connections[connection]?.principal?.sees(device) ?? false
  }

  // MARK: - Tokens that end

  /// Notes when the token of a connection ends.
  private func noteEnd(of connection: Connection) {
    guard let endsAtMs = connection.principal?.endsAtMs, endsAtMs < connection.notedEndMs else {
      return
    }
    connection.notedEndMs = endsAtMs
    tokenEnds.insert(TokenEnd(atMs: endsAtMs, connection: connection.id))
    dropStaleEnds()
    setTokenTimer()
  }

  /// Those of connections that are gone take no more room than the others.
  private func dropStaleEnds() {
    guard tokenEnds.count > 2 * connections.count + 64 else { return }
    tokenEnds = Heap(
      connections.all.filter { $0.notedEndMs < .max }.map {
        TokenEnd(atMs: $0.notedEndMs, connection: $0.id)
      })
  }

  private func setTokenTimer() {
    guard let first = tokenEnds.least else { return }
    // A token may last for years, and a timer for less.
    tokenTimer?.set(afterMs: min(max(0, first.atMs - loop.nowMs), 3_600_000))
  }

  func endTokens() {
    while let first = tokenEnds.least, first.atMs <= loop.nowMs {
      _ = tokenEnds.popLeast()
      guard let connection = connections[first.connection], connection.notedEndMs == first.atMs
      else { continue }
      connection.notedEndMs = .max
      guard let endsAtMs = connection.principal?.endsAtMs else { continue }
      if endsAtMs <= loop.nowMs { tokenEnded(connection) } else { noteEnd(of: connection) }
    }
    setTokenTimer()
  }

  /// From now on its requests are refused; what waits on it is answered so.
  private func tokenEnded(_ connection: Connection) {
    counters.add(.tokensEnded)
    connection.principal = nil
    connection.http?.authorization = nil
    subscriptions.accessEnded(connection.id, Principal.tokenHasExpired)
    waits.accessEnded(connection.id, Principal.tokenHasExpired)
    becomesUnknown(connection)
  }
}

/// When the token of a connection ends.
struct TokenEnd: Comparable {
  let atMs: Int64
  let connection: ConnectionID

  static func < (left: TokenEnd, right: TokenEnd) -> Bool { left.atMs < right.atMs }
}
