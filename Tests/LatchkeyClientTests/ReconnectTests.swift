// Owns: the tests of a client whose worker ends its connection: it asks over a new one, and sends
// nothing twice that may have been done.

import Foundation
import Glibc
import Synchronization
import Testing

@testable import LatchkeyClient
@testable import Loop

/// A worker of a few lines: each connection has replies for so many requests, and then its end.
private final class ScriptedWorker: Sendable {
  /// The end of a connection.
  enum End: Sendable {
    /// The line of a worker that drains, then the end.
    case dismissal
    /// The end alone.
    case silence
    /// `draining` as the reply to one more request, then the end.
    case draining
  }

  let port: UInt16
  private let listener: Loop.Socket
  private let asked = Mutex<[String]>([])

  /// Serves as many connections as there are in the script.
  init(_ script: [(replies: Int, end: End)]) throws {
    let place = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: 0))
    listener = try place.bind(sharingPort: false)
    try listener.listen(backlog: 16)
    port = try listener.localPort()
    let listener = listener
    try LoopThread(name: "worker") { [self] in
      for (replies, end) in script { serve(listener, replies, end) }
    }.detach()
  }

  deinit { listener.close() }

  var lines: [String] { asked.withLock { $0 } }

  private func serve(_ listener: Loop.Socket, _ replies: Int, _ end: End) {
    guard wait(listener.descriptor), let caller = try? listener.accept() else { return }
    defer { caller.close() }
    for _ in 0..<replies {
      guard let line = read(caller) else { return }
      asked.withLock { $0.append(line) }
      write(caller, "OK\n")
    }
    switch end {
    case .silence: break
    case .dismissal: write(caller, "ERR draining this worker is stopping\n")
    case .draining:
      guard let line = read(caller) else { return }
      asked.withLock { $0.append("refused \(line)") }
      write(caller, "ERR draining this worker is stopping\n")
    }
    caller.finishWriting()
    // Until the caller closes its side.
    while read(caller) != nil {}
  }

  private func wait(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 10_000) == 1
  }

  private func read(_ caller: Loop.Socket) -> String? {
    var line: [UInt8] = []
    while wait(caller.descriptor) {
      var byte: UInt8 = 0
      let outcome = withUnsafeMutableBytes(of: &byte) { caller.read(into: $0) }
      guard outcome == .moved(1) else { return nil }
      if byte == 10 { return String(decoding: line, as: UTF8.self) }
      line.append(byte)
    }
    return nil
  }

  private func write(_ caller: Loop.Socket, _ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { caller.write($0) }
  }
}

struct ReconnectTests {
  /// Waits until the client has something to read, so that its worker's end has come.
  private func awaitEnd(_ connection: LatchkeyConnection) throws {
    try #require(connection.hasEnded(within: 10_000))
  }

  @Test(arguments: [ScriptedWorkerEnd.dismissal, .silence])
  fileprivate func `a request goes over a new connection where the old one has ended`(
    end: ScriptedWorkerEnd
  ) throws {
    let worker = try ScriptedWorker([(2, end.end), (2, .silence)])
    let connection = try LatchkeyConnection(host: "127.0.0.1", port: worker.port)
    #expect(try connection.authenticate("s").word == .ok)
    #expect(try connection.request("PING 1").word == .ok)
    try awaitEnd(connection)
    #expect(try connection.request("PING 2").word == .ok)
    #expect(worker.lines == ["AUTH s", "PING 1", "AUTH s", "PING 2"])
  }

  @Test func `a request that was answered with draining is sent once more`() throws {
    let worker = try ScriptedWorker([(1, .draining), (1, .draining)])
    let connection = try LatchkeyConnection(host: "127.0.0.1", port: worker.port)
    #expect(try connection.request("PING 1").word == .ok)
    #expect(try connection.request("PING 2").word == .ok)
    #expect(worker.lines == ["PING 1", "refused PING 2", "PING 2"])
  }

  @Test func `a request without a reply is not sent again`() throws {
    let worker = try ScriptedWorker([(1, .silence), (5, .silence)])
    let connection = try LatchkeyConnection(host: "127.0.0.1", port: worker.port)
    #expect(try connection.request("PING 1").word == .ok)
    try connection.send("PING 2")
    #expect(throws: LatchkeyError.self) { try connection.readReply() }
    #expect(worker.lines == ["PING 1"])
  }
}

/// The ends without a request, as arguments of a test.
private enum ScriptedWorkerEnd: CaseIterable {
  case dismissal, silence

  var end: ScriptedWorker.End { self == .dismissal ? .dismissal : .silence }
}
