// Owns: the tests of groups of consumers: each event goes to one of them, and to another one only
// if it is not acknowledged.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite(
    .lab(
      .init(extra: TestCluster.notifying),
      workers: [["--ack-timeout", "1s"], ["--ack-timeout", "1s"]])
  )
  struct Groups {
    private static let count = Shared(0)

    /// A group that no other test uses, which has had all events so far.
    private func freshGroup(_ client: LineClient) throws -> String {
      let number = Self.count.update { count in
        count += 1
        return count
      }
      let group = "group\(number)"
      while true {
        let events = try take(group, client, "limit=1000")
        if events.isEmpty { return group }
        expect(try client.request(ack(group, events)), "OK")
      }
    }

    private func take(
      _ group: String, _ client: LineClient, _ more: String = ""
    ) throws -> [EventRecord] {
      let words = ["EVENTS *", "group=\(group)", more].filter { !$0.isEmpty }
      return try EventRecord.all(in: client.request(words.joined(separator: " ")))
    }

    private func ack(_ group: String, _ events: [EventRecord]) -> String {
      "ACK \(group) " + events.map(\.id).joined(separator: " ")
    }

    /// Makes events: locks of 10 ms that are taken and abandoned.
    ///
    /// Returns when all events are in the log.
    private func abandon(_ count: Int, _ client: LineClient) throws -> Set<String> {
      let devices = (0..<count).map { _ in Lab.device("left") }
      for device in devices { expect(try client.request("LOCK \(device) a ttl=10ms"), "OK") }
      try eventually("the events") { try client.eventLog(of: devices).count == count }
      return Set(devices)
    }

    @Test func `an event that is not acknowledged goes to a consumer that waits meanwhile`() throws
    {
      let lab = try Lab.current
      let client = try lab.connect()
      let group = try freshGroup(client)
      let waiting = try lab.connect(1)
      let devices = try abandon(1, client)
      #expect(Set(try take(group, client).map(\.device)) == devices)
      let events = try take(group, waiting, "wait=20s")
      #expect(Set(events.map(\.device)) == devices)
      expect(try waiting.request(ack(group, events)), "OK")
    }

    @Test func `each event goes to one consumer of the group`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let (group, other) = (try freshGroup(client), try freshGroup(client))
      let devices = try abandon(120, client)
      let taken = try inParallel(4) { index in
        let consumer = try lab.connect(index % 2)
        var mine: [EventRecord] = []
        // Each goes on until nothing has come for a while.
        while true {
          let events = try EventRecord.all(
            in: consumer.request("EVENTS * group=\(group) limit=7 wait=400ms"))
          if events.isEmpty { return mine }
          let ids = events.map(\.id).joined(separator: " ")
          #expect(try consumer.request("ACK \(group) \(ids)").int("acked") == events.count)
          mine += events
        }
      }
      let all = taken.flatMap { $0 }
      #expect(Set(all.map(\.device)) == devices)
      #expect(Set(all.map(\.id)).count == all.count, "an event went to two consumers")
      #expect(all.count == devices.count)
      // Acknowledged is acknowledged, also after the time-out; another group has its own place.
      try TestCluster.awaitDeadlines(1_100)
      #expect(try take(group, client).isEmpty)
      #expect(Set(try take(other, client, "limit=1000").map(\.device)) == devices)
    }

    @Test func `an event that is not acknowledged goes to another consumer, then no more`() throws {
      let lab = try Lab.current
      let (first, second) = (try lab.connect(0), try lab.connect(1))
      let group = try freshGroup(first)
      let devices = try abandon(5, first)
      var taken: [EventRecord] = []
      try eventually("five events") {
        taken += try take(group, first)
        return taken.count == 5
      }
      #expect(try take(group, second).isEmpty, "given to a second consumer too early")
      let start = ContinuousClock.now
      let kept = taken.removeLast()
      #expect(try first.request(ack(group, [kept])).int("acked") == 1)
      var again: [EventRecord] = []
      while again.count < 4 {
        again += try take(group, second, "wait=3s")
        try #require(elapsedMs(since: start) < 4_000, "\(again.count) of 4 came again")
      }
      #expect(elapsedMs(since: start) > 700)
      #expect(Set(again.map(\.id)) == Set(taken.map(\.id)))
      #expect(Set(again.map(\.device)).union([kept.device]) == devices)
      #expect(try second.request(ack(group, again)).int("acked") == 4)
      #expect(try second.request(ack(group, again)).int("acked") == 0)
      try TestCluster.awaitDeadlines(1_100)
      #expect(try take(group, first).isEmpty)
    }

    @Test func `of many consumers that wait an event wakes one, each in turn`() throws {
      let lab = try Lab(.init(extra: TestCluster.notifying), workers: [["--threads", "1"]])
      defer { lab.stop() }
      let maker = try lab.connect()
      let devices = (0..<40).map { _ in Lab.device() }
      for device in devices { expect(try maker.request("LOCK \(device) a"), "OK") }
      let consumers = try (0..<devices.count).map { _ in try lab.connect() }
      for consumer in consumers { try consumer.sendLine("EVENTS * group=g wait=20s") }
      try eventually("consumers that wait") {
        try lab.worker.metric("latchkey_event_waiters") == Double(consumers.count)
      }
      let redis = try RedisClient(path: lab.redis.path)
      func reads() throws -> Int {
        let stats = try redis.command("INFO", "commandstats").string ?? ""
        return stats.firstMatch(of: /cmdstat_xreadgroup:calls=(\d+)/).flatMap { Int($0.1) } ?? 0
      }
      // The group is made in all partitions by the first.
      try eventually("a group") { try reads() >= 256 }
      let before = try reads()
      for (device, consumer) in zip(devices, consumers) {
        expect(try maker.request("SEIZE \(device) b"), "OK")
        let events = try EventRecord.all(in: consumer.reply())
        #expect(events.map(\.device) == [device])
        expect(try consumer.request(ack("g", events)), "OK")
      }
      // One of the event's partition, and perhaps one more after its transfer; and one of all once
      // the tail follows the logs. If each event woke each consumer, there were over 800.
      let count = try reads() - before
      #expect(count <= 256 + 3 * devices.count)
    }

    @Test func `events of a killed consumer go to another`() throws {
      let lab = try Lab.current
      let client = try lab.connect(1)
      let group = try freshGroup(client)
      let worker = try WorkerProcess(on: lab.redis)
      defer { worker.kill() }
      let device = Lab.device()
      let doomed = try worker.connect()
      try doomed.sendLine("EVENTS * group=\(group) wait=20s")
      expect(try client.request("LOCK \(device) a ttl=10ms"), "OK")
      let taken = try EventRecord.all(in: doomed.reply())
      #expect(taken.map(\.device) == [device])
      worker.kill()
      let start = ContinuousClock.now
      #expect(try take(group, client, "wait=4s") == taken)
      // The worker may have been killed before Redis knew that the event was written.
      #expect(elapsedMs(since: start) < 5_000)
      expect(try client.request(ack(group, taken)), "OK")
    }

    @Test func `a group that asks for types gets only those`() throws {
      let client = try Lab.current.connect()
      let group = try freshGroup(client)
      let device = Lab.device()
      for request in [
        "LOCK DEV a ttl=1h", "HANDOFF DEV a b ttl=1h", "SEIZE DEV c ttl=1h", "CLEAR DEV",
      ] {
        expect(try client.request(request.replacingOccurrences(of: "DEV", with: device)), "OK")
      }
      let events = try take(group, client, "types=lock.seized,lock.cleared")
      #expect(events.map(\.type) == ["lock.seized", "lock.cleared"])
    }

    @Test func `an unknown group, and ids of nothing, acknowledge nothing`() throws {
      let client = try Lab.current.connect()
      let group = try freshGroup(client)
      #expect(try client.request("ACK unknown 000-1-1").int("acked") == 0)
      #expect(try client.request("ACK \(group) 000-1-1 0ff-2-2").int("acked") == 0)
      for id in ["x", "1-1", "zzz-1-1", "000-1", "100-1-1"] {
        expectBadRequest(try client.request("ACK \(group) \(id)"), naming: "id")
      }
      expectBadRequest(try client.request("ACK \(group)"), naming: "id")
    }
  }
}
