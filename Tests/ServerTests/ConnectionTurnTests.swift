// Owns: the tests of the limit on one caller's lines in a turn: none is lost or reordered.

import Glibc
import Loop
import Service
import Testing
import Wire

@testable import Metrics
@testable import Server
@testable import Settings
@testable import Store

struct ConnectionTurnTests {
  /// Records its callbacks, and does nothing by itself.
  private final class Owner: ConnectionOwner {
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
    var lines: [String] = []
    var yieldedCount = 0
    var resumesCount = 0
    deinit { readBuffer.deallocate() }
    /// Whether each line is a device of a request that goes on after its first step.
    var takesSteps = false
    func lineReceived(_ connection: Connection, _ line: UnsafeBufferPointer<UInt8>) {
      let slot = connection.takeRequest()
      lines.append(String(decoding: line, as: UTF8.self))
      if takesSteps { connection.beginStep(verb: 1, String(decoding: line, as: UTF8.self)) }
      Array("OK\n".utf8).withUnsafeBufferPointer { connection.answer(slot, $0) }
    }
    func mayFollow(_ run: StepRun, _ line: UnsafeBufferPointer<UInt8>) -> Bool {
      run.allows(verb: 1, line)
    }
    let verbs = VerbTable()
    let isStopping = false
    let httpFields = HTTPCommonFields(origins: [])
    func httpBegins(
      _ connection: Connection, _ http: HTTPWire, _ head: HTTPHead
    ) throws(HTTPRefusal) -> Bool { false }
    func httpRefused(_ connection: Connection, _ refusal: HTTPRefusal, isMalformed: Bool) {}
    func lineTooLong(_ connection: Connection, limitBytes: Int) {}
    func otherProtocolFound(_ connection: Connection, _ other: OtherProtocol) {}
    func largeLineReceived(_ connection: Connection, _ line: [UInt8]) {}
    func longLineBegins(_ connection: Connection) -> Bool { true }
    func longLineEnded(_ connection: Connection) {}
    func lineRefused(_ connection: Connection, _ why: LineRefusal) {}
    var hasMemoryPressure: Bool { false }
    func keeps(more bytes: Int) {}
    func readingPaused(_ connection: Connection) {}
    func proxied(_ connection: Connection, from peer: PeerAddress?) {}
    func proxyHeaderMissing(_ connection: Connection) {}
    func tlsMissing(_ connection: Connection) {}
    func handshakeFailed(_ connection: Connection, _ reason: String) {}
    func hasOutput(_ connection: Connection) {}
    func resumeLater(_ connection: Connection) { resumesCount += 1 }
    func yields(_ connection: Connection) { yieldedCount += 1 }
    var handedOverCount = 0
    var outputSentCount = 0
    func handedOver(_ connection: Connection) { handedOverCount += 1 }
    func outputSent(_ connection: Connection) { outputSentCount += 1 }
    func inputEnded(_ connection: Connection) {}
    func lingers(_ connection: Connection) {}
    func closed(_ connection: Connection, _ reason: CloseReason) {}
    func takeBuffer() -> [UInt8] { [] }
    func giveBack(_ buffer: inout [UInt8]) { buffer = [] }
  }

  /// A connection, and the other end of its socket.
  private func connect(
    _ loop: EventLoop, _ owner: Owner, http: HTTPWire? = nil
  ) throws -> (Connection, Int32) {
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    try systemCall("socketpair") { socketpair(AF_UNIX, kind, 0, &ends) }
    let connection = Connection(
      ConnectionID(place: 0, generation: 0), Loop.Socket(adopting: ends[0]),
      loop: loop,
      owner: owner, limits: Settings(), http: http)
    return (connection, ends[1])
  }

  @Test func `a reply is handed over when the kernel has all of it, and not before`() throws {
    let (loop, owner) = (try EventLoop(), Owner())
    let (connection, peer) = try connect(loop, owner)
    defer { close(peer) }
    defer { connection.abort(.ended) }
    let (earlier, slot) = (connection.takeRequest(), connection.takeRequest())
    let later = connection.takeRequest()
    #expect(!connection.isNext(slot))
    connection.announcesSent = true
    Array("OK\n".utf8).withUnsafeBufferPointer { connection.answer(earlier, $0) }
    #expect(!connection.isNext(slot), "the reply before it is not with the kernel")
    connection.sendOutput()
    #expect(connection.isNext(slot) && owner.outputSentCount == 1)
    let long = [UInt8](repeating: 0x78, count: 4 << 20) + [10]
    long.withUnsafeBufferPointer { connection.answer(slot, $0, isHandOver: true) }
    // The reply behind it does not count.
    long.withUnsafeBufferPointer { connection.answer(later, $0) }
    var taken = 0
    var room = [UInt8](repeating: 0, count: 1 << 16)
    while owner.handedOverCount == 0, taken < 2 * long.count {
      connection.sendOutput()
      let isAll = taken + 3 + (1 << 20) > long.count
      #expect(owner.handedOverCount == 0 || isAll, "handed over after \(taken) bytes")
      taken += max(0, read(peer, &room, room.count))
    }
    #expect(owner.handedOverCount == 1 && taken <= long.count + 3)
    #expect(owner.outputSentCount == 1, "it was announced without being asked for")
  }

  @Test func `a stream that is silent has a comment every 15 s, and no other connection`() throws {
    let (loop, owner) = (try EventLoop(), Owner())
    let http = HTTPWire()
    let (connection, peer) = try connect(loop, owner, http: http)
    defer { close(peer) }
    defer { connection.abort(.ended) }
    /// What the caller gets when its connection has been looked at after so long.
    func received(afterMs ms: Int64) -> String {
      connection.keepStreamAlive(nowMs: http.sentAtMs + ms)
      connection.sendOutput()
      var room = [UInt8](repeating: 0, count: 1 << 12)
      return String(decoding: room[..<max(0, read(peer, &room, room.count))], as: UTF8.self)
    }
    let request = Array("GET /v1/watch/dev HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
    #expect(write(peer, request, request.count) == request.count)
    connection.fileReady(Readiness(read: true, write: false))
    #expect(owner.lines == ["WATCH dev"])
    #expect(received(afterMs: 0).hasSuffix("Connection: close\r\n\r\n"))
    #expect(received(afterMs: 13_999) == "" && received(afterMs: 14_000) == ":\n\n")
    #expect(!connection.push(after: 0, Array("EVENT {\"type\":\"x\"}\n".utf8)))
    #expect(received(afterMs: 13_999) == "data: {\"type\":\"x\"}\n\n")
    #expect(received(afterMs: 14_000) == ":\n\n")
    // Kept for a stream: nothing.
    #expect(connection.keptBytes == 0 && http.heldBytes == 0)
  }

  @Test func `each line of a body has its own time, and a large response is not kept`() throws {
    let (loop, owner, http) = (try EventLoop(), Owner(), HTTPWire())
    let (connection, peer) = try connect(loop, owner, http: http)
    defer { close(peer) }
    defer { connection.abort(.ended) }
    func take(_ text: String) {
      let bytes = Array(text.utf8)
      #expect(write(peer, bytes, bytes.count) == bytes.count)
      connection.lineSinceMs = 1
      connection.fileReady(Readiness(read: true, write: false))
    }
    take("POST /v1/lines HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    take("5\r\nPING\n\r\n")
    #expect(owner.lines == ["PING"] && connection.lineSinceMs ?? 0 > 1)
    take("2\r\nPI\r\n")
    #expect(connection.lineSinceMs == 1, "a part of a line is none")
    take("3\r\nNG\n\r\n0\r\n\r\n")
    #expect(owner.lines == ["PING", "PING"] && connection.lineSinceMs == nil)
    connection.sendOutput()

    let slot = connection.takeRequest()
    let long = Array("OK ".utf8) + [UInt8](repeating: 0x78, count: 1 << 18)
    long.withUnsafeBufferPointer { connection.answer(slot, $0) }
    #expect(http.heldBytes < 4_096)
    take("GET /v1/PING HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "x", count: 9_000))\r\n\r\n")
    #expect(owner.lines.count == 3 && http.heldBytes < 4_096)
  }

  @Test func `a reply that was thrown away is not handed over`() throws {
    let (loop, owner) = (try EventLoop(), Owner())
    let (connection, peer) = try connect(loop, owner)
    defer { close(peer) }
    let slot = connection.takeRequest()
    let long = [UInt8](repeating: 0x78, count: 4 << 20) + [10]
    long.withUnsafeBufferPointer { connection.answer(slot, $0, isHandOver: true) }
    connection.sendOutput()
    connection.abort(.slow)
    connection.sendOutput()
    #expect(owner.handedOverCount == 0)
  }

  @Test(arguments: [1, 127, 128, 129, 256, 1_000])
  func `a caller with many lines has others take their turn in between`(count: Int) throws {
    let (loop, owner) = (try EventLoop(), Owner())
    let (connection, peer) = try connect(loop, owner)
    defer { close(peer) }
    defer { connection.abort(.ended) }
    let wanted = (0..<count).map { "PING \($0)" }
    let bytes = Array(wanted.map { "\($0)\n" }.joined().utf8) + Array("half".utf8)
    #expect(write(peer, bytes, bytes.count) == bytes.count)
    connection.fileReady(.read)
    #expect(owner.lines.count == min(count, Connection.linesPerTurn))
    var turns = 0
    while owner.yieldedCount > turns {
      turns += 1
      // Nothing is read while there is a backlog, or lines would change places.
      connection.fileReady(.read)
      #expect(owner.lines.count == turns * Connection.linesPerTurn)
      connection.release()
      #expect(owner.resumesCount == turns)
      connection.resume()
    }
    #expect(owner.lines == wanted)
    #expect(turns == count / Connection.linesPerTurn)
    #expect(!connection.isQuiet, "the half line is forgotten")
  }

  @Test func `requests for other devices follow one that takes steps, and one for its own waits`()
    throws
  {
    let bytes = Array("a\nb\nA\nb\n\nc\r\n".utf8)
    for cut in 0...bytes.count {
      let (loop, owner) = (try EventLoop(), Owner())
      let (connection, peer) = try connect(loop, owner)
      defer { close(peer) }
      defer { connection.abort(.ended) }
      owner.takesSteps = true
      for part in [bytes[..<cut], bytes[cut...]] where !part.isEmpty {
        #expect(write(peer, Array(part), part.count) == part.count)
        connection.fileReady(.read)
      }
      #expect(owner.lines == ["a", "b"], "cut at \(cut)")
      connection.endStep()
      connection.resume()
      #expect(owner.lines == ["a", "b"], "one of them goes on")
      connection.endStep()
      #expect(owner.resumesCount == 1)
      connection.resume()
      connection.fileReady(.read)
      #expect(owner.lines == ["a", "b", "A", "b", "c"], "cut at \(cut)")
    }
  }
}
