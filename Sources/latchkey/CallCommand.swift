// Owns: `latchkey call`: one request from the command line, its reply on standard output.

import Glibc
import LatchkeyClient

enum CallCommand {
  static let usage = """
    usage: latchkey call [--to HOST:PORT] [--timeout MS] [--secret-file F] VERB [word …]

    Sends one request and prints its reply. The words are sent as they are given, with one space
    between them; quote JSON for your shell: latchkey call HANDOFF d1 a b '{"why":"lunch"}'

      --to HOST:PORT   the worker (127.0.0.1:5282, or LATCHKEY_TO)
      --timeout MS     how long to wait for the connection and for the reply (2000)
    \(CallerSecret.usage)

    Exit status: 0 OK · 1 HELD, NONE, STALE · 2 ERR or wrong usage · 3 no connection, or no reply

    """

  static func run(_ arguments: [String]) -> Int32 {
    var rest = arguments[...]
    var place = Latchkey.environment()["LATCHKEY_TO"] ?? "127.0.0.1:5282"
    var timeoutMs: Int64 = 2_000
    var secretFile: String?
    while let flag = rest.first, flag.hasPrefix("-") {
      rest.removeFirst()
      switch flag {
      case "-h", "--help":
        print(usage, terminator: "")
        return 0
      case "--to", "--timeout", "--secret-file":
        guard let value = rest.popFirst() else { Latchkey.fail(usage, status: 2) }
        if flag == "--to" {
          place = value
        } else if flag == "--secret-file" {
          secretFile = value
        } else if let ms = Int64(value), 1...3_600_000 ~= ms {
          timeoutMs = ms
        } else {
          Latchkey.fail("latchkey call: --timeout takes 1 to 3600000 ms\n", status: 2)
        }
      default: Latchkey.fail("latchkey call: unknown flag \(flag)\n\n\(usage)", status: 2)
      }
    }
    guard !rest.isEmpty else { Latchkey.fail(usage, status: 2) }
    let line = rest.joined(separator: " ")
    guard !line.utf8.contains(10), !line.utf8.contains(13) else {
      Latchkey.fail("latchkey call: a request is one line\n", status: 2)
    }
    let secret = CallerSecret.read(secretFile, command: "call")
    return send(line, secret, to: place, timeoutMs: timeoutMs)
  }

  private static func send(
    _ line: String, _ secret: String?, to place: String, timeoutMs: Int64
  ) -> Int32 {
    let (host, port) = Latchkey.hostAndPort(place, command: "call")
    do throws(LatchkeyError) {
      let connection = try LatchkeyConnection(host: host, port: port, timeoutMs: timeoutMs)
      try CallerSecret.present(secret, on: connection, timeoutMs: timeoutMs)
      let reply = try connection.request(line, timeoutMs: timeoutMs)
      print(reply.line)
      switch reply.word {
      case .ok, .event: return 0
      case .held, .none, .stale: return 1
      case .error: return 2
      }
    } catch {
      Latchkey.fail("latchkey call: \(error)\n", status: 3)
    }
  }
}
