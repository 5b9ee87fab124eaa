// Owns: a caller that sends one request after another beside an attack, and must not notice it.

import Foundation
import Testing

/// Takes and frees locks, one request at a time, until it is stopped.
final class CalmCaller: Sendable {
  private let stopping = Shared(false)
  private let count = Shared(0)
  private let wrong = Shared<[String]>([])
  private let thread: Background<Void>

  init(_ connect: @escaping @Sendable () throws -> LineClient) {
    thread = Background { [stopping, count, wrong] in
      let client = try connect()
      let device = Lab.device("calm")
      while !stopping.value {
        for request in ["LOCK \(device) a", "HOLDER \(device)", "UNLOCK \(device) a"] {
          let reply = try client.request(request, within: .seconds(10))
          if !reply.isOK { wrong.update { $0.append("\(request): \(reply.raw)") } }
        }
        count.update { $0 += 1 }
      }
    }
  }

  deinit { stopping.value = true }

  /// Waits until it has been served so many more times.
  func awaitServed(_ more: Int) throws {
    let wanted = count.value + more
    try eventually("\(more) more rounds of the calm caller", within: .seconds(20)) {
      count.value >= wanted || !wrong.value.isEmpty
    }
  }

  /// Ends it, and expects that everything it asked was done.
  func stop(at place: SourceLocation = #_sourceLocation) throws {
    stopping.value = true
    try thread.join(within: .seconds(20))
    #expect(wrong.value.isEmpty, "\(wrong.value.prefix(3))", sourceLocation: place)
    #expect(count.value > 0, sourceLocation: place)
  }
}
