// Owns: the tests' own client of Redis: RESP2, one command at a time, blocking.

import Foundation
import Glibc

/// A reply of Redis.
package enum RedisAnswer: Equatable, Sendable {
  case text(String)
  case error(String)
  case integer(Int)
  case array([RedisAnswer])
  case null

  /// A text, or an integer as text.
  package var string: String? {
    switch self {
    case .text(let text): text
    case .integer(let number): String(number)
    case .error, .array, .null: nil
    }
  }

  package var int: Int? { string.flatMap { Int($0) } }

  package var items: [RedisAnswer] {
    guard case .array(let items) = self else { return [] }
    return items
  }

  package var isError: Bool {
    guard case .error = self else { return false }
    return true
  }
}

/// One connection to Redis, for one thread at a time; every read has a deadline.
package final class BareRedisClient {
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var at = 0

  package init(path: String, timeoutSeconds: Int = 10) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw TestFailure("socket: errno \(errno)") }
    var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(
        descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    // All properties are set, so deinit runs and closes the descriptor.
    guard result == 0 else { throw TestFailure("connect to \(path): errno \(errno)") }
  }

  deinit { close(descriptor) }

  @discardableResult package func command(_ words: String...) throws -> RedisAnswer {
    try command(words)
  }

  @discardableResult package func command(_ words: [String]) throws -> RedisAnswer {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw TestFailure("send \(words.prefix(3)): errno \(errno)") }
      sent += count
    }
    buffer.removeFirst(at)
    at = 0
    return try readValue()
  }

  private func readMore() throws {
    var room = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &room, room.count, 0)
    guard count > 0 else {
      throw TestFailure(count == 0 ? "Redis closed the connection" : "no answer: errno \(errno)")
    }
    buffer += room[..<count]
  }

  private func readLine() throws -> String {
    while true {
      if let end = buffer[at...].firstIndex(of: 13), end + 1 < buffer.count {
        defer { at = end + 2 }
        return String(decoding: buffer[at..<end], as: UTF8.self)
      }
      try readMore()
    }
  }

  private func readValue() throws -> RedisAnswer {
    let line = try readLine()
    let rest = String(line.dropFirst())
    switch line.first {
    case "+": return .text(rest)
    case "-": return .error(rest)
    case ":": return .integer(Int(rest) ?? 0)
    case "$":
      guard let count = Int(rest), count >= 0 else { return .null }
      while buffer.count < at + count + 2 { try readMore() }
      defer { at += count + 2 }
      return .text(String(decoding: buffer[at..<(at + count)], as: UTF8.self))
    case "*":
      guard let count = Int(rest), count >= 0 else { return .null }
      return .array(try (0..<count).map { _ in try readValue() })
    default: throw TestFailure("not RESP2: \(line)")
    }
  }
}
