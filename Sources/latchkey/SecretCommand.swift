// Owns: `latchkey secret`: makes a principal's secret, and its line in the file for --auth.

import Access
import Glibc

enum SecretCommand {
  static let usage = """
    usage: latchkey secret NAME [--rights LIST] [--devices LIST] [--links LIST] [--rate N]
           [--connections N] [--waiters N] [--events N] [--written N] [--locks N]
           [--sessions N] [--secret-file F]

    Makes a secret for a caller and prints its line for the file that `latchkey serve --auth`
    reads. The line goes to standard output and holds a hash only; the secret goes to standard
    error, and is nowhere else:

      latchkey secret scheduler --rights read,write --devices 'd-*' >> principals

      --rights LIST    of read, write and operate (read,write)
      --devices LIST   ids with * for any characters (*)
      --links LIST     kind=ref with * for any characters, or * for all (*)
      --rate N         requests a second of each worker (500000)
      --connections N  connections to each worker (18000)
      --waiters N      requests that wait at each worker (50000)
      --events N       requests a second of each worker that write an event (20000)
      --written N      bytes a second of each worker that are written (500000000)
      --locks N        locks that it may hold in all (2000000)
      --sessions N     live sessions that it may have made in all (2000000)
      --secret-file F  hashes the secret in that file, or on standard input for -, instead of
                       making one: NAME, a point, and 32 or more characters that cannot be guessed

    Each flag has a variable: LATCHKEY_RIGHTS, LATCHKEY_DEVICES, LATCHKEY_LINKS, LATCHKEY_RATE,
    LATCHKEY_CONNECTIONS, LATCHKEY_WAITERS, LATCHKEY_EVENTS, LATCHKEY_WRITTEN, LATCHKEY_LOCKS,
    LATCHKEY_SESSIONS and LATCHKEY_SECRET_FILE.
    Exit status: 0 done · 2 wrong usage

    """

  static func run(_ arguments: [String]) -> Int32 {
    let defaults = [("--rights", "read,write"), ("--devices", "*"), ("--links", "*")]
    let limits = PrincipalLimits.Kind.allCases.map { "--\($0.rawValue)" }
    let table = CommandFlags.Table(
      command: "secret", usage: usage,
      valued: defaults.map(\.0) + limits + ["--secret-file"])
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    guard flags.words.count == 1 else { Console.fail(usage, status: 2) }
    let grants = defaults.map { "\($0.0.dropFirst(2))=\(flags[$0.0] ?? $0.1)" }
    let limited = limits.compactMap { flag in flags[flag].map { "\(flag.dropFirst(2))=\($0)" } }
    return make(flags.words[0], grants + limited, flags["--secret-file"])
  }

  private static func make(_ name: String, _ grants: [String], _ file: String?) -> Int32 {
    var given: String?
    if let file {
      guard let text = Console.text(ofFile: file, bytesMax: 4_096) else {
        Console.fail("latchkey secret: \(file) cannot be read\n", status: 2)
      }
      given = text.trimmingSpace()
    }
    do throws(PrincipalFileError) {
      let new = try NewPrincipal(name: name, secret: given, grants: grants)
      print(new.line)
      if given == nil { _ = Console.write("the secret, shown once: \(new.secret)\n", to: 2) }
      return 0
    } catch {
      Console.fail("latchkey secret: \(error)\n", status: 2)
    }
  }
}
