// A fake Redis for faults that a real one has not on demand: stall, garble, cut and refuse.
//
// It does not know Redis' commands: it stands in front of a real server, passes on what the worker
// asks, and a script decides what becomes of each reply. So whatever a worker does when it
// connects works, until the test says that it shall not.

import Foundation
import Glibc

/// A faulty way to a real Redis, on a Unix socket of its own; a thread per connection.
final class FakeRedis: Sendable {
  /// The treatment of one reply of the real Redis.
  enum Answer: Sendable {
    case pass
    case swallow
    case replace(String)
    /// Half of the reply, then the end of the connection.
    case cut
    /// The reply in pieces of one byte.
    case dribble
    /// The reply, but later.
    case hold(Duration)
    /// No reply but the end of the connection.
    case hangUp
  }

  typealias Script = @Sendable (RedisValue) -> Answer

  let path: String
  private let relay: Relay
  private let script = Shared<Script>({ _ in .pass })
  private let closedByWorker = Shared(0)

  var url: String { RedisServer.url(path) }

  /// How many connections the worker has ended by itself.
  var closedCount: Int { closedByWorker.value }

  init(before redis: RedisServer) throws {
    path = "\(try Scratch.folder("fake"))/fake.sock"
    let (script, closedByWorker) = (script, closedByWorker)
    relay = Relay(
      try TestSocket.listen(path: path),
      to: { [upstream = redis.path] in try TestSocket(path: upstream) }
    ) { worker, redis, _ in
      let joint = Joint(worker: worker, redis: redis) { closedByWorker.update { $0 += 1 } }
      return { try joint.turn(script.value) }
    }
  }

  func stop() { relay.stop() }

  /// From now on each reply goes through `script`, on the present connections too.
  func play(_ script: @escaping Script) { self.script.value = script }

  func play(_ answer: Answer) { play { _ in answer } }

}

/// The two ends of one connection through the fake; belongs to its thread.
private final class Joint {
  private let worker: TestSocket
  private let redis: TestSocket
  private let endedByWorker: () -> Void
  private var replies: [UInt8] = []

  init(worker: TestSocket, redis: TestSocket, endedByWorker: @escaping () -> Void) {
    self.worker = worker
    self.redis = redis
    self.endedByWorker = endedByWorker
  }

  /// Moves the received bytes; false when the connection is over.
  func turn(_ script: FakeRedis.Script) throws -> Bool {
    let readable = TestSocket.readable([worker, redis], within: .milliseconds(20))
    if readable[0], let bytes = try worker.receiveSome() {
      guard !bytes.isEmpty else {
        endedByWorker()
        return false
      }
      try redis.send(bytes)
    }
    if readable[1], let bytes = try redis.receiveSome() {
      guard !bytes.isEmpty else { return false }
      replies += bytes
    }
    while let (value, end) = try RedisValue.parse(replies[...]) {
      let reply = Array(replies[..<end])
      replies.removeFirst(end)
      guard try deliver(reply, script(value)) else { return false }
    }
    return true
  }

  private func deliver(_ reply: [UInt8], _ answer: FakeRedis.Answer) throws -> Bool {
    switch answer {
    case .pass: try worker.send(reply)
    case .swallow: break
    case .replace(let text): try worker.send(Array(text.utf8))
    case .dribble:
      for byte in reply {
        try worker.send([byte])
        sched_yield()
      }
    case .hold(let time):
      pause(ms: UInt32(milliseconds(time)))
      try worker.send(reply)
    case .cut:
      try worker.send(Array(reply.prefix((reply.count + 1) / 2)))
      return false
    case .hangUp: return false
    }
    return true
  }
}
