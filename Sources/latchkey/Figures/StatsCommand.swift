// Owns: `latchkey stats`: the figures of the whole fleet, for people or for pipes. Main thread.

import LatchkeyClient
import Loop

enum StatsCommand {
  static let usage = """
    usage: latchkey stats [--to HOST:PORT] [--timeout D] [--secret-file F] [--json]

    Shows what STATS says of the whole fleet: locks, turns and sessions now and in total. latchkey
    call HELP STATS explains the request; latchkey top shows the figures as they change.

    \(WorkerFlags.usage)
      --json           the JSON of the reply alone (or LATCHKEY_JSON=1)

    Exit status: 0 OK · 2 ERR or wrong usage · 3 no connection, or no reply

    """

  static func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: "stats", usage: usage, valued: WorkerFlags.valued,
      switches: ["--json"] + WorkerFlags.switches)
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    guard flags.words.isEmpty else {
      Console.fail("latchkey stats: it takes flags alone\n\n\(usage)", status: 2)
    }
    let worker = WorkerFlags(flags, command: "stats")
    let reply = worker.ask("STATS", on: worker.connectOrEnd())
    let text = flags.isOn("--json") ? reply.body + "\n" : StatsText.lines(JSONView(reply.body))[...]
    return Console.write(String(text)) ? 0 : 2
  }
}

/// The figures of STATS as people read them.
enum StatsText {
  /// A line for each figure, in groups.
  static func lines(_ stats: JSONView, nowMs: Int64 = WallTime.nowMs()) -> String {
    var lines: [String] = []
    for (group, value) in stats.members {
      let figures = value.members
      guard !figures.isEmpty else {
        lines.append(HumanText.column(group, 24) + shown(group, value, nowMs))
        continue
      }
      lines.append(group)
      for (name, figure) in figures {
        let agents = figure.members
        if name != "by_agent" {
          lines.append(HumanText.column("  " + name, 24) + shown(name, figure, nowMs))
        }
        for agent in agents {
          lines.append(HumanText.column("    by " + agent.name, 24) + agent.value.text)
        }
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func shown(_ name: String, _ value: JSONView, _ nowMs: Int64) -> String {
    guard let number = value.int else {
      return value.text == "null" ? "-" : value.elements.map(\.shown).joined(separator: ", ")
    }
    if name.hasSuffix("_ms_mean") { return HumanText.duration(ms: number) }
    if name.hasSuffix("_at") { return HumanText.duration(ms: nowMs - number) + " ago" }
    return "\(number)"
  }
}
