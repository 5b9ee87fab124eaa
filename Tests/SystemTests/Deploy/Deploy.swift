// Owns: the suite of deploy/, and running the programs that check its files.

import Foundation
import Testing

extension SystemSuites {
  /// Everything in deploy/, run or checked by the program that it is for.
  @Suite struct Deploy {}
}

/// Programs that are not the project's own.
enum Tool {
  /// Where a program is: among the tools of `scripts/test`, or on the machine.
  static func path(_ name: String) throws -> String {
    try place(name) { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Where a file among the tools is.
  static func file(_ name: String) throws -> String {
    try place(name) { FileManager.default.isReadableFile(atPath: $0) }
  }

  private static func place(_ name: String, _ fits: (String) -> Bool) throws -> String {
    let environment = ProcessInfo.processInfo.environment
    let tools =
      environment["LATCHKEY_TOOLS"] ?? Project.root.appending(path: ".build/tools/bin").path
    let folders = [tools] + (environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let places = (folders + ["/usr/sbin"]).map { "\($0)/\(name)" }
    guard let found = places.first(where: fits)
    else { throw Failure("no \(name): scripts/test installs it") }
    return found
  }
}

/// A run of a program from its start to its end.
struct ToolRun: Sendable, CustomTestStringConvertible {
  let status: Int32
  /// Its standard output and standard error.
  let output: String

  var testDescription: String { "status \(status): \(output)" }

  init(
    _ tool: String, _ arguments: [String], environment: [String: String] = [:],
    input: String = "/dev/null", within limit: Duration = .seconds(60)
  ) throws {
    let folder = try Scratch.folder("tool")
    let child = try Child(
      [Tool.path(tool)] + arguments, folder: folder, output: "\(folder)/output",
      errors: "\(folder)/output", environment: environment.merging(["NO_COLOR": "1"]) { $1 },
      input: input)
    defer { child.end() }
    let ending = try child.wait("\(tool) \(arguments)", within: limit)
    let bytes = FileManager.default.contents(atPath: "\(folder)/output") ?? Data()
    output = String(decoding: bytes, as: UTF8.self)
    guard case .exited(let status) = ending else { throw Failure("\(tool): \(ending): \(output)") }
    self.status = status
  }
}

/// The flags of `latchkey serve --help`.
struct ServeFlags: Sendable {
  private let defaults: [String: String]
  /// The names of its environment variables.
  let variables: Set<String>

  init() throws {
    let help = try ProgramRun(["serve", "--help"]).output
    var defaults: [String: String] = [:]
    // Each flag's paragraph as one line.
    for part in help.split(separator: "\n  --").dropFirst() {
      let words = part.split { $0 == " " || $0 == "\n" }
      guard let at = words.firstIndex(of: "Default:"), words.count > at + 1 else { continue }
      defaults["--\(words[0])"] = String(words[at + 1].dropLast())
    }
    self.defaults = defaults
    variables = Set(help.matches(of: /LATCHKEY_[A-Z_]+/).map { String($0.0) })
    guard defaults.count > 10 else { throw Failure("serve --help is not understood: \(help)") }
  }

  /// The default of a flag that takes a duration.
  func milliseconds(_ flag: String) throws -> Int {
    guard let text = defaults[flag], let value = Self.milliseconds(text[...]) else {
      throw Failure("\(flag) has no default that is a duration")
    }
    return value
  }

  /// The default of a flag that takes a number.
  func number(_ flag: String) throws -> Int {
    guard let number = defaults[flag].flatMap({ Int($0) }) else {
      throw Failure("\(flag) has no default that is a number")
    }
    return number
  }

  /// How long a worker that is deployed may take from SIGTERM to its end.
  ///
  /// `settings` are its environment.
  func drainMs(_ settings: [String: String]) throws -> Int {
    try ["--drain-delay", "--drain-grace"].reduce(0) { sum, flag in
      let name = flag.dropFirst(2).uppercased().replacingOccurrences(of: "-", with: "_")
      guard let text = settings["LATCHKEY_\(name)"] else { return try sum + milliseconds(flag) }
      guard let value = Self.milliseconds(text[...]) else { throw Failure("\(name)=\(text)") }
      return sum + value
    }
  }

  /// Reads 500ms, 5s, 2m, 24h, as flags and configuration files write them.
  static func milliseconds(_ text: Substring) -> Int? {
    guard let match = text.wholeMatch(of: /([0-9]+)(ms|s|m|min|h|d)?/), let number = Int(match.1)
    else { return nil }
    let units = ["ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000]
    return number * (units[String(match.2 ?? "s")] ?? 0)
  }
}
