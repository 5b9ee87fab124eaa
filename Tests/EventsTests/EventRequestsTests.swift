// Owns: the tests of how a loop finds its EVENTS requests: each way leads to those concerned, and
// none goes through all of them.

import Testing

@testable import Events
@testable import RedisConnection
@testable import Scripts
@testable import SessionModel
@testable import Store

struct EventRequestsTests {
  private func request(
    client: UInt64, device: String? = nil, group: String = "g", waitMs: Int64 = 1_000,
    nowMs: Int64 = 0
  ) -> EventRequest {
    let ticket = Ticket(client: client, slot: 0, verb: 0, arrivedNs: 0)
    guard let device else {
      let query = GroupQuery(
        name: group, ackTimeoutMs: 60_000, limit: 100, types: nil, groupKeepMs: 600_000)
      return EventRequest(
        ticket: ticket, query: .group(query), wait: EventWait(takes: true, waitMs: waitMs),
        holdsCaller: false)
    }
    let bytes = Array(device.utf8)
    let partition = bytes.withUnsafeBufferPointer { Partition(of: $0) }
    var wait = EventWait(takes: false, waitMs: waitMs)
    _ = wait.turnCame(nowMs: nowMs)
    return EventRequest(
      ticket: ticket,
      query: .device(DeviceQuery(device: bytes, partition: partition, after: .zero, limit: 100)),
      wait: wait, holdsCaller: false)
  }

  /// Ends a request as when its connection is closed.
  private func close(_ number: UInt64, _ requests: inout EventRequests) {
    _ = requests.change(number) { $0.wait.closed() }
  }

  @Test func `an event finds the requests of its device, and a loss those of its partition`() {
    var requests = EventRequests()
    let first = requests.add(request(client: 1, device: "a"))
    let second = requests.add(request(client: 2, device: "a"))
    let other = requests.add(request(client: 3, device: "b"))
    let group = requests.add(request(client: 4, group: "g"))
    #expect(Set(requests.numbers(concerning: [Array("a".utf8)])) == [first, second])
    #expect(requests.numbers(concerning: [Array("c".utf8)]).isEmpty)
    #expect(Set(requests.numbers(concerning: PartitionSet.all)) == [first, second, other])
    let lost = PartitionSet([Partition(of: "b")])
    #expect(requests.numbers(concerning: lost) == [other])
    #expect(requests.waitingForDevices == 3)
    close(first, &requests)
    close(group, &requests)
    #expect(requests.numbers(concerning: [Array("a".utf8)]) == [second])
    #expect(requests.numbers(concerning: [Array("b".utf8)]) == [other])
  }

  @Test func `a connection finds its requests in their order, until they end`() {
    var requests = EventRequests()
    let numbers = (0..<5).map { _ in requests.add(request(client: 7, device: "a")) }
    #expect(requests.numbers(of: ConnectionID(packed: 7)) == numbers)
    close(numbers[2], &requests)
    #expect(
      requests.numbers(of: ConnectionID(packed: 7))
        == [numbers[0], numbers[1], numbers[3], numbers[4]])
    for number in numbers { close(number, &requests) }
    #expect(requests.numbers(of: ConnectionID(packed: 7)) == [])
    #expect(requests.isEmpty && requests.waiting == 0)
  }

  @Test func `the deadlines come in their order, each once`() {
    var requests = EventRequests()
    // A request that has just begun is due a millisecond after its wait.
    let late = requests.add(request(client: 1, device: "a", waitMs: 300))
    let soon = requests.add(request(client: 2, device: "a", waitMs: 100))
    let gone = requests.add(request(client: 3, device: "a", waitMs: 50))
    close(gone, &requests)
    #expect(requests.takeDue(nowMs: 100) == nil)
    #expect(requests.takeDue(nowMs: 101) == soon)
    #expect(requests.takeDue(nowMs: 101) == nil)
    #expect(requests.nextDeadlineMs == 301)
    #expect(requests.takeDue(nowMs: 400) == late)
    #expect(requests.takeDue(nowMs: 400) == nil)
  }

  @Test func `a deadline that has moved is found where it is now`() {
    var requests = EventRequests()
    let number = requests.add(request(client: 1, device: "a", waitMs: 10_000))
    _ = requests.change(number) { $0.wait.inputEnded(nowMs: 0) }
    #expect(requests.nextDeadlineMs == 10_001)
    _ = requests.change(number) { $0.wait.cutShort(nowMs: 5) }
    #expect(requests.takeDue(nowMs: 20_000) == nil, "it asks Redis now")
  }

  @Test func `10,000 requests that leave together keep no entry behind them`() {
    var requests = EventRequests()
    let numbers = (0..<10_000).map { index in
      requests.add(
        request(client: UInt64(index), device: "d\(index)", waitMs: Int64(1_000 + index)))
    }
    #expect(requests.waiting == 10_000 && requests.deadlineEntries == 10_000)
    for (index, number) in numbers.enumerated() {
      close(number, &requests)
      // Twice as many as there are requests at most, or the heap would be made anew for each.
      #expect(requests.deadlineEntries <= 2 * (10_000 - index) + 64)
    }
    #expect(requests.isEmpty && requests.waiting == 0)
    #expect(requests.takeDue(nowMs: .max) == nil && requests.deadlineEntries == 0)
  }
}
