// The part of HTTP that the admin port needs.

import Foundation

/// The answer to one GET.
struct HTTPReply: Sendable {
  let status: Int
  let headers: [String: String]
  let body: String

  /// Asks `path` of the server on this loopback port, over a connection of its own.
  static func get(_ path: String, port: Int, within limit: Duration = .seconds(5)) throws -> Self {
    let socket = try TestSocket(port: port)
    let lines = ["GET \(path) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Connection: close", "", ""]
    try socket.send(Array(lines.joined(separator: "\r\n").utf8))
    var bytes: [UInt8] = []
    while let more = try socket.receive(within: limit) {
      if more.isEmpty { return try Self(bytes) }
      bytes += more
    }
    throw Failure("GET \(path): no end of the answer within \(limit)")
  }

  private init(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let split = text.range(of: "\r\n\r\n") else { throw Failure("no HTTP: \(text)") }
    let lines = text[..<split.lowerBound].components(separatedBy: "\r\n")
    let first = lines[0].split(separator: " ")
    guard first.count >= 2, first[0].hasPrefix("HTTP/1."), let status = Int(first[1]) else {
      throw Failure("no HTTP status line: \(lines[0])")
    }
    self.status = status
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { throw Failure("no HTTP header: \(line)") }
      let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      headers[line[..<colon].lowercased()] = value
    }
    self.headers = headers
    let body = String(text[split.upperBound...])
    if let length = headers["content-length"], Int(length) != body.utf8.count {
      throw Failure("Content-Length is \(length), the body has \(body.utf8.count) bytes")
    }
    self.body = body
  }
}
