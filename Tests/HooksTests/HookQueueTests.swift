// Owns: the tests of the queue of a hook: the order of a device, retries, bounds, what is given
// back.

import SessionModel
import Testing

@testable import Hooks

struct HookQueueTests {
  private static func event(_ device: String, _ number: UInt64, at partition: Int? = nil)
    -> HookEvent
  {
    let bytes = Array(device.utf8)
    let own = bytes.withUnsafeBufferPointer { Partition(of: $0) }
    let place = partition.map { Partition(index: $0) } ?? own
    return HookEvent(
      id: EventID(partition: place, entry: StreamID(ms: 1_000 + number, number: 0)),
      device: bytes, type: Array("lock.abandoned".utf8), json: Array("{}".utf8))
  }

  private func sent(
    _ queue: inout HookQueue, where isSure: (Partition) -> Bool = { _ in true }
  ) -> [HookEvent] {
    var events: [HookEvent] = []
    while let event = queue.next(where: isSure) { events.append(event) }
    return events
  }

  private func take(_ event: HookEvent, _ queue: inout HookQueue) -> Bool { queue.take(event) }

  @Test func `one event of a device is under way at a time, and they go in their order`() {
    var queue = HookQueue(underWayMax: 10)
    let events = [Self.event("a", 2), Self.event("b", 1), Self.event("a", 1)]
    for event in events { #expect(take(event, &queue)) }
    #expect(!take(events[0], &queue), "it is known")
    #expect(sent(&queue) == [events[2], events[1]])
    queue.delivered(events[2])
    #expect(sent(&queue) == [events[0]])
    queue.delivered(events[0])
    queue.delivered(events[1])
    #expect(queue.isEmpty && queue.underWay == 0 && queue.bytes == 0)
    #expect(!take(events[0], &queue), "it is not acknowledged yet")
    queue.settled([events[0].id])
    #expect(take(events[0], &queue))
  }

  @Test func `events of a partition that is not surely held wait, and others go on`() {
    var queue = HookQueue(underWayMax: 4)
    let (one, two, three) = (
      Self.event("a", 1, at: 1), Self.event("b", 2, at: 2), Self.event("c", 3, at: 1)
    )
    for event in [one, two, three] { queue.take(event) }
    let isSecond = { (partition: Partition) in partition.index == 2 }
    #expect(sent(&queue, where: isSecond) == [two])
    #expect(sent(&queue, where: isSecond) == [])
    #expect(sent(&queue) == [three, one] && queue.underWay == 3)
  }

  @Test func `as many are under way as may be`() {
    var queue = HookQueue(underWayMax: 3)
    for number in 0..<5 { queue.take(Self.event("d\(number)", 1)) }
    let first = sent(&queue)
    #expect(first.count == 3)
    queue.delivered(first[1])
    #expect(sent(&queue).count == 1)
  }

  @Test func `a device that fails waits, and the others go on`() {
    var queue = HookQueue(underWayMax: 4)
    let (bad, next, good) = (Self.event("a", 1), Self.event("a", 2), Self.event("b", 1))
    for event in [bad, next, good] { queue.take(event) }
    #expect(sent(&queue) == [bad, good])
    var attempts: [Int] = []
    queue.failed(bad, nowMs: 0) {
      attempts.append($0)
      return 1_000
    }
    queue.delivered(good)
    #expect(sent(&queue) == [])
    #expect(queue.dueAtMs == 1_000)
    queue.timePassed(nowMs: 999)
    #expect(sent(&queue) == [])
    queue.timePassed(nowMs: 1_000)
    #expect(sent(&queue) == [bad])
    queue.failed(bad, nowMs: 1_000) {
      attempts.append($0)
      return 2_000
    }
    #expect(attempts == [1, 2] && queue.dueAtMs == 3_000)
    queue.timePassed(nowMs: 3_000)
    #expect(sent(&queue) == [bad])
    queue.delivered(bad)
    #expect(sent(&queue) == [next])
    // The next one begins with the first delay.
    queue.failed(next, nowMs: 3_000) {
      attempts.append($0)
      return 1
    }
    #expect(attempts == [1, 2, 1])
  }

  @Test func `a receiver that is down gets one attempt at a time, and all when it is up`() {
    var queue = HookQueue(underWayMax: 20)
    let events = (0..<20).map { Self.event("d\($0)", 1) }
    for event in events { queue.take(event) }
    #expect(sent(&queue).count == 20)
    for event in events { queue.failed(event, nowMs: 0) { _ in 1_000 } }
    #expect(queue.isDown)
    queue.timePassed(nowMs: 1_000)
    let probe = sent(&queue)
    #expect(probe.count == 1)
    queue.failed(probe[0], nowMs: 1_000) { _ in 60_000 }
    let second = sent(&queue)
    #expect(second.count == 1 && second != probe)
    queue.delivered(second[0])
    #expect(!queue.isDown)
    #expect(sent(&queue).count == 19, "the one that was to wait for a minute is due, too")
  }

  @Test func `one poisonous event is not sent again with each delivery`() {
    var queue = HookQueue(underWayMax: 4)
    let bad = Self.event("bad", 1)
    queue.take(bad)
    #expect(sent(&queue) == [bad])
    queue.failed(bad, nowMs: 0) { _ in 60_000 }
    for number in 1..<20 {
      let good = Self.event("good", UInt64(number))
      queue.take(good)
      #expect(sent(&queue) == [good])
      queue.delivered(good)
    }
    #expect(queue.dueAtMs == 60_000)
  }

  @Test func `what is not under way is given back with its partition`() {
    var queue = HookQueue(underWayMax: 2)
    let (one, other) = (Self.event("a", 1), Self.event("a", 2))
    let failed = Self.event("b", 1)
    for event in [one, other, failed] { queue.take(event) }
    #expect(sent(&queue) == [one, failed])
    queue.failed(failed, nowMs: 0) { _ in 1 }
    let released = queue.release { _ in true }
    #expect(Set(released) == [other.id, failed.id])
    #expect(queue.count == 1 && queue.heldIDs == [one.id])
    queue.gaveUp(one)
    #expect(queue.isEmpty && queue.bytes == 0 && queue.underWay == 0)
    #expect(take(one, &queue), "it may come back")
    #expect(take(failed, &queue))
  }

  @Test func `it reads no more at its bounds`() {
    var queue = HookQueue(underWayMax: 1)
    let partition = Partition(index: 7)
    for number in 0..<HookQueue.eventsMax {
      #expect(queue.room == HookQueue.eventsMax - number)
      #expect(queue.hasRoom(in: partition) == (number < HookQueue.partitionEventsMax))
      queue.take(Self.event("d", UInt64(number), at: 7))
    }
    #expect(queue.room == 0)
    var large = HookQueue(underWayMax: 1)
    let bytes = [UInt8](repeating: 32, count: HookQueue.bytesMax)
    large.take(HookEvent(id: Self.event("a", 1).id, device: [97], type: [], json: bytes))
    #expect(large.room == 0)
  }

  @Test func `a loss is in a line of its own, and not the oldest event`() {
    var queue = HookQueue(underWayMax: 4)
    let partition = Partition(index: 3)
    let loss = HookEvent(
      id: EventID(partition: partition, entry: .zero), device: [], type: [], json: [])
    #expect(take(loss, &queue))
    #expect(!take(loss, &queue))
    #expect(queue.oldestMs == nil)
    queue.take(Self.event("a", 5))
    #expect(queue.oldestMs == 1_005)
    #expect(sent(&queue).count == 2)
  }

  @Test func `what is not wanted any more goes, but for what is under way`() {
    var queue = HookQueue(underWayMax: 2)
    let (first, second, third) = (Self.event("a", 1), Self.event("a", 2), Self.event("a", 3))
    let (failed, behind, last) = (Self.event("b", 1), Self.event("b", 2), Self.event("c", 1))
    for event in [first, second, third, failed, behind, last] { queue.take(event) }
    #expect(sent(&queue) == [first, failed])
    queue.failed(failed, nowMs: 0) { _ in 1_000 }
    let gone = queue.drop { [first, second, failed, last].contains($0) }
    #expect(Set(gone) == Set([second.id, failed.id, last.id]))
    #expect(queue.count == 3 && queue.dueAtMs == nil && !take(second, &queue))
    #expect(sent(&queue) == [behind], "what the failed one kept back is due")
    queue.delivered(first)
    #expect(sent(&queue) == [third])
    queue.delivered(third)
    queue.delivered(behind)
    #expect(queue.isEmpty && queue.bytes == 0 && queue.underWay == 0)
    queue.settled([second.id])
    #expect(take(second, &queue))
  }
}
