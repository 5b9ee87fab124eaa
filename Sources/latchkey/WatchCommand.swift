// Owns: `latchkey watch`: events as they happen, for people or for pipes.

import Glibc
import LatchkeyClient
import Loop

enum WatchCommand {
  static let usage = """
    usage: latchkey watch [--to HOST:PORT] [--secret-file F | --token-file F] [--tls] [--json]
                          [--types a,b] [--] [device|*]

    Shows events as they happen until it is interrupted: of one device, or of all (the default).

      --to HOST:PORT   the worker (127.0.0.1:5282, or LATCHKEY_TO)
    \(CallerSecret.usage)
    \(CallerTLS.usage)
      --json           one JSON object a line, as the protocol gives it (or LATCHKEY_JSON=1)
      --types a,b      only these types, such as lock.abandoned (or LATCHKEY_TYPES)

    Exit status: 2 ERR or wrong usage · 3 no connection, or the connection ended

    """

  static func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: "watch", usage: usage,
      valued: ["--to", "--types"] + CallerSecret.valued + CallerTLS.valued,
      switches: ["--json"] + CallerTLS.switches)
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    guard flags.words.count <= 1 else {
      Console.fail("latchkey watch: one device, or * for all\n\n\(usage)", status: 2)
    }
    let options = flags["--types"].map { ["types=\($0)"] } ?? []
    let line: RequestLine
    do throws(RequestLine.Problem) {
      line = try RequestLine(["WATCH", flags.words.first ?? "*"] + options) { nil }
    } catch {
      Console.fail("latchkey watch: \(error.text)\n", status: 2)
    }
    let secret = CallerSecret.read(flags, command: "watch")
    watch(
      line.text, secret, at: flags["--to"] ?? "127.0.0.1:5282",
      CallerTLS.read(flags, command: "watch"), isJSON: flags.isOn("--json"))
  }

  private static func watch(
    _ request: String, _ secret: String?, at place: String, _ tls: LatchkeyTLS?, isJSON: Bool
  ) -> Never {
    // A reader that goes away ends this program through the failed write, not a signal.
    signal(SIGPIPE, SIG_IGN)
    let (host, port) = Console.hostAndPort(place, command: "watch")
    do throws(LatchkeyError) {
      let connection = try LatchkeyConnection(host: host, port: port, tls: tls)
      try CallerSecret.present(secret, on: connection)
      let reply = try connection.request(request)
      guard reply.word == .ok else { Console.fail("\(reply.line)\n", status: 2) }
      while true {
        // Nothing happens for as long as nothing happens; the connection's end is an error.
        let event = try connection.readReply(timeoutMs: .max)
        guard event.word == .event else { continue }
        let line = isJSON ? String(event.body) : EventText.line(event.body)
        guard Console.write(line + "\n") else { exit(0) }
      }
    } catch {
      Console.fail("latchkey watch: \(error)\n", status: 3)
    }
  }
}

/// An event as people read it.
enum EventText {
  /// Time, type, device, and what else the event says, in columns.
  static func line(_ json: Substring) -> String {
    let members = JSONView(json).members
    var values: [String: JSONView] = [:]
    for (name, value) in members { values[name] = value }
    // An event that is in no log, such as a worker's drain, has no time of its own.
    let at = clock(values["at"]?.int ?? WallTime.nowMs())
    let known: Set = ["id", "type", "at", "device"]
    let more = members.filter { !known.contains($0.name) }
      .map { "\($0.name)=\($0.value.shown)" }.joined(separator: " ")
    return "\(at)  " + HumanText.column(values["type"]?.shown ?? "?", 18)
      + HumanText.column(values["device"]?.shown ?? "", 24) + more
  }

  /// The local time of day, to the millisecond.
  private static func clock(_ ms: Int64) -> String {
    var seconds = time_t(ms / 1_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let millis = String(1_000 + ms % 1_000).dropFirst()
    return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(millis)"
  }
}
