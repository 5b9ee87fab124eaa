// The tests' own client of Redis: RESP2, one command at a time.

import Foundation
import Glibc

/// A reply of Redis.
enum RedisValue: Equatable, Sendable {
  case text(String)
  case error(String)
  case integer(Int)
  case array([RedisValue])
  case null

  var string: String? {
    guard case .text(let text) = self else { return nil }
    return text
  }

  var number: Int? {
    guard case .integer(let number) = self else { return nil }
    return number
  }

  /// The elements of an array; none of anything else.
  var items: [RedisValue] {
    guard case .array(let items) = self else { return [] }
    return items
  }

  /// Reads one reply from the front of `bytes`; nil if it is not all there yet.
  static func parse(_ bytes: ArraySlice<UInt8>) throws -> (value: RedisValue, end: Int)? {
    guard let lineEnd = bytes.firstIndex(of: 0x0d), lineEnd + 1 < bytes.endIndex,
      let kind = bytes.first
    else { return nil }
    let head = String(decoding: bytes[(bytes.startIndex + 1)..<lineEnd], as: UTF8.self)
    let next = lineEnd + 2
    switch kind {
    case UInt8(ascii: "+"): return (.text(head), next)
    case UInt8(ascii: "-"): return (.error(head), next)
    case UInt8(ascii: ":"): return (.integer(Int(head) ?? 0), next)
    case UInt8(ascii: "_"): return (.null, next)
    case UInt8(ascii: "#"), UInt8(ascii: ","): return (.text(head), next)
    case UInt8(ascii: "$"), UInt8(ascii: "="):
      guard let count = Int(head), count >= 0 else { return (.null, next) }
      guard bytes.endIndex >= next + count + 2 else { return nil }
      return (
        .text(String(decoding: bytes[next..<(next + count)], as: UTF8.self)), next + count + 2
      )
    case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: ">"):
      return try parseItems(bytes, from: next, Int(head) ?? -1)
    case UInt8(ascii: "%"): return try parseItems(bytes, from: next, 2 * (Int(head) ?? 0))
    default: throw Failure("not RESP: \(Array(bytes.prefix(40)))")
    }
  }

  private static func parseItems(
    _ bytes: ArraySlice<UInt8>, from start: Int, _ count: Int
  ) throws -> (value: RedisValue, end: Int)? {
    guard count >= 0 else { return (.null, start) }
    var items: [RedisValue] = []
    var next = start
    for _ in 0..<count {
      guard let item = try parse(bytes[next...]) else { return nil }
      items.append(item.value)
      next = item.end
    }
    return (.array(items), next)
  }
}

/// One connection to Redis; belongs to one thread at a time.
final class RedisClient {
  private let socket: TestSocket
  private var buffer: [UInt8] = []

  init(path: String) throws { socket = try TestSocket(path: path) }

  @discardableResult func command(
    _ words: String..., within limit: Duration = .seconds(5)
  ) throws -> RedisValue {
    try command(words, within: limit)
  }

  func command(_ words: [String], within limit: Duration = .seconds(5)) throws -> RedisValue {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words {
      bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8)
    }
    try socket.send(bytes)
    let deadline = Deadline(within: limit)
    while true {
      if let (value, end) = try RedisValue.parse(buffer[...]) {
        buffer.removeFirst(end)
        return value
      }
      guard try socket.wait(for: Int16(POLLIN), deadline) != 0 else {
        throw Failure("Redis does not answer \(words)")
      }
      guard let more = try socket.receiveSome() else { continue }
      guard !more.isEmpty else { throw Failure("Redis closed the connection at \(words)") }
      buffer += more
    }
  }
}
