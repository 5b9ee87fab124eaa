// Owns: `latchkey health`: whether a worker can serve, for probes of containers and for scripts.
// Main thread.

import LatchkeyClient

enum HealthCommand {
  static let usage = """
    usage: latchkey health [--admin HOST:PORT] [--live] [--timeout D]

    Asks a worker's admin port whether it can serve (/readyz), and prints what it says.

      --admin HOST:PORT  the admin port (127.0.0.1:5283, or LATCHKEY_ADMIN, as for serve)
      --live             whether it lives (/healthz): also while it drains, or Redis is down
      --timeout D        how long to wait for all of it (3s, or LATCHKEY_TIMEOUT)

    Exit status: 0 it can · 1 it cannot, for the reasons printed · 2 wrong usage · 3 no connection,
    or no reply

    """

  static func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: "health", usage: usage, valued: ["--admin", "--timeout"], switches: ["--live"])
    guard let flags = CommandFlags(table, arguments, environment: Console.environment()) else {
      return 0
    }
    guard flags.words.isEmpty else {
      Console.fail("latchkey health: it takes flags alone\n\n\(usage)", status: 2)
    }
    let place = flags["--admin"] ?? "127.0.0.1:5283"
    let (host, port) = Console.hostAndPort(place, of: "--admin", command: "health")
    let timeoutMs = WorkerFlags.durationMs("--timeout", flags["--timeout"] ?? "3s", "health")
    do throws(LatchkeyError) {
      let path = flags.isOn("--live") ? "/healthz" : "/readyz"
      let reply = try AdminReply.get(path, host: host, port: port, timeoutMs: timeoutMs)
      guard Console.write(reply.body) else { return 3 }
      return reply.status == 200 ? 0 : 1
    } catch {
      Console.fail("latchkey health: \(place): \(error)\n", status: 3)
    }
  }
}
