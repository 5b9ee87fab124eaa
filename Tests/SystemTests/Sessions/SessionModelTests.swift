// Sessions and chats against a model of them, with random requests over several workers.

import Foundation
import Testing
import struct TestSupport.Seeded

extension SystemSuites {
  @Suite(.lab(workers: [ModelLimits.flags, ModelLimits.flags + ["--http", "127.0.0.1:0"]]))
  struct SessionModelTests {
    /// How many requests a run has; `LATCHKEY_TEST_STEPS` makes it longer.
    private static let steps =
      ProcessInfo.processInfo.environment["LATCHKEY_TEST_STEPS"].flatMap { Int($0) } ?? 3_000

    /// The replies that a run must have seen, or it has tested too little.
    private static let wanted: Set = [
      "OPEN OK", "OPEN STALE", "OPEN ERR quota", "OPEN ERR conflict", "GET OK", "GET NONE",
      "SET OK", "SET NONE",
      "SET STALE", "SET ERR illegal_state", "SET ERR quota", "TOUCH OK", "TOUCH ERR illegal_state",
      "PAUSE OK", "PAUSE ERR illegal_state", "RESUME OK", "RESUME ERR illegal_state", "CLOSE OK",
      "CLOSE ERR illegal_state", "RECOVER OK", "RECOVER ERR illegal_state", "RECOVER ERR quota",
      "RECOVER ERR conflict", "REPORT OK",
      "REPORT NONE", "ARCHIVE OK",
      "DELETE OK", "DELETE NONE", "LIST OK", "CHAT OK", "CHAT ERR quota", "CHAT ERR conflict",
      "SET ERR conflict", "SWITCH OK",
      "SWITCH NONE", "CHATS OK", "SAY OK", "SAY ERR quota", "SAY NONE", "SAY STALE",
      "SAY ERR illegal_state",
      "HISTORY OK", "HISTORY NONE", "HISTORY STALE", "POP OK", "POP NONE", "FORGET OK", "LINK OK",
      "AMEND OK", "AMEND NONE", "SAY ERR bad_request", "POP STALE", "FORGET STALE",
      "LINK ERR quota",
      "UNLINK OK", "PUT OK", "PUT STALE", "PUT NONE", "PUT ERR illegal_state", "TAKE OK",
      "TAKE NONE",
      "DROP OK", "KEYS OK",
    ]

    /// The verbs of HELP that no request of this model has, by where they are tested instead.
    private static let elsewhere: [String: [String]] = [
      "LockModelTests, and WaitingModel for `wait=`": ["RENEW", "HANDOFF", "CLEAR", "HOLDER"],
      "LocksTests: it lists what the lock models hold": ["LOCKS"],
      "WaitingModel, TurnTests: a turn is of one device, and most of it is its queue":
        ["TURN", "DONE", "PART"],
      "ApplyTests: it is SAY, SET, PUT and DROP at once": ["APPLY"],
      "BackupTests: each exports, imports and compares whole sessions": [
        "EXPORT", "IMPORT", "COPY",
      ],
      "ProfileTests: a profile is of no device": ["PROFILE"],
      "ShareTests, TicketTests and IntruderTests: they are of who may, not of what is there":
        ["SHARE", "UNSHARE", "TICKET"],
      "EventTests, GroupTests and WatchTests; `checkEvents` reads the log of each device here":
        ["EVENTS", "ACK", "WATCH", "UNWATCH", "TELL"],
      "HookModel, HookVerbs: a hook is of the fleet": ["HOOK", "HOOKS", "UNHOOK"],
      "FleetFigures; a run here ends with it": ["STATS"],
      "ConnectionTests and AuthTests: they are of no device":
        ["PING", "AUTH", "HELP", "INFO", "QUIT"],
    ]

    @Test func `each verb is in the model, or has a test elsewhere`() throws {
      let help = try Lab.current.connect().request("HELP").json()["verbs"]
      guard case .array(let names)? = help else { throw Failure("HELP lists no verbs") }
      let known = SessionDriver.verbNames.union(Self.elsewhere.values.joined())
      #expect(Set(names.compactMap(\.string)).symmetricDifference(known).isEmpty)
    }

    /// A session that no device under test has.
    private static func stranger() throws -> String {
      try Lab.current.connect().request("OPEN \(Lab.device("other"))").string("session")
    }

    @Test func `two workers, both wires and the model agree, request by request`() throws {
      let seen = try Self.agree("sessions over two workers", steps: Self.steps, until: Self.wanted)
      #expect(Self.wanted.subtracting(seen) == [], "it has shown too little")
    }

    /// Sends random requests to the lab's two workers and compares each reply with the model's: so
    /// many, and up to four times as many if it takes them to see every kind of answer.
    ///
    /// Returns the kinds of answers that it has seen.
    @discardableResult
    static func agree(
      _ name: String, steps: Int, until wanted: Set<String> = []
    ) throws -> Set<String> {
      var random = Seeded(name)
      let lab = try Lab.current
      var clients = try (0..<3).map { ($0, try lab.connect($0 % 2)) }
      clients.append((3, try HTTPLineClient(httpPort: lab.workers[1].httpPort)))
      let stranger = try stranger()
      let before = try SessionFigures(clients[0].1)
      var drivers = (0..<6).map { _ in SessionDriver(Lab.device(), stranger: stranger) }
      for step in 0..<(4 * steps) {
        if step >= steps, wanted.isSubset(of: seen(by: drivers)) { break }
        guard let (number, client) = clients.randomElement(using: &random),
          let at = drivers.indices.randomElement(using: &random)
        else { break }
        try drivers[at].step(on: client, "connection \(number)", &random)
        if step % 100 == 0 { try checkLinks(drivers, stranger, on: client, &random) }
      }
      for driver in drivers { try driver.checkEvents(on: clients[1].1) }
      let after = try SessionFigures(clients[1].1)
      #expect(after == before.adding(drivers))
      return seen(by: drivers)
    }

    private static func seen(by drivers: [SessionDriver]) -> Set<String> {
      drivers.reduce(into: []) { $0.formUnion($1.seen) }
    }

    /// Lists the sessions of a link over all devices, page by page, and the figures of a user.
    private static func checkLinks(
      _ drivers: [SessionDriver], _ stranger: String, on client: LineClient,
      _ random: inout Seeded
    ) throws {
      let kind = ["tag", "mission", "user"].randomElement(using: &random) ?? "tag"
      let ref = "\(kind)-\(stranger)-\(Int.random(in: 1...3, using: &random))"
      let link = ModelLink(kind: kind, ref: ref)
      let wanted = drivers.flatMap(\.model.sessions).filter { $0.links.contains(link) }
        .sorted { $0.id > $1.id }
      var shown: [String] = []
      var cursor = ""
      repeat {
        let page = try client.request("LIST \(kind)=\(ref) limit=2\(cursor)")
        expect(page, "OK")
        shown += ShownRecord.all(in: page).map(\.id)
        cursor = page.cursor.map { " cursor=\($0)" } ?? ""
      } while !cursor.isEmpty && shown.count <= wanted.count
      #expect(shown == wanted.map(\.id), "LIST \(kind)=\(ref)")
      let report = try client.request("REPORT user=\(ref)")
      guard kind == "user" else { return }
      #expect(try report.int("sessions") == wanted.count, "\(ref)")
      #expect(try report.int("live") == wanted.count { $0.isLive }, "\(ref)")
      let messages = wanted.flatMap { $0.chats.map(\.messages.count) }.reduce(0, +)
      #expect(try report.int("messages") == messages, "\(ref)")
    }

    @Test func `many devices at once do not disturb each other`() throws {
      var random = Seeded("sessions of many devices at once")
      let lab = try Lab.current
      let stranger = try Self.stranger()
      let count = 8
      let sources = Shared((0..<count).map { _ in random.fork() })
      _ = try inParallel(count) { index in
        var mine = sources.value[index]
        let clients = [try lab.connect(0), try lab.connect(1)]
        var drivers = (0..<2).map { _ in SessionDriver(Lab.device(), stranger: stranger) }
        for _ in 0..<(Self.steps / count) {
          let side = Int.random(in: 0...1, using: &mine)
          let at = Int.random(in: 0...1, using: &mine)
          try drivers[at].step(on: clients[side], "connection \(side)", &mine)
        }
        for driver in drivers { try driver.checkEvents(on: clients[0]) }
      }
    }

    @Test func `concurrent writes to one session are neither lost nor done twice`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      expect(try lab.connect().request("OPEN \(device) {\"n\":0}"), "OK")
      let (writers, rounds) = (4, 25)
      let seqs = try inParallel(writers) { index in
        let client = try lab.connect(index % 2)
        var seqs: [Int] = []
        for round in 0..<rounds {
          // Each writer reads a number and writes the next one; on a conflict it tries again.
          try eventually("one is added", within: .seconds(20), every: 0) {
            let record = try client.request("GET \(device)")
            let (rev, n) = (try record.int("rev"), try record.json()["fields"]?["n"]?.int ?? -1)
            return try client.request("SET \(device) rev=\(rev) {\"n\":\(n + 1)}").isOK
          }
          // And each message is sent twice, as after an answer that was lost.
          let line = "SAY \(device) req=\(index)-\(round) {\"by\":\(index),\"n\":\(round)}"
          let said = try client.request(line)
          #expect(try client.request(line).raw == said.raw)
          seqs.append(try said.int("seq"))
        }
        return seqs
      }
      let record = try lab.connect().request("GET \(device)")
      #expect(try record.json()["fields"]?["n"]?.int == writers * rounds)
      #expect(seqs.allSatisfy { $0 == $0.sorted() })
      #expect(seqs.flatMap { $0 }.sorted() == Array(1...(writers * rounds)))
    }
  }
}

/// The figures of sessions in STATS.
private struct SessionFigures: Equatable {
  private var counts: [String: Int] = [:]

  init(_ client: LineClient) throws {
    let sessions = try client.request("STATS").json()["sessions"]
    for name in sessions?.names ?? [] where !name.hasSuffix("_at") {
      counts[name] = sessions?[name]?.int
    }
  }

  /// The figures after the requests of new devices.
  func adding(_ drivers: [SessionDriver]) -> SessionFigures {
    var next = self
    for session in drivers.flatMap(\.model.sessions) where next.counts[session.state] != nil {
      next.counts[session.state, default: 0] += 1
    }
    let live = drivers.flatMap(\.model.sessions).filter(\.isLive)
    next.counts["live_chats", default: 0] += live.reduce(0) { $0 + $1.chats.count }
    // Sessions that were removed or archived after their end are in the events.
    next.counts["expired"] = counts["expired"]
    for event in drivers.flatMap(\.model.events) {
      let kind = event.prefix { $0 != " " }.dropFirst("session.".count)
      if ["opened", "closed", "expired"].contains(kind) { next.counts["\(kind)", default: 0] += 1 }
    }
    return next
  }
}
