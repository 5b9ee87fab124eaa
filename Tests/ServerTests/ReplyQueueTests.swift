// Owns: the tests of the order of replies, and of connections' numbers.

import Glibc
import Loop
import Service
import TestSupport
import Testing
import Wire

@testable import Metrics
@testable import Server
@testable import Settings
@testable import Store

struct ReplyQueueTests {
  private func answer(_ queue: inout ReplyQueue, _ slot: UInt64, _ out: inout [UInt8]) -> Int {
    // Every other one without its end, which it gets there.
    let isWhole = slot.isMultiple(of: 2)
    let line = Array("reply \(slot)\(isWhole ? "\n" : "")".utf8)
    return line.withUnsafeBufferPointer {
      queue.answer(slot, $0, isWhole: isWhole, into: &out)
    }
  }

  @Test func `answers in turn go out at once`() {
    var (queue, out) = (ReplyQueue(), [UInt8]())
    for slot in 0..<3 as Range<UInt64> {
      #expect(queue.ask() == slot)
      #expect(answer(&queue, slot, &out) == 1)
      #expect(queue.earlyBytes == 0)
    }
    #expect(String(decoding: out, as: UTF8.self) == "reply 0\nreply 1\nreply 2\n")
  }

  @Test func `whatever the order of the answers, they go out in that of the requests`() {
    var random = Seeded("replies in any order")
    for _ in 0..<500 {
      var (queue, out) = (ReplyQueue(), [UInt8]())
      let total = UInt64.random(in: 1...40, using: &random)
      var (waiting, asked, sent, early) = ([UInt64](), UInt64(0), 0, Set<UInt64>())
      while asked < total || !waiting.isEmpty {
        if asked < total, waiting.isEmpty || Bool.random(using: &random) {
          waiting.append(queue.ask())
          asked += 1
          continue
        }
        let slot = waiting.remove(at: Int.random(in: waiting.indices, using: &random))
        early.insert(slot)
        let before = sent
        while early.remove(UInt64(sent)) != nil { sent += 1 }
        #expect(answer(&queue, slot, &out) == sent - before)
        #expect(queue.earlyBytes == early.reduce(0) { $0 + "reply \($1)\n".utf8.count })
      }
      let wanted = (0..<total).map { "reply \($0)\n" }.joined()
      #expect(String(decoding: out, as: UTF8.self) == wanted)
      #expect(queue.earlyBytes == 0)
    }
  }

  @Test func `an answer without a request, and a second one, are bugs and trap`() async {
    await #expect(processExitsWith: .failure) {
      var (queue, out) = (ReplyQueue(), [UInt8]())
      [10].withUnsafeBufferPointer { _ = queue.answer(0, $0, into: &out) }
    }
    await #expect(processExitsWith: .failure) {
      var (queue, out) = (ReplyQueue(), [UInt8]())
      let slot = queue.ask()
      for _ in 0..<2 { [10].withUnsafeBufferPointer { _ = queue.answer(slot, $0, into: &out) } }
    }
  }
}

struct ConnectionTableTests {
  /// Serves no requests; only the numbers matter here.
  private final class Owner: ConnectionOwner {
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
    var closedCount = 0
    deinit { readBuffer.deallocate() }
    func mayFollow(_ run: StepRun, _ line: UnsafeBufferPointer<UInt8>) -> Bool { true }
    func lineReceived(_ connection: Connection, _ line: UnsafeBufferPointer<UInt8>) {}
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
    func resumeLater(_ connection: Connection) {}
    func yields(_ connection: Connection) {}
    func handedOver(_ connection: Connection) {}
    func outputSent(_ connection: Connection) {}
    func inputEnded(_ connection: Connection) {}
    func lingers(_ connection: Connection) {}
    func closed(_ connection: Connection, _ reason: CloseReason) { closedCount += 1 }
    func takeBuffer() -> [UInt8] { [] }
    func giveBack(_ buffer: inout [UInt8]) { buffer = [] }
  }

  private let loop: EventLoop
  private let owner = Owner()

  init() throws { loop = try EventLoop() }

  /// Puts a connection into the table and gives its number.
  private func insert(_ table: inout ConnectionTable) throws -> ConnectionID {
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    try systemCall("socketpair") { socketpair(AF_UNIX, kind, 0, &ends) }
    close(ends[1])
    var made: ConnectionID?
    table.insert { id in
      made = id
      return Connection(
        id, Loop.Socket(adopting: ends[0]), loop: loop, owner: owner,
        limits: Settings())
    }
    return try #require(made)
  }

  /// Closes a connection, as the loop does, and takes it off the table.
  private func remove(_ id: ConnectionID, _ table: inout ConnectionTable) {
    table[id]?.abort(.ended)
    table.remove(id)
  }

  @Test func `each connection is found by its number`() throws {
    var table = ConnectionTable()
    let ids = try (0..<5).map { _ in try insert(&table) }
    #expect(Set(ids).count == 5 && table.count == 5)
    for id in ids { #expect(table[id]?.id == id) }
    #expect(table.all.map(\.id) == ids)
    for id in ids { remove(id, &table) }
    #expect(table.count == 0 && table.all.isEmpty && owner.closedCount == 5)
  }

  @Test func `a place that is used again has another generation, and the old number finds none`()
    throws
  {
    var table = ConnectionTable()
    let first = try insert(&table)
    remove(first, &table)
    #expect(table[first] == nil)
    let second = try insert(&table)
    #expect(second.place == first.place && second.generation != first.generation)
    #expect(table[first] == nil)
    #expect(table[second]?.id == second)
    // A late removal of the first one does not take the second one away.
    table.remove(first)
    table.remove(first)
    #expect(table[second]?.id == second && table.count == 1)
    remove(second, &table)
    remove(second, &table)
    #expect(table.count == 0)
  }

  @Test func `the table has the open connections, whatever comes and goes`() throws {
    var random = Seeded("connections that come and go")
    var table = ConnectionTable()
    var (here, gone) = (Set<ConnectionID>(), [ConnectionID]())
    for _ in 0..<500 {
      if here.count < 20, Bool.random(using: &random) {
        #expect(here.insert(try insert(&table)).inserted)
      } else if let id = here.randomElement(using: &random) {
        here.remove(id)
        remove(id, &table)
        gone.append(id)
      }
      #expect(table.count == here.count)
      #expect(Set(table.all.map(\.id)) == here)
    }
    #expect(gone.allSatisfy { table[$0] == nil })
    #expect(Set(gone).count == gone.count)
    for id in here { remove(id, &table) }
  }

  @Test(arguments: [(0, 0), (1, 0), (0, 1), (7, 9), (.max, .max)] as [(UInt32, UInt32)])
  func `a number survives being packed`(place: UInt32, generation: UInt32) {
    let id = ConnectionID(place: place, generation: generation)
    #expect(ConnectionID(packed: id.packed) == id)
  }
}
