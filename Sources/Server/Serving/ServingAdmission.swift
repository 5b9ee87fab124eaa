// Owns: the admission of connections, and the errors of rejected ones. Runs on the loop's thread.

internal import Loop
internal import Metrics
internal import Service
internal import Settings
internal import Synchronization
internal import Wire

extension ServingLoop {
  func accepted(_ socket: Socket, _ wire: CallerWire) {
    guard shared.connections < settings.connectionsMax else {
      refuse(
        socket, wire, .connections,
        RequestError(.overloaded, "too many connections; retry elsewhere"))
      return
    }
    let peer = socket.peerAddress()
    // Through a proxy all come from its address; the header names the caller's.
    let host = settings.takesProxyHeader ? nil : peer?.host
    if let host, !shared.addresses.admit(host, most: settings.connectionsPerAddressMax) {
      refuse(socket, wire, .address, ServingLoop.tooManyOfAddress)
      return
    }
    let connection = insert(socket, wire)
    (connection.host, connection.peer) = (host, peer)
    counters.add(.connectionsOpened)
    if wire == .http { counters.add(.httpOpened) }
    if shared.log.isDebugging {
      shared.log.debug(
        "connection opened",
        [
          "connection": logName(connection), "wire": wire.rawValue,
          "from": peer.map { "\($0.host)" } ?? "unknown",
        ])
    }
    countConnections()
  }

  /// No caller is taken for a moment: there is no descriptor for one.
  func acceptPaused(_ why: Acceptor.Pause) {
    counters.add(.acceptPauses)
    switch why {
    case .noDescriptors:
      shared.log.repeated(
        .warn, "callers wait: no descriptor is left for them", cause: "limit",
        ["descriptors": "\(shared.descriptors.most)", "fix": DescriptorBudget.fix])
    case .failed(let error):
      shared.log.repeated(
        .warn, "callers wait: a connection could not be accepted", cause: error.description,
        ["error": error.description])
    }
  }

  private static let tooManyOfAddress = RequestError(
    .overloaded, "too many connections from your address")

  /// The header of a proxy has named the caller's address; nil if the proxy speaks for itself.
  func proxied(_ connection: Connection, from peer: PeerAddress?) {
    guard let peer else { return }
    connection.peer = peer
    if shared.addresses.admit(peer.host, most: settings.connectionsPerAddressMax) {
      connection.host = peer.host
    } else {
      reject(connection, .address, ServingLoop.tooManyOfAddress)
    }
  }

  /// The header of the proxy is missing or wrong.
  func proxyHeaderMissing(_ connection: Connection) {
    reject(
      connection, .header,
      RequestError(.badRequest, "this port takes connections with a PROXY protocol header only"))
  }

  /// The caller speaks without TLS.
  func tlsMissing(_ connection: Connection) {
    reject(
      connection, .plain,
      RequestError(.badRequest, "this port takes TLS connections only; see latchkey call --tls"))
  }

  /// The caller and the worker have found no way to speak TLS.
  func handshakeFailed(_ connection: Connection, _ reason: String) {
    shared.log.repeated(
      .warn, "a TLS handshake failed", cause: reason,
      ["error": reason, "from": connection.peer?.description ?? "?"])
  }

  func insert(
    _ socket: Socket, _ wire: CallerWire, isInternal: Bool = false
  ) -> Connection {
    if wire == .http { httpConnections += 1 }
    socket.setNoDelay()
    socket.setKeepAlive()
    return connections.insert { id in
      let connection = Connection(
        id, socket, loop: loop, owner: self, limits: settings,
        tls: isInternal ? nil : shared.tls.withLock { $0 },
        http: wire == .http ? HTTPWire() : nil, isInternal: isInternal, shares: shares)
      if principals != nil { connection.setLineLimits(isKnown: false) }
      return connection
    }
  }

  /// Rejects a new socket with an error line.
  private func refuse(
    _ socket: Socket, _ wire: CallerWire, _ refusal: Refusal, _ error: RequestError
  ) {
    let connection = insert(socket, wire)
    connection.peer = socket.peerAddress()
    reject(connection, refusal, error)
  }

  private func reject(_ connection: Connection, _ refusal: Refusal, _ error: RequestError) {
    counters.addRefused(refusal)
    shared.log.repeated(
      .warn, "a connection was refused", cause: refusal.rawValue,
      ["limit": refusal.rawValue, "from": connection.peer?.description ?? "?"])
    let isOneTooMany = admission.refused()
    connection.isRefused = true
    countConnections()
    var line: [UInt8] = []
    line.appendError(error)
    connection.reject(line, .refused)
    guard isOneTooMany else { return }
    // There are too many to wait for: some of them will see a reset only.
    connection.sendOutput()
    connection.abort(.refused)
  }

  /// A connection has ended.
  func leave(_ connection: Connection) {
    shared.descriptors.giveBack()
    if connection.http != nil { httpConnections -= 1 }
    if connection.isRefused { admission.refusedLeft() }
    if let host = connection.host { shared.addresses.release(host) }
    countConnections()
  }

  func countConnections() {
    counters.set(connections.count - admission.refusedNow, .connectionsNow)
    counters.set(httpConnections, .httpNow)
  }
}
