// The real binary: `latchkey serve` as a process, and its other subcommands as calls.

import Foundation
import Glibc
import Testing

/// A running `latchkey serve`, from its ready line on.
final class WorkerProcess: Sendable {
  /// `LATCHKEY_BINARY`, else the binary beside the running tests, else the package's debug build.
  static let binary: String = {
    let environment = ProcessInfo.processInfo.environment
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().path
    let running = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let beside = running.map { URL(filePath: $0).deletingLastPathComponent().path + "/latchkey" }
    let places = [environment["LATCHKEY_BINARY"], beside].compactMap { $0 }
    let found = places.first { FileManager.default.isExecutableFile(atPath: $0) }
    return found ?? "\(package)/.build/debug/latchkey"
  }()

  /// The line on standard output that says that the worker serves.
  let readyLine: String
  let listenPort: Int
  let adminPort: Int
  /// Where it speaks HTTP; 0 where it does not.
  let httpPort: Int
  let folder: String
  private let child: Child

  /// Starts `serve` on free ports and waits for its ready line.
  init(
    _ arguments: [String], environment: [String: String] = [:], openFiles: Int? = nil,
    within limit: Duration = .seconds(10)
  ) throws {
    let starting = try Starting(arguments, environment: environment, openFiles: openFiles)
    readyLine = try starting.awaitReadyLine(within: limit)
    listenPort = try WorkerProcess.port("listen", in: readyLine)
    adminPort = try WorkerProcess.port("admin", in: readyLine)
    httpPort = try readyLine.contains(" http=") ? WorkerProcess.port("http", in: readyLine) : 0
    folder = starting.folder
    child = starting.child
  }

  convenience init(
    on redis: RedisServer, _ more: [String] = [], openFiles: Int? = nil
  ) throws {
    // The rights that are deployed are on the keys of the default namespace.
    let url = more.contains("--namespace") ? redis.adminURL : redis.url
    try self.init(["--redis", url] + more, openFiles: openFiles)
  }

  var pid: pid_t { child.pid }
  var output: String { WorkerProcess.text("\(folder)/stdout") }
  var log: String { WorkerProcess.text("\(folder)/stderr") }

  var isRunning: Bool { child.check() == nil }

  /// The resident memory, in KiB.
  var residentKiB: Int {
    let status = WorkerProcess.text("/proc/\(pid)/status")
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
  }

  func connect() throws -> LineClient { try LineClient(port: listenPort) }

  func http() throws -> HTTPClient { try HTTPClient(port: httpPort) }

  func get(_ path: String) throws -> HTTPReply { try HTTPReply.get(path, port: adminPort) }

  func signal(_ number: Int32) { child.signal(number) }

  /// Asks it to stop (SIGTERM) and gives how it ended.
  func terminate(within limit: Duration = .seconds(10)) throws -> Child.Ending {
    signal(SIGTERM)
    return try wait(within: limit)
  }

  func wait(within limit: Duration) throws -> Child.Ending {
    do {
      return try child.wait("a worker", within: limit)
    } catch {
      throw Failure("\(error); the end of its log: \(log.suffix(2_000))")
    }
  }

  /// Dies at once, as in a crash.
  func kill() { child.end() }

  func freeze() throws { try child.freeze() }

  func thaw() { signal(SIGCONT) }

  private static func port(_ name: String, in line: String) throws -> Int {
    let words = line.split(separator: " ")
    guard let word = words.first(where: { $0.hasPrefix("\(name)=127.0.0.1:") }),
      let port = Int(word.drop { $0 != ":" }.dropFirst()), port > 0
    else { throw Failure("no \(name)= in the ready line: \(line)") }
    return port
  }

  fileprivate static func text(_ path: String) -> String {
    String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
  }
}

/// A `latchkey serve` that may fail to start; on free ports by default.
struct Starting {
  let child: Child
  let folder: String

  /// `openFiles` is how many descriptors the worker may have.
  init(
    _ arguments: [String], environment: [String: String] = [:], openFiles: Int? = nil
  ) throws {
    let binary = WorkerProcess.binary
    guard FileManager.default.isExecutableFile(atPath: binary) else {
      throw Failure("no worker at \(binary): build it, or set LATCHKEY_BINARY")
    }
    folder = try Scratch.folder("worker")
    let ports = ["--listen", "--admin"].filter { !arguments.contains($0) }
    let limit = openFiles.map { ["/usr/bin/prlimit", "--nofile=\($0):\($0)"] } ?? []
    child = try Child(
      limit + [binary, "serve"] + ports.flatMap { [$0, "127.0.0.1:0"] } + arguments, folder: folder,
      output: "\(folder)/stdout",
      errors: "\(folder)/stderr", environment: environment)
  }

  var output: String { WorkerProcess.text("\(folder)/stdout") }
  var log: String { WorkerProcess.text("\(folder)/stderr") }

  /// The ready line; a worker that ends before it is an error that shows its log.
  func awaitReadyLine(within limit: Duration) throws -> String {
    try eventually("the ready line; the log: \(log)", within: limit) {
      if let end = output.firstIndex(of: "\n") { return String(output[..<end]) }
      if let ending = child.check() { throw Failure("no ready line, \(ending); the log: \(log)") }
      return nil
    }
  }

  /// How it ended by itself.
  func awaitEnd(within limit: Duration = .seconds(10)) throws -> Child.Ending {
    try child.wait("a worker that should not start; the log: \(log)", within: limit)
  }
}

/// A run of `latchkey` from its start to its end.
struct ProgramRun: Sendable {
  let status: Int32
  let output: String
  let errors: String

  init(
    _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
    within limit: Duration = .seconds(10)
  ) throws {
    try self.init(
      command: [WorkerProcess.binary] + arguments, environment: environment, input: input,
      within: limit)
  }

  /// A run under a shell, to which the program is `$0`.
  init(shell script: String) throws {
    try self.init(command: ["/bin/sh", "-c", script, WorkerProcess.binary])
  }

  /// The run of a command; `input` is its standard input, empty by default.
  init(
    command: [String], environment: [String: String] = [:], input: String? = nil,
    folder place: String? = nil, within limit: Duration = .seconds(10)
  ) throws {
    let folder = try Scratch.folder("run")
    var inputPath = "/dev/null"
    if let input {
      inputPath = "\(folder)/stdin"
      try input.write(toFile: inputPath, atomically: true, encoding: .utf8)
    }
    let child = try Child(
      command, folder: place ?? folder, output: "\(folder)/stdout",
      errors: "\(folder)/stderr", environment: environment, input: inputPath)
    defer { child.end() }
    let ending = try child.wait("\(command)", within: limit)
    output = WorkerProcess.text("\(folder)/stdout")
    errors = WorkerProcess.text("\(folder)/stderr")
    guard case .exited(let status) = ending else {
      throw Failure("\(command): \(ending): \(errors)")
    }
    self.status = status
  }
}
