// Owns: the test that each call of Redis is bounded, whatever is stored: every structure is filled
// well over what one call may read, then each verb is asked for all of it.

import Foundation
import Testing

extension SystemSuites.Fleet {
  @Suite(
    .enabled(if: Engine.hasFunctions, "the counters stand in a library of functions"),
    .lab(workers: [
      [
        "--lua", "function", "--request-timeout", "30s", "--max-sessions", "2000", "--sweep", "10m",
        "--max-documents", "20000", "--max-user-sessions", "2000",
      ]
    ])
  ) struct CallBounds {
    /// A page of 1 MiB, the value that goes over it, and what was read to find its place.
    private static let readBytesMax = (1 << 20) + 4 * (256 << 10)
    /// A page, and the value that goes over it.
    private static let replyBytesMax = (1 << 20) + (320 << 10)
    /// What a request has, and the words beside it.
    private static let writtenBytesMax = 2 << 20
    /// The longest line that is no import, and what is sent with it.
    private static let argumentBytesMax = (1 << 20) + (64 << 10)
    /// Three for each of 1,000 documents, which are as many as one request changes.
    private static let commandsMax = 3_200
    private static let entriesMax = 20_000
    /// Of scripts that several calls divide by the number of items, or that look at less of each.
    private static let dividedMax: [String: (commands: Int, entries: Int)] = [
      "list_device": (820, 6_000), "take": (420, 1_000), "digest": (650, 5_000),
      "recoverable": (450, 5_000), "recover_latest": (1_200, 4_500), "read_group": (1_200, 12_000),
    ]

    /// As much of everything as this has to be; LATCHKEY_LONGEST fills all to their limits.
    private static let isFull = ProcessInfo.processInfo.environment["LATCHKEY_LONGEST"] != nil

    private static func text(_ bytes: Int) -> String { String(repeating: "x", count: bytes) }

    private static func list(_ numbers: Range<Int>, _ element: (Int) -> String) -> String {
      numbers.map(element).joined(separator: ",")
    }

    @Test func `a call of Redis is bounded, whatever is stored and asked for`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      try fill(client)
      let waiting = try (0..<20).map { number in
        let waiter = try lab.connect()
        let line = number.isMultiple(of: 2) ? "TURN queue" : "LOCK queue b\(number)"
        try waiter.sendLine("\(line) wait=10m")
        return waiter
      }
      let work = Self.isFull ? nil : try RedisWork(lab.redis)
      let slow = try SlowCalls(lab.redis)
      var asked: Set<String> = []
      for request in Self.requests {
        try slow.reset()
        let reply = try client.request(request, within: .seconds(60))
        // The full sessions are larger than an export may be.
        let allowed = Self.isFull ? ["illegal_state", "too_large"] : ["illegal_state"]
        #expect(
          reply.word != "ERR" || allowed.contains(reply.code), "\(request.prefix(60)): \(reply)")
        asked.insert(String(request.prefix { $0 != " " }))
        try Self.expectBounded(work?.take() ?? [], by: request)
        if Self.isFull { try slow.show(request) }
      }
      try importAgain(client, work)
      let verbs = try #require(
        try client.request("HELP").json()["verbs"]?.items.compactMap(\.string))
      // Hooks are few; these have no call of Redis.
      let others: Set = ["AUTH", "QUIT", "PING", "HELP", "INFO", "HOOK", "UNHOOK", "IMPORT"]
      #expect(Set(verbs).subtracting(asked).subtracting(others) == [])
      withExtendedLifetime(waiting) {}
    }

    /// IMPORT, of what EXPORT gives.
    private func importAgain(_ client: LineClient, _ work: RedisWork?) throws {
      let exported = try client.request("EXPORT kept", within: .seconds(20))
      let request = "IMPORT as-new=yes \(exported.raw.dropFirst("OK ".count))"
      expect(try client.request(request, within: .seconds(60)), "OK")
      try Self.expectBounded(work?.take() ?? [], by: request)
    }

    static func expectBounded(_ calls: [CallWork], by request: String) {
      for call in calls {
        let what = "\(call) by \(request.prefix(60))"
        #expect(call.readBytes <= Self.readBytesMax, "\(what)")
        #expect(call.replyBytes <= Self.replyBytesMax, "\(what)")
        #expect(call.writtenBytes <= Self.writtenBytesMax, "\(what)")
        #expect(call.argumentBytes <= Self.argumentBytesMax, "\(what)")
        #expect(call.commands <= Self.commandsMax, "\(what)")
        #expect(call.entries <= Self.entriesMax, "\(what)")
        guard let most = Self.dividedMax[call.name] else { continue }
        #expect(call.commands <= most.commands && call.entries <= most.entries, "\(what)")
      }
    }

    // MARK: What is stored

    private func fill(_ client: LineClient) throws {
      let times = Self.isFull ? 5 : 1
      let long = Self.text(250_000)
      var lines = ["OPEN chats", "CHAT chats", "CHAT chats"]
      for page in 0..<20 * times {
        let messages = Self.list(page * 10..<page * 10 + 10) { number in
          "{\"id\":\"m\(number)\",\"role\":\"user\",\"t\":\"\(Self.text(16_000))\"}"
        }
        lines.append("SAY chats/current/1 [\(messages)]")
      }
      for number in 0..<12 * times {
        lines.append("SAY chats/current/2 {\"id\":\"m\(number)\",\"t\":\"\(long)\"}")
      }
      let small = Self.list(0..<1_000) { "{\"id\":\"k\($0)\",\"role\":\"a\"}" }
      lines.append("SAY chats/current/3 [\(small)]")
      // It is exported and imported, which takes builds for debugging long.
      lines += ["OPEN kept", "SAY kept {\"t\":\"\(long)\"}", "SAY kept {\"t\":\"\(long)\"}"]
      for number in 0..<4 { lines.append("SET kept {\"f\(number)\":\"\(long)\"}") }
      lines.append("PUT kept k \"\(long)\"")
      lines += ["OPEN fields", "OPEN docs", "OPEN links", "OPEN one"]
      for number in 0..<12 * times {
        lines.append("SET fields {\"f\(number)\":\"\(long)\"}")
        lines.append("PROFILE user=ada {\"f\(number)\":\"\(long)\"}")
        lines.append("PUT docs big\(number) \"\(long)\"")
      }
      for page in 0..<2 * times {
        let documents = Self.list(0..<1_000) { "\"k\(page)-\($0)\":\"\(Self.text(400))\"" }
        lines.append("APPLY docs {\"put\":{\(documents)}}")
      }
      for number in 0..<100 { lines.append("LINK links user u\(number)-\(Self.text(200))") }
      for number in 0..<50 { lines.append("SHARE links user=s\(number)-\(Self.text(200))") }
      for number in 0..<1_100 { lines.append("OPEN many user=bob {\"a\":\(number)}") }
      for number in 0..<2_000 * times { lines.append("LOCK lock\(number) agent") }
      for number in 0..<3_000 * times { lines.append("SEIZE events a\(number % 2)") }
      lines += ["TURN queue {\"a\":1}", "LOCK queue a", "TURN turn {\"a\":1}"]
      for number in 0..<10 { lines.append("EVENTS * group=g\(number) limit=1000") }
      lines += ["EVENTS * group=g0 limit=1000", "EVENTS * group=g0 limit=1000"]
      let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
      let replies = try client.exchange(bytes, lines: lines.count, within: .seconds(60))
      for (line, reply) in zip(lines, replies) where !reply.hasPrefix("OK") {
        throw Failure("\(line.prefix(60)): \(reply)")
      }
    }

    // MARK: What is asked for

    private static let requests = lists + sessions + changes

    private static let lists = [
      "STATS", "REPORT agent=agent", "LOCKS limit=1000", "LOCKS agent=none limit=1000", "HOOKS",
      "EVENTS events limit=1000", "EVENTS none", "EVENTS user=ada limit=1000",
      "EVENTS * group=g0 limit=1000", "EVENTS * group=new limit=1000",
      "EVENTS * group=rare limit=1000 types=turn.abandoned", "LIST * limit=1000",
      "LIST * order=active limit=1000", "LIST * count=yes", "LIST many limit=1000",
      "LIST many count=yes limit=1000", "LIST many order=active limit=1000",
      "LIST many since=1 before=2", "LIST user=bob limit=1000", "LIST user=bob and.app=none",
      "LIST user=bob order=active limit=1000", "LIST thread=none", "LIST fields", "LIST docs",
      "GET user=bob", "RECOVER user=bob on=many",
      "WATCH * changes=yes", "WATCH user=ada", "UNWATCH", "HOLDER queue", "REPORT user=ada",
    ]

    private static let sessions = [
      "GET chats", "GET chats last=1000", "GET fields", "GET fields fields=f1,f2,f3,f4,f5,f6",
      "GET fields fields=none", "GET links", "CHATS chats", "HISTORY chats/current/1 last=1000",
      "HISTORY chats/current/1 after=0 limit=1000", "HISTORY chats/current/2 last=1000",
      "HISTORY chats/current/1 role=none after=0 limit=1000",
      "HISTORY chats/current/1 since=1 limit=1000", "HISTORY chats/current/3 role=none limit=1000",
      "KEYS docs limit=1000", "KEYS docs limit=1000 values=yes",
      "KEYS docs prefix=big values=yes limit=1000", "KEYS docs newest=yes limit=1000 values=yes",
      "TAKE docs " + (0..<12).map { "big\($0)" }.joined(separator: " "),
      "TAKE docs " + (0..<990).map { "k0-\($0)" }.joined(separator: " "), "PROFILE user=ada",
      "REPORT chats", "REPORT chats/current/1", "EXPORT fields", "EXPORT docs", "EXPORT chats",
      "TICKET docs",
    ]

    private static let changes =
      [
        "SAY chats/current/1 id=id {\"id\":\"m1\"}", "SAY chats/current/2 id=id {\"id\":\"m1\"}",
        "SAY chats/current/3 id=id [\(list(0..<1_000) { "{\"id\":\"w\($0)\"}" })]",
        "AMEND chats/current/2 seq=8 {\"a\":1}", "FORGET chats/current/1 seq=50",
        "POP chats/current/1 count=100", "FORGET chats/current/1 after=50",
        "SWITCH chats/current/3",
        "TURN chats last=1000 {\"a\":1}", "SET fields {\(list(0..<12) { "\"f\($0)\":\($0)" })}",
        "PROFILE user=ada {\(list(0..<12) { "\"f\($0)\":\($0)" })}",
        "OPEN new {\(list(0..<100) { "\"f\($0)\":\"\(text(5_000))\"" })}", "CHAT new",
        "LINK new app y",
        "SHARE new user=eve", "LOCK new a", "PUT docs new {}",
        "APPLY docs {\"put\":{\(list(0..<1_000) { "\"n\($0)\":{}" })}}",
        "APPLY docs {\"drop\":[\(list(0..<1_000) { "\"n\($0)\"" })]}", "DROP docs prefix=k",
        "DROP docs " + (0..<12).map { "big\($0)" }.joined(separator: " "), "PAUSE fields",
        "RESUME fields", "TOUCH fields", "RECOVER fields", "RECOVER many user=none",
        "CLOSE fields completed", "PART turn turn=1 {}", "TELL one t {}", "DONE turn turn=1",
        "UNSHARE links user=s1-\(text(200))", "UNLINK links user u1-\(text(200))",
        "SET links link.user=\(list(0..<100) { "v\($0)" })", "RENEW lock1 agent token=1",
        "HANDOFF lock1 agent b", "UNLOCK lock1 b", "SEIZE queue z", "CLEAR queue",
        "ACK g0 000-1-1", "COPY kept other", "ARCHIVE links", "DELETE docs",
        "DELETE chats/current/2", "DELETE chats", "DELETE many",
      ]
  }
}

/// The longest calls of scripts since the last request, by Redis' own clock.
private struct SlowCalls {
  private let client: RedisClient
  /// A longer one delays others.
  private static let longMicroseconds = 5_000

  init(_ redis: RedisServer) throws {
    client = try RedisClient(path: redis.path)
    try client.command("CONFIG", "SET", "slowlog-log-slower-than", "1000")
    try client.command("CONFIG", "SET", "slowlog-max-len", "1000")
  }

  func reset() throws { try client.command("SLOWLOG", "RESET") }

  /// Prints the longest one, and a mark if it is too long.
  func show(_ request: String) throws {
    let calls = try client.command("SLOWLOG", "GET", "1000").items.map(\.items)
    let scripts = calls.filter { $0[3].items.first?.string?.uppercased() == "FCALL" }
    guard let longest = scripts.max(by: { ($0[2].number ?? 0) < ($1[2].number ?? 0) }),
      let us = longest[2].number
    else { return }
    let name = longest[3].items[1].string?.prefix { $0 != "2" } ?? ""
    let mark = us > SlowCalls.longMicroseconds ? "  over 5 ms" : ""
    print(
      "longest \(us) us  \(name.split(separator: "_").first ?? "")  \(request.prefix(50))\(mark)")
  }
}
