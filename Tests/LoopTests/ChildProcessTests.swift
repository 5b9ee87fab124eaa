// Owns: the tests of child processes: their start, their environment and their exit status.

import Foundation
import Glibc
import Testing

@testable import Loop

struct ChildProcessTests {
  private let folder: TemporaryFolder
  private var output: String { folder.path + "/output" }

  init() throws { folder = try TemporaryFolder() }

  private func start(_ command: String...) throws -> ChildProcess {
    try ChildProcess(command, outputPath: output)
  }

  private func outputText() throws -> String { try String(contentsOfFile: output, encoding: .utf8) }

  @Test(arguments: [0, 7, 255] as [Int32])
  func `the exit status is given, again and again`(status: Int32) throws {
    let child = try start("sh", "-c", "exit \(status)")
    #expect(child.end == nil)
    #expect(child.reap(waiting: true) == .exited(status))
    #expect(child.end == .exited(status))
    #expect(child.reap() == .exited(status))
    #expect(child.end?.description == "exit status \(status)")
  }

  @Test(arguments: [SIGTERM, SIGKILL])
  func `the signal that ended it is given`(number: Int32) throws {
    let child = try start("tail", "-f", "/dev/null")
    #expect(child.reap() == nil)
    child.signal(number)
    #expect(child.reap(waiting: true) == .signalled(number))
    #expect(child.end?.description == "signal \(number)")
    child.signal(SIGKILL)
    #expect(child.end == .signalled(number))
  }

  @Test func `both outputs go to the end of the file, and the input is empty`() throws {
    try Data("before\n".utf8).write(to: URL(filePath: output))
    let child = try start("sh", "-c", "cat; echo out; echo err >&2")
    #expect(child.reap(waiting: true) == .exited(0))
    #expect(try outputText() == "before\nout\nerr\n")
  }

  @Test func `it inherits no other descriptor`() throws {
    var ends: [Int32] = [0, 0]
    try systemCall("pipe") { pipe(&ends) }
    defer { for end in ends { close(end) } }
    let child = try start("sh", "-c", "for at in /proc/$$/fd/*; do readlink $at; done; true")
    #expect(child.reap(waiting: true) == .exited(0))
    let open = try outputText()
    #expect(open.contains("/dev/null") && !open.contains("pipe:"), "\(open)")
  }

  @Test func `a lock that it keeps ends with it, and not with the one who started it`() throws {
    let lock = open(folder.path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    let other = open(folder.path + "/lock", O_RDWR | O_CLOEXEC)
    defer { close(other) }
    try #require(lock >= 3 && other >= 3 && flock(lock, LOCK_EX | LOCK_NB) == 0)
    let child = try ChildProcess(["tail", "-f", "/dev/null"], outputPath: output, kept: lock)
    close(lock)
    #expect(flock(other, LOCK_EX | LOCK_NB) != 0)
    child.signal(SIGKILL)
    #expect(child.reap(waiting: true) == .signalled(SIGKILL))
    #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
  }

  @Test func `a new output file is its owner's alone`() throws {
    let child = try start("true")
    #expect(child.reap(waiting: true) == .exited(0))
    let attributes = try FileManager.default.attributesOfItem(atPath: output)
    #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
  }

  @Test func `it has a process group of its own`() throws {
    let child = try start("tail", "-f", "/dev/null")
    defer {
      child.signal(SIGKILL)
      child.reap(waiting: true)
    }
    #expect(getpgid(child.processID) == child.processID)
    #expect(getpgid(0) != child.processID)
  }

  @Test func `it inherits none of our sockets`() throws {
    let pair = try SocketPair()
    let listener = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: 0))
      .bind(sharingPort: false)
    defer { listener.close() }
    let child = try start("ls", "-l", "/proc/self/fd")
    #expect(child.reap(waiting: true) == .exited(0))
    let theirs = try outputText()
    #expect(theirs.contains(output), "the listing is there: \(theirs)")
    for socket in [pair.near, pair.far, listener] {
      let place = "/proc/self/fd/\(socket.descriptor)"
      let name = try FileManager.default.destinationOfSymbolicLink(atPath: place)
      #expect(name.hasPrefix("socket:["))
      #expect(!theirs.contains(name))
    }
  }

  @Test func `a program that is not there cannot be started`() throws {
    let error = try #require(throws: SystemError.self) { try start("no-such-program-of-ours") }
    #expect(error.call == "start no-such-program-of-ours" && error.number == ENOENT)
  }
}
