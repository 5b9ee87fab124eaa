// Owns: callers within the process: the page's requests, each over a connection whose other end is
// on the control loop. Runs on the loop's thread.

internal import Loop
internal import Metrics
internal import Service

/// A connection that comes from within the process.
struct InternalCaller: Sendable {
  let socket: Socket
  /// The address of the browser for which it is.
  let peer: PeerAddress?
}

extension ServingLoop {
  /// Takes a connection of the page, whose descriptor is counted already.
  ///
  /// The limits on connections are for those outside: they bound the page's own by themselves.
  func joined(_ caller: InternalCaller) {
    guard isAccepting else {
      shared.descriptors.giveBack()
      return caller.socket.close()
    }
    let connection = insert(caller.socket, .line, isInternal: true)
    connection.peer = caller.peer
    counters.add(.connectionsOpened)
    countConnections()
  }
}
