// A client of the worker that speaks raw lines, well-formed or not.

import Foundation
import Glibc

/// One TCP connection to a worker; belongs to one thread at a time.
class LineClient {
  let socket: TestSocket
  private var buffer: [UInt8] = []
  private var start = 0
  private var ended = false

  /// Connects; `address` is another source address of this machine, such as 127.0.0.2.
  init(port: Int, from address: String? = nil, receiveBytes: Int32? = nil) throws {
    socket = try TestSocket(port: port, from: address, receiveBytes: receiveBytes)
  }

  func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

  func sendLine(_ line: String) throws { try send(Array((line + "\n").utf8)) }

  /// Sends one line and reads its reply.
  @discardableResult func request(
    _ line: String, within limit: Duration = .seconds(5)
  ) throws -> Reply {
    try sendLine(line)
    return try reply(within: limit)
  }

  func reply(within limit: Duration = .seconds(5)) throws -> Reply {
    guard let line = try readLine(within: limit) else {
      throw Failure(ended ? "the worker closed the connection" : "no reply within \(limit)")
    }
    return Reply(raw: line)
  }

  func replies(_ count: Int, within limit: Duration = .seconds(10)) throws -> [Reply] {
    try (0..<count).map { _ in try reply(within: limit) }
  }

  /// The next line without its end; nil when none comes in time or the stream has ended.
  func readLine(within limit: Duration = .seconds(5)) throws -> String? {
    let deadline = Deadline(within: limit)
    while true {
      if let line = try nextLine() { return line }
      guard !ended, try socket.wait(for: Int16(POLLIN), deadline) != 0 else { return nil }
      try fill()
    }
  }

  /// True if the worker closes within the limit without another byte.
  func isClosed(within limit: Duration = .seconds(5)) -> Bool {
    // A reset counts as closed too.
    guard let line = try? readLine(within: limit) else { return ended || (try? fill()) == nil }
    _ = line
    return false
  }

  /// Writes `bytes` and reads at the same time, until `count` lines have come.
  func exchange(_ bytes: [UInt8], lines count: Int, within limit: Duration) throws -> [String] {
    let deadline = Deadline(within: limit)
    var sent = 0
    var lines: [String] = []
    while lines.count < count {
      if let line = try nextLine() {
        lines.append(line)
        continue
      }
      let wanted = sent < bytes.count ? POLLIN | POLLOUT : POLLIN
      let events = try socket.wait(for: Int16(wanted), deadline)
      guard events != 0, !ended else {
        throw Failure("\(lines.count) of \(count) replies, then \(ended ? "the end" : "nothing")")
      }
      if events & Int16(POLLOUT) != 0 {
        sent += try socket.sendSome(bytes[sent..<min(sent + 65_536, bytes.count)])
      }
      if events & Int16(POLLIN | POLLHUP) != 0 { try fill() }
    }
    return lines
  }

  private func fill() throws {
    guard let bytes = try socket.receiveSome() else { return }
    ended = bytes.isEmpty
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer += bytes
  }

  private func nextLine() throws -> String? {
    let end = buffer.withUnsafeBytes { bytes -> Int? in
      guard let base = bytes.baseAddress, start < bytes.count,
        let found = memchr(base + start, 0x0a, bytes.count - start)
      else { return nil }
      return UnsafeRawPointer(found) - base
    }
    guard let end else { return nil }
    let bytes = buffer[start..<end]
    start = end + 1
    guard let line = String(validating: bytes, as: UTF8.self), !line.utf8.contains(0x0d) else {
      throw Failure("a reply that is no line of UTF-8: \(Array(bytes.prefix(200)))")
    }
    return line
  }
}
