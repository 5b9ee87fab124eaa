// Owns: who is let in, and how those are told who are not. Runs on the loop's thread.

internal import Loop
internal import Wire

extension ServingLoop {
  func accepted(_ socket: Socket) {
    guard shared.connections < settings.connectionsMax else {
      refuse(
        socket, .connections, RequestError(.overloaded, "too many connections; retry elsewhere"))
      return
    }
    let peer = socket.peerAddress()
    // Through a proxy all come from its address; whose they are is told by the header.
    let host = settings.takesProxyHeader ? nil : peer?.host
    if let host, !shared.addresses.admit(host, most: settings.connectionsPerAddressMax) {
      refuse(socket, .address, ServingLoop.tooManyOfAddress)
      return
    }
    let connection = insert(socket)
    (connection.host, connection.peer) = (host, peer)
    counters.add(.connectionsOpened)
    if shared.log.isDebugging {
      shared.log.debug(
        "connection opened",
        ["connection": logName(connection), "from": peer.map { "\($0.host)" } ?? "unknown"])
    }
    countConnections()
  }

  private static let tooManyOfAddress = RequestError(
    .overloaded, "too many connections from your address")

  /// A proxy has told whose connection it is; nil if it speaks for itself.
  func proxied(_ connection: Connection, from peer: PeerAddress?) {
    guard let peer else { return }
    connection.peer = peer
    if shared.addresses.admit(peer.host, most: settings.connectionsPerAddressMax) {
      connection.host = peer.host
    } else {
      turnAway(connection, .address, ServingLoop.tooManyOfAddress)
    }
  }

  /// What should have told whose connection it is did not come, or was something else.
  func proxyHeaderMissing(_ connection: Connection) {
    turnAway(
      connection, .header,
      RequestError(.badRequest, "this port takes connections with a PROXY protocol header only"))
  }

  private func insert(_ socket: Socket) -> Connection {
    socket.setNoDelay()
    socket.setKeepAlive()
    return connections.insert { id in
      let connection = Connection(
        id, Transport(plain: socket), loop: loop, owner: self, limits: settings)
      if principals != nil { connection.setLineLimits(isKnown: false) }
      return connection
    }
  }

  /// Says why, in one line, to somebody who is not let in.
  private func refuse(_ socket: Socket, _ refusal: Refusal, _ error: RequestError) {
    turnAway(insert(socket), refusal, error)
  }

  private func turnAway(_ connection: Connection, _ refusal: Refusal, _ error: RequestError) {
    counters.addRefused(refusal)
    let isOneTooMany = admission.refused()
    connection.isRefused = true
    countConnections()
    var line: [UInt8] = []
    line.appendError(error)
    connection.turnAway(line, .refused)
    guard isOneTooMany else { return }
    // There are too many to wait for: some of them will hear of a reset only.
    connection.sendOutput()
    connection.abort(.refused)
  }

  /// A connection has ended.
  func leave(_ connection: Connection) {
    if connection.isRefused { admission.refusedLeft() }
    if let host = connection.host { shared.addresses.release(host) }
    countConnections()
  }

  private func countConnections() {
    counters.set(connections.count - admission.refusedNow, .connectionsNow)
  }
}
