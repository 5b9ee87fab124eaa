// Owns: the legal requests by which one caller once took the service from all others, each in a
// short form. No call of Redis may be larger than any other, and the calls of others come between.
// OverloadTests has the loads that are more than Redis carries; docs/development.md has where each
// is in full.

import Foundation
import Testing

extension SystemSuites.Fleet {
  @Suite(.enabled(if: Engine.hasFunctions, "the counters stand in a library of functions"))
  struct CostlyRequests {
    private func text(_ bytes: Int) -> String { String(repeating: "x", count: bytes) }

    /// The members `name` of a reply with events, which is too long to be read as JSON.
    private func members(_ name: String, _ reply: Reply) -> [String] {
      reply.raw.components(separatedBy: "\"\(name)\":\"").dropFirst().map {
        String($0.prefix { $0 != "\"" })
      }
    }

    private func ids(_ reply: Reply) -> [String] { members("id", reply) }

    private static let none = #"OK {"events":[]}"#

    /// Reads and acknowledges until there is no more; returns the replies, none of which may say
    /// that events were lost.
    private func drain(
      _ group: String, _ client: LineClient, limit: Int = 1_000, first: Reply? = nil
    ) throws -> [Reply] {
      var (pages, page) = ([Reply](), first)
      while true {
        let read = "EVENTS * group=\(group) limit=\(limit)"
        let latest = try page ?? client.request(read, within: .seconds(20))
        expect(latest, "OK")
        #expect(!latest.raw.contains("\"lost\""))
        let ids = ids(latest)
        guard !ids.isEmpty else { return pages }
        pages.append(latest)
        try #require(pages.count < 200, "there is no end")
        expect(try client.request("ACK \(group) \(ids.joined(separator: " "))"), "OK")
        page = nil
      }
    }

    // MARK: Sessions

    @Test func `1,024 EXPORTs of 10 MB are not done for a caller that is gone`() throws {
      let pair = try TwoWorkers()
      try pair.prepare(["OPEN big"] + (0..<12).map { _ in "SAY big {\"t\":\"\(text(250_000))\"}" })
      let exported = try pair.heavy.request("EXPORT big", within: .seconds(20))
      #expect(exported.isOK && exported.raw.utf8.count > 3_000_000)
      let worker = pair.lab.workers[0]
      let beforeKiB = worker.residentKiB
      var calls = try pair.send([String](repeating: "EXPORT big", count: 1_024), leaving: true)
      try eventually("nothing being under way") {
        try worker.metric("latchkey_requests_in_flight") == 0
          && worker.metric("latchkey_connections") == 0
      }
      calls += try pair.takeCalls("EXPORT big")
      #expect(calls.count { $0.name == "export" } == 1, "the first one ends: \(calls.map(\.name))")
      #expect(worker.residentKiB - beforeKiB < 64 << 10)
    }

    @Test func `GETs of a session with fields of 255 KB, in a loop, are served in parts`() throws {
      let pair = try TwoWorkers()
      let long = text(255_000)
      try pair.prepare(["OPEN huge"] + (0..<10).map { "SET huge {\"f\($0)\":\"\(long)\"}" })
      var calls = try pair.send([String](repeating: "GET huge", count: 3))
      for reply in try pair.heavy.replies(3, within: .seconds(20)) {
        #expect(reply.isOK && reply.raw.utf8.count > 10 * 255_000)
      }
      calls += try pair.takeCalls("GET huge")
      #expect(calls.count { $0.readBytes > 100_000 } >= 3 * 3, "\(calls.map(\.name))")
    }

    @Test func `200 × PAUSE and RESUME with req= keep no copies of the session`() throws {
      let pair = try TwoWorkers()
      let long = text(255_000)
      try pair.prepare(["OPEN huge"] + (0..<5).map { "SET huge {\"f\($0)\":\"\(long)\"}" })
      let lines = (0..<4).flatMap { ["PAUSE huge req=p\($0)", "RESUME huge req=r\($0)"] }
      try pair.send(lines)
      for reply in try pair.heavy.replies(lines.count, within: .seconds(20)) {
        #expect(reply.isOK && reply.raw.utf8.count > 5 * 255_000)
      }
      try pair.takeCalls("PAUSE huge")
      let script = """
        local keys, bytes = redis.call('KEYS', 'lk:*:req:huge/*'), 0
        for _, key in ipairs(keys) do bytes = bytes + redis.call('MEMORY', 'USAGE', key) end
        return {#keys, bytes}
        """
      let kept = try pair.evaluate(script).items.compactMap(\.number)
      #expect(kept.first == lines.count && kept[1] <= lines.count * 1_100, "\(kept)")
    }

    // MARK: Reads of events

    @Test func `EVENTS of a new group and rare types goes through full logs in many calls`() throws
    {
      let pair = try TwoWorkers()
      try pair.fillLogs(Array(0..<4), events: 3_000)
      var calls = try pair.send(["EVENTS * group=fresh types=turn.abandoned"])
      #expect(try pair.heavy.reply(within: .seconds(20)).raw == Self.none)
      calls += try pair.takeCalls("EVENTS * group=fresh")
      #expect(calls.count { $0.name == "read_group" } >= 12)
      // One behind many others is found.
      try pair.fillLogs([TwoWorkers.partition(of: "rare")], events: 3_000)
      try pair.prepare(["LOCK rare a", "SEIZE rare b"])
      try pair.send(["EVENTS * group=fresh types=lock.seized"])
      #expect(members("device", try pair.heavy.reply(within: .seconds(20))) == ["rare"])
    }

    @Test func `1,024 EVENTS of a device without events are one under way, in a log of 4,000`()
      throws
    {
      let pair = try TwoWorkers()
      try pair.fillLogs([TwoWorkers.partition(of: "none")], events: 4_000)
      let count = 64
      var calls = try pair.send([String](repeating: "EVENTS none", count: count))
      for reply in try pair.heavy.replies(count, within: .seconds(20)) {
        #expect(reply.raw == Self.none)
      }
      calls += try pair.takeCalls("EVENTS none")
      #expect(calls.count { $0.name == "events" } >= 4 * count, "each looks at a part of the log")
    }

    @Test func `60 notes are all given to a group, and none may have 1 MB`() throws {
      let pair = try TwoWorkers()
      let devices = (0..<60).map { "note\($0)" }
      try pair.prepare(devices.map { "LOCK \($0) a" })
      let tooLong = "HANDOFF note0 a a {\"t\":\"\(text(1_000_000))\"}"
      expect(try pair.heavy.request(tooLong), "ERR", "too_large")
      try pair.prepare(devices.map { "HANDOFF \($0) a a {\"t\":\"\(text(65_000))\"}" })
      try pair.send(["EVENTS * group=notes limit=1000"])
      let pages = try drain("notes", pair.heavy, first: pair.heavy.reply(within: .seconds(20)))
      #expect(pages.flatMap { members("device", $0) }.sorted() == devices.sorted())
      #expect(pages.allSatisfy { $0.raw.utf8.count < (1 << 20) + (128 << 10) })
      try pair.takeCalls("EVENTS * group=notes")
    }
  }
}

// MARK: Groups that are behind, or wait

extension SystemSuites.Fleet.CostlyRequests {
  @Test func `a group with 180,000 unacknowledged events is read in many calls, and goes on`()
    throws
  {
    let pair = try TwoWorkers(["--events-max-bytes", "16MiB"])
    let (count, full) = (6_000, [3, 77, 200])
    #expect(try pair.heavy.request("EVENTS * group=slow").raw == Self.none)
    try pair.fillLogs((0..<256).filter { !full.contains($0) }, events: 100, givenTo: "slow")
    try pair.fillLogs(full, events: count, givenTo: "slow")
    // None is due; they count for what a call looks at.
    var calls = try pair.send(["EVENTS * group=slow limit=1000"])
    #expect(try pair.heavy.reply(within: .seconds(20)).raw == Self.none)
    calls += try pair.takeCalls("EVENTS * group=slow")
    #expect(calls.count { $0.name == "read_group" } >= 5)

    // Of the full partitions the newest event becomes due, and another one comes.
    let due = """
      local id = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1][1]
      redis.call('XCLAIM', log, 'slow', 'given', 0, id, 'IDLE', 61000, 'JUSTID')
      """
    try pair.evaluate(inLogs(due), full.map(String.init))
    for device in full.map({ TwoWorkers.devices(1, in: $0)[0] }) {
      try pair.prepare(["LOCK \(device) a", "CLEAR \(device)"])
    }
    try pair.send(["EVENTS * group=slow limit=1000"])
    let first = try pair.heavy.reply(within: .seconds(20))
    let found = try drain("slow", pair.heavy, first: first).flatMap(ids)
    #expect(found.count == 2 * full.count && Set(found.map { $0.prefix(3) }).count == full.count)

    // All of two partitions is due at once: it comes in pages, or is passed over.
    let all = "redis.call('XAUTOCLAIM', log, 'slow', 'returned', 0, 0, 'COUNT', 10000, 'JUSTID')"
    try pair.evaluate(inLogs(all), ["\(full[0])"])
    try pair.send(["EVENTS * group=slow limit=1000"])
    let next = try pair.heavy.reply(within: .seconds(20))
    let pages = try drain("slow", pair.heavy, first: next).map(ids)
    #expect(pages.count >= count / 1_000 && Set(pages.flatMap(\.self)).count == count - 1)
    try pair.evaluate(inLogs(all), ["\(full[1])"])
    try pair.send(["EVENTS * group=slow types=turn.abandoned"])
    #expect(try pair.heavy.reply(within: .seconds(20)).raw == Self.none)
    try pair.takeCalls("EVENTS * group=slow")
  }

  /// A script that does something in the log of each partition that it is called with.
  private func inLogs(_ command: String) -> String {
    """
    for _, partition in ipairs(ARGV) do
      local log = string.format('lk:{%03x}:events', partition)
      \(command)
    end
    """
  }

  @Test func `an event wakes one of 64 consumers that wait at two workers, and reads little`()
    throws
  {
    let pair = try TwoWorkers()
    let devices = (0..<32).map { "herd\($0)" }
    try pair.prepare(devices.map { "LOCK \($0) a" })
    var waiting: [LineClient] = []
    /// Has so many consumers wait, gives them an event of each device, and counts the reads.
    func reads(by count: Int) throws -> (calls: Int, commands: Int) {
      while waiting.count < count {
        let consumer = try pair.lab.connect(waiting.count % 2)
        try consumer.sendLine("EVENTS * group=herd wait=60s")
        waiting.append(consumer)
      }
      try eventually("all consumers waiting") {
        try pair.lab.workers.reduce(0) { try $0 + $1.metric("latchkey_event_waiters") } == count
      }
      try pair.takeCalls("waiting")
      for device in devices {
        try pair.prepare(["SEIZE \(device) \(Lab.device("agent"))"])
        let place: Int = try eventually("a consumer that has the event") {
          TestSocket.readable(waiting.map(\.socket), within: .seconds(1)).firstIndex(of: true)
        }
        let reply = try waiting[place].reply()
        #expect(members("device", reply) == [device])
        expect(try waiting[place].request("ACK herd \(ids(reply).joined())"), "OK")
        try waiting[place].sendLine("EVENTS * group=herd wait=60s")
      }
      let reads = try pair.takeCalls("EVENTS * group=herd").filter { $0.name == "read_group" }
      return (reads.count, reads.reduce(0) { $0 + $1.commands })
    }
    // The first events find what follows the logs on its way.
    _ = try reads(by: 2)
    let (few, many) = (try reads(by: 2), try reads(by: 64))
    #expect(many.calls <= 2 * few.calls, "\(few), \(many)")
    #expect(many.calls <= 8 * devices.count, "a read by each would be \(64 * devices.count)")
    #expect(many.commands <= 100 * devices.count, "reads of all partitions would be over 500 each")
  }

  @Test func `a principal's SEIZEs push none of another's events out that a group has not read`()
    throws
  {
    let rights = ["--rights", "read,write,operate"]
    let file = try PrincipalsFile([("heavy", rights), ("calm", rights)])
    let flags = ["--auth", file.path, "--events-max-bytes", "128KiB", "--events-max", "100"]
    let pair = try TwoWorkers(flags) { worker, name in try file.connect(worker, as: name) }
    let (heavy, calm) = (pair.heavy, pair.calm)
    expect(try calm.request("EVENTS * group=keeper"), "OK")
    // All in one log: a sixteenth of it are some fifty events.
    let near = TwoWorkers.devices(4, in: 5)
    for number in 0..<30 { expect(try calm.request("SEIZE \(near[0]) c\(number)"), "OK") }
    /// SEIZEs of the other devices in turn; returns what becomes of them.
    func seize(_ count: Int) throws -> Set<String> {
      let lines = (0..<count).map { "SEIZE \(near[1 + $0 % 3]) a\($0)\n" }
      let replies = try heavy.exchange(
        Array(lines.joined().utf8), lines: count, within: .seconds(20))
      return Set(replies.map { $0.hasPrefix("OK ") ? "OK" : String($0.prefix(9)) })
    }
    #expect(try seize(1_800) == ["OK", "ERR quota"])
    expect(try calm.request("SEIZE \(near[0]) last"), "OK")
    let first = try #require(ids(try calm.request("EVENTS \(near[0])")).first)
    // What is pending takes memory too, so that a page may not be large beside so small a log.
    let pages = try drain("keeper", calm, limit: 50)
    let own = pages.flatMap { members("device", $0) }.filter { $0 == near[0] }
    #expect(own.count == 30 && ids(pages[0]).allSatisfy { $0.hasPrefix("005-") })
    // Now that no group waits for them, a reader without a group has the newest ones only.
    try eventually("the notice of a loss") {
      _ = try seize(60)
      _ = try drain("keeper", calm, limit: 50)
      return try calm.request("EVENTS \(near[0]) after=\(first)").raw.contains("\"lost\":true")
    }
  }
}
