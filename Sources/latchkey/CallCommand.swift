// Owns: `latchkey call`: one request from the command line, its reply on standard output.

import Glibc
import LatchkeyClient

enum CallCommand {
  static let usage = """
    usage: latchkey call [--to HOST:PORT] [--timeout D] [--secret-file F | --token-file F] [--tls]
                         [--json] [--] VERB [word]…

    Sends one request and prints its reply. An argument with a space or a line break becomes a JSON
    string, also behind the = of an option; JSON goes as it is, on as many lines as it has; - as the
    last argument is a payload on standard input. After -- a word may begin with a dash.

      latchkey call OPEN device-1 name='two words' '{"lang": "en"}'
      latchkey call SAY device-1 - <message.json

      --to HOST:PORT   the worker (127.0.0.1:5282, or LATCHKEY_TO)
      --timeout D      how long to wait for the connection and for the reply, beside the request's
                       own wait= (2s, or LATCHKEY_TIMEOUT)
      --json           prints the JSON of the reply alone; where it has none {"reply":"NONE"}, and
                       {"reply":"ERR","code":…,"text":…} (or LATCHKEY_JSON=1)
    \(CallerSecret.usage)
    \(CallerTLS.usage)

    latchkey call HELP lists the verbs, latchkey call HELP LOCK explains one.
    Exit status: 0 OK · 1 HELD, BUSY, NONE, STALE · 2 ERR or wrong usage · 3 no connection, or no
    reply

    """

  static func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: "call", usage: usage,
      valued: ["--to", "--timeout"] + CallerSecret.valued + CallerTLS.valued,
      switches: ["--json"] + CallerTLS.switches, endsAtWord: true)
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    guard let verb = flags.words.first, !verb.isEmpty else { Console.fail(usage, status: 2) }
    let line: RequestLine
    do throws(RequestLine.Problem) {
      line = try RequestLine(flags.words) { Console.text(ofFile: "-", bytesMax: 64 << 20) }
    } catch {
      Console.fail("latchkey call: \(error.text)\n", status: 2)
    }
    guard !["WATCH", "UNWATCH"].contains(line.verb) else {
      Console.fail(
        "latchkey call: \(line.verb) needs a connection that stays: use latchkey watch\n", status: 2
      )
    }
    let timeout = flags["--timeout"] ?? "2s"
    guard let timeoutMs = RequestLine.Duration.ms(timeout[...]), 10...3_600_000 ~= timeoutMs else {
      Console.fail("latchkey call: --timeout takes a duration from 10ms to 1h\n", status: 2)
    }
    let secret = CallerSecret.read(flags, command: "call")
    return send(
      line, secret, to: flags["--to"] ?? "127.0.0.1:5282", CallerTLS.read(flags, command: "call"),
      timeoutMs: timeoutMs, isJSON: flags.isOn("--json"))
  }

  private static func send(
    _ line: RequestLine, _ secret: String?, to place: String, _ tls: LatchkeyTLS?, timeoutMs: Int64,
    isJSON: Bool
  ) -> Int32 {
    let (host, port) = Console.hostAndPort(place, command: "call")
    do throws(LatchkeyError) {
      let connection = try LatchkeyConnection(
        host: host, port: port, timeoutMs: timeoutMs, tls: tls)
      try CallerSecret.present(secret, on: connection, timeoutMs: timeoutMs)
      let reply = try connection.request(line.text, timeoutMs: timeoutMs + line.waitMs)
      print(isJSON ? reply.json : reply.line)
      switch reply.word {
      case .ok, .event: return 0
      case .held, .busy, .none, .stale: return 1
      case .error: return 2
      }
    } catch {
      Console.fail("latchkey call: \(error)\n", status: 3)
    }
  }
}

extension LatchkeyReply {
  /// The reply's JSON alone; its word where it has none, and code and text of an error.
  fileprivate var json: String {
    guard word == .error else {
      return body.isEmpty ? #"{"reply":"\#(word.rawValue)"}"# : "\(body)"
    }
    let code = errorCode ?? ""
    let text = body.dropFirst(code.count + 1)
    return
      #"{"reply":"ERR","code":\#(RequestLine.quoted(code)),"text":\#(RequestLine.quoted(text))}"#
  }
}
