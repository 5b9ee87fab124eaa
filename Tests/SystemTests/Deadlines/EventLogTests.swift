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
      let id = try #require(event.raw.firstMatch(of: /"id":"([0-9a-f]{3})-/)?.1)
      let key = "lk:{\(id)}:events"
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
      try lab.redis.command("DEL", key)
    }
  }
}
