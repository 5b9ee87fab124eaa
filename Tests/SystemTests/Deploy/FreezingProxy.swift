// Owns: a network path between a caller and a worker that can go dead: it keeps its connections
// and moves no byte, or loses replies. A thread per connection.

import Foundation
import Glibc

/// A TCP proxy before a worker.
final class FreezingProxy: Sendable {
  let port: Int
  private let upstream: Shared<Int>
  private let stopping = Shared(false)
  private let accepted = Shared(0)
  /// Connections up to this number are dead.
  private let frozen = Shared(0)
  /// How many more replies are lost, and to which requests.
  private let losses = Shared((count: 0, word: ""))

  init(before worker: WorkerProcess) throws {
    upstream = Shared(worker.listenPort)
    let listener = try Socket.listen()
    port = listener.port
    Thread.detachNewThread { [self] in
      while !stopping.value {
        guard let client = try? Socket.accept(listener.descriptor, within: .milliseconds(20)) else {
          continue
        }
        serve(client)
      }
      close(listener.descriptor)
    }
  }

  func stop() { stopping.value = true }

  /// How many connections have been made to it.
  var acceptedCount: Int { accepted.value }

  /// New connections go to this worker.
  func lead(to worker: WorkerProcess) { upstream.value = worker.listenPort }

  /// From now on the present connections move nothing, and nobody is told.
  func freeze() { frozen.value = accepted.value }

  /// The next replies to requests that begin with a word are lost, and all after them on the same
  /// connections.
  func lose(_ count: Int, repliesTo word: String) { losses.value = (count, word) }

  private func serve(_ client: consuming Socket) {
    let number = accepted.update { count in
      count += 1
      return count
    }
    let descriptor = client.release()
    Thread.detachNewThread { [self] in
      guard let client = try? Socket(adopting: descriptor),
        let worker = try? Socket(port: upstream.value)
      else {
        close(descriptor)
        return
      }
      var isLosing = false
      while !stopping.value {
        guard number > frozen.value else {
          pause(ms: 20)
          continue
        }
        guard (try? move(client, worker, &isLosing)) == true else { return }
      }
    }
  }

  /// Moves what has come; false when either side has ended.
  private func move(_ client: Socket, _ worker: Socket, _ isLosing: inout Bool) throws -> Bool {
    let readable = Socket.readable([client, worker], within: .milliseconds(20))
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
