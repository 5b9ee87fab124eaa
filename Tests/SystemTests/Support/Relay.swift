// Owns: the common part of the proxies here: a thread that accepts, and one for each connection,
// which moves bytes until either side has ended.

import Foundation
import Glibc

/// Takes connections and joins each with one of its own to the real server, until it is stopped.
final class Relay: Sendable {
  /// Moves the received bytes; false when the connection is over.
  typealias Turn = () throws -> Bool

  private let stopping = Shared(false)
  private let accepted = Shared(0)

  /// How many connections have been made to it.
  var acceptedCount: Int { accepted.value }

  /// `join` gets both ends of a connection, and its number: they count from 1.
  ///
  /// The listening descriptor is closed at the end.
  init(
    _ listener: Int32, to upstream: @escaping @Sendable () throws -> TestSocket,
    _ join: @escaping @Sendable (_ caller: TestSocket, _ server: TestSocket, _ number: Int) -> Turn
  ) {
    TestThreads.start { [stopping, accepted] in
      while !stopping.value {
        guard let caller = try? TestSocket.accept(listener, within: .milliseconds(50)) else {
          continue
        }
        let number = accepted.update { count in
          count += 1
          return count
        }
        let descriptor = caller.release()
        TestThreads.start {
          guard let caller = try? TestSocket(adopting: descriptor), let server = try? upstream()
          else {
            return
          }
          let turn = join(caller, server, number)
          while !stopping.value, (try? turn()) == true {}
        }
      }
      close(listener)
    }
  }

  deinit { stop() }

  func stop() { stopping.value = true }
}
