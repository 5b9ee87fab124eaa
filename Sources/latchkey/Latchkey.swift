// Owns: the program's commands: reads arguments, runs one, exits with its status. Main thread.

import Glibc
import LatchkeyClient
import Server
import Settings

/// The program.
@main
struct Latchkey {
  static let usage = """
    Latchkey: which agent owns a device's conversation, kept in Redis.

    usage: latchkey COMMAND …

      serve     run a worker                      latchkey serve --help
      call      send one request to a worker      latchkey call LOCK device-1 scheduling
      watch     show events as they happen        latchkey watch
      top       show the fleet's figures          latchkey top
      stats     print them once                   latchkey stats --json
      health    say whether a worker can serve    latchkey health
      locks     list the locks that are held      latchkey locks agent=scheduling
      sessions  list sessions                     latchkey sessions user=ada
      backup    sessions to and from a file       latchkey backup to sessions.backup
      load      load a fleet, and check it        latchkey load --conversations 1000
      doctor    say whether a Redis is fit        latchkey doctor --redis redis://127.0.0.1:6379
      secret    make a caller's secret            latchkey secret --help
      version   print the version

    latchkey COMMAND --help, or latchkey help COMMAND, explains each.

    """

  static func main() {
    var arguments = Console.arguments()
    guard !arguments.isEmpty else {
      Console.fail(usage, status: 2)
    }
    var command = arguments.removeFirst()
    if command == "help", arguments.count == 1, arguments[0] != "help" {
      (command, arguments) = (arguments[0], ["--help"])
    }
    switch command {
    case "serve": exit(serve(arguments))
    case "call": exit(CallCommand.run(arguments))
    case "watch": exit(WatchCommand.run(arguments))
    case "top": exit(TopCommand.run(arguments))
    case "stats": exit(StatsCommand.run(arguments))
    case "health": exit(HealthCommand.run(arguments))
    case "locks": exit(ListCommand.locks.run(arguments))
    case "sessions": exit(ListCommand.sessions.run(arguments))
    case "backup": exit(BackupCommand.run(arguments))
    case "load": exit(LoadCommand.run(arguments))
    case "secret": exit(SecretCommand.run(arguments))
    case "doctor": exit(DoctorCommand.run(arguments))
    case "version", "--version":
      guard arguments.isEmpty || arguments == ["--help"] else {
        Console.fail("latchkey version takes no arguments\n", status: 2)
      }
      print("latchkey \(Version.text)")
    case "help", "--help", "-h": print(usage, terminator: "")
    default: Console.fail("latchkey: there is no command '\(command)'\n\n\(usage)", status: 2)
    }
  }

  static func serve(_ arguments: [String]) -> Int32 {
    if arguments.contains("--help") || arguments.contains("-h") {
      print(Settings.helpText(), terminator: "")
      return 0
    }
    do throws(SettingError) {
      return Control.run(
        try Settings.parse(arguments: arguments, environment: Console.environment()))
    } catch {
      Console.fail(
        "latchkey serve: \(error.text)\nlatchkey serve --help lists all flags\n", status: 2)
    }
  }
}
