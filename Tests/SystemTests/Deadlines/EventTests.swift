// Owns: the tests of reading events: of one device, with waiting, and by groups of consumers; and
// of the figures of STATS and REPORT.

import Foundation
import Testing

/// Makes `count` events of a device, one after another: its lock is passed back and forth.
private func passOn(_ device: String, times count: Int, _ client: LineClient) throws {
  let lines = (0..<count).map { number in
    let (from, to) = number % 2 == 0 ? ("a", "b") : ("b", "a")
    return "HANDOFF \(device) \(from) \(to) ttl=1h {\"n\":\(number)}\n"
  }
  let first = try client.request("LOCK \(device) a ttl=1h")
  expect(first, "OK")
  let replies = try client.exchange(
    Array(lines.joined().utf8), lines: count, within: .seconds(10))
  #expect(replies.allSatisfy { $0.hasPrefix("OK") }, "\(Set(replies).prefix(3))")
}

extension SystemSuites.Deadlines {
  @Suite(.lab(.init(extra: TestCluster.notifying), workers: [[], []])) struct EventReads {
    @Test func `a device's events come oldest first, from any worker, in pages`() throws {
      let lab = try Lab.current
      let (device, other) = (Lab.device(), Lab.device())
      let clients = [try lab.connect(0), try lab.connect(1)]
      #expect(try clients[0].eventLog(of: [device]).isEmpty)
      try passOn(device, times: 25, clients[0])
      try passOn(other, times: 3, clients[1])
      let events = try EventRecord.all(in: clients[1].request("EVENTS \(device)"))
      #expect(events.count == 25)
      #expect(events.allSatisfy { $0.device == device && $0.type == "lock.handed_off" })
      #expect(events.map(\.place) == events.map(\.place).sorted())
      #expect(events.map(\.at) == events.map(\.at).sorted())
      var pages: [EventRecord] = []
      while true {
        let after = pages.last.map { " after=\($0.id)" } ?? ""
        let page = try EventRecord.all(
          in: clients[pages.count / 4 % 2].request("EVENTS \(device) limit=4\(after)"))
        pages += page
        if page.count < 4 { break }
      }
      #expect(pages == events)
      let raw = try clients[0].request("EVENTS \(device) limit=1").raw
      #expect(raw.contains(#""to":"b","note":{"n":0}}"#), "\(raw)")
    }

    @Test func `an id of no event of the device is refused`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      try passOn(device, times: 1, client)
      let id = try #require(try client.eventLog(of: [device]).first?.id)
      let elsewhere = (id.hasPrefix("000") ? "001" : "000") + id.dropFirst(3)
      for after in ["x", "1-2", "zzz-1-2", "0000-1-2", "\(id)-1", elsewhere, "-1-1-1"] {
        expectBadRequest(try client.request("EVENTS \(device) after=\(after)"), naming: "after")
      }
      for request in ["EVENTS \(device) group=g", "EVENTS \(device) types=lock.seized", "EVENTS *"]
      {
        expectBadRequest(try client.request(request))
      }
      expectBadRequest(try client.request("EVENTS * group=g types=lock.eaten"), naming: "types")
      expectBadRequest(try client.request("EVENTS * group=g after=\(id)"), naming: "after")
      expectBadRequest(try client.request("EVENTS \(device) limit=0"), naming: "limit")
      expectBadRequest(try client.request("EVENTS \(device) limit=1001"), naming: "limit")
    }

    @Test func `wait parks a caller until something comes, from whichever worker`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let waiter = try lab.connect(0)
      let start = ContinuousClock.now
      #expect(try waiter.request("EVENTS \(device) wait=100ms").raw == #"OK {"events":[]}"#)
      #expect(elapsedMs(since: start) >= 100)
      let early = waitersNow(lab)
      try waiter.sendLine("EVENTS \(device) wait=10s")
      try eventually("a parked caller") { waitersNow(lab) == early + 1 }
      let before = ContinuousClock.now
      try passOn(device, times: 1, lab.connect(1))
      let events = try EventRecord.all(in: waiter.reply())
      #expect(events.count == 1 && events.first?.device == device)
      #expect(elapsedMs(since: before) < 1_000)
      // Events that are there already are returned at once.
      let again = ContinuousClock.now
      #expect(try EventRecord.all(in: waiter.request("EVENTS \(device) wait=10s")) == events)
      #expect(elapsedMs(since: again) < 1_000)
    }

    @Test(arguments: ["EVENTS DEVICE wait=300ms", "EVENTS * group=GROUP wait=300ms"])
    func `what is sent behind a request that waits begins after its reply`(request: String) throws {
      let lab = try Lab.current
      let (device, behind, group) = (Lab.device(), Lab.device(), Lab.device("group"))
      let (waiter, other) = (try lab.connect(0), try lab.connect(0))
      // The group has had all that there is.
      while try !EventRecord.all(in: other.request("EVENTS * group=\(group) limit=1000")).isEmpty {}
      let text = request.replacing("DEVICE", with: device).replacing("GROUP", with: group)
      let before = try other.request("LOCK \(device) a").int("acquired_at")
      let start = ContinuousClock.now
      try waiter.sendLine("\(text)\nLOCK \(behind) a\n\(text)\nLOCK \(behind) b")
      let replies = try waiter.replies(4)
      #expect(elapsedMs(since: start) >= 600, "the second one's time began before its turn")
      #expect(replies.map(\.word) == ["OK", "OK", "OK", "HELD"])
      #expect(try replies[1].int("acquired_at") >= before + 300, "it did not wait")
      #expect(replies[0].raw == #"OK {"events":[]}"# && replies[2].raw == replies[0].raw)
    }

    @Test func `a waiting caller that goes away is noticed, with requests behind the wait`() throws
    {
      let lab = try Lab.current
      let (device, behind) = (Lab.device(), Lab.device())
      let client = try lab.connect(0)
      let early = waitersNow(lab)
      try client.sendLine("EVENTS \(device) wait=1h\nLOCK \(behind) a")
      try eventually("a parked caller") { waitersNow(lab) == early + 1 }
      client.socket.reset()
      try eventually("no parked caller") { waitersNow(lab) == early }
      #expect(try lab.connect(0).request("HOLDER \(behind)").raw == "NONE")
    }

    /// The log of a device that has an event.
    private func log(of device: String, _ client: LineClient) throws -> String {
      let id = try #require(try client.eventLog(of: [device]).last?.id)
      return "lk:{\(id.prefix(3))}:events"
    }

    @Test func `entries that are no events hold up no group, no wait and no watch`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      let (device, client, watcher) = (Lab.device(), try lab.connect(), try lab.connect())
      try passOn(device, times: 1, client)
      let log = try log(of: device, client)
      #expect(try watcher.request("WATCH *").raw == "OK")
      // More than the tail reads at once.
      for _ in 0..<100 { try lab.redis.command("XADD", log, "*", "foo", "bar") }
      let after = try #require(try client.eventLog(of: [device]).last?.id)
      try client.sendLine("EVENTS \(device) after=\(after) wait=10s")
      try eventually("a parked caller") { waitersNow(lab) == 1 }
      try passOn(Lab.device(), times: 1, lab.connect())
      expect(try lab.connect().request("CLEAR \(device)"), "OK")
      #expect(try EventRecord.all(in: client.reply()).map(\.type) == ["lock.cleared"])
      let seen = try (0..<2).map { _ in try watcher.reply().raw }
      #expect(seen.contains { $0.contains("lock.handed_off") }, "\(seen)")
      #expect(seen.contains { $0.contains("lock.cleared") }, "\(seen)")
      let taken = try EventRecord.all(in: client.request("EVENTS * group=g limit=1000"))
      #expect(taken.count == 3)
      #expect(try lab.worker.metric("latchkey_corrupt_values_total") >= 200)
    }

    @Test func `corrupt events are lines of valid JSON`() throws {
      let lab = try Lab(workers: [[]])
      defer { lab.stop() }
      let (device, client, watcher) = (Lab.device(), try lab.connect(), try lab.connect())
      try passOn(device, times: 1, client)
      let log = try log(of: device, client)
      #expect(try watcher.request("WATCH *").raw == "OK")
      try lab.redis.command("XADD", log, "*", "t", "x\"y", "d", device, "b", "garb")
      let fake = "gar\nEVENT {\"fake\":1"
      try lab.redis.command("XADD", log, "*", "t", "lock.cleared", "d", device, "b", fake)
      let damaged = [#""damaged":["type","record"]"#, #""damaged":["record"]"#]
      let pushed = try (0..<2).map { _ in try watcher.reply().raw }
      for text in damaged { #expect(pushed.contains { $0.contains(text) }, "\(pushed)") }
      #expect(try watcher.request("PING").raw == "OK", "another line came")
      for request in ["EVENTS \(device)", "EVENTS * group=g"] {
        let reply = try client.request(request)
        guard case .array(let events) = try reply.json()["events"] else {
          throw Failure("\(reply)")
        }
        #expect(events.count == 3)
        for text in damaged { #expect(reply.raw.contains(text), "\(reply)") }
      }
    }

    private func waitersNow(_ lab: Lab) -> Double {
      (try? lab.worker.metric("latchkey_event_waiters")) ?? -1
    }

    @Test func `waiting reads do not poll Redis`() throws {
      let lab = try Lab.current
      let redis = try RedisClient(path: lab.redis.path)
      /// How many reads of event logs there were. All commands would be the wrong measure: the
      /// figures of the namespace, which /metrics shows, are counted meanwhile.
      func reads() throws -> Int {
        let text = try redis.command("INFO", "commandstats").string ?? ""
        let prefix = "cmdstat_xrange:calls="
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(prefix) }
        return Int(line?.dropFirst(prefix.count).prefix { $0.isNumber } ?? "") ?? 0
      }
      /// How many reads there are while as many heartbeats pass as a second has.
      func inASecond() throws -> Int {
        let before = try reads()
        try TestCluster.awaitDeadlines(1_000)
        return try reads() - before
      }
      let idle = try inASecond()
      let readsBefore = try reads()
      let clients = try (0..<500).map { number in
        let client = try lab.connect()
        try client.sendLine("EVENTS \(Lab.device())-\(number) wait=20s")
        return client
      }
      let alreadyParked = Double(clients.count)
      try eventually("500 callers whose first read has found nothing") {
        try waitersNow(lab) >= alreadyParked && reads() >= readsBefore + clients.count
      }
      let parked = try inASecond()
      // Not even one a second for each of them.
      #expect(parked < idle + 300, "\(idle) reads a second, \(parked) with 500 that wait")
      for client in clients { client.socket.reset() }
      try eventually("no parked reads") { waitersNow(lab) == 0 }
    }
  }

  @Suite(.lab(.init(extra: TestCluster.notifying), workers: [[], []])) struct Figures {
    /// Every way for a lock to end, a known number of times.
    @Test func `STATS and REPORT count every change`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let devices = (0..<6).map { _ in Lab.device() }
      let before = try client.request("STATS").json()["locks"]
      #expect(before?["acquired"] == .int(0))
      var held = 0
      for (index, device) in devices.enumerated() {
        let ttl = index == 0 ? "50ms" : "1h"
        expect(try client.request("LOCK \(device) alice ttl=\(ttl)"), "OK")
      }
      held += try client.request("UNLOCK \(devices[1]) alice").int("held_ms")
      expect(try client.request("HANDOFF \(devices[2]) alice bob ttl=1h"), "OK")
      expect(try client.request("SEIZE \(devices[3]) bob ttl=1h"), "OK")
      held += try client.request("CLEAR \(devices[4])").int("held_ms")
      try eventually("the abandoned lock") { try client.eventLog(of: [devices[0]]).count == 1 }
      held += try client.eventLog(of: [devices[0], devices[2], devices[3]]).reduce(0) {
        $0 + $1.heldMs
      }
      for worker in 0..<2 {
        let locks = try lab.connect(worker).request("STATS").json()["locks"]
        let wanted: [String: JSON] = [
          "held": .int(3), "by_agent": .object(["alice": .int(1), "bob": .int(2)]),
          "acquired": .int(6), "released": .int(1), "abandoned": .int(1), "handed_off": .int(1),
          "seized": .int(1), "cleared": .int(1),
        ]
        for (name, value) in wanted { #expect(locks?[name] == value, "\(name)") }
        let mean = Double(locks?["held_ms_mean"]?.int ?? -1)
        #expect(abs(mean - Double(held) / 5) <= 1, "\(mean) of \(held)")
      }
      let alice = try client.request("REPORT agent=alice").json()
      #expect(alice["held"] == .int(1) && alice["abandoned"] == .int(1))
      #expect(alice["ended"] == .int(5))
      #expect((alice["held_ms_longest"]?.int ?? 0) >= 50)
      let bob = try client.request("REPORT agent=bob").json()
      #expect(bob["held"] == .int(2) && bob["ended"] == .int(0) && bob["abandoned"] == .int(0))
      let unknown = try client.request("REPORT agent=unknown").json()
      #expect(unknown["held"] == .int(0) && unknown["held_ms_mean"] == .int(0))
    }
  }
}
