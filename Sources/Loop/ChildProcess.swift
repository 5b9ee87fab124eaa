// Owns: one child process, from its start to the moment it is reaped. Runs on the main thread:
// the kernel's parent-death signal is tied to the thread that started the child.

internal import CLinux
internal import Glibc

/// How a child ended.
package enum ChildEnd: Equatable, Sendable, CustomStringConvertible {
  case exited(Int32)
  case signalled(Int32)

  package var description: String {
    switch self {
    case .exited(let status): "exit status \(status)"
    case .signalled(let number): "signal \(number)"
    }
  }
}

/// A child process, in its own process group so that a terminal's Ctrl-C does not reach it.
package final class ChildProcess {
  package let processID: Int32
  package private(set) var end: ChildEnd?

  /// Starts a program that is looked for on PATH; standard input is empty, output goes to a file.
  ///
  /// It inherits no other descriptor but `kept`, if there is one, as its descriptor 3.
  package init(
    _ arguments: [String], outputPath: String, kept: Int32? = nil
  ) throws(SystemError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    // A pipe at that path would hold up this process until it has a reader.
    posix_spawn_file_actions_addopen(
      &actions, 1, outputPath, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Libraries open some that programs inherit, such as libcurl's pairs of sockets.
    if let kept { posix_spawn_file_actions_adddup2(&actions, kept, 3) }
    posix_spawn_file_actions_addclosefrom_np(&actions, kept == nil ? 3 : 4)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
    var noSignals = sigset_t()
    sigemptyset(&noSignals)
    posix_spawnattr_setsigmask(&attributes, &noSignals)

    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    let result = posix_spawnp(&child, arguments[0], &actions, &attributes, &words, environ)
    guard result == 0 else { throw SystemError("start \(arguments[0])", result) }
    processID = child
  }

  package func signal(_ number: Int32) { if end == nil { kill(processID, number) } }

  /// Reaps the child if it has ended; call it on SIGCHLD.
  @discardableResult
  package func reap(waiting: Bool = false) -> ChildEnd? {
    guard end == nil else { return end }
    var status: Int32 = 0
    let result = waitpid(processID, &status, waiting ? 0 : WNOHANG)
    guard result == processID else { return nil }
    let number = status & 0x7F
    end = number == 0 ? .exited((status >> 8) & 0xFF) : .signalled(number)
    return end
  }
}
