// `latchkey stats`, `locks`, `sessions`, `top` and `backup` from outside.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], ["--namespace", "other"]])) struct OwnersCommands {
    private let lab: Lab
    private let client: LineClient

    init() throws {
      lab = try Lab.current
      client = try lab.connect()
    }

    private func run(
      _ words: [String], on worker: Int = 0, status: Int32 = 0,
      _ place: SourceLocation = #_sourceLocation
    ) throws -> ProgramRun {
      let to = "127.0.0.1:\(lab.workers[worker].listenPort)"
      let run = try ProgramRun(words, environment: ["LATCHKEY_TO": to], within: .seconds(30))
      #expect(
        run.status == status, "\(words): \(run.output)\(run.errors)", sourceLocation: place)
      return run
    }

    /// The lines of a list that name one of the devices.
    private func lines(_ text: String, of devices: [String]) -> [Substring] {
      text.split(separator: "\n").filter { line in devices.contains { line.contains($0) } }
    }

    // MARK: Figures

    @Test func `stats shows what STATS says, for people and as JSON`() throws {
      let agent = Lab.device("agent")
      expect(try client.request("LOCK \(Lab.device()) \(agent)"), "OK")
      let text = try run(["stats"]).output
      #expect(text.contains(try Regex("    by \(agent) +1\n")), "\(text)")
      #expect(text.contains(/\n  held_now_ms_mean +[0-9.]+m?s\n/), "\(text)")
      let json = try JSON(try run(["stats", "--json"]).output)
      #expect(json.at("locks", "by_agent", agent) == .int(1))
      #expect(json.names == ["locks", "turns", "sessions", "devices", "users", "workers"])
      for words in [
        ["stats", "x"], ["top", "x"], ["locks", "limit=0"], ["sessions", "cursor=1"],
      ] {
        #expect(!(try run(words, status: 2).errors.isEmpty))
      }
    }

    @Test func `health says whether a worker can serve`() throws {
      let admin = "127.0.0.1:\(lab.workers[0].adminPort)"
      for words in [["health", "--admin", admin], ["health", "--live", "--admin", admin]] {
        let run = try run(words)
        #expect(!run.output.isEmpty && run.errors.isEmpty, "\(run.output)\(run.errors)")
      }
      let variable = try ProgramRun(["health"], environment: ["LATCHKEY_ADMIN": admin])
      #expect(variable.status == 0)
      let nowhere = try ProgramRun(["health", "--admin", "127.0.0.1:1"])
      #expect(nowhere.status == 3 && nowhere.errors.contains("cannot connect"))
      // The port for callers speaks no HTTP without --http.
      let callers = "127.0.0.1:\(lab.workers[0].listenPort)"
      #expect(try run(["health", "--admin", callers], status: 3).errors.contains("no reply"))
      for wrong in [["x"], ["--admin", "x"], ["--timeout", "x"], ["--nosuch"]] {
        #expect(!(try run(["health"] + wrong, status: 2).errors.isEmpty))
      }
    }

    @Test func `locks and sessions list all of them, page after page`() throws {
      let (agent, user) = (Lab.device("agent"), Lab.device("user"))
      let devices = (0..<230).map { "\(Lab.device("listed"))-\($0)" }
      for device in devices {
        try client.sendLine("LOCK \(device) \(agent)")
        try client.sendLine("OPEN \(device)")
        try client.sendLine("LINK \(device) team \(user)")
      }
      for reply in try client.replies(3 * devices.count) { expect(reply, "OK") }
      let locks = try run(["locks", "agent=\(agent)"]).output
      #expect(locks.hasPrefix("DEVICE") && lines(locks, of: devices).count == 230)
      #expect(
        try run(["locks", "agent=\(agent)", "limit=120"]).output.split(separator: "\n").count == 121
      )
      let listed = try run(["locks", "--json"]).output.split(separator: "\n").map {
        try JSON(String($0))
      }
      let found = Set(listed.compactMap { $0["device"]?.string })
      #expect(found.isSuperset(of: devices))
      let sessions = try run(["sessions", "team=\(user)"]).output
      #expect(sessions.hasPrefix("STATE") && lines(sessions, of: devices).count == 230)
      #expect(lines(sessions, of: devices).allSatisfy { $0.hasPrefix("active ") })
      expect(try client.request("CLOSE \(devices[0])"), "OK")
      let closed = try run(["sessions", "--json", "team=\(user)", "state=completed"]).output
      #expect(try JSON(closed)["device"]?.string == devices[0])
      #expect(try run(["sessions", devices[0]]).output.contains("completed"))
      #expect(try run(["sessions", "nosuch"], status: 0).output.split(separator: "\n").count == 1)
      #expect(try run(["sessions", "device=x"], status: 2).errors.contains("ERR bad_request"))
      let nowhere = try ProgramRun(["locks", "--to", "127.0.0.1:1"])
      #expect(nowhere.status == 3 && nowhere.errors.contains("127.0.0.1:1"))
    }

    /// Has a group take and acknowledge all that there is.
    private func read(_ group: String) throws {
      while true {
        let reply = try client.request("EVENTS * group=\(group) limit=1000")
        let ids = reply.raw.matches(of: /"id":"([^"]+)"/).map { String($0.1) }
        guard !ids.isEmpty else { return expect(reply, "OK") }
        expect(try client.request("ACK \(group) \(ids.joined(separator: " "))"), "OK")
      }
    }

    @Test func `each group in use has its lag in INFO, in top and at the page`() throws {
      let groups = [Lab.device("slow"), Lab.device("quick")]
      for group in groups { try read(group) }
      let device = Lab.device()
      for agent in ["a", "b"] { expect(try client.request("SEIZE \(device) \(agent)"), "OK") }
      try read(groups[1])
      let hook = Lab.device("hook")
      expect(try client.request("HOOK \(hook) url=http://127.0.0.1:1/ types=lock.seized"), "OK")
      defer { _ = try? client.request("UNHOOK \(hook)") }
      let file = try PrincipalsFile([
        ("boss", ["--rights", "read"]), ("ada", ["--rights", "read", "--links", "user=ada"]),
        ("few", ["--rights", "read", "--devices", "d-*"]),
      ])
      // The upkeep of the logs comes a second after a worker's start, and then every 15 s.
      let workers = [
        try WorkerProcess(on: lab.redis), try WorkerProcess(on: lab.redis, ["--auth", file.path]),
      ]
      defer { workers.forEach { $0.kill() } }
      let (asker, boss) = (try workers[0].connect(), try file.connect(workers[1], as: "boss"))
      for client in [asker, boss] {
        try eventually("the lags of both groups", within: .seconds(10)) {
          let info = try client.request("INFO")
          guard case .array(let lags)? = try info.json().at("groups", "lags") else { return false }
          var known: [String: Int] = [:]
          for lag in lags { known[lag["group"]?.string ?? ""] = lag["behind_ms"]?.int }
          #expect(!info.raw.contains(hook), "\(info)")
          return known[groups[0], default: 0] > 0 && known[groups[1]] == 0
        }
      }
      for name in ["ada", "few"] {
        let info = try file.connect(workers[1], as: name).request("INFO")
        #expect(info.isOK && !info.raw.contains("lags"), "\(info)")
      }
      let place = ["LATCHKEY_TO": "127.0.0.1:\(workers[0].listenPort)"]
      let top = try ProgramRun(["top"], environment: place).output
      for (group, behind) in zip(groups, ["[1-9]", "0ms"]) {
        let row = try Regex("\ngroup +\(group)   behind \(behind)")
        #expect(top.contains(row), "\(top)")
      }
      let overview = try HTTPClient(port: workers[0].adminPort)
        .get("/page/overview", ["Latchkey-Page: 1"]).body
      for group in groups { #expect(overview.contains("{\"group\":\"\(group)\",\"behind_ms\":")) }
    }

    @Test func `top is plain text once where there is no terminal, and a view on one`() throws {
      let agent = Lab.device("agent")
      expect(try client.request("LOCK \(Lab.device()) \(agent)"), "OK")
      let plain = try run(["top"]).output
      #expect(plain.hasPrefix("latchkey top   127.0.0.1:") && !plain.contains("\u{1B}"))
      #expect(plain.contains(try Regex("\n\(agent) +1\n")), "\(plain)")
      #expect(try run(["top", "--once"]).output.contains("\nsessions "))
      let groups = try Regex(
        "\ngroups +behind [0-9.a-z ]+   lost [0-9]+   logs [0-9.]+ [KM]?i?B   full 0\n")
      let hook = Lab.device("hook")
      expect(try client.request("HOOK \(hook) url=http://127.0.0.1:1/ types=lock.seized"), "OK")
      let row = try Regex(
        "\nhook +\(hook)   [a-z]+   lag [0-9]+ for [0-9.a-z ]+   under way 0   delivered ")
      #expect(try run(["top"]).output.contains(row))
      expect(try client.request("UNHOOK \(hook)"), "OK")
      #expect(plain.contains(groups) && !plain.contains("\nnode "), "\(plain)")
      // A terminal of 100 columns; the second drawing has rates, then q ends the view.
      let script = """
        import fcntl, os, pty, select, struct, sys, termios, time
        pid, fd = pty.fork()
        if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 20, 100, 0, 0))
        seen, ends = b'', time.monotonic() + 8
        while b'/s)' not in seen and time.monotonic() < ends:
            if select.select([fd], [], [], 0.2)[0]: seen += os.read(fd, 65536)
        os.write(fd, b'q')
        try:
            while select.select([fd], [], [], 5)[0]:
                more = os.read(fd, 65536)
                if not more: break
                seen += more
        except OSError: pass
        sys.stdout.buffer.write(seen)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
      let to = "127.0.0.1:\(lab.worker.listenPort)"
      let view = try ProgramRun(
        command: [
          "python3", "-c", script, WorkerProcess.binary, "top", "--every", "200ms", "--to", to,
        ],
        within: .seconds(20))
      #expect(view.status == 0, "\(view.errors)")
      #expect(view.output.contains("/s)") && view.output.contains(agent), "\(view.output)")
      #expect(view.output.hasPrefix("\u{1B}[?1049h") && view.output.hasSuffix("\u{1B}[?1049l"))
    }

    // MARK: Backup

    /// Sessions of all kinds, with their exports, by address.
    private func makeSessions(_ count: Int, _ team: String) throws -> [String: String] {
      var exports: [String: String] = [:]
      for number in 0..<count {
        let device = Lab.device("saved")
        let session = try client.request("OPEN \(device) {\"n\":\(number)}")
          .string("session")
        expect(try client.request("LINK \(device) team \(team)"), "OK")
        expect(try client.request("SAY \(device) [{\"text\":\"grüß\"},{\"n\":\(number)}]"), "OK")
        if number % 3 == 0 { expect(try client.request("PUT \(device) key \"value\""), "OK") }
        if number % 7 == 0 { expect(try client.request("CLOSE \(device)"), "OK") }
        let address = "\(device)/\(session)"
        exports[address] = try client.request("EXPORT \(address)").raw
      }
      return exports
    }

    @Test func `a backup brings sessions to another place as they were`() throws {
      let team = Lab.device("team")
      let exports = try makeSessions(130, team)
      let file = "\(try Scratch.folder("backup"))/file"
      let made = try run(["backup", "to", file, "team=\(team)"])
      #expect(made.output.contains("130 sessions") && made.errors.contains("written 130"))
      #expect(!FileManager.default.fileExists(atPath: file + ".part"))
      #expect(try run(["backup", "check", file]).output.contains("130 sessions"))
      #expect(try run(["backup", "to", file], status: 2).errors.contains("is there already"))
      let there = try lab.connect(1)
      #expect(
        try run(["backup", "from", file, "--skip", "100"], on: 1).output.contains(
          "30 sessions made"))
      let rest = try run(["backup", "from", file], on: 1)
      #expect(rest.output.contains("100 sessions made, 30 were there already"), "\(rest.output)")
      for (address, export) in exports {
        #expect(try there.request("EXPORT \(address)").raw == export)
      }
      let address = try #require(exports.first { $0.value.contains("\"state\":\"active\"") }?.key)
      expect(try there.request("SET \(address) name=other"), "OK")
      let again = try run(["backup", "from", file, "--replace"], on: 1)
      #expect(again.output.contains("130 sessions made"), "\(again.output)")
      #expect(try there.request("EXPORT \(address)").raw == exports[address])
    }

    @Test func `an interrupted backup goes on where it was, and a damaged one is refused`() throws {
      let team = Lab.device("team")
      _ = try makeSessions(230, team)
      let file = "\(try Scratch.folder("backup"))/file"
      _ = try run(["backup", "to", file, "team=\(team)"])
      let whole = try String(contentsOfFile: file, encoding: .utf8)
      let lines = whole.split(separator: "\n")
      #expect(lines.count == 230 + 4)
      // What a kill leaves: two pages and a part of the third, cut in the middle of a line.
      let part = lines.prefix(220).joined(separator: "\n") + "\n" + lines[220].prefix(20)
      try FileManager.default.removeItem(atPath: file)
      try part.write(toFile: file + ".part", atomically: true, encoding: .utf8)
      #expect(
        try run(["backup", "to", file, "team=\(team)"], status: 2).errors.contains("--resume"))
      #expect(
        try run(["backup", "to", file, "--resume"], status: 2).errors.contains("is a backup of"))
      _ = try run(["backup", "to", file, "--resume", "team=\(team)"])
      #expect(try String(contentsOfFile: file, encoding: .utf8) == whole)
      for (what, text) in [
        ("has no end", lines.dropLast().joined(separator: "\n") + "\n"),
        ("is damaged", whole.replacingOccurrences(of: "{\"n\":117}", with: "{\"n\":118}")),
        ("is no backup", whole.replacingOccurrences(of: "\"latchkey_backup\":1", with: "\"x\":1")),
        ("is damaged", whole.replacingOccurrences(of: "{\"n\":117}", with: "{\"n\":11")),
      ] {
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        for words in [["check", file], ["from", file]] {
          let run = try run(["backup"] + words, on: 1, status: 2)
          #expect(run.errors.contains(what), "\(run.errors)")
        }
      }
      #expect(
        try lab.connect(1).request("LIST team=\(team)").raw
          == "OK {\"sessions\":[],\"cursor\":null}")
      let nowhere = try ProgramRun(
        ["backup", "to", "\(file)-2", "--to", "127.0.0.1:1", "--patience", "100ms"])
      #expect(nowhere.status == 3, "\(nowhere.errors)")
    }

    @Test func `a session that cannot be saved is named, and the others are saved`() throws {
      let team = Lab.device("team")
      let exports = try makeSessions(3, team)
      let bad = try #require(exports.keys.sorted().first)
      let key = try lab.redis.command("KEYS", "lk:*:session:\(bad)")
      guard case .array(let keys) = key, case .text(let name)? = keys.first else {
        throw Failure("no key of \(bad)")
      }
      _ = try lab.redis.command("HSET", name, "f:\"n\"", "1 {")
      let file = "\(try Scratch.folder("backup"))/file"
      let made = try run(["backup", "to", file, "team=\(team)"], status: 1)
      #expect(made.errors.contains(bad) && made.output.contains("2 sessions"), "\(made.errors)")
      #expect(try run(["backup", "check", file]).output.contains("2 sessions"))
    }
  }
}
