// Owns: a network path between a caller and a worker that can go dead: it keeps its connections
// and moves no byte, or loses replies.

/// A TCP proxy before a worker.
final class FreezingProxy: Sendable {
  let port: Int
  private let relay: Relay
  private let upstream: Shared<Int>
  /// Connections up to this number are dead.
  private let frozen = Shared(0)
  /// How many more replies are lost, and to which requests.
  private let losses = Shared((count: 0, word: ""))

  init(before worker: WorkerProcess) throws {
    let (upstream, frozen, losses) = (Shared(worker.listenPort), frozen, losses)
    self.upstream = upstream
    let listener = try TestSocket.listen()
    port = listener.port
    relay = Relay(listener.descriptor, to: { try TestSocket(port: upstream.value) }) {
      client, worker, number in
      var isLosing = false
      return {
        guard number > frozen.value else {
          pause(ms: 20)
          return true
        }
        return try Self.move(client, worker, losses, &isLosing)
      }
    }
  }

  func stop() { relay.stop() }

  /// How many connections have been made to it.
  var acceptedCount: Int { relay.acceptedCount }

  /// New connections go to this worker.
  func lead(to worker: WorkerProcess) { upstream.value = worker.listenPort }

  /// From now on the present connections carry no bytes, without being closed.
  func freeze() { frozen.value = relay.acceptedCount }

  /// The next replies to requests that begin with a word are lost, and all after them on the same
  /// connections.
  func lose(_ count: Int, repliesTo word: String) { losses.value = (count, word) }

  /// Moves the received bytes; false when either side has ended.
  private static func move(
    _ client: TestSocket, _ worker: TestSocket, _ losses: Shared<(count: Int, word: String)>,
    _ isLosing: inout Bool
  ) throws -> Bool {
    let readable = TestSocket.readable([client, worker], within: .milliseconds(20))
    if readable[0], let bytes = try client.receiveSome() {
      guard !bytes.isEmpty else { return false }
      let isLost = losses.update { losses in
        guard losses.count > 0, bytes.starts(with: losses.word.utf8) else { return false }
        losses.count -= 1
        return true
      }
      isLosing = isLosing || isLost
      try worker.send(bytes)
    }
    if readable[1], let bytes = try worker.receiveSome() {
      guard !bytes.isEmpty else { return false }
      if !isLosing { try client.send(bytes) }
    }
    return true
  }
}
