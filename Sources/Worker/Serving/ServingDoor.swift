// Owns: who is let in, and how those are told who are not. Runs on the loop's thread.

internal import Loop
internal import Wire

/// Why somebody is not let in; counted by this name.
enum Refusal: String, CaseIterable, Sendable {
  /// The worker has as many connections as it may have.
  case connections
  /// The caller's address has.
  case address
}

extension ServingLoop {
  /// So many of those who are not let in are waited for until they have read why.
  private var refusedMax: Int { 256 }

  func accepted(_ socket: Socket) {
    guard shared.connections < settings.connectionsMax else {
      refuse(socket, .connections, "too many connections; retry elsewhere")
      return
    }
    let host = socket.peerAddress()?.host
    if let host, !shared.addresses.admit(host, most: settings.connectionsPerAddressMax) {
      refuse(socket, .address, "too many connections from your address")
      return
    }
    let connection = insert(socket)
    connection.host = host
    counters.add(.connectionsOpened)
    countConnections()
  }

  private func insert(_ socket: Socket) -> Connection {
    socket.setNoDelay()
    socket.setKeepAlive()
    return connections.insert { id in
      Connection(id, socket, loop: loop, owner: self, limits: settings)
    }
  }

  /// Says why, in one line, to somebody who is not let in.
  private func refuse(_ socket: Socket, _ refusal: Refusal, _ why: String) {
    counters.addRefused(refusal)
    var line: [UInt8] = []
    line.appendError(RequestError(.overloaded, why))
    guard refusedNow < refusedMax else {
      _ = line.withUnsafeBytes { socket.write($0) }
      socket.close()
      return
    }
    refusedNow += 1
    let connection = insert(socket)
    connection.isRefused = true
    connection.turnAway(line)
  }

  /// A connection has ended.
  func leave(_ connection: Connection) {
    if connection.isRefused { refusedNow -= 1 }
    if let host = connection.host { shared.addresses.release(host) }
    countConnections()
  }

  private func countConnections() {
    counters.set(connections.count - refusedNow, .connectionsNow)
  }
}
