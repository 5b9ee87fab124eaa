// Owns: `latchkey backup`: its words, its flags and its exit status. Main thread.

import Glibc

enum BackupCommand {
  static let usage = """
    usage: latchkey backup to FILE    [--to HOST:PORT] [--resume] [--sealed]
                                  [LIST's words…]
           latchkey backup from FILE  [--to HOST:PORT] [--replace] [--skip N]
           latchkey backup check FILE

    Writes sessions to a file, with their chats, documents and links, or makes them from one. `to`
    writes every session that LIST * shows from its beginning to its end, or those of a user and the
    like (user=ada), reads the file again, and only then gives it its name. `from` and `check` read
    the whole file before anything else. Locks, turns, events and profiles are not in it.

      latchkey backup to sessions.backup
      latchkey backup from sessions.backup --to other-host:5282

    \(WorkerFlags.usage)
      --patience D     how long a request is repeated while the worker or its Redis is away
                       (30s, or LATCHKEY_PATIENCE)
      --resume         `to`: goes on with FILE.part, which an interrupted backup has left (or
                       LATCHKEY_RESUME=1)
      --sealed         `to`: writes sealed values as they are in Redis (--seal-keys); they go in
                       again where the worker has their key (or LATCHKEY_SEALED=1)
      --replace        `from`: overwrites sessions that are there already; without it they stay
                       as they are (or LATCHKEY_REPLACE=1)
      --skip N         `from`: begins behind the first N sessions, as an interrupted one has said
                       (0, or LATCHKEY_SKIP)

    Exit status: 0 all sessions were written or made, or are there already · 1 some were not, each
    is named on standard error · 2 ERR, wrong usage or a file that is damaged · 3 no connection, or
    no reply

    """

  static func run(_ arguments: [String]) -> Int32 {
    let table = CommandFlags.Table(
      command: "backup", usage: usage,
      valued: WorkerFlags.valued + ["--patience", "--skip"],
      switches: ["--resume", "--replace", "--sealed"] + WorkerFlags.switches)
    let environment = Console.environment()
    guard let flags = CommandFlags(table, arguments, environment: environment) else { return 0 }
    guard flags.words.count >= 2, let path = flags.words.dropFirst().first else {
      Console.fail(usage, status: 2)
    }
    let rest = Array(flags.words.dropFirst(2))
    do throws(BackupProblem) {
      switch flags.words[0] {
      case "to": return try export(to: path, rest, flags)
      case "from" where rest.isEmpty: return try restore(from: path, flags)
      case "check" where rest.isEmpty: return try check(path)
      default: Console.fail(usage, status: 2)
      }
    } catch {
      Console.fail("latchkey backup: \(error.text)\n", status: 2)
    }
  }

  /// A caller that repeats requests for --patience.
  private static func caller(_ flags: CommandFlags) -> PatientCaller {
    let patience = flags["--patience"] ?? "30s"
    return PatientCaller(
      WorkerFlags(flags, command: "backup"),
      patienceMs: WorkerFlags.durationMs("--patience", patience, "backup"))
  }

  private static func export(
    to path: String, _ words: [String], _ flags: CommandFlags
  ) throws(BackupProblem) -> Int32 {
    let isOwn: (String) -> Bool = { word in
      ["cursor=", "limit=", "fields="].contains { word.lowercased().hasPrefix($0) }
    }
    if let word = words.first(where: isOwn) {
      throw BackupProblem(text: "\(word) is not for this command, which reads all pages")
    }
    let list: String
    do throws(RequestLine.Problem) {
      list = try RequestLine(["LIST"] + (words.isEmpty ? ["*"] : words)) { nil }.text
    } catch {
      throw BackupProblem(text: error.text)
    }
    var run = try BackupExport(
      path, list: list, resumes: flags.isOn("--resume"), isSealed: flags.isOn("--sealed"),
      caller(flags))
    return try run.run()
  }

  private static func restore(
    from path: String, _ flags: CommandFlags
  ) throws(BackupProblem) -> Int32 {
    guard let skipped = Int(flags["--skip"] ?? "0"), skipped >= 0 else {
      throw BackupProblem(text: "--skip takes a number of sessions")
    }
    let caller = caller(flags)
    let total = try checked(path).sum.sessions
    var run = BackupImport(
      path, total: total, skipped: skipped, isReplacing: flags.isOn("--replace"), caller)
    return try run.restore()
  }

  private static func check(_ path: String) throws(BackupProblem) -> Int32 {
    let check = try checked(path)
    print("\(path): \(check.sum.sessions) sessions, of \(check.list)")
    return 0
  }

  /// A file that is whole.
  static func checked(_ path: String) throws(BackupProblem) -> BackupCheck {
    let check = try BackupCheck(path)
    guard check.isComplete else {
      throw BackupProblem(
        text: "\(path) has no end: it is unfinished; go on with latchkey backup to … --resume")
    }
    return check
  }
}
