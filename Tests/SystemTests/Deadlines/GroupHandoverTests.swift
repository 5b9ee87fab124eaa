// Owns: the tests of a group's events that a worker has read and its caller does not get: the next
// consumer gets them, soon and in order.

import Foundation
import Testing

/// Makes events, all of one type: locks that are handed from `a` to `a` with a number as the note.
private final class Maker {
  private let client: LineClient
  private var numbers: [String: Int] = [:]

  /// Takes the locks; that gives no events.
  init(_ client: LineClient, devices: [String]) throws {
    self.client = client
    for device in devices { expect(try client.request("LOCK \(device) a ttl=1h"), "OK") }
  }

  /// One event of each of these devices.
  func make(_ devices: [String]) throws {
    let lines = devices.map { device in
      numbers[device, default: 0] += 1
      return "HANDOFF \(device) a a ttl=1h {\"n\":\(numbers[device, default: 0])}\n"
    }
    let replies = try client.exchange(
      Array(lines.joined().utf8), lines: lines.count, within: .seconds(20))
    guard replies.allSatisfy({ $0.hasPrefix("OK") }) else {
      throw Failure("no events: \(Set(replies).prefix(3))")
    }
  }
}

/// The deliveries of a group to a consumer.
private struct Received: Sendable {
  var events: [EventRecord] = []
  /// How long after it became true each came, in ms.
  var latenessMs: [Int] = []
  /// Those whose acknowledgement was in flight when a worker was killed: they may come twice.
  var underWay: Set<String> = []

  mutating func take(_ more: [EventRecord]) {
    let now = nowUnixMs()
    events += more
    latenessMs += more.map { now - $0.at }
  }

  /// Expects each event once and those of a device in the order of their log.
  func expectOrder(_ count: Int) {
    var seen: Set<String> = []
    var doubles: Set<String> = []
    let once = events.filter { event in
      let isFirst = seen.insert(event.id).inserted
      if !isFirst { doubles.insert(event.id) }
      return isFirst
    }
    #expect(once.count == count, "events are missing")
    #expect(doubles.isSubset(of: underWay), "events came twice: \(doubles.subtracting(underWay))")
    var latest: [String: EventRecord.Place] = [:]
    for event in once {
      if let before = latest[event.device], before >= event.place {
        Issue.record("\(event.id) came after \(before)")
      }
      latest[event.device] = event.place
    }
  }
}

extension SystemSuites.Deadlines {
  @Suite struct GroupHandovers {
    private func acknowledge(_ events: [EventRecord], _ client: LineClient) throws {
      let ids = events.map(\.id).joined(separator: " ")
      #expect(try client.request("ACK g \(ids)").isOK)
    }

    /// A worker whose link to Redis a test bends, one beside it, and a maker of events on that.
    private final class Bent {
      let redis: RedisServer
      let fake: FakeRedis
      let bent: WorkerProcess
      let straight: WorkerProcess
      let maker: Maker
      let device = Lab.device()

      init(_ options: [String] = []) throws {
        redis = try RedisServer()
        fake = try FakeRedis(before: redis)
        bent = try WorkerProcess(["--redis", fake.url] + options)
        straight = try WorkerProcess(on: redis)
        maker = try Maker(straight.connect(), devices: [device])
      }

      func stop() {
        for worker in [bent, straight] { worker.kill() }
        fake.stop()
        redis.stop()
      }

      /// From now on this becomes of replies with events of a group.
      func play(_ answer: FakeRedis.Answer) {
        fake.play { reply in
          // The page, two numbers, and two more for each event.
          guard case .array(let items) = reply, items.count > 3,
            case .array(let page)? = items.first, case .text("events")? = page.first
          else { return .pass }
          return answer
        }
      }

      /// The numbers of the events that a consumer on the other worker gets next.
      func next(within ms: Double, count: Int) throws -> [EventRecord] {
        let (client, start) = (try straight.connect(), ContinuousClock.now)
        var events: [EventRecord] = []
        while events.count < count {
          events += try EventRecord.all(in: client.request("EVENTS * group=g wait=4s"))
          guard elapsedMs(since: start) < ms else {
            throw Failure("\(events.count) of \(count) events within \(ms) ms")
          }
        }
        #expect(events.map(\.place) == events.map(\.place).sorted())
        return events
      }
    }

    @Test func `events that come while a wait begins come at once, in order and once`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      let (count, devices) = (5_000, (0..<10).map { _ in Lab.device() })
      // The first events of a new group do not count as late.
      #expect(try lab.connect().request("EVENTS * group=g").isOK)
      let consumer = Background { [worker = lab.worker] in
        var received = Received()
        let client = try worker.connect()
        while received.events.count < count {
          let events = try EventRecord.all(
            in: client.request("EVENTS * group=g limit=1000 wait=500ms"))
          received.take(events)
          if !events.isEmpty { try acknowledge(events, client) }
        }
        return received
      }
      let maker = try Maker(lab.connect(), devices: devices)
      // Few at a time, so that many waits begin.
      for _ in 0..<(count / devices.count) { try maker.make(devices) }
      let received = try consumer.join()
      received.expectOrder(count)
      #expect((received.latenessMs.max() ?? 0) < 2_000)
      #expect(try lab.worker.metric("latchkey_group_events_given_total") == Double(count))
      #expect(try lab.worker.metric("latchkey_group_lag_seconds_count") == Double(count))
    }

    @Test func `events that were read for a closed connection go to the next consumer at once`()
      throws
    {
      let bench = try Bent()
      defer { bench.stop() }
      let gone = try bench.bent.connect()
      try gone.sendLine("EVENTS * group=g wait=20s")
      try eventually("a caller that waits") {
        try bench.bent.metric("latchkey_event_waiters") == 1.0
      }
      bench.play(.hold(.milliseconds(400)))
      try bench.maker.make([bench.device, bench.device])
      // It closes while the reply of Redis is in flight.
      try eventually("events that a worker holds") { try held(bench.redis) > 0 }
      gone.socket.reset()
      let events = try bench.next(within: 2_500, count: 2)
      #expect(events.count == 2)
      #expect(try bench.bent.metric("latchkey_group_events_returned_total") > 0.0)
    }

    /// How many events workers hold of the group `g`.
    private func held(_ redis: RedisServer) throws -> Int {
      let client = try RedisClient(path: redis.path)
      return try (0..<256).reduce(0) { count, index in
        let log = "lk:{" + String(format: "%03x", index) + "}:events"
        guard case .array(let consumers) = try client.command("XINFO", "CONSUMERS", log, "g") else {
          return count
        }
        return try count
          + consumers.reduce(0) { sum, consumer in
            guard case .array(let items) = consumer, items.count > 3, let name = items[1].string,
              case .integer(let pending) = items[3]
            else { throw Failure("\(consumer)") }
            return name == "given" || name == "returned" ? sum : sum + pending
          }
      }
    }

    @Test func `events whose worker fell silent go to the next consumer within 5 s`() throws {
      let bench = try Bent()
      defer { bench.stop() }
      let caller = try bench.bent.connect()
      try bench.maker.make([bench.device, bench.device, bench.device])
      bench.play(.swallow)
      let reply = try caller.request("EVENTS * group=g")
      expect(reply, "ERR", "unknown_outcome")
      try bench.maker.make([bench.device])
      #expect(try bench.next(within: 5_000, count: 4).count == 4)
    }

    @Test func `events that a killed worker had read and not written come within 5 s, in order`()
      throws
    {
      let bench = try Bent()
      defer { bench.stop() }
      let doomed = try bench.bent.connect()
      try bench.maker.make([bench.device, bench.device])
      bench.play(.swallow)
      try doomed.sendLine("EVENTS * group=g")
      try eventually("events that a worker holds") { try held(bench.redis) == 2 }
      bench.bent.kill()
      try bench.maker.make([bench.device])
      let received = try bench.next(within: 5_000, count: 3)
      #expect(Set(received.map(\.id)).count == 3)
    }

    @Test func `a wait ends when its caller closes its side, and takes nothing any more`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      let (device, leaving, next) = (Lab.device(), try lab.connect(), try lab.connect())
      let maker = try Maker(lab.connect(), devices: [device])
      try leaving.sendLine("EVENTS * group=g wait=20s")
      try eventually("a caller that waits") {
        try lab.worker.metric("latchkey_event_waiters") == 1.0
      }
      leaving.socket.halfClose()
      #expect(try leaving.reply().raw == "OK {\"events\":[]}")
      #expect(leaving.isClosed())
      try maker.make([device])
      #expect(try EventRecord.all(in: next.request("EVENTS * group=g wait=1s")).count == 1)
      // A request that is there in full is answered all the same.
      try maker.make([device])
      let whole = try lab.connect()
      try whole.sendLine("EVENTS * group=g")
      whole.socket.halfClose()
      #expect(try EventRecord.all(in: whole.reply()).count == 1)
    }

    @Test func `written events stay with their caller, even if it closes`() throws {
      let lab = try Lab(workers: [["--ack-timeout", "2s"], []])
      defer { lab.stop() }
      let (device, first, next) = (Lab.device(), try lab.connect(), try lab.connect())
      let maker = try Maker(lab.connect(), devices: [device])
      try maker.make([device])
      let taken = try EventRecord.all(in: first.request("EVENTS * group=g"))
      #expect(taken.count == 1)
      let start = ContinuousClock.now
      first.socket.close()
      #expect(try EventRecord.all(in: next.request("EVENTS * group=g wait=1s")).isEmpty)
      #expect(try EventRecord.all(in: next.request("EVENTS * group=g wait=4s")) == taken)
      #expect(elapsedMs(since: start) > 1_500)
    }

    @Test func `a read of a group begins when the replies before it are with the caller`() throws {
      let bench = try Bent()
      defer { bench.stop() }
      let caller = try bench.bent.connect()
      try bench.maker.make([bench.device])
      // The log of the device never comes, until the time of that request is over.
      try caller.sendLine("EVENTS \(bench.device)-none wait=800ms")
      try caller.sendLine("EVENTS * group=g")
      #expect(try bench.next(within: 700, count: 1).count == 1)
      #expect(try caller.replies(2).map(\.raw) == Array(repeating: "OK {\"events\":[]}", count: 2))
    }

    @Test func `one consumer gets all in order while workers are killed, none later than 5 s`()
      throws
    {
      let environment = ProcessInfo.processInfo.environment
      let count = environment["LATCHKEY_TEST_EVENTS"].flatMap { Int($0) } ?? 4_000
      let cluster = try TestCluster(workers: 3)
      defer { cluster.stop() }
      let devices = (0..<20).map { _ in Lab.device() }
      let maker = try Maker(cluster[0].connect(), devices: devices)
      let isOver = Shared(false)
      let consumer = Background { [cluster] in
        try Self.consume(cluster, count) { isOver.value }
      }
      var kills = 0
      for round in 0..<(count / devices.count) {
        try maker.make(devices)
        // The maker's own worker stays; the consumer is on any of the others.
        if round % 40 == 20 {
          cluster.kill(1)
          kills += 1
          try cluster.addWorker()
        }
      }
      let received: Received
      do { received = try consumer.join(within: .seconds(60 + count / 100)) } catch {
        isOver.value = true
        throw error
      }
      #expect(kills > 3)
      received.expectOrder(count)
      #expect((received.latenessMs.max() ?? 0) < 5_000)
    }

    /// Reads and acknowledges until all are there, on whatever worker there is.
    private static func consume(
      _ cluster: TestCluster, _ count: Int, isOver: () -> Bool
    ) throws -> Received {
      var (received, seen) = (Received(), Set<String>())
      var unacknowledged: [EventRecord] = []
      var client: LineClient?
      while seen.count < count, !isOver() {
        do {
          let now = try client ?? cluster.all.dropFirst().randomElement()?.connect()
          client = now
          guard let now else { continue }
          if !unacknowledged.isEmpty {
            let ids = unacknowledged.map(\.id).joined(separator: " ")
            guard try now.request("ACK g \(ids)").isOK else { throw Failure("no ACK") }
            unacknowledged = []
          }
          let events = try EventRecord.all(
            in: now.request("EVENTS * group=g limit=500 wait=500ms"))
          received.take(events)
          seen.formUnion(events.map(\.id))
          unacknowledged = events
        } catch {
          // The worker was killed; another one serves.
          received.underWay.formUnion(unacknowledged.map(\.id))
          client = nil
        }
      }
      return received
    }
  }
}
