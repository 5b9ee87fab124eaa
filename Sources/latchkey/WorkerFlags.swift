// Owns: the flags of all commands that ask a worker, and the connection that they stand for. Main
// thread.

import LatchkeyClient

/// Where a worker is, and who asks.
struct WorkerFlags {
  static let valued = ["--to", "--timeout"] + CallerSecret.valued + CallerTLS.valued
  static let switches = CallerTLS.switches
  static let usage = """
      --to HOST:PORT   the worker (127.0.0.1:5282, or LATCHKEY_TO)
      --timeout D      how long to wait for the connection, and for each reply (10s, or
                       LATCHKEY_TIMEOUT)
    \(CallerSecret.usage)
    \(CallerTLS.usage)
    """

  let command: String
  let place: String
  let timeoutMs: Int64
  private let host: String
  private let port: UInt16
  private let secret: String?
  private let tls: LatchkeyTLS?

  /// Ends the program with status 2 if a flag is wrong.
  init(_ flags: CommandFlags, command: String) {
    self.command = command
    place = flags["--to"] ?? "127.0.0.1:5282"
    (host, port) = Console.hostAndPort(place, command: command)
    timeoutMs = WorkerFlags.durationMs("--timeout", flags["--timeout"] ?? "10s", command)
    secret = CallerSecret.read(flags, command: command)
    tls = CallerTLS.read(flags, command: command)
  }

  /// The milliseconds of a flag from 10 ms to an hour.
  static func durationMs(_ flag: String, _ text: String, _ command: String) -> Int64 {
    guard let ms = RequestLine.Duration.ms(text[...]), 10...3_600_000 ~= ms else {
      Console.fail("latchkey \(command): \(flag) takes a duration from 10ms to 1h\n", status: 2)
    }
    return ms
  }

  func connect() throws(LatchkeyError) -> LatchkeyConnection {
    let connection = try LatchkeyConnection(
      host: host, port: port, timeoutMs: timeoutMs, tls: tls)
    try CallerSecret.present(secret, on: connection, timeoutMs: timeoutMs)
    return connection
  }

  /// The same; ends the program with status 3 if there is no connection.
  func connectOrEnd() -> LatchkeyConnection {
    do throws(LatchkeyError) { return try connect() } catch { end(error) }
  }

  /// Asks once; an error of any kind ends the program.
  func ask(_ line: String, on connection: LatchkeyConnection) -> LatchkeyReply {
    let reply = askAny(line, on: connection)
    guard reply.word != .error else {
      Console.fail("latchkey \(command): \(reply.line)\n", status: 2)
    }
    return reply
  }

  /// The reply to one request, which may be an error; ends the program if none comes.
  func askAny(_ line: String, on connection: LatchkeyConnection) -> LatchkeyReply {
    do throws(LatchkeyError) {
      return try connection.request(line, timeoutMs: timeoutMs)
    } catch {
      end(error)
    }
  }

  private func end(_ error: LatchkeyError) -> Never {
    Console.fail("latchkey \(command): \(place): \(error)\n", status: 3)
  }
}
