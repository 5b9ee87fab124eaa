// Owns: `latchkey locks` and `latchkey sessions`: lists over all devices, page by page, for people
// or for pipes. Main thread.

import Glibc
import LatchkeyClient
import Loop

/// A command that shows a list of a verb to its end.
struct ListCommand: Sendable {
  let name: String
  let usage: String
  /// The verb, and the words that it has where none are given.
  let verb: String
  let defaultWords: [String]
  /// The member of a reply that has the rows.
  let rows: String
  let header: String
  let row: @Sendable (JSONView, _ nowMs: Int64) -> String

  /// So many rows come in a page.
  private static let pageRows = 100

  func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: name, usage: usage, valued: WorkerFlags.valued,
      switches: ["--json"] + WorkerFlags.switches)
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    let isOption: (String, String) -> Bool = { $0.lowercased().hasPrefix($1 + "=") }
    guard !flags.words.contains(where: { isOption($0, "cursor") }) else {
      Console.fail(
        "latchkey \(name): cursor= is not for this command, which reads page after page\n",
        status: 2)
    }
    let limits = flags.words.filter { isOption($0, "limit") }
    let most = limits.last.map { Int($0.dropFirst("limit=".count)) ?? 0 } ?? .max
    guard most > 0, limits.count < 2 else {
      Console.fail("latchkey \(name): limit= takes a number from 1 on\n", status: 2)
    }
    let words = flags.words.filter { !isOption($0, "limit") }
    var request = line(of: words.isEmpty ? defaultWords : words)
    // People see no fields.
    let isShort = !flags.isOn("--json") && !words.contains { isOption($0, "fields") }
    if verb == "LIST", isShort { request += " fields=none" }
    // A reader that goes away ends this program through the failed write, not a signal.
    signal(SIGPIPE, SIG_IGN)
    return show(
      request, most: most, isJSON: flags.isOn("--json"), WorkerFlags(flags, command: name))
  }

  private func line(of words: [String]) -> String {
    do throws(RequestLine.Problem) {
      return try RequestLine([verb] + words) { nil }.text
    } catch {
      Console.fail("latchkey \(name): \(error.text)\n", status: 2)
    }
  }

  private func show(_ request: String, most: Int, isJSON: Bool, _ worker: WorkerFlags) -> Int32 {
    let connection = worker.connectOrEnd()
    var (left, cursor) = (most, "")
    if !isJSON, !Console.write(header + "\n") { return 0 }
    repeat {
      let limit = " limit=\(min(left, ListCommand.pageRows))"
      let body = JSONView(worker.ask(request + limit + cursor, on: connection).body)
      let nowMs = WallTime.nowMs()
      let found = body[rows]?.elements ?? []
      for value in found.prefix(left) {
        guard Console.write((isJSON ? value.text : row(value, nowMs)) + "\n") else { return 0 }
      }
      left -= min(left, found.count)
      cursor = body["cursor"]?.string.map { " cursor=\($0)" } ?? ""
    } while !cursor.isEmpty && left > 0
    return 0
  }
}

extension ListCommand {
  private static let common = """
    \(WorkerFlags.usage)
      --json           one JSON object a line, as the protocol gives it (or LATCHKEY_JSON=1)

    Exit status: 0 OK · 2 ERR or wrong usage · 3 no connection, or no reply

    """

  static let locks = ListCommand(
    name: "locks",
    usage: """
      usage: latchkey locks [--to HOST:PORT] [--timeout D] [--secret-file F] [--json] [option…]

      Lists the locks that are held, of all devices and in no order: the device, its agent, for
      how long it has held the lock, and how much of the TTL is left. Options are those of LOCKS;
      without limit= all are shown.

        latchkey locks agent=scheduling limit=20

      \(common)
      """,
    verb: "LOCKS", defaultWords: [], rows: "locks",
    header: HumanText.column("DEVICE", 32) + HumanText.column("AGENT", 16)
      + HumanText.column("HELD", 10) + "TTL",
    row: { lock, nowMs in
      let held = lock["acquired_at"]?.int.map { HumanText.duration(ms: nowMs - $0) } ?? "?"
      let left = lock["ttl_ms"]?.int.map { HumanText.duration(ms: $0) } ?? "?"
      return HumanText.column(lock["device"]?.shown ?? "?", 32)
        + HumanText.column(lock["agent"]?.shown ?? "?", 16) + HumanText.column(held, 10) + left
    })

  static let sessions = ListCommand(
    name: "sessions",
    usage: """
      usage: latchkey sessions [--to HOST:PORT] [--timeout D] [--secret-file F] [--json] [word…]

      Lists sessions: their state, how long ago they were active, their messages, address and name.
      The words are those of LIST, * without any; without limit= all are shown.

        latchkey sessions device-1
        latchkey sessions user=ada state=active,paused limit=20

      \(common)
      """,
    verb: "LIST", defaultWords: ["*"], rows: "sessions",
    header: HumanText.column("STATE", 9) + HumanText.column("ACTIVE", 10)
      + HumanText.right("MESSAGES", 8) + "  " + HumanText.column("SESSION", 48) + "NAME",
    row: { session, nowMs in
      let active = session["active_at"]?.int.map { HumanText.duration(ms: nowMs - $0) } ?? "?"
      let name = session["name"].flatMap { $0.text == "null" ? nil : $0.text } ?? ""
      let address = "\(session["device"]?.shown ?? "?")/\(session["session"]?.shown ?? "?")"
      return HumanText.column(session["state"]?.shown ?? "?", 9) + HumanText.column(active, 10)
        + HumanText.right(session["messages"]?.shown ?? "?", 8) + "  "
        + HumanText.column(address, name.isEmpty ? 0 : 48) + name
    })
}
