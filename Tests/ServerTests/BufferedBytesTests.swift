// Owns: the tests of the bytes that are buffered for callers: their count, and the rejections at
// the limit.

import Glibc
import Loop
import TestSupport
import Testing
import Wire

@testable import Metrics
@testable import Server
@testable import Service
@testable import Settings
@testable import Store

struct BufferedBytesTests {
  @Test func `as much as may be kept is not too much, and one byte more is`() {
    let bytes = BufferedBytes(most: 100, BufferedTotal())
    bytes.add(100)
    #expect(!bytes.isOver)
    bytes.add(1)
    #expect(bytes.isOver && bytes.own == 101)
    bytes.add(-1)
    #expect(!bytes.isOver)
  }

  @Test func `loops share the limit, and report their bytes in large steps`() {
    let (total, step) = (BufferedTotal(), BufferedBytes.unpublishedMax)
    let (one, other) = (BufferedBytes(most: 3 * step, total), BufferedBytes(most: 3 * step, total))
    one.add(step - 1)
    #expect(total.now == 0)
    one.add(1)
    #expect(total.now == step)
    other.add(2 * step)
    #expect(!other.isOver && total.now == 3 * step)
    other.add(1)
    #expect(other.isOver)
    #expect(!one.isOver)
    other.add(step)
    one.look()
    #expect(one.isOver)
    one.add(-step)
    other.add(-3 * step - 1)
    #expect(other.isOver == false && other.own == 0)
    one.look()
    #expect(one.own == 0 && !one.isOver && abs(total.now) < step)
  }
}

/// Answers each line with so many bytes, and is under memory pressure when the test says so.
private final class Owner: ConnectionOwner {
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
  var hasMemoryPressure = false
  var replyBytes = 3
  /// True if requests are answered at once; otherwise they wait in `asked`.
  var answers = true
  var asked: [UInt64] = []
  /// The reported number of buffered bytes.
  var bytes = 0
  var lineLengths: [Int] = []
  var refusals: [LineRefusal] = []
  var readingPauses = 0
  var longLines = 0
  var closedWith: CloseReason?
  private var withOutput = false
  private var toResume = false

  deinit { readBuffer.deallocate() }

  func mayFollow(_ run: StepRun, _ line: UnsafeBufferPointer<UInt8>) -> Bool { true }
  func lineReceived(_ connection: Connection, _ line: UnsafeBufferPointer<UInt8>) {
    lineLengths.append(line.count)
    asked.append(connection.takeRequest())
    if answers { answer(connection, 0) }
  }
  /// Answers one of those that wait.
  func answer(_ connection: Connection, _ index: Int) {
    let line = [UInt8](repeating: 0x78, count: replyBytes - 1) + [10]
    let slot = asked.remove(at: index)
    line.withUnsafeBufferPointer { connection.answer(slot, $0) }
  }
  func lineRefused(_ connection: Connection, _ why: LineRefusal) {
    refusals.append(why)
    asked.append(connection.takeRequest())
    answer(connection, asked.count - 1)
  }
  /// Does the work of a loop at the end of a turn.
  func endTurn(_ connection: Connection) {
    while withOutput || toResume {
      if toResume, !connection.isClosed { connection.resume() }
      toResume = false
      if withOutput, !connection.isClosed { connection.sendOutput() }
      withOutput = false
    }
  }
  func keeps(more count: Int) { bytes += count }
  func readingPaused(_ connection: Connection) { readingPauses += 1 }
  /// Large lines that are being read.
  var large: [[UInt8]] = []
  func largeLineReceived(_ connection: Connection, _ line: [UInt8]) {
    large.append(line)
    asked.append(connection.takeRequest())
    connection.hold()
  }
  func longLineBegins(_ connection: Connection) -> Bool {
    longLines += 1
    return longLines <= 1
  }
  func longLineEnded(_ connection: Connection) { longLines -= 1 }
  let verbs = VerbTable()
  let isStopping = false
  let httpFields = HTTPCommonFields(origins: [])
  func httpBegins(
    _ connection: Connection, _ http: HTTPWire, _ head: HTTPHead
  ) throws(HTTPRefusal) -> Bool { false }
  func httpRefused(_ connection: Connection, _ refusal: HTTPRefusal, isMalformed: Bool) {}
  func lineTooLong(_ connection: Connection, limitBytes: Int) {}
  func otherProtocolFound(_ connection: Connection, _ other: OtherProtocol) {}
  func proxied(_ connection: Connection, from peer: PeerAddress?) {}
  func proxyHeaderMissing(_ connection: Connection) {}
  func tlsMissing(_ connection: Connection) {}
  func handshakeFailed(_ connection: Connection, _ reason: String) {}
  func hasOutput(_ connection: Connection) { withOutput = true }
  func resumeLater(_ connection: Connection) { toResume = true }
  func yields(_ connection: Connection) { connection.release() }
  func handedOver(_ connection: Connection) {}
  func outputSent(_ connection: Connection) {}
  func inputEnded(_ connection: Connection) {}
  func lingers(_ connection: Connection) {}
  func closed(_ connection: Connection, _ reason: CloseReason) { closedWith = reason }
  func takeBuffer() -> [UInt8] { [] }
  func giveBack(_ buffer: inout [UInt8]) { buffer = [] }
}

/// A connection whose other end is the test's.
private struct BufferedLine {
  let owner = Owner()
  let connection: Connection
  private let loop: EventLoop
  private let caller: Int32
  static let little = Connection.littleBytes

  init(_ settings: Settings = Settings()) throws {
    loop = try EventLoop()
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    try systemCall("socketpair") { socketpair(AF_UNIX, kind, 0, &ends) }
    caller = ends[1]
    connection = Connection(
      ConnectionID(place: 0, generation: 0), Loop.Socket(adopting: ends[0]),
      loop: loop,
      owner: owner, limits: settings)
  }

  /// Sends bytes, which the connection reads at once, or a little at a time under memory pressure.
  func send(_ bytes: [UInt8]) {
    #expect(write(caller, bytes, bytes.count) == bytes.count)
    for _ in 0...(bytes.count / BufferedLine.little) where connection.hasUnreadInput {
      connection.fileReady(.read)
      owner.endTurn(connection)
    }
  }

  /// Sends so many bytes of a line that does not end.
  func sendPart(_ count: Int) {
    // The kernel takes no more than 200 KiB at once.
    for start in stride(from: 0, to: count, by: 100_000) {
      send([UInt8](repeating: 0x61, count: min(100_000, count - start)))
    }
  }

  /// Reads at most `count` of the bytes that have come; returns how many it read.
  @discardableResult func receive(_ most: Int = .max) -> Int {
    var buffer = [UInt8](repeating: 0, count: min(most, 1 << 20))
    var all = 0
    while all < most {
      let count = read(caller, &buffer, min(buffer.count, most - all))
      guard count > 0 else { break }
      all += count
    }
    connection.fileReady(.write)
    owner.endTurn(connection)
    return all
  }

  /// Closes both ends, and expects that nothing is kept any more.
  func end() {
    connection.abort(.ended)
    close(caller)
    #expect(owner.bytes == 0 && connection.keptBytes == 0)
    #expect(owner.longLines <= 0)
  }
}

struct MemoryPressureConnectionTests {
  private static let little = Connection.littleBytes

  @Test func `a line that is little is let come, and with one byte more it is refused`() throws {
    let line = try BufferedLine()
    line.owner.hasMemoryPressure = true
    line.sendPart(Self.little - 1)
    line.sendPart(1)
    #expect(line.owner.refusals == [] && line.owner.bytes >= Self.little)
    line.sendPart(1)
    #expect(line.owner.refusals == [.memoryLimit] && line.owner.bytes == 0)
    // The rest of it is discarded, with one answer for all of it, and the next line is read.
    line.sendPart(100_000)
    #expect(line.owner.refusals == [.memoryLimit] && line.owner.bytes == 0)
    line.send(Array("end\nPING\n".utf8))
    #expect(line.owner.lineLengths == [4])
    line.sendPart(Self.little)
    line.send([10])
    #expect(line.owner.lineLengths == [4, Self.little])
    #expect(line.receive() == 3 * 3)
    line.end()
  }

  @Test func `a line that has come before is kept, and refused when it grows`() throws {
    let line = try BufferedLine()
    line.sendPart(50_000)
    line.owner.hasMemoryPressure = true
    #expect(line.owner.bytes >= 50_000)
    line.send(Array("\n".utf8))
    #expect(line.owner.lineLengths == [50_000] && line.owner.bytes == 0)
    line.owner.hasMemoryPressure = false
    line.sendPart(50_000)
    line.owner.hasMemoryPressure = true
    line.sendPart(1)
    #expect(line.owner.refusals == [.memoryLimit] && line.owner.bytes == 0)
    line.end()
  }

  @Test func `a long line that is refused gives its place back`() throws {
    var settings = Settings()
    settings.lineBytesMax = 8_192
    let line = try BufferedLine(settings)
    line.send(Array("IMPORT ".utf8))
    line.sendPart(10_000)
    #expect(line.owner.longLines == 1)
    line.owner.hasMemoryPressure = true
    line.sendPart(1)
    #expect(line.owner.refusals == [.memoryLimit] && line.owner.longLines == 0)
    line.send([10])
    line.owner.hasMemoryPressure = false
    line.owner.longLines = 1
    line.send(Array("IMPORT ".utf8))
    line.sendPart(10_000)
    #expect(line.owner.refusals == [.memoryLimit, .longLines] && line.owner.bytes == 0)
    line.send(Array("\nPING\n".utf8))
    #expect(line.owner.lineLengths == [4])
    line.owner.longLines = 0
    line.end()
  }

  @Test func `a large line is given away, and what is behind it waits until it was read`() throws {
    var settings = Settings()
    settings.lineBytesMax = 8_192
    let line = try BufferedLine(settings)
    let length = Connection.largeLineBytes
    line.send(Array("IMPORT ".utf8))
    line.sendPart(length - 7)
    line.send(Array("\n".utf8))
    #expect(line.owner.lineLengths == [length] && line.owner.large.isEmpty)
    line.send(Array("IMPORT ".utf8))
    line.sendPart(length - 6)
    #expect(line.owner.longLines == 1 && line.owner.bytes > length)
    line.send(Array("\nPING\nPI".utf8))
    #expect(line.owner.large.map(\.count) == [length + 1])
    #expect(line.owner.lineLengths == [length], "a request overtook the one before it")
    #expect(line.owner.longLines == 1, "its place is free before it was read")
    #expect(line.owner.bytes < 1_024, "it is counted twice")
    line.connection.largeLineRead()
    #expect(line.owner.longLines == 0)
    line.owner.answer(line.connection, 0)
    line.owner.endTurn(line.connection)
    #expect(line.owner.lineLengths == [length, 4])
    line.send(Array("NG\n".utf8))
    #expect(line.owner.lineLengths == [length, 4, 4] && line.owner.bytes == 0)
    line.end()
  }

  @Test func `a connection that ends gives the place of its large line back, once`() throws {
    var settings = Settings()
    settings.lineBytesMax = 8_192
    let line = try BufferedLine(settings)
    line.send(Array("IMPORT ".utf8))
    line.sendPart(Connection.largeLineBytes)
    line.send(Array("\n".utf8))
    #expect(line.owner.large.count == 1 && line.owner.longLines == 1)
    line.connection.abort(.broken)
    #expect(line.owner.longLines == 0 && line.owner.bytes == 0)
    line.connection.largeLineRead()
    #expect(line.owner.longLines == 0 && line.owner.closedWith == .broken)
  }

  @Test func `a connection with many unread bytes is not read from until it has read`() throws {
    let line = try BufferedLine()
    line.owner.hasMemoryPressure = true
    line.owner.replyBytes = 400_000
    line.send(Array("A\nB\n".utf8))
    #expect(line.owner.lineLengths.count == 1)
    #expect(line.owner.readingPauses == 1 && line.owner.bytes > 100_000)
    line.send(Array("C\n".utf8))
    #expect(line.owner.lineLengths.count == 1)
    while line.owner.lineLengths.count == 1 { try #require(line.receive() > 0, "it stands still") }
    #expect(line.owner.lineLengths.count == 2)
    line.owner.hasMemoryPressure = false
    line.receive()
    line.connection.fileReady(.read)
    #expect(line.owner.lineLengths.count == 3)
    line.end()
  }

  @Test func `a connection under backpressure goes on when there is room again`() throws {
    let line = try BufferedLine()
    line.owner.answers = false
    line.owner.hasMemoryPressure = true
    line.owner.replyBytes = Self.little - 1
    line.send(Array("A\nB\nC\n".utf8))
    // Behind the first, which waits, the caller cannot read the others.
    line.owner.answer(line.connection, 1)
    line.owner.endTurn(line.connection)
    line.send(Array("D\n".utf8))
    #expect(line.owner.lineLengths.count == 4 && line.owner.readingPauses == 0)
    line.owner.replyBytes = 2
    line.owner.answer(line.connection, 1)
    line.owner.endTurn(line.connection)
    line.send(Array("E\n".utf8))
    #expect(line.owner.lineLengths.count == 4 && line.owner.readingPauses == 1)
    line.connection.reconsider()
    line.owner.endTurn(line.connection)
    #expect(line.owner.readingPauses == 1)
    line.owner.hasMemoryPressure = false
    line.connection.reconsider()
    line.owner.endTurn(line.connection)
    line.connection.fileReady(.read)
    #expect(line.owner.lineLengths.count == 5)
    line.end()
  }

  @Test func `sent bytes are not buffered for a caller that is always behind`() throws {
    let line = try BufferedLine()
    line.owner.replyBytes = 50_000
    var (received, most) = (0, 0)
    for _ in 0..<400 {
      line.send(Array("A\n".utf8))
      // More than the kernel takes always stays unread.
      while line.owner.lineLengths.count * 50_000 - received > 700_000 {
        let count = line.receive(20_000)
        try #require(count > 0)
        received += count
      }
      most = max(most, line.connection.keptBytes)
    }
    #expect(line.owner.lineLengths.count == 400 && received > 10_000_000)
    #expect(most < 2 << 20, "\(most) bytes were kept")
    line.end()
  }

  @Test func `all buffered bytes are counted, and none are left in the end`() throws {
    var random = Seeded("what is kept for a caller")
    for _ in 0..<50 {
      var settings = Settings()
      settings.replyBytesMax = 100_000
      settings.pipelineMax = 20
      let line = try BufferedLine(settings)
      for _ in 0..<60 {
        line.owner.hasMemoryPressure = Int.random(in: 0..<4, using: &random) == 0
        line.owner.answers = Bool.random(using: &random)
        line.owner.replyBytes = Int.random(in: 2...20_000, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: line.sendPart(Int.random(in: 1...8_000, using: &random))
        case 1: line.send(Array(repeating: Array("PING\n".utf8), count: 10).flatMap { $0 })
        case 2: line.receive(Int.random(in: 1...50_000, using: &random))
        case 3: line.connection.reconsider()
        default:
          guard let index = line.owner.asked.indices.randomElement(using: &random) else { break }
          line.owner.answer(line.connection, index)
        }
        line.owner.endTurn(line.connection)
        #expect(line.owner.bytes == line.connection.keptBytes && line.owner.bytes >= 0)
      }
      line.end()
    }
  }
}
