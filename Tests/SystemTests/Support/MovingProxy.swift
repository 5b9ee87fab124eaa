// Owns: an address that moves from one Redis to another and cuts no connection.

import Foundation

/// A proxy on a Unix socket: a new connection goes to the present target, and stays there.
final class MovingProxy: Sendable {
  let path: String
  private let target: Shared<String>
  private let relay: Relay

  var url: String { RedisServer.url(path) }

  init(before redis: RedisServer) throws {
    path = "\(try Scratch.folder("moving"))/moving.sock"
    let target = Shared(redis.path)
    self.target = target
    relay = Relay(
      try TestSocket.listen(path: path), to: { try TestSocket(path: target.value) }
    ) { caller, server, _ in
      { try Self.move(caller, server) }
    }
  }

  /// From now on new connections go there.
  func move(to redis: RedisServer) { target.value = redis.path }

  func stop() { relay.stop() }

  /// Moves the received bytes; false when either side has ended.
  private static func move(_ caller: TestSocket, _ server: TestSocket) throws -> Bool {
    let readable = TestSocket.readable([caller, server], within: .milliseconds(20))
    for (isReadable, ends) in zip(readable, [(caller, server), (server, caller)]) where isReadable {
      guard let bytes = try ends.0.receiveSome() else { continue }
      guard !bytes.isEmpty else { return false }
      try ends.1.send(bytes)
    }
    return true
  }
}
