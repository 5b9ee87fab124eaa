// Owns: the tests of WATCH: live events on a connection, between other replies, through faults.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite(.lab(.init(extra: TestCluster.notifying), workers: [[], []])) struct Watches {
    @Test func `a watch shows its device's events, whichever worker made them`() throws {
      let lab = try Lab.current
      let (mine, other) = (Lab.device(), Lab.device())
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      #expect(try watcher.request("WATCH \(mine)").raw == "OK")
      for device in [other, mine] {
        expect(try maker.request("LOCK \(device) a ttl=1h"), "OK")
        expect(try maker.request("HANDOFF \(device) a b ttl=30ms"), "OK")
      }
      let events = try (0..<2).map { _ in try EventRecord.line(watcher.reply()) }
      #expect(events.map(\.type) == ["lock.handed_off", "lock.abandoned"])
      #expect(events.allSatisfy { $0.device == mine })
      #expect(try maker.eventLog(of: [mine]) == events)
      // Replies and events share the connection; nothing of the other device has come between.
      #expect(try watcher.request("PING").raw == "OK")
    }

    @Test func `a watch of all shows all, and only the types that it asks for`() throws {
      let lab = try Lab.current
      let devices = (0..<3).map { _ in Lab.device() }
      let (all, some, maker) = (try lab.connect(0), try lab.connect(1), try lab.connect(0))
      #expect(try all.request("WATCH *").raw == "OK")
      #expect(try some.request("WATCH * types=lock.seized,lock.cleared").raw == "OK")
      for device in devices {
        for request in ["LOCK \(device) a", "HANDOFF \(device) a b", "SEIZE \(device) c"] {
          expect(try maker.request(request), "OK")
        }
        expect(try maker.request("CLEAR \(device)"), "OK")
      }
      let shown = try events(9, of: devices, all)
      #expect(Set(shown.map(\.device)) == Set(devices))
      let chosen = try events(6, of: devices, some)
      #expect(Set(chosen.map(\.type)) == ["lock.seized", "lock.cleared"])
      let wanted = shown.filter { $0.type != "lock.handed_off" }.map(\.id)
      #expect(Set(chosen.map(\.id)) == Set(wanted))
      expectBadRequest(try maker.request("WATCH * types=lock.eaten"), naming: "types")
      let twice = "types=lock.seized,lock.cleared,lock.seized"
      expectBadRequest(try maker.request("WATCH * \(twice)"), naming: "lock.seized twice")
      expectBadRequest(try maker.request("WATCH"), naming: "address")
    }

    /// The next events of these devices; other tests' locks may end at any time.
    private func events(
      _ count: Int, of devices: [String], _ client: LineClient
    ) throws -> [EventRecord] {
      var found: [EventRecord] = []
      while found.count < count {
        let event = try EventRecord.line(client.reply())
        if devices.contains(event.device) { found.append(event) }
      }
      return found
    }

    @Test func `UNWATCH ends all watches of the connection, and no event comes after it`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      #expect(try client.request("WATCH \(device)").raw == "OK")
      #expect(try client.request("WATCH * types=lock.cleared").raw == "OK")
      #expect(try client.request("UNWATCH").raw == "OK")
      #expect(try client.request("UNWATCH").raw == "OK")
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("CLEAR \(device)"), "OK")
      let other = try Lab.current.connect(1)
      #expect(try other.request("EVENTS \(device) wait=5s").raw.contains("lock.cleared"))
      #expect(try client.readLine(within: .milliseconds(100)) == nil)
      // Pipelined: answered in order, the watch that has not begun yet too.
      try client.sendLine("WATCH \(device)\nUNWATCH\nPING\nWATCH \(device)\nHOLDER \(device)")
      #expect(try client.replies(5).map(\.raw) == ["OK", "OK", "OK", "OK", "NONE"])
    }

    @Test func `a watch shows each event once, in the log's order, under a chaos workload`() throws
    {
      let cluster = try TestCluster(workers: 2, appendOnly: true)
      defer { cluster.stop() }
      let isOver = Shared(false)
      defer { isOver.value = true }
      let watchers = try (0..<2).map { index in
        try Watcher("WATCH *", until: isOver) { try cluster.connect(index) }
      }
      let workload = cluster.workload(.devices(12), "watching while Redis restarts and cuts links")
      try workload.awaitDone(150)
      cluster.redis.kill()
      try TestCluster.awaitDeadlines(workload.plan.ttlMs.upperBound)
      try cluster.redis.start()
      for _ in 0..<3 {
        try workload.awaitDone(80)
        for type in ["normal", "pubsub"] {
          try cluster.redis.command("CLIENT", "KILL", "TYPE", type)
        }
      }
      try workload.awaitDone(80)
      let calls = try workload.stop()
      try cluster.awaitSilence()
      let events = try cluster.connect().eventLog(of: workload.plan.devices)
      TestCluster.judge(calls, events)
      let byDevice = Dictionary(grouping: events, by: \.device)
      for watcher in watchers {
        try eventually("a watcher that has seen it all") { watcher.count >= events.count }
      }
      isOver.value = true
      for watcher in watchers {
        let seen = Dictionary(grouping: try watcher.events(), by: \.device)
        #expect(seen.keys.sorted() == byDevice.keys.sorted())
        for (device, log) in byDevice { #expect(seen[device] == log, "\(device)") }
      }
    }
  }

  /// A thread that reads the lines of a watch.
  private final class Watcher: Sendable {
    private let seen = Shared<[String]>([])
    private let thread: Background<Void>

    /// Comes back when nothing can be missed any more.
    init(
      _ request: String, until isOver: Shared<Bool>,
      _ connect: @escaping @Sendable () throws -> LineClient
    ) throws {
      let hasBegun = Shared(false)
      thread = Background { [seen] in
        let client = try connect()
        expect(try client.request(request), "OK")
        hasBegun.value = true
        while !isOver.value {
          if let line = try client.readLine(within: .milliseconds(50)) {
            seen.update { $0.append(line) }
          }
        }
      }
      try eventually("the watch's begin") { hasBegun.value }
    }

    var count: Int { seen.update { $0.count } }

    func events() throws -> [EventRecord] {
      try thread.join()
      return try seen.value.map { try EventRecord.line(Reply(raw: $0)) }
    }
  }

  @Suite struct SlowWatchers {
    @Test func `a watcher that never reads is cut off, and the others get every event`() throws {
      let lab = try Lab(.init(extra: TestCluster.notifying))
      defer { lab.stop() }
      let isOver = Shared(false)
      defer { isOver.value = true }
      let sleeper = try lab.connect()
      #expect(try sleeper.request("WATCH *").raw == "OK")
      let watcher = try Watcher("WATCH * types=lock.handed_off", until: isOver) {
        try lab.connect()
      }
      let maker = try lab.connect()
      let device = Lab.device()
      expect(try maker.request("LOCK \(device) a ttl=1h"), "OK")
      let note = "{\"note\":\"" + String(repeating: "x", count: 16_000) + "\"}"
      var made = 0
      var slowestMs = 0.0
      let cut = "latchkey_connections_closed_total"
      // The kernel buffers several megabytes for a reader that sleeps.
      try eventually("the end of the watcher that sleeps", within: .seconds(30), every: 0) {
        for _ in 0..<50 {
          let (from, to) = made % 2 == 0 ? ("a", "b") : ("b", "a")
          let start = ContinuousClock.now
          expect(try maker.request("HANDOFF \(device) \(from) \(to) ttl=1h \(note)"), "OK")
          slowestMs = max(slowestMs, elapsedMs(since: start))
          made += 1
        }
        return try lab.worker.metric(cut, "reason=\"slow\"") == 1
      }
      #expect(slowestMs < 500)
      try eventually("the watcher that reads to have it all") { watcher.count == made }
      isOver.value = true
      #expect(try watcher.events().count == made)
      #expect(lab.worker.residentKiB < 400_000)
      // It gets the end of the stream after the lines that were under way.
      let deadline = Deadline(within: .seconds(10))
      while try sleeper.readLine(within: .seconds(5)) != nil { try #require(!deadline.isOver) }
      #expect(try maker.request("PING").raw == "OK")
    }
  }
}
