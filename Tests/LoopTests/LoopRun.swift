// Owns: the shared means of the tests here: running a loop with a limit, and pairs of sockets.

import Foundation
import Glibc
import Testing

@testable import Loop

/// Runs a loop until it is stopped, and fails the test if that does not happen in time.
///
/// The loop does not keep alive the objects that it calls, so name them in `keeping`.
func run(
  _ loop: EventLoop, keeping: Any?..., within limitMs: Int64 = 10_000,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  var isLate = false
  let limit = LoopTimer(loop) {
    isLate = true
    loop.stop()
  }
  limit.set(afterMs: limitMs)
  withExtendedLifetime((limit, keeping)) { loop.run() }
  #expect(!isLate, "the loop did not stop within \(limitMs) ms", sourceLocation: sourceLocation)
}

/// Calls back when its descriptor is ready.
final class Callback: FileWatchOwner {
  var action: (Readiness) -> Void
  init(_ action: @escaping (Readiness) -> Void = { _ in }) { self.action = action }
  func fileReady(_ readiness: Readiness) { action(readiness) }
}

/// Two connected, non-blocking Unix sockets, closed with this object.
final class SocketPair {
  private(set) var ends: [Loop.Socket] = []

  init() throws {
    var numbers: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    try systemCall("socketpair") { socketpair(AF_UNIX, kind, 0, &numbers) }
    ends = numbers.map { Loop.Socket(adopting: $0) }
  }

  deinit { ends.forEach { $0.close() } }

  var near: Loop.Socket { ends[0] }
  var far: Loop.Socket { ends[1] }

  /// Closes the far end now, and only once.
  func closeFar() { ends.removeLast().close() }
}

extension Loop.Socket {
  func write(_ text: String) -> Transfer {
    var copy = text
    return copy.withUTF8 { write(UnsafeRawBufferPointer($0)) }
  }

  /// The result of one read, and its bytes as text.
  func readText(room: Int = 1_024) -> (Transfer, String) {
    var bytes = [UInt8](repeating: 0, count: room)
    let outcome = bytes.withUnsafeMutableBytes { read(into: $0) }
    guard case .moved(let count) = outcome else { return (outcome, "") }
    return (outcome, String(decoding: bytes[..<count], as: UTF8.self))
  }
}

/// A folder of this test alone, removed with this object.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.path + "/lk-loop-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
