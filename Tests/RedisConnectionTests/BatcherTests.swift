// Owns: the tests of batching: requests share script calls, and keep their order.

import Scripts
import Testing

@testable import RedisConnection
import TestSupport

struct BatcherTests {
  /// A batcher and the sequence of each client's latest batch, as a loop keeps them.
  private struct Desk {
    var batcher: Batcher
    var latest: [UInt64: UInt64] = [:]
    var slots: [UInt64: UInt64] = [:]

    init(requestsMax: Int = 64) { batcher = Batcher(requestsMax: requestsMax) }

    @discardableResult
    mutating func ask(_ script: Script, _ client: UInt64, bytes: Int = 1) -> Batch {
      let batch = batcher.batch(for: script, after: latest[client] ?? 0)
      latest[client] = batch.sequence
      let slot = slots[client, default: 0]
      slots[client] = slot + 1
      let ticket = Ticket(client: client, slot: slot, verb: script.rawValue, arrivedNs: 0)
      batch.add(ticket, base: []) { $0.word([UInt8](repeating: 0, count: bytes)) }
      return batch
    }
  }

  /// The batches as text: `lock:1,2` for requests of clients 1 and 2.
  private func text(_ batches: [Batch]) -> [String] {
    batches.map { batch in
      batch.script.name + ":" + batch.tickets.map { "\($0.client)" }.joined(separator: ",")
    }
  }

  @Test func `requests of one kind share a call`() {
    var desk = Desk()
    #expect(desk.batcher.isEmpty)
    for client in 1...3 as ClosedRange<UInt64> { desk.ask(.lock, client) }
    #expect(!desk.batcher.isEmpty)
    #expect(text(desk.batcher.takeAll()) == ["lock:1,2,3"])
    #expect(desk.batcher.isEmpty)
  }

  @Test func `interleaved requests of several kinds still share calls`() {
    var desk = Desk()
    desk.ask(.lock, 1)
    desk.ask(.unlock, 2)
    desk.ask(.lock, 3)
    desk.ask(.unlock, 1)
    desk.ask(.unlock, 4)
    #expect(text(desk.batcher.takeAll()) == ["lock:1,3", "unlock:2,1,4"])
  }

  @Test func `a client's later request never joins an earlier call`() {
    var desk = Desk()
    desk.ask(.lock, 1)
    desk.ask(.unlock, 1)
    desk.ask(.lock, 1)
    desk.ask(.lock, 2)
    desk.ask(.holder, 2)
    desk.ask(.unlock, 2)
    #expect(
      text(desk.batcher.takeAll()) == ["lock:1,2", "unlock:1", "lock:1", "holder:2", "unlock:2"])
  }

  @Test func `a client's requests for one script share a call, in order`() {
    var desk = Desk()
    for _ in 0..<3 { desk.ask(.lock, 1) }
    let batches = desk.batcher.takeAll()
    #expect(text(batches) == ["lock:1,1,1"])
    #expect(batches[0].tickets.map(\.slot) == [0, 1, 2])
    #expect(batches[0].count == 3)
  }

  @Test func `a full call takes no more`() {
    var desk = Desk(requestsMax: 2)
    for client in 1...5 as ClosedRange<UInt64> { desk.ask(.lock, client) }
    #expect(text(desk.batcher.takeAll()) == ["lock:1,2", "lock:3,4", "lock:5"])
  }

  @Test func `a call of many bytes takes no more`() {
    var desk = Desk()
    desk.ask(.handoff, 1, bytes: 2 << 20)
    desk.ask(.handoff, 2)
    desk.ask(.handoff, 3)
    #expect(text(desk.batcher.takeAll()) == ["handoff:1", "handoff:2,3"])
  }

  @Test func `sequences grow, also over calls that were sent`() {
    var desk = Desk()
    var sequences: [UInt64] = []
    for _ in 0..<3 {
      sequences += [Script.lock, .unlock].map { desk.ask($0, 1).sequence }
      _ = desk.batcher.takeAll()
    }
    #expect(sequences == Array(Set(sequences)).sorted())
    #expect((sequences.first ?? 0) > 0)
    // A call that was sent is not open any more: the next request opens another one.
    #expect(!sequences.contains(desk.ask(.unlock, 1).sequence))
  }

  @Test func `the longer replies are, the fewer requests share a call`() {
    var desk = Desk()
    func calls(_ requests: Int) -> [Int] {
      for client in 1...UInt64(requests) { desk.ask(.history, client) }
      return desk.batcher.takeAll().map(\.count)
    }
    // Nothing is known of them yet.
    #expect(calls(10) == [4, 4, 2])
    let one = desk.ask(.history, 1)
    desk.batcher.answered(one, replyBytes: 1 << 19)
    _ = desk.batcher.takeAll()
    #expect(calls(5) == [2, 2, 1])
    desk.batcher.answered(one, replyBytes: 9 << 20)
    #expect(calls(2) == [1, 1])
    // Another script's requests have nothing to do with it.
    for client in 1...64 as ClosedRange<UInt64> { desk.ask(.touch, client) }
    #expect(desk.batcher.takeAll().map(\.count) == [64])
    for _ in 0..<100 { desk.batcher.answered(one, replyBytes: 100) }
    #expect(calls(100) == [64, 36])
  }

  @Test func `calls with long replies go one by one, and others together`() {
    var desk = Desk()
    let one = desk.ask(.history, 1)
    desk.batcher.answered(one, replyBytes: 3 << 18)
    _ = desk.batcher.takeAll()
    for client in 1...3 as ClosedRange<UInt64> { desk.ask(.history, client) }
    for client in 1...2 as ClosedRange<UInt64> { desk.ask(.touch, client) }
    desk.ask(.history, 4)
    #expect(text(desk.batcher.takeSome()) == ["history:1"])
    #expect(text(desk.batcher.takeSome()) == ["history:2"])
    #expect(text(desk.batcher.takeSome()) == ["history:3", "touch:1,2"])
    #expect(text(desk.batcher.takeSome()) == ["history:4"])
    #expect(desk.batcher.takeSome().isEmpty && desk.batcher.isEmpty)
  }

  @Test func `a call that is used again is empty and has a new place`() {
    var desk = Desk()
    let used = desk.ask(.lock, 1, bytes: 10)
    let old = used.sequence
    #expect(desk.batcher.takeAll().count == 1)
    desk.batcher.recycle(used)
    #expect(used.count == 0)
    let next = desk.ask(.unlock, 2)
    #expect(next.sequence > old && next.count == 1 && next.script == .unlock)
    #expect(next.arguments.bytes == Array("$1\r\n\0\r\n".utf8))
  }

  @Test func `whatever is asked, each client's requests run in its order`() {
    var random = Seeded("requests of many clients in turns")
    for _ in 0..<300 {
      let clients = UInt64.random(in: 1...8, using: &random)
      let requestsMax = Int.random(in: 1...6, using: &random)
      let scripts = Script.allCases.shuffled(using: &random).prefix(4)
      var desk = Desk(requestsMax: requestsMax)
      var sent: [Batch] = []
      for _ in 0..<Int.random(in: 1...200, using: &random) {
        let client = UInt64.random(in: 1...clients, using: &random)
        desk.ask(scripts.randomElement(using: &random) ?? .lock, client)
        if Int.random(in: 0..<20, using: &random) == 0 { sent += desk.batcher.takeAll() }
      }
      sent += desk.batcher.takeAll()
      check(sent, desk, requestsMax)
    }
  }

  /// Runs the calls in their order, as Redis does.
  private func check(_ sent: [Batch], _ desk: Desk, _ requestsMax: Int) {
    #expect(zip(sent, sent.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
    var next: [UInt64: UInt64] = [:]
    for batch in sent {
      #expect((1...requestsMax).contains(batch.count))
      for ticket in batch.tickets {
        #expect(ticket.verb == batch.script.rawValue)
        #expect(ticket.slot == next[ticket.client, default: 0], "client \(ticket.client)")
        next[ticket.client] = ticket.slot + 1
      }
    }
    #expect(next == desk.slots)
  }
}
