// Owns: the tests of `latchkey load`: the real harness against real workers, good ones, ones that
// are being broken, and ones with a bug planted in their scripts.

import Foundation
import Glibc
import Testing

extension PlantedBug {
  /// Writes are not checked for their token.
  fileprivate static let unfenced = PlantedBug(
    "tokens of writes are not looked at",
    [
      .init(
        within: "",
        find: "local is_current = ends_at and ends_at > now_text and current == token",
        replacement: "local is_current = true")
    ])

  /// How SAY begins its reply.
  private static let said = "return 'OK {\"seq\":' .. text(seq) .. ',\"chat\":'"

  /// Every fifth message is acknowledged and forgotten.
  fileprivate static let forgetful = PlantedBug(
    "messages are lost",
    [
      .init(
        within: "", find: Self.said,
        replacement: "if seq % 5 == 4 then call('RPOP', log_of(s, chat)) end \(Self.said)")
    ])

  /// A message that should be BUSY ends the running turn.
  fileprivate static let impatient = PlantedBug(
    "a second turn begins while one is running",
    [
      .init(
        within: "", find: "if t and (policy == 'reject' or policy == 'enqueue') then",
        replacement: "if false then")
    ])

  /// DONE ends a turn whatever was joined to it.
  fileprivate static let deaf = PlantedBug(
    "joined messages are not given",
    [
      .init(
        within: "", find: "local goes_on = #waiting > 0 and is_last == ''",
        replacement: "local goes_on = false")
    ])

  /// DONE leaves the turn running.
  fileprivate static let endless = PlantedBug(
    "DONE does not end the turn", [.init(within: "", find: "end_turn(t, 'done')", replacement: "")])

  /// DONE of an interrupted turn is taken for one of the turn that runs.
  fileprivate static let anyTurn = PlantedBug(
    "turns are not fenced",
    [.init(within: "", find: "if not t or t.turn ~= turn", replacement: "if not t")])

  /// A user may have three sessions more than the quota says.
  fileprivate static let generous = PlantedBug(
    "a user's quota is exceeded",
    [
      .init(
        within: "", find: "call('SCARD', live) >= quota then",
        replacement: "call('SCARD', live) >= quota + 3 then")
    ])

  /// The caller that asked last is served first.
  fileprivate static let lastFirst = PlantedBug(
    "the queue is served from its end",
    [
      .init(
        within: "", find: "local at = from_end and '-1' or '0'",
        replacement: "local at = from_end and '0' or '-1'")
    ])

  /// A rollback leaves the messages.
  fileprivate static let halfRollback = PlantedBug(
    "a rollback removes nothing",
    [
      .init(
        within: "", find: "if policy == 'rollback' and is_theirs(",
        replacement: "if false and is_theirs(")
    ])

  /// Idle clocks end before their time.
  fileprivate static let hasty = PlantedBug(
    "idle clocks end early",
    [
      .init(
        within: "", find: "(not at or idle < at) then at, what = idle, 'paused' end",
        replacement: "(not at or idle < at) then at, what = idle - 100, 'paused' end")
    ])

  /// Each change of a session's state has two events.
  fileprivate static let stuttering = PlantedBug(
    "transitions are reported twice",
    [
      .init(
        within: "", find: "announce(s, kind or EVENT[to], at_ms)",
        replacement: "announce(s, kind or EVENT[to], at_ms) announce(s, kind or EVENT[to], at_ms)")
    ])

  /// Sessions can be changed in every state.
  fileprivate static let undead = PlantedBug(
    "abandoned sessions are changed",
    [
      .init(
        within: "", find: "if not LIVE[s.state] then return nil, wrong_state(s, verb) end",
        replacement: "")
    ])

  /// RECOVER and TURN make a session, whatever there is.
  fileprivate static let forgetting = PlantedBug(
    "sessions are not recovered",
    [
      .init(within: "", find: "if s then return s, 'hint' end", replacement: ""),
      .init(within: "", find: "if s then return s, 'latest', why end", replacement: ""),
    ])

  /// The third chat gets the number of the second.
  fileprivate static let recounting = PlantedBug(
    "a chat's number comes again",
    [
      .init(
        within: "", find: "local chat = s.last_chat + 1",
        replacement: "local chat = s.last_chat > 1 and s.last_chat or s.last_chat + 1")
    ])

  /// Acknowledgements of groups are counted, and not written.
  fileprivate static let unacknowledged = PlantedBug(
    "acknowledgements are forgotten",
    [
      .init(
        within: "", find: "attempt('XACK', keys[item] .. ':events', group, ids[item])",
        replacement: "1")
    ])

  /// The quota of chats is used up after half of them.
  fileprivate static let stingy = PlantedBug(
    "a quota is refused early",
    [
      .init(
        within: "", find: "if #s.chats >= most then",
        replacement: "if #s.chats >= most / 2 then")
    ])

  /// A rollback removes the next message, too.
  fileprivate static let deepRollback = PlantedBug(
    "a rollback removes too much",
    [
      .init(
        within: "", find: "for seq = last, first, -1 do",
        replacement: "for seq = last + 1, first, -1 do")
    ])
}

extension SystemSuites {
  @Suite struct LoadCommand {
    /// Much of what happens seldom, in little time.
    private static let busy = [
      "--think", "100ms", "--ttl", "800ms", "--mix",
      "vanish=10,handoff=15,stale=30,rival=20,close=10,double=40,"
        + "chat=30,quota=10,join=20,interrupt=10,rollback=10", "--seed", "11",
    ]

    private func load(
      _ workers: [WorkerProcess], _ arguments: [String], within limit: Duration = .seconds(90)
    ) throws -> ProgramRun {
      let places = workers.map { "127.0.0.1:\($0.listenPort)" }.joined(separator: ",")
      return try ProgramRun(["load", "--to", places] + arguments, within: limit)
    }

    private func file(_ name: String) throws -> String { "\(try Scratch.folder("load"))/\(name)" }

    private func text(_ path: String) throws -> String {
      try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test func `a good fleet passes, and its figures are all there`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let json = try file("figures.json")
      let report = try file("report.html")
      let run = try load(
        lab.workers,
        Self.busy + [
          "--conversations", "50", "--duration", "2s", "--json", json, "--report", report,
          "--group", "load",
        ])
      #expect(run.status == 0, "\(run.output)\(run.errors)")
      #expect(run.output.contains("All promises were kept."))
      #expect(run.output.hasPrefix("messages given up: "))
      let figures = try JSON(try text(json))
      #expect(figures["verdict"]?.string == "kept" && figures["violation"] == .null)
      let verbs = figures["verbs"]?.names ?? []
      let wanted: Set = [
        "connect", "HOLDER", "LOCK", "OPEN", "TOUCH", "SAY", "SET", "HISTORY", "HANDOFF", "CLOSE",
        "UNLOCK", "TURN", "DONE", "RECOVER", "PAUSE", "RESUME", "CHAT", "LINK", "LIST", "message",
      ]
      #expect(verbs == wanted)
      for verb in verbs {
        let row = figures["verbs"]?[verb]
        let latencies = ["p50_us", "p90_us", "p99_us", "p99_9_us", "max_us"].map { row?[$0]?.int }
        #expect(latencies.compactMap { $0 }.count == 5, "\(verb)")
        #expect(row?["count"]?.int ?? 0 > 0, "\(verb)")
      }
      let counts = try #require(figures["counts"])
      #expect(counts["checked"] == counts["conversations"])
      #expect(counts["unchecked"]?.int == 0)
      // A run in which these are zero has shown nothing.
      for name in [
        "said", "held", "handoffs", "vanished", "stale_refused", "sleepers", "turns", "busy",
        "joined", "gone_on", "interrupted", "recovered", "paused", "chats", "over_quota", "listed",
        "delivered", "changes",
      ] {
        #expect(counts[name]?.int ?? 0 > 0, "\(name)")
      }
      #expect(figures["abandonments"]?["reported"]?.int ?? 0 > 0)
      #expect(figures["own_cpu_us_per_request"] != nil && figures["errors"]?.names == [])
      let page = try text(report)
      #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
      #expect(page.components(separatedBy: "<svg").count == 5)
      for words in ["http:", "https:", "src=", "<script", "url("] {
        #expect(!page.contains(words), "\(words)")
      }
      // Sessions are deleted when they have been checked.
      let stats = try lab.connect().request("STATS").json()
      #expect(stats["sessions"]?["active"]?.int == 0, "\(stats)")
      #expect(stats["locks"]?["held"]?.int == 0, "\(stats)")
    }

    @Test func `an open loop comes at its rate over kept connections`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let json = try file("figures.json")
      let run = try load(
        lab.workers,
        [
          "--rate", "200", "--conversations", "40", "--connect", "keep", "--duration", "1s",
          "--warmup", "200ms", "--ttl", "1s", "--json", json,
        ])
      #expect(run.status == 0, "\(run.output)\(run.errors)")
      let figures = try JSON(try text(json))
      let verbs = figures["verbs"]
      #expect(verbs?["message"]?["count"]?.int ?? 0 > 0)
      // Conversations keep theirs; rivals and sleepers come with their own.
      let asked = ["LOCK", "TURN", "RECOVER"].reduce(0) { $0 + (verbs?[$1]?["count"]?.int ?? 0) }
      #expect(verbs?["connect"]?["count"]?.int ?? 0 < asked, "\(figures)")
      #expect(figures["options"]?["rate"] != nil)
    }

    @Test func `a worker that dies and a Redis that hangs break no promise`() throws {
      let lab = try Lab(workers: [[], []])
      defer { lab.stop() }
      let json = try file("figures.json")
      let redis = try #require(
        Scratch.processes(named: "redis-server", in: lab.redis.folder).first)
      let victim = lab.workers[0].pid
      let command = """
        if [ "$LATCHKEY_CHAOS_RUN" = 1 ]; then kill -9 \(victim)
        else kill -STOP \(redis); sleep 0.7; kill -CONT \(redis); fi
        """
      let run = try load(
        lab.workers,
        Self.busy + [
          "--conversations", "40", "--duration", "3s", "--chaos", command, "--chaos-every", "900ms",
          "--json", json,
        ])
      #expect(run.status == 0, "\(run.output)\(run.errors)")
      let figures = try JSON(try text(json))
      guard case .array(let runs) = figures["chaos_at_s"] else {
        Issue.record("no chaos in \(figures)")
        return
      }
      #expect(!runs.isEmpty)
      #expect(figures["error_count"]?.int ?? 0 > 0, "nothing was broken")
      #expect(figures["errors"]?["cannot_connect"]?.int ?? 0 > 0)
      #expect(figures["counts"]?["checked"] == figures["counts"]?["conversations"])
    }

    @Test(
      arguments: [
        (.writtenTwice, ["abandonment_reported_twice"]), (.unfenced, ["stale_write_accepted"]),
        // What follows a message that is removed by other means moves up.
        (.forgetful, ["message_lost", "message_doubled"]), (.notWritten, ["ending_not_reported"]),
        // Found at the first of these: the event, the old holder's call, or the next grant.
        (
          .renewalsIgnored, ["abandonment_reported_too_early", "live_token_refused", "two_holders"]
        ),
        // Found at the reply to the second TURN, or at that of the turn which it has ended.
        (.impatient, ["two_turns", "live_token_refused"]),
        (.deaf, ["joined_message_unanswered"]), (.lastFirst, ["turn_out_of_order"]),
        // Found by the next message: it is BUSY, or joins.
        (
          .endless,
          ["busy_without_turn", "abandoned_after_release", "joined_message_unanswered"]
        ),
        (
          .anyTurn,
          [
            "stale_write_accepted", "live_token_refused", "answer_out_of_turn",
            "joined_message_unanswered",
            // The end that is accepted may be seen before the rollback that the turn was ended by.
            "message_lost",
          ]
        ),
        (.halfRollback, ["rolled_back_message_there"]), (.deepRollback, ["message_lost"]),
        (.hasty, ["session_clock_too_early"]), (.stuttering, ["session_transition_wrong"]),
        (.undead, ["dead_session_accepted"]), (.forgetting, ["session_lost"]),
        (.recounting, ["chat_number_reused"]), (.stingy, ["quota_wrong"]),
        (.generous, ["quota_wrong"]),
        (.unacknowledged, ["acknowledged_event_again"]),
      ] as [(PlantedBug, Set<String>)])
    func `a planted bug ends the run with the history that shows it`(
      bug: PlantedBug, rules: Set<String>
    ) throws {
      let redis = try RedisServer()
      let proxy = try ScriptProxy(before: redis, bug)
      let hasGroup = bug.name == PlantedBug.unacknowledged.name
      let worker = try WorkerProcess(
        ["--redis", proxy.url] + (hasGroup ? ["--ack-timeout", "1s"] : []))
      defer {
        worker.kill()
        proxy.stop()
        redis.stop()
      }
      let json = try file("figures.json")
      // A missing event is waited for; the other bugs need no waiting.
      let patience = bug.name == PlantedBug.notWritten.name ? "1s" : "15s"
      let run = try load(
        [worker],
        Self.busy + [
          "--conversations", "20", "--duration", "10s", "--json", json, "--patience", patience,
        ] + (hasGroup ? ["--group", "load"] : []))
      #expect(proxy.plantedCount > 0)
      #expect(run.status == 1, "\(run.output)\(run.errors)")
      #expect(run.output.contains("BROKEN: "))
      let violation = try #require(try JSON(try text(json))["violation"])
      #expect(rules.contains(violation["rule"]?.string ?? ""), "\(run.output)")
      guard case .array(let history) = violation["history"] else {
        Issue.record("no history in \(violation)")
        return
      }
      let lines = history.compactMap(\.string)
      let first = #/→ (LOCK|TURN|RECOVER) by /#
      #expect(lines.contains { $0.contains(first) }, "\(lines)")
      #expect(lines.allSatisfy { run.output.contains($0) })
    }

    @Test func `callers send AUTH, where workers require it`() throws {
      let file = try PrincipalsFile([("loader", ["--devices", "load-*"])])
      let lab = try Lab(workers: [["--auth", file.path]])
      defer { lab.stop() }
      let words = [
        "load", "--to", "127.0.0.1:\(lab.worker.listenPort)", "--conversations", "10",
        "--duration", "500ms",
      ]
      let busy = Array(Self.busy.dropLast(2))
      let limit = Duration.seconds(60)
      let known = try ProgramRun(
        words + busy, environment: ["LATCHKEY_SECRET": file.secret("loader")], within: limit)
      #expect(known.status == 0, "\(known.output)\(known.errors)")
      #expect(known.output.contains("\nAUTH "))
      let unknown = try ProgramRun(words + busy, within: limit)
      #expect(unknown.status == 3 && unknown.errors.contains("--secret-file"), "\(unknown.errors)")
      let wrong = try ProgramRun(
        words + busy, environment: ["LATCHKEY_SECRET": "loader.5cc47b9b"], within: limit)
      #expect(
        wrong.status == 3 && wrong.errors.contains("does not accept"), "\(wrong.errors)")
    }

    @Test func `Ctrl-C ends a run early, with its summary`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let folder = try Scratch.folder("load")
      let child = try Child(
        [
          WorkerProcess.binary, "load", "--to", "127.0.0.1:\(lab.worker.listenPort)",
          "--conversations", "10", "--duration", "10m", "--think", "50ms", "--ttl", "500ms",
        ], folder: folder, output: "\(folder)/out", errors: "\(folder)/err")
      defer { child.end() }
      let client = try lab.connect()
      try eventually("conversations", within: .seconds(10)) {
        try client.request("STATS").json()["locks"]?["acquired"]?.int ?? 0 > 5
      }
      child.signal(SIGINT)
      #expect(try child.wait("the harness", within: .seconds(60)) == .exited(0))
      let summary = try text("\(folder)/out")
      #expect(summary.contains("All promises were kept.") && summary.contains("ended early"))
      #expect(try text("\(folder)/err").contains("stopping"))
    }

    @Test func `an impossible run is reported, with a status of its own`() throws {
      let usage = try ProgramRun(["load", "--conversations", "none"])
      #expect(usage.status == 2 && usage.errors.contains("1 to 200000"), "\(usage.errors)")
      let help = try ProgramRun(["load", "--help"])
      #expect(help.status == 0 && help.output.hasPrefix("usage: latchkey load"))
      let port = try TestSocket.freePort()
      let refused = try ProgramRun(["load", "--to", "127.0.0.1:\(port)", "--duration", "1s"])
      #expect(refused.status == 3 && refused.errors.contains("cannot connect"), "\(refused.errors)")
      let nowhere = try ProgramRun(["load", "--json", "/nonexistent/figures.json"])
      #expect(nowhere.status == 2 && nowhere.errors.contains("/nonexistent"), "\(nowhere.errors)")
    }
  }
}
