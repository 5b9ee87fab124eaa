// Owns: the tests of the thread that reads large lines.

import Loop
import RedisConnection
import Synchronization
import Testing
import Wire

@testable import Server
@testable import Service
@testable import Settings

struct LineReaderTests {
  /// A reader whose results are read here.
  private final class Desk: Sendable {
    let results: Mailbox<ReadLine>
    let reader: LineReader
    let thread: LoopThread

    init(_ settings: Settings = Settings()) throws {
      let results = try Mailbox<ReadLine>()
      self.results = results
      reader = try LineReader(settings, nil) { results.post($0) }
      thread = try reader.start(index: 0)
    }

    func read(_ text: String, slot: UInt64, lateByMs: Int64 = -60_000) {
      let ticket = Ticket(client: 1, slot: slot, verb: 99, arrivedNs: 0)
      reader.read(
        LargeLine(
          ticket: ticket, bytes: Array(text.utf8),
          beginsByMs: MonotonicTime.nowMs() - lateByMs))
    }

    /// The next results, so many.
    func take(_ count: Int) -> [ReadLine] {
      var taken: [ReadLine] = []
      while taken.count < count { taken += results.awaitLetters() }
      return taken
    }
  }

  private func verb(_ line: ReadLine) -> String { VerbTable.all[line.ticket.verb].name }

  @Test func `lines are read in the order in which they came`() throws {
    let desk = try Desk()
    for slot in 0..<100 { desk.read("PUTS \(slot)", slot: UInt64(slot)) }
    let read = desk.take(100)
    #expect(read.map(\.ticket.slot) == Array(0..<100))
    for line in read {
      #expect(throws: RequestError.self) { try line.outcome.get() }
      #expect(line.ticket.verb == 99, "an unknown verb keeps its row")
    }
    desk.reader.stop()
    desk.thread.join()
  }

  @Test func `a request comes back whole, with its verb, its words and its fingerprint`() throws {
    let desk = try Desk()
    desk.read("SAY \"d\\u0031\" req=r1 {\"a\":1}", slot: 1)
    desk.read("SAY d1 {\"a\":1}", slot: 2)
    desk.read("SAY d1 {\"a\":1", slot: 3)
    desk.read("SAY d1 frob=1 {\"a\":1}", slot: 4)
    let read = desk.take(4)
    let first = try read[0].outcome.get()
    #expect(verb(read[0]) == "SAY")
    let text = first.arguments.decoded
    #expect(String(decoding: text[first.arguments.words[0].token.range], as: UTF8.self) == "d1")
    #expect(first.fingerprint?.count == 32 && first.payload == nil)
    #expect(try read[1].outcome.get().fingerprint == nil)
    #expect(throws: RequestError.self) { try read[2].outcome.get() }
    #expect(read[2].ticket.verb == 99, "the verb before it is not taken for its own")
    #expect(throws: RequestError.self) { try read[3].outcome.get() }
    #expect(verb(read[3]) == "SAY")
    desk.reader.stop()
    desk.thread.join()
  }

  @Test func `an import is read into its record, and refused at the first part too many`() throws {
    var settings = Settings()
    (settings.messagesMax, settings.fieldsMax) = (2, 1)
    let desk = try Desk(settings)
    func export(fields: String = "", messages: Int) -> String {
      let list = (1...messages).map { "{\"seq\":\($0),\"at\":1,\"message\":{}}" }
      return "IMPORT {\"format\":1,\"device\":\"d\",\"session\":\"01K0000000000000000000000A\","
        + "\"state\":\"active\",\"thread\":null,\"rev\":1,\"clocks\":[1000,1000,1000,0,1000,0],"
        + "\"created_at\":1,\"active_at\":1,\"born_at\":1,\"since\":1,\"chat\":1,"
        + "\"fields\":{\(fields)},\"chats\":[{\"seq\":\(messages),"
        + "\"messages\":[\(list.joined(separator: ","))]}]}"
    }
    let removed = (0...10_001).map { "\"f\($0)\":[1]" }.joined(separator: ",")
    desk.read(export(messages: 2), slot: 1)
    desk.read(export(messages: 3), slot: 2)
    desk.read(export(fields: removed, messages: 1), slot: 3)
    desk.read(export(fields: "\"a\":[1,2,{}]", messages: 1), slot: 4)
    let read = desk.take(4)
    let record = try #require(try read[0].outcome.get().payload as? ExportedRecord)
    #expect(record.device == "d" && !record.messages.bytes.isEmpty)
    #expect(record.text.isEmpty, "the line is gone by the time that the record is used")
    for (line, code) in zip(read[1...], [ErrorCode.quota, .quota, .badRequest]) {
      let error = #expect(throws: RequestError.self) { try line.outcome.get() }
      #expect(error?.code == code, "\(error?.text ?? "")")
      #expect(verb(line) == "IMPORT")
    }
    desk.reader.stop()
    desk.thread.join()
  }

  @Test func `a line that has waited for too long is refused without being read`() throws {
    let desk = try Desk()
    desk.read("SAY d1 {\"a\":1}", slot: 1)
    desk.read("SAY d1 {\"a\":1}", slot: 2, lateByMs: 1)
    let read = desk.take(2)
    #expect(throws: Never.self) { try read[0].outcome.get() }
    let error = #expect(throws: RequestError.self) { try read[1].outcome.get() }
    #expect(error?.code == .overloaded && read[1].ticket.verb == 99)
    desk.reader.stop()
    desk.thread.join()
  }

  @Test func `it ends when it is stopped, with lines that it has not read`() throws {
    let desk = try Desk()
    let long = "SAY d1 {\"a\":\"\(String(repeating: "x", count: 1 << 20))\"}"
    for slot in 0..<50 { desk.read(long, slot: UInt64(slot)) }
    desk.reader.stop()
    desk.thread.join()
  }
}
