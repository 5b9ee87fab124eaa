// Processes that tests start, and the folder that all of them live in.
//
// Each child runs with its working folder inside one private folder of this run. A guardian (a
// shell that waits on a pipe) ends whatever still runs in there when the test process goes,
// however it goes; so a crashed or killed test run leaves no process behind.

import Foundation
import Glibc

/// The private folder of this test run; created at first use, removed by the guardian.
enum Scratch {
  /// Short, because the path of a Unix socket must fit into 107 bytes.
  static let root: String = {
    var template = Array("/tmp/lk-sys-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    startGuardian(of: path)
    return path
  }()

  private static let count = Shared(0)

  /// Makes a new empty folder.
  static func folder(_ name: String) throws -> String {
    let number = count.update { count in
      count += 1
      return count
    }
    let path = "\(root)/\(name)\(number)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    return path
  }

  /// The pids of the processes that have `name` and whose working folder lies in `folder`.
  static func processes(named name: String, in folder: String) -> [pid_t] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { pid_t($0) }.filter { pid in
      guard let command = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8),
        command.trimmingCharacters(in: .newlines) == name,
        let place = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
      else { return false }
      return (place == folder || place.hasPrefix(folder + "/")) && !isZombie(pid)
    }
  }

  private static func isZombie(_ pid: pid_t) -> Bool {
    let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    return status?.contains("\nState:\tZ") ?? true
  }

  private static func startGuardian(of folder: String) {
    let script = """
      trap '' INT TERM HUP
      cat >/dev/null
      for place in /proc/[0-9]*/cwd; do
        case "$(readlink "$place")" in
          "$0" | "$0"/*) pid=${place%/cwd}; kill -9 "${pid#/proc/}" ;;
        esac
      done
      rm -rf "$0"
      """
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { fatalError("pipe: errno \(errno)") }
    ends.forEach { _ = fcntl($0, F_SETFD, FD_CLOEXEC) }
    // The write end stays open, unused, until this process is gone.
    do {
      _ = try Child.spawn(
        ["/bin/sh", "-c", script, folder], environment: [:], input: ends[0], output: 2, errors: 2)
    } catch {
      fatalError("\(error)")
    }
    close(ends[0])
  }
}

/// A process that a test started.
///
/// It is ended, by its pid, at the latest when this object goes.
final class Child: Sendable {
  /// How a process ended.
  enum Ending: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)
  }

  let pid: pid_t
  private let ending = Shared<Ending?>(nil)

  /// Starts `command` in `folder`, with its output going to the two files.
  ///
  /// `input` is a file or a pipe with a name.
  init(
    _ command: [String], folder: String, output: String, errors: String,
    environment: [String: String] = [:], input: String = "/dev/null"
  ) throws {
    // A named pipe opens for reading only when a writer comes; for both, at once.
    let input = try Child.open(input, O_RDWR)
    let output = try Child.open(output, O_WRONLY | O_CREAT | O_APPEND)
    let errors = try Child.open(errors, O_WRONLY | O_CREAT | O_APPEND)
    defer { [input, output, errors].forEach { close($0) } }
    // The shell only changes the folder and becomes the command: the pid stays.
    let enter = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", folder]
    pid = try Child.spawn(
      enter + command, environment: environment, input: input, output: output, errors: errors)
  }

  deinit { end() }

  func signal(_ number: Int32) {
    if check() == nil { kill(pid, number) }
  }

  /// Stops it and waits until each of its threads stands still.
  func freeze() throws {
    signal(SIGSTOP)
    try eventually("the standstill of pid \(pid)", every: 1) {
      let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
      return tasks.allSatisfy { task in
        let path = "/proc/\(pid)/task/\(task)/stat"
        let stat = try? String(contentsOfFile: path, encoding: .utf8)
        return stat?.contains(") T ") == true
      }
    }
  }

  /// How it ended, or nil while it runs.
  @discardableResult func check() -> Ending? {
    ending.update { [pid] ending in
      if ending != nil { return ending }
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      let number = status & 0x7f
      ending = number == 0 ? .exited((status >> 8) & 0xff) : .signalled(number)
      return ending
    }
  }

  func wait(_ what: String, within limit: Duration) throws -> Ending {
    try eventually("the end of \(what), pid \(pid)", within: limit, every: 2) { check() }
  }

  /// Kills it and takes its exit status.
  func end() {
    signal(SIGKILL)
    // SIGKILL can not be refused; the limit is only there so that nothing hangs for ever.
    _ = try? wait("a killed process", within: .seconds(10))
  }

  private static func open(_ path: String, _ flags: Int32) throws -> Int32 {
    let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure("open \(path): errno \(errno)") }
    return descriptor
  }

  /// Starts a process with default signal handling and exactly these three descriptors.
  static func spawn(
    _ command: [String], environment: [String: String], input: Int32, output: Int32, errors: Int32
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, source) in [(0, input), (1, output), (2, errors)] as [(Int32, Int32)] {
      posix_spawn_file_actions_adddup2(&actions, source, target)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var every = sigset_t()
    sigfillset(&every)
    posix_spawnattr_setsigdefault(&attributes, &every)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))

    let own = ProcessInfo.processInfo.environment
    var inherited = own.filter { !$0.key.hasPrefix("LATCHKEY_") }
    // How the workers of this run call scripts.
    inherited["LATCHKEY_LUA"] = own["LATCHKEY_TEST_LUA"]
    let merged = inherited.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
    let words = command.map { strdup($0) } + [nil]
    let variables = merged.map { strdup($0) } + [nil]
    defer { (words + variables).forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, command[0], &actions, &attributes, words, variables)
    guard code == 0 else { throw Failure("posix_spawn \(command): errno \(code)") }
    return pid
  }
}
