// Owns: a scripted fake Redis, for faults that a real one has not on demand: garble, cut, stall.
// It reads commands and answers as the test says, on a Unix socket or a loopback port, and a thread
// of its own.

import Foundation
import Glibc
import Synchronization
import TestSupport

/// The reaction of the fake to one command.
enum FakeAnswer: Sendable {
  case reply(String)
  /// The reply one byte at a time.
  case dribble(String)
  case nothing
  /// These bytes, then the end of the connection.
  case replyAndClose(String)
}

/// One command that the fake got.
struct FakeCommand: Sendable {
  /// Counts connections from 0.
  var connection: Int
  var words: [String]
  var name: String { words[0].uppercased() }
}

final class ScriptedRedis: Sendable {
  typealias Play = @Sendable (FakeCommand) -> FakeAnswer

  let path: String
  /// The loopback port; 0 on a Unix socket.
  let port: UInt16
  private let folder: String
  private let listener: Int32
  private let state = State()

  /// The state that the fake shares with its thread, so that the thread does not retain the fake.
  private final class State: Sendable {
    let isStopping = Mutex(false)
    let isOver = Mutex(false)
    let seen = Mutex<[FakeCommand]>([])
    let resets = Mutex(0)
  }

  /// The replies of a fit Redis without functions of a version to a connection's greeting.
  static func greets(_ command: FakeCommand, version: String = "7.0.15") -> FakeAnswer {
    switch command.name {
    case "HELLO": .reply("*4\r\n+server\r\n+redis\r\n+version\r\n+\(version)\r\n")
    case "SCRIPT": .reply("$40\r\n" + String(repeating: "a", count: 40) + "\r\n")
    case "EVAL": .reply("*2\r\n$5\r\n256 1\r\n$1\r\n0\r\n")
    case "SELECT": .reply("+OK\r\n")
    default: .reply("-ERR not played\r\n")
    }
  }

  init(onPort: Bool = false, _ play: @escaping Play) throws {
    var template = Array("/tmp/lk-fake-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: errno \(errno)") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = folder + "/fake.sock"
    (listener, port) = onPort ? try Self.listenOnPort() : (try Self.listen(path), 0)
    Thread.detachNewThread { [state, listener] in
      var connections: [Int: FakeConnection] = [:]
      var count = 0
      // Ends within one round after the fake is gone.
      while !state.isStopping.withLock({ $0 }) {
        var entries = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        let open = connections.sorted { $0.key < $1.key }.map(\.value)
        entries += open.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 10) > 0 else { continue }
        if entries[0].revents != 0 {
          connections[count] = FakeConnection(accept(listener, nil, nil), number: count)
          count += 1
        }
        for (entry, connection) in zip(entries.dropFirst(), open) where entry.revents != 0 {
          let isOpen = connection.serve { command in
            state.seen.withLock { $0.append(command) }
            return play(command)
          }
          if connection.wasReset { state.resets.withLock { $0 += 1 } }
          if !isOpen { connections[connection.number] = nil }
        }
      }
      connections = [:]
      close(listener)
      state.isOver.withLock { $0 = true }
    }
  }

  deinit {
    state.isStopping.withLock { $0 = true }
    // Its thread ends within a round, and with it whatever a test has it do.
    while !state.isOver.withLock({ $0 }) { poll(nil, 0, 1) }
    try? FileManager.default.removeItem(atPath: folder)
  }

  private static func listen(_ path: String) throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return try withUnsafeBytes(of: &address) { try listen(AF_UNIX, $0) }
  }

  private static func listenOnPort() throws -> (Int32, UInt16) {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let descriptor = try withUnsafeBytes(of: &address) { try listen(AF_INET, $0) }
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &size)
      }
    }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  private static func listen(_ family: Int32, _ address: UnsafeRawBufferPointer) throws -> Int32 {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard let start = address.assumingMemoryBound(to: sockaddr.self).baseAddress,
      bind(descriptor, start, socklen_t(address.count)) == 0, Glibc.listen(descriptor, 16) == 0
    else { throw TestFailure("bind: errno \(errno)") }
    return descriptor
  }

  /// How many connections were ended by a reset.
  var resets: Int { state.resets.withLock { $0 } }

  /// All commands so far.
  var commands: [FakeCommand] { state.seen.withLock { $0 } }

  var connectionCount: Int { (commands.map(\.connection).max() ?? -1) + 1 }
}

/// One connection to the fake; lives on the fake's thread.
private final class FakeConnection {
  let descriptor: Int32
  let number: Int
  private(set) var wasReset = false
  private var buffer: [UInt8] = []

  init(_ descriptor: Int32, number: Int) {
    self.descriptor = descriptor
    self.number = number
  }

  deinit { close(descriptor) }

  /// Reads the available bytes and answers whole commands; false when the connection is over.
  func serve(_ play: ScriptedRedis.Play) -> Bool {
    var room = [UInt8](repeating: 0, count: 1 << 18)
    let count = recv(descriptor, &room, room.count, 0)
    guard count > 0 else {
      wasReset = count < 0 && errno == ECONNRESET
      return false
    }
    buffer += room[..<count]
    while let words = nextCommand() {
      switch play(FakeCommand(connection: number, words: words)) {
      case .reply(let text): write(Array(text.utf8))
      case .dribble(let text):
        for byte in text.utf8 {
          write([byte])
          poll(nil, 0, 1)
        }
      case .nothing: continue
      case .replyAndClose(let text):
        write(Array(text.utf8))
        return false
      }
    }
    return true
  }

  private func write(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  /// Takes one whole command off the buffer.
  private func nextCommand() -> [String]? {
    var at = 0
    func number(_ mark: UInt8) -> Int? {
      guard at < buffer.count, buffer[at] == mark,
        let end = buffer[at...].firstIndex(of: 13), end + 1 < buffer.count
      else { return nil }
      defer { at = end + 2 }
      return Int(String(decoding: buffer[(at + 1)..<end], as: UTF8.self))
    }
    guard let count = number(UInt8(ascii: "*")), count > 0 else { return nil }
    var words: [String] = []
    for _ in 0..<count {
      guard let bytes = number(UInt8(ascii: "$")), at + bytes + 2 <= buffer.count else {
        return nil
      }
      words.append(String(decoding: buffer[at..<(at + bytes)], as: UTF8.self))
      at += bytes + 2
    }
    buffer.removeFirst(at)
    return words
  }
}
