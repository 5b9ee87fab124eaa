// Owns: a real redis-server for the tests of modules, on a Unix socket in a folder of its own.
//
// A shell stands between: it starts redis-server and waits on a pipe. When the pipe closes, because
// the test says so or because the test process is gone, it kills Redis by its pid and removes the
// folder. So no crash of a test leaves a process behind.

import Foundation
import Glibc
import Synchronization

/// A redis-server that a test started; it ends with this object at the latest.
package final class BareRedis: Sendable {
  private struct Running {
    var shell: Process
    var pipe: Pipe
    var pid: pid_t
  }

  package let folder: String
  /// Where it listens.
  package let path: String
  private let options: [String]
  private let running = Mutex<Running?>(nil)

  /// Starts it with more words for its command line, and waits until it answers.
  package init(_ options: String...) throws {
    var template = Array("/tmp/lk-unit-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: errno \(errno)") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = folder + "/redis.sock"
    self.options = options
    try start()
  }

  deinit { stop() }

  /// The shell script that starts the server, or the one that LATCHKEY_TEST_REDIS names, waits for
  /// a word or the pipe's end, and kills it.
  private static let script = """
    trap '' INT TERM HUP
    "${LATCHKEY_TEST_REDIS:-redis-server}" "$@" >>"$0/redis.log" 2>&1 &
    read -r word
    kill -KILL $!
    [ "$word" = keep ] || rm -rf "$0"
    """

  /// Servers are started one after another, or one's shell would inherit the other's pipe.
  private static let starting = Mutex(())

  private func start() throws {
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments =
      [
        "-c", Self.script, folder, "--port", "0", "--unixsocket", path, "--dir", folder,
        "--save", "", "--appendonly", "no", "--daemonize", "no",
      ] + options
    unlink(path)
    let box = try Self.starting.withLock { _ in
      let pipe = Pipe()
      for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
        _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
      }
      shell.standardInput = pipe
      try shell.run()
      return UncheckedBox(Running(shell: shell, pipe: pipe, pid: 0))
    }
    running.withLock { $0 = box.value }
    try eventually("an answer of redis-server; see \(folder)/redis.log") {
      // An error is an answer too: a server with a password gives one.
      (try? BareRedisClient(path: path).command("PING")) != nil
    }
    let pid = try findProcess()
    running.withLock { $0?.pid = pid }
  }

  /// The pid of the shell's child: the server, whose password we need not know.
  private func findProcess() throws -> pid_t {
    let shell = running.withLock { $0?.shell.processIdentifier ?? 0 }
    let list = try String(contentsOfFile: "/proc/\(shell)/task/\(shell)/children", encoding: .utf8)
    guard let pid = list.split(separator: " ").first.flatMap({ pid_t($0) }) else {
      throw TestFailure("redis-server has ended; see \(folder)/redis.log")
    }
    return pid
  }

  private func end(keeping: Bool) {
    let last = running.withLock { running in
      defer { running = nil }
      return UncheckedBox(running)
    }
    guard let last = last.value else { return }
    if keeping { try? last.pipe.fileHandleForWriting.write(contentsOf: Data("keep\n".utf8)) }
    try? last.pipe.fileHandleForWriting.close()
    last.shell.waitUntilExit()
  }

  /// Kills it at once and removes its folder.
  package func stop() { end(keeping: false) }

  /// Kills it at once and starts it again, empty unless it keeps its data on disk.
  package func restart() throws {
    end(keeping: true)
    try start()
  }

  /// Hangs: it keeps its connections, and the kernel accepts new ones, but it sends no replies.
  package func freeze() { signal(SIGSTOP) }

  package func thaw() { signal(SIGCONT) }

  private func signal(_ number: Int32) {
    let pid = running.withLock { $0?.pid ?? 0 }
    if pid > 0 { kill(pid, number) }
  }
}

/// Carries a value over a boundary that the compiler cannot check: the mutex above guards it.
private struct UncheckedBox<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}
