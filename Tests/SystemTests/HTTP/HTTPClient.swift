// Owns: a client of the worker's HTTP that keeps its connection, and one that speaks the line
// protocol by it, so that what is tested of lines is tested of HTTP too.

import Foundation
import Glibc

/// One connection that speaks HTTP; belongs to one thread at a time.
final class HTTPClient {
  struct Response: Sendable {
    let status: Int
    let headers: [String: String]
    let body: String

    var reply: String { headers["latchkey-reply"] ?? "" }

    /// The line that the response stands for.
    var line: String {
      if reply == "ERR", let json = try? JSON(body) {
        return "ERR \(json["code"]?.string ?? "") \(json["text"]?.string ?? "")"
      }
      return body == "{}" ? reply : "\(reply) \(body)"
    }
  }

  let socket: TestSocket
  private var buffer: [UInt8] = []
  private let host: String

  init(port: Int) throws {
    socket = try TestSocket(port: port)
    host = "127.0.0.1:\(port)"
  }

  func send(_ text: String) throws { try socket.send(Array(text.utf8)) }

  /// Sends a request, with the usual headers and these.
  func send(
    _ method: String, _ target: String, _ headers: [String] = [], body: String? = nil
  ) throws {
    var lines = ["\(method) \(target) HTTP/1.1", "Host: \(host)"] + headers
    if let body { lines.append("Content-Length: \(body.utf8.count)") }
    try send(lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? ""))
  }

  func ask(
    _ method: String, _ target: String, _ headers: [String] = [], body: String? = nil
  ) throws -> Response {
    try send(method, target, headers, body: body)
    return try response()
  }

  func get(_ target: String, _ headers: [String] = []) throws -> Response {
    try ask("GET", target, headers)
  }

  func post(_ target: String, _ headers: [String] = [], _ body: String? = nil) throws -> Response {
    try ask("POST", target, headers, body: body)
  }

  /// The next response.
  func response(within limit: Duration = .seconds(20)) throws -> Response {
    let (status, headers) = try head(within: limit)
    let deadline = Deadline(within: limit)
    var body: [UInt8] = []
    if headers["transfer-encoding"] == "chunked" {
      while true {
        let size = Int(try line(deadline), radix: 16) ?? -1
        guard size >= 0 else { throw Failure("no size of a chunk") }
        body += try take(size, deadline)
        guard try line(deadline).isEmpty else { throw Failure("no end of a chunk") }
        if size == 0 { break }
      }
    } else if let length = headers["content-length"].flatMap({ Int($0) }) {
      body = try take(length, deadline)
    }
    return Response(status: status, headers: headers, body: String(decoding: body, as: UTF8.self))
  }

  /// The status and the headers of the next response.
  func head(within limit: Duration = .seconds(20)) throws -> (Int, [String: String]) {
    let deadline = Deadline(within: limit)
    let first = try line(deadline)
    guard first.hasPrefix("HTTP/1.1 "), let status = Int(first.dropFirst(9).prefix(3)) else {
      throw Failure("no status line: \(first)")
    }
    var headers: [String: String] = [:]
    while true {
      let field = try line(deadline)
      if field.isEmpty { return (status, headers) }
      guard let colon = field.firstIndex(of: ":") else { throw Failure("no header: \(field)") }
      headers[field[..<colon].lowercased()] =
        field[field.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
  }

  /// The next event of a stream: its lines up to the empty one.
  func event(within limit: Duration = .seconds(10)) throws -> [String] {
    let deadline = Deadline(within: limit)
    var lines: [String] = []
    while true {
      let line = try line(deadline)
      if line.isEmpty { return lines }
      lines.append(line)
    }
  }

  /// Whether the worker closes within the limit without another byte.
  func isClosed(within limit: Duration = .seconds(10)) -> Bool {
    guard buffer.isEmpty, let more = try? socket.receive(within: limit) else { return false }
    return more.isEmpty
  }

  private func line(_ deadline: Deadline) throws -> String {
    while true {
      if let end = buffer.firstIndex(of: 0x0A) {
        var line = buffer[..<end]
        if line.last == 0x0D { line.removeLast() }
        defer { buffer.removeFirst(end + 1) }
        return String(decoding: line, as: UTF8.self)
      }
      try fill(deadline)
    }
  }

  private func take(_ count: Int, _ deadline: Deadline) throws -> [UInt8] {
    while buffer.count < count { try fill(deadline) }
    defer { buffer.removeFirst(count) }
    return Array(buffer[..<count])
  }

  private func fill(_ deadline: Deadline) throws {
    guard try socket.wait(for: Int16(POLLIN), deadline) != 0 else {
      throw Failure("no response in time; it began: \(String(decoding: buffer, as: UTF8.self))")
    }
    guard let bytes = try socket.receiveSome() else { return }
    guard !bytes.isEmpty else {
      throw Failure("the worker closed: \(String(decoding: buffer, as: UTF8.self))")
    }
    buffer += bytes
  }
}

/// Sends lines by HTTP: most as requests of their own, some in a body of lines.
final class HTTPLineClient: LineClient {
  private let http: HTTPClient
  private let port: Int
  private let secret: [String]
  private var count = 0

  init(httpPort: Int, secret: String? = nil) throws {
    port = httpPort
    self.secret = secret.map { ["Authorization: Bearer \($0)"] } ?? []
    http = try HTTPClient(port: httpPort)
    try super.init(port: httpPort)
  }

  override func request(_ line: String, within limit: Duration = .seconds(20)) throws -> Reply {
    count += 1
    if line.hasPrefix("WATCH ") { return try watch(line) }
    let wire = count % 5 > 0 ? LineByHTTP(line) : nil
    guard let wire else {
      let replies = try http.post("/v1/lines", secret, line)
      return Reply(raw: replies.status == 200 ? String(replies.body.dropLast()) : replies.line)
    }
    let response = try http.post(wire.target, secret + wire.headers, wire.body)
    return Reply(raw: response.line)
  }

  /// Begins a stream of events and gives it up.
  private func watch(_ line: String) throws -> Reply {
    guard let wire = LineByHTTP(line) else { throw Failure("no watch: \(line)") }
    let stream = try HTTPClient(port: port)
    try stream.send("GET", wire.target, secret)
    let (status, headers) = try stream.head()
    guard status != 200 else { return Reply(raw: "OK") }
    let code = status == 401 ? "auth_required" : status == 403 ? "forbidden" : "other"
    return Reply(raw: "\(headers["latchkey-reply"] ?? "") \(code)")
  }
}

/// A line as a request of HTTP, made with nothing of the worker's code.
struct LineByHTTP {
  let target: String
  let headers: [String]
  let body: String?

  /// Verbs whose first word is an address.
  private static let addressed: Set = [
    "GET", "SET", "TOUCH", "PAUSE", "RESUME", "CLOSE", "RECOVER", "ARCHIVE", "DELETE", "LINK",
    "UNLINK", "SHARE", "UNSHARE", "TICKET", "CHAT", "SWITCH", "CHATS", "SAY", "HISTORY", "POP",
    "FORGET", "AMEND", "PUT", "TAKE",
    "DROP", "KEYS", "APPLY", "TELL", "REPORT", "EXPORT", "COPY", "WATCH",
  ]

  /// Nil for a line that is left to a body of lines.
  init?(_ line: String) {
    var rest = line[...]
    guard let verb = rest.prefixMatch(of: /[A-Za-z]+/)?.output else { return nil }
    rest = rest.dropFirst(verb.count)
    var (path, query, headers) = ("/v1/\(verb)", [String](), [String]())
    var body: String?
    while rest.first == " " {
      rest = rest.dropFirst()
      // A document may be a string.
      let isDocument =
        verb.uppercased() == "PUT" && rest.wholeMatch(of: /"(?:[^"\\]|\\.)*"/) != nil
      if isDocument || rest.first == "{" || rest.first == "[" {
        body = String(rest)
        rest = ""
      } else if let option = rest.prefixMatch(of: /([A-Za-z_.-]+)=("(?:[^"\\]|\\.)*"|[^ ]+)/)?
        .output
      {
        guard let value = Self.text(option.2) else { return nil }
        rest = rest.dropFirst(option.0.count)
        if option.1 == "req" {
          headers.append("Idempotency-Key: \(value)")
        } else {
          query.append("\(option.1)=\(Self.encoded(value))")
        }
      } else {
        guard let word = rest.prefixMatch(of: /"(?:[^"\\]|\\.)*"|[^ ]+/)?.output,
          let text = Self.text(word)
        else { return nil }
        rest = rest.dropFirst(word.count)
        let isAddress = path == "/v1/\(verb)" && Self.addressed.contains(verb.uppercased())
        let parts = isAddress ? text.split(separator: "/").map(String.init) : [text]
        path += "/" + Self.encoded(parts[0])
        if parts.count > 1 { query.append("session=\(Self.encoded(parts[1]))") }
        if parts.count > 2 { query.append("chat=\(Self.encoded(parts[2]))") }
      }
    }
    guard rest.isEmpty else { return nil }
    target = path + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    (self.headers, self.body) = (headers, body)
  }

  private static func text(_ word: Substring) -> String? {
    guard word.hasPrefix("\"") else { return String(word) }
    return (try? JSON(String(word)))?.string
  }

  private static func encoded(_ text: String) -> String {
    text.utf8.map { byte in
      let isPlain =
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
      return isPlain
        ? String(UnicodeScalar(byte))
        : "%" + String(byte >> 4, radix: 16)
          + String(byte & 15, radix: 16)
    }.joined()
  }
}
