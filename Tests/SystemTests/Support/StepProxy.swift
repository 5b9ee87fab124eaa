// Owns: a way to do something between two steps of a worker: a proxy before Redis that stops at a
// text.

import Foundation

/// A proxy on a Unix socket that has work to do before it passes on what has a text in it.
final class StepProxy: Sendable {
  /// The work that is to be done, and how often.
  private struct Stop: Sendable {
    let text: [UInt8]
    var count: Int
    let work: @Sendable () throws -> Void
  }

  let path: String
  private let relay: Relay
  private let pending = Shared<Stop?>(nil)

  var url: String { RedisServer.url(path) }

  init(before redis: RedisServer) throws {
    path = "\(try Scratch.folder("steps"))/steps.sock"
    let stop = pending
    relay = Relay(
      try TestSocket.listen(path: path),
      to: { [upstream = redis.path] in try TestSocket(path: upstream) }
    ) { worker, redis, _ in
      { try Self.move(worker, redis, stop) }
    }
  }

  /// Before the next steps that have a text in them, so many, the work is done.
  func stop(at text: String, _ count: Int = 1, _ work: @escaping @Sendable () throws -> Void) {
    pending.value = Stop(text: Array(text.utf8), count: count, work: work)
  }

  /// How many of these steps are still to come.
  var stopsLeft: Int { pending.value?.count ?? 0 }

  func end() { relay.stop() }

  /// Moves the received bytes; false when either side has ended.
  private static func move(
    _ worker: TestSocket, _ redis: TestSocket, _ stop: Shared<Stop?>
  ) throws -> Bool {
    let readable = TestSocket.readable([worker, redis], within: .milliseconds(20))
    if readable[1], let bytes = try redis.receiveSome() {
      guard !bytes.isEmpty else { return false }
      try worker.send(bytes)
    }
    if readable[0], let bytes = try worker.receiveSome() {
      guard !bytes.isEmpty else { return false }
      let work = stop.update { stop -> (@Sendable () throws -> Void)? in
        guard let found = stop, found.count > 0, bytes.firstRange(of: found.text) != nil else {
          return nil
        }
        stop?.count -= 1
        return found.work
      }
      try work?()
      try redis.send(bytes)
    }
    return true
  }
}
