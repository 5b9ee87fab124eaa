// Owns: the program's commands: reads arguments, runs one, exits with its status. Main thread.

import Glibc
import LatchkeyClient
import Worker

/// The program.
@main
struct Latchkey {
  static let usage = """
    Latchkey: which agent owns a device's conversation, kept in Redis.

    usage: latchkey COMMAND …

      serve   run a worker                      latchkey serve --help
      call    send one request to a worker      latchkey call LOCK device-1 scheduling
      watch   show events as they happen        latchkey watch
      load    load a fleet, and check it        latchkey load --conversations 1000
      doctor  say whether a Redis is fit        latchkey doctor --redis redis://127.0.0.1:6379
      secret  make a caller's secret            latchkey secret --help
      version print the version

    latchkey COMMAND --help, or latchkey help COMMAND, explains each.

    """

  static func main() {
    var arguments = arguments()
    guard !arguments.isEmpty else {
      fail(usage, status: 2)
    }
    var command = arguments.removeFirst()
    if command == "help", arguments.count == 1, arguments[0] != "help" {
      (command, arguments) = (arguments[0], ["--help"])
    }
    switch command {
    case "serve": exit(serve(arguments))
    case "call": exit(CallCommand.run(arguments))
    case "watch": exit(WatchCommand.run(arguments))
    case "load": exit(LoadCommand.run(arguments))
    case "secret": exit(SecretCommand.run(arguments))
    case "doctor": exit(DoctorCommand.run(arguments))
    case "version", "--version":
      guard arguments.isEmpty || arguments == ["--help"] else {
        fail("latchkey version takes no arguments\n", status: 2)
      }
      print("latchkey \(Version.text)")
    case "help", "--help", "-h": print(usage, terminator: "")
    default: fail("latchkey: there is no command '\(command)'\n\n\(usage)", status: 2)
    }
  }

  static func serve(_ arguments: [String]) -> Int32 {
    if arguments.contains("--help") || arguments.contains("-h") {
      print(Settings.helpText(), terminator: "")
      return 0
    }
    do throws(SettingError) {
      return Control.run(try Settings.parse(arguments: arguments, environment: environment()))
    } catch {
      fail("latchkey serve: \(error.text)\nlatchkey serve --help lists all flags\n", status: 2)
    }
  }

  /// The arguments behind the program's name.
  ///
  /// Text that is not UTF-8 ends the program: a part of it would be replaced without a word.
  private static func arguments() -> [String] {
    var words: [String] = []
    for index in 0..<Int(CommandLine.argc) where index > 0 {
      guard let bytes = CommandLine.unsafeArgv[index], let word = String(validatingCString: bytes)
      else { fail("latchkey: argument \(index) is not valid UTF-8\n", status: 2) }
      words.append(word)
    }
    return words
  }

  static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      entry += 1
      let shown = String(cString: text)
      let pair = shown.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2 else { continue }
      let name = String(pair[0])
      let isOurs = name.hasPrefix("LATCHKEY_") || name == "REDIS_URL"
      if isOurs, String(validatingCString: text) == nil {
        fail("latchkey: \(name) in the environment is not valid UTF-8\n", status: 2)
      }
      variables[name] = String(pair[1])
    }
    return variables
  }

  /// Reads HOST:PORT, or says what is wrong and ends.
  static func hostAndPort(_ place: String, command: String) -> (String, UInt16) {
    guard let colon = place.lastIndex(of: ":"),
      let port = UInt16(place[place.index(after: colon)...]), colon > place.startIndex
    else { fail("latchkey \(command): --to takes HOST:PORT, not '\(place)'\n", status: 2) }
    return (place[..<colon].filter { $0 != "[" && $0 != "]" }, port)
  }

  /// Prints to standard error and ends.
  static func fail(_ text: String, status: Int32) -> Never {
    _ = write(text, to: 2)
    exit(status)
  }

  /// Writes all of a text at once; false if nobody reads it.
  static func write(_ text: String, to descriptor: Int32 = 1) -> Bool {
    var copy = text
    return copy.withUTF8 { bytes in
      var sent = 0
      while sent < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        sent += count
      }
      return true
    }
  }
}
