// Owns: `latchkey top`: the fleet's figures as they change, on a terminal; once and as plain text
// elsewhere. Main thread.

import Glibc
import LatchkeyClient
import Loop

enum TopCommand {
  static let usage = """
    usage: latchkey top [--to HOST:PORT] [--timeout D] [--secret-file F] [--every D] [--once]

    Shows the figures of the whole fleet (STATS), its consumer groups, its hooks and the nodes of
    a cluster, and how they change, until q or an interruption.
    Where standard output is no terminal, or with --once, it shows them once, as plain text.

    \(WorkerFlags.usage)
      --every D        how often it asks, from 200ms on (2s, or LATCHKEY_EVERY)
      --once           shows the figures once (or LATCHKEY_ONCE=1)

    Exit status: 0 OK · 2 ERR or wrong usage · 3 no connection, or no reply

    """

  static func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: "top", usage: usage, valued: WorkerFlags.valued + ["--every"],
      switches: ["--once"] + WorkerFlags.switches)
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    guard flags.words.isEmpty else {
      Console.fail("latchkey top: it takes flags alone\n\n\(usage)", status: 2)
    }
    let everyMs = WorkerFlags.durationMs("--every", flags["--every"] ?? "2s", "top")
    guard everyMs >= 200 else {
      Console.fail("latchkey top: --every takes a duration from 200ms on\n", status: 2)
    }
    let worker = WorkerFlags(flags, command: "top")
    let connection = worker.connectOrEnd()
    let sample = TopSample(
      stats: worker.ask("STATS", on: connection), info: worker.ask("INFO", on: connection),
      hooks: worker.askAny("HOOKS", on: connection))
    guard !flags.isOn("--once"), isatty(1) == 1, isatty(0) == 1 else {
      let lines = TopText.lines(worker.place, sample, before: nil)
      return Console.write(lines.joined(separator: "\n") + "\n") ? 0 : 2
    }
    return TopView(worker, connection, sample, everyMs: everyMs).run()
  }
}

/// What a worker said at one moment.
struct TopSample {
  let stats: JSONView
  let info: JSONView
  /// None where the caller may not see them.
  let hooks: [JSONView]
  let atMs = MonotonicTime.nowMs()
  let timeMs = WallTime.nowMs()

  init(stats: LatchkeyReply, info: LatchkeyReply, hooks: LatchkeyReply) {
    self.stats = JSONView(stats.body)
    self.info = JSONView(info.body)
    self.hooks = hooks.word == .ok ? JSONView(hooks.body)["hooks"]?.elements ?? [] : []
  }

  func number(_ group: String, _ name: String) -> Int64 { stats[group]?[name]?.int ?? 0 }
}

/// The lines of the view.
enum TopText {
  static func lines(_ place: String, _ sample: TopSample, before: TopSample?) -> [String] {
    let redis = sample.info["redis"]
    let words = [
      "latchkey top", place, "worker \(sample.info["worker"]?.shown ?? "?")",
      "version \(sample.info["version"]?.shown ?? "?")",
      "redis \(redis?["state"]?.shown ?? "?") \(redis?["version"]?.shown ?? "")",
      "workers \(sample.stats["workers"]?.text ?? "?")",
    ]
    var lines = [words.joined(separator: "   "), ""]
    lines += [locks(sample, before), turns(sample, before)] + sessions(sample, before)
    lines += [groups(sample)] + lags(sample) + hooks(sample, before) + nodes(sample)
    if let damaged = sample.stats["damaged"] {
      lines.append(title("corrupt") + damaged.elements.map(\.shown).joined(separator: ", "))
    }
    return lines + agents(sample)
  }

  private static func title(_ text: String) -> String { HumanText.column(text, 9) }

  /// A total since the data began, and how fast it grows.
  private static func total(
    _ group: String, _ name: String, _ sample: TopSample, _ before: TopSample?
  ) -> String {
    let now = sample.number(group, name)
    guard let before else { return "\(name) \(now)" }
    let seconds = Double(max(1, sample.atMs - before.atMs)) / 1_000
    let rate = Double(now - before.number(group, name)) / seconds
    return "\(name) \(now) (\(HumanText.decimal(max(0, rate)))/s)"
  }

  private static func locks(_ sample: TopSample, _ before: TopSample?) -> String {
    let held = sample.number("locks", "held_now_ms_mean")
    var words = ["held \(sample.number("locks", "held"))"]
    if held > 0 { words.append("for \(HumanText.duration(ms: held))") }
    words += ["acquired", "released", "abandoned", "handed_off", "seized", "cleared"].map {
      total("locks", $0, sample, before)
    }
    return title("locks") + words.joined(separator: "   ")
  }

  private static func turns(_ sample: TopSample, _ before: TopSample?) -> String {
    let now = ["running", "waiting"].map { "\($0) \(sample.number("turns", $0))" }
    let totals = ["begun", "abandoned", "interrupted"].map { total("turns", $0, sample, before) }
    return title("turns") + (now + totals).joined(separator: "   ")
  }

  private static func sessions(_ sample: TopSample, _ before: TopSample?) -> [String] {
    let states = ["active", "paused", "abandoned", "archived", "completed", "failed"].map {
      "\($0) \(sample.number("sessions", $0))"
    }
    let totals = ["opened", "closed", "expired"].map { total("sessions", $0, sample, before) }
    let numbers = ["devices", "users"].map { "\($0) \(sample.stats[$0]?.text ?? "?")" }
    let ages = [("oldest", "oldest_at"), ("newest", "newest_at")].map { word, name in
      let at = sample.stats["sessions"]?[name]?.int
      return "\(word) \(at.map { HumanText.duration(ms: sample.timeMs - $0) } ?? "-")"
    }
    let chats = "live chats \(sample.number("sessions", "live_chats"))"
    return [
      title("sessions") + (states + [chats]).joined(separator: "   "),
      title("") + (totals + numbers + ages).joined(separator: "   "),
    ]
  }

  /// The consumer groups together.
  private static func groups(_ sample: TopSample) -> String {
    let figures = sample.info["groups"]
    let number = { (name: String) in figures?[name]?.int ?? 0 }
    let words = [
      "behind \(HumanText.duration(ms: number("behind_ms")))", "lost \(number("lost"))",
      "logs \(HumanText.bytes(Int(number("log_bytes"))))", "full \(number("logs_full"))",
    ]
    return title("groups") + words.joined(separator: "   ")
  }

  /// A line for each consumer group, those most behind first.
  private static func lags(_ sample: TopSample) -> [String] {
    (sample.info["groups"]?["lags"]?.elements ?? []).map { lag in
      let behind = "behind \(HumanText.duration(ms: lag["behind_ms"]?.int ?? 0))"
      return title("group") + [lag["group"]?.shown ?? "?", behind].joined(separator: "   ")
    }
  }

  /// A line for each hook: its lag first.
  private static func hooks(_ sample: TopSample, _ before: TopSample?) -> [String] {
    sample.hooks.map { hook in
      let name = hook["name"]?.shown ?? "?"
      let number = { (member: String) in hook[member]?.int ?? 0 }
      var words = [
        name, hook["state"]?.shown ?? "?",
        "lag \(number("lag")) for \(HumanText.duration(ms: number("lag_ms")))",
        "under way \(number("under_way"))",
        delivered(name, number("delivered"), sample, before), "failed \(number("failed"))",
      ]
      if let error = hook["last_error"], error.string != nil { words.append(error.shown) }
      return title("hook") + words.joined(separator: "   ")
    }
  }

  private static func delivered(
    _ name: String, _ now: Int64, _ sample: TopSample, _ before: TopSample?
  ) -> String {
    let old = before?.hooks.first { $0["name"]?.shown == name }?["delivered"]?.int
    guard let before, let old else { return "delivered \(now)" }
    let seconds = Double(max(1, sample.atMs - before.atMs)) / 1_000
    return "delivered \(now) (\(HumanText.decimal(max(0, Double(now - old) / seconds)))/s)"
  }

  /// The nodes of a cluster.
  private static func nodes(_ sample: TopSample) -> [String] {
    (sample.info["redis"]?["nodes"]?.elements ?? []).compactMap { node in
      guard let address = node["address"]?.shown else { return nil }
      let partitions = "partitions \(node["partitions"]?.text ?? "?")"
      return title("node")
        + [address, node["state"]?.shown ?? "?", partitions]
        .joined(separator: "   ")
    }
  }

  private static func agents(_ sample: TopSample) -> [String] {
    let agents = (sample.stats["locks"]?["by_agent"]?.members ?? [])
      .map { ($0.name, $0.value.int ?? 0) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    guard !agents.isEmpty else { return [] }
    return ["", HumanText.column("AGENT", 32) + HumanText.right("LOCKS", 8)]
      + agents.map { HumanText.column($0.0, 32) + HumanText.right("\($0.1)", 8) }
  }
}
