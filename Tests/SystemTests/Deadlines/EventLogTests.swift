// Owns: the tests of the event log's limits as callers see them, through two workers.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite(
    .lab(
      .init(),
      workers: [
        ["--events-max-bytes", "128KiB", "--events-max", "100"],
        ["--events-max-bytes", "128KiB", "--events-max", "100"],
      ])
  )
  struct EventLog {
    @Test func `a corrupt log of one partition keeps no other's events from readers`() throws {
      let lab = try Lab.current
      let (watching, client) = (try lab.connect(0), try lab.connect(1))
      let group = Lab.device("group")
      expect(try watching.request("WATCH * types=lock.cleared"), "OK")
      expect(try client.request("EVENTS * group=\(group)"), "OK")
      let device = Lab.device("bad")
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("CLEAR \(device)"), "OK")
      let event = try watching.reply()
      let whole = try #require(event.raw.firstMatch(of: /"id":"([0-9a-f]{3}-[0-9-]+)"/)?.1)
      let key = "lk:{\(whole.prefix(3))}:events"
      #expect(try !client.request("EVENTS \(device) after=\(whole)").raw.contains("lost"))
      try lab.redis.command("DEL", key)
      try lab.redis.command("SET", key, "x")
      #expect(
        try client.request("EVENTS \(device)").raw == #"OK {"events":null,"damaged":["events"]}"#)
      let good = (0..<100).map { "good\($0)-\(device)" }.first { name in
        (try? client.request("EVENTS \(name)").raw.contains("null")) == false
      }
      let sound = try #require(good)
      expect(try client.request("LOCK \(sound) a"), "OK")
      expect(try client.request("CLEAR \(sound)"), "OK")
      #expect(try watching.reply().raw.contains(sound))
      #expect(try client.request("EVENTS * group=\(group) wait=5s").raw.contains(sound))
      // What it could not take is not there once it is sound, and all readers get to know that.
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("CLEAR \(device)"), "OK")
      try lab.redis.command("DEL", key)
      #expect(
        try client.request("EVENTS \(device) after=\(whole)").raw
          == #"OK {"events":[],"lost":true}"#)
      let losses = try (0..<3).map { _ in
        try client.request("EVENTS * group=\(group)").raw.contains(#""lost":true"#)
      }
      #expect(losses == [true, false, false])
      // Workers look for it every five seconds.
      #expect(
        try watching.reply(within: .seconds(10)).raw == #"EVENT {"type":"events.lost"}"#)
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("CLEAR \(device)"), "OK")
      #expect(try watching.reply().raw.contains(device))
    }

    @Test func `a watch is notified of an event that no log took, though none comes after it`()
      throws
    {
      let lab = try Lab.current
      let watching = try lab.connect(0)
      expect(try watching.request("WATCH * types=lock.cleared"), "OK")
      // A script found the log corrupt, and it was removed before the worker saw that.
      let bases = (0..<256).map { "lk:{\(String(format: "%03x", $0))}" }
      let unused = try bases.first {
        try lab.redis.command("XLEN", "\($0):events") == .integer(0)
      }
      let seconds = try lab.redis.command("TIME").items.first?.string ?? ""
      try lab.redis.command(
        "HSET", "\(try #require(unused)):ledger", "log_gone", "\(seconds)999-9007199254740991")
      #expect(
        try watching.reply(within: .seconds(10)).raw == #"EVENT {"type":"events.lost"}"#)
    }

    @Test func `a watch is notified of what has gone before it was read, and no other is`() throws {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let devices = (0..<2).map { _ in Lab.device("watched") }
      let watchers = try (devices + ["*"]).map { what in
        let watcher = try lab.connect(0)
        expect(try watcher.request("WATCH \(what) types=lock.cleared"), "OK")
        return watcher
      }
      func make(_ device: String) throws -> String {
        expect(try maker.request("LOCK \(device) a"), "OK")
        expect(try maker.request("CLEAR \(device)"), "OK")
        return try #require(try maker.eventLog(of: [device]).last?.id)
      }
      for device in devices { _ = try make(device) }
      for (watcher, count) in zip(watchers, [1, 1, 2]) { _ = try watcher.replies(count) }
      try lab.workers[0].freeze()
      let id = try make(devices[0])
      // Another program removes the log, with what the frozen worker has not read.
      try lab.redis.command("DEL", "lk:{\(id.prefix(3))}:events")
      _ = try make(devices[0])
      lab.workers[0].thaw()
      for watcher in [watchers[0], watchers[2]] {
        let lines = try watcher.replies(2).map(\.raw)
        #expect(lines[0] == #"EVENT {"type":"events.lost"}"# && lines[1].contains(devices[0]))
      }
      _ = try make(devices[1])
      #expect(try watchers[1].reply().raw.contains(devices[1]))
      #expect(try watchers[2].reply().raw.contains(devices[1]))
    }

    @Test func `a device's events are found behind many others, with calls of others between`()
      throws
    {
      let lab = try Lab.current
      let client = try lab.connect()
      let device = Lab.device("rare")
      // The log waits for a group, so that nothing is trimmed meanwhile.
      expect(try client.request("EVENTS * group=\(Lab.device("group"))"), "OK")
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("SEIZE \(device) b"), "OK")
      let id = try #require(try client.eventLog(of: [device]).last?.id)
      let fill = """
        for n = 1, 1500 do
          redis.call('XADD', KEYS[1], '*', 't', 'lock.cleared', 'd', 'other', 'b', '"at":1')
        end
        """
      try lab.redis.command("EVAL", fill, "1", "lk:{\(id.prefix(3))}:events")
      try lab.redis.command("CONFIG", "RESETSTAT")
      #expect(
        try client.request("EVENTS \(device) after=\(id)").raw == #"OK {"events":[]}"#)
      let stats = try lab.redis.command("INFO", "commandstats").string ?? ""
      let calls = stats.firstMatch(of: /cmdstat_xrange:calls=(\d+)/).flatMap { Int($0.1) } ?? 0
      #expect(calls > 40, "\(calls)")
      expect(try client.request("SEIZE \(device) c"), "OK")
      let events = try EventRecord.all(in: client.request("EVENTS \(device)"))
      #expect(events.map(\.type) == ["lock.seized", "lock.seized"])
    }
  }
}

extension SystemSuites.Deadlines {
  /// With a log of its own: a group that begins later reads what these tests leave in it.
  @Suite(
    .lab(
      .init(),
      workers: [
        ["--events-max-bytes", "128KiB", "--events-max", "100"],
        ["--events-max-bytes", "128KiB", "--events-max", "100"],
      ])
  )
  struct FullEventLog {
    /// Passes a device's lock on so many times; returns the replies.
    private func pass(_ device: String, _ count: Int, _ client: LineClient) throws -> [Reply] {
      try (0..<count).map { try client.request("SEIZE \(device) a\($0 % 2)") }
    }

    @Test func `one device's events push no other's out, and it is refused at the bound`() throws {
      let lab = try Lab.current
      let (client, other) = (try lab.connect(0), try lab.connect(1))
      let group = Lab.device("group")
      let device = Lab.device("heavy")
      expect(try client.request("EVENTS * group=\(group)"), "OK")
      let replies = try pass(device, 1_500, client)
      let first = try #require(replies.first { $0.raw.hasPrefix("ERR") })
      #expect(first.raw.hasPrefix("ERR quota quota exceeded: "), "\(first)")
      #expect(try other.request("LOCK \(Lab.device()) a").raw.hasPrefix("OK"))
      // All that was written is there, on the other worker. What is pending takes memory too, so
      // that a page may not be large beside so small a log.
      var taken: [EventRecord] = []
      for _ in 0..<100 {
        let reply = try other.request("EVENTS * group=\(group) limit=50")
        #expect(!reply.raw.contains("\"lost\""))
        let events = try EventRecord.all(in: reply)
        if events.isEmpty { break }
        taken += events
        let ids = events.map(\.id).joined(separator: " ")
        expect(try other.request("ACK \(group) \(ids)"), "OK")
      }
      let written = replies.filter { $0.raw.hasPrefix("OK") }.count - 1
      #expect(taken.filter { $0.device == device }.count == written)
      expect(try client.request("SEIZE \(device) z"), "OK")
    }
  }
}
