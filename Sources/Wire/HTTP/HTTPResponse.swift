// Owns: how a reply of the line protocol becomes a response of HTTP, or an event of a stream.
// Appends to buffers that its owner uses again; any thread.

/// What a response has to know of its request.
package struct HTTPExchange: Equatable, Sendable {
  /// The form of the response.
  package enum Kind: Sendable {
    /// One reply, one response.
    case request
    /// One of the replies in a response of lines.
    case line
    /// The begin of a stream of events.
    case stream
    /// Bytes that are a response already, or a part of one.
    case whole
  }

  package var kind = Kind.request
  /// Whether the connection ends after the response; of replies to lines, the response is whole
  /// with that one.
  package var closes = false
  /// Whether the request is a HEAD, whose response has no body.
  package var hasNoBody = false
  /// A status in place of that of the error's code.
  package var status: HTTPStatus?
  /// The listed origin that asks, by its number; negative if none does.
  package var origin: Int16 = -1
  /// The method that the route takes, where the request's was another one.
  package var allows: HTTPHead.Method?

  package init() {}
}

/// What the responses of a worker have in common.
package struct HTTPCommonFields: Sendable {
  /// The listed origins.
  package let origins: [[UInt8]]
  /// The time, as HTTP writes it.
  package var date: [UInt8] = []

  package init(origins: [[UInt8]]) { self.origins = origins }
}

extension [UInt8] {
  /// Appends the response to a request, from a reply line with or without its end.
  package mutating func appendResponse(
    _ line: UnsafeBufferPointer<UInt8>, _ exchange: HTTPExchange, common: HTTPCommonFields
  ) {
    let line = HTTPResponse.withoutEnd(line)
    let wordEnd = line.firstIndex(of: ASCII.space) ?? line.endIndex
    let word = UnsafeBufferPointer(rebasing: line[..<wordEnd])
    let rest = UnsafeBufferPointer(rebasing: line[Swift.min(wordEnd + 1, line.count)...])
    guard let status = HTTPStatus.of(word: word.span) else {
      return appendError(HTTPResponse.code(rest), rest, exchange, common)
    }
    appendHead(exchange.status ?? status, word, exchange, common)
    appendBody(exchange) { body in
      if rest.isEmpty { body.append("{}") } else { body.append(contentsOf: rest) }
    } bytes: {
      rest.isEmpty ? 2 : rest.count
    }
  }

  private mutating func appendError(
    _ code: ErrorCode, _ rest: UnsafeBufferPointer<UInt8>, _ exchange: HTTPExchange,
    _ common: HTTPCommonFields
  ) {
    let text = rest.dropFirst(code.rawValue.utf8.count + 1)
    var json: [UInt8] = []
    json.append("{\"code\":\"")
    json.append(contentsOf: code.rawValue.utf8)
    json.append("\",\"text\":")
    json.appendJSONString(UnsafeBufferPointer(rebasing: text).span)
    json.append(ASCII.closeBrace)
    let status = exchange.status ?? HTTPStatus(code)
    Array("ERR".utf8).withUnsafeBufferPointer { appendHead(status, $0, exchange, common) }
    if status == .unavailable { append("Retry-After: 1\r\n") }
    if status == .unauthorized { append("WWW-Authenticate: Bearer\r\n") }
    switch exchange.allows {
    case .post: append("Allow: POST, OPTIONS\r\n")
    case .get: append("Allow: GET, OPTIONS\r\n")
    case .head, .options, .other: append("Allow: GET, POST, OPTIONS\r\n")
    case nil: break
    }
    appendBody(exchange) {
      $0.append(contentsOf: json)
    } bytes: {
      json.count
    }
  }

  private mutating func appendHead(
    _ status: HTTPStatus, _ word: UnsafeBufferPointer<UInt8>, _ exchange: HTTPExchange,
    _ common: HTTPCommonFields
  ) {
    appendStatusLine(status)
    append("Content-Type: application/json\r\nCache-Control: no-store\r\nLatchkey-Reply: ")
    append(contentsOf: word)
    append("\r\n")
    appendEnd(of: exchange, common)
  }

  /// Appends the fields that every response has.
  private mutating func appendEnd(of exchange: HTTPExchange, _ common: HTTPCommonFields) {
    append("Date: ")
    append(contentsOf: common.date)
    append("\r\n")
    if exchange.closes { append("Connection: close\r\n") }
    guard exchange.origin >= 0 else { return }
    append("Access-Control-Allow-Origin: ")
    append(contentsOf: common.origins[Int(exchange.origin)])
    append("\r\nVary: Origin\r\nAccess-Control-Expose-Headers: Latchkey-Reply, Retry-After\r\n")
  }

  private mutating func appendStatusLine(_ status: HTTPStatus) {
    append("HTTP/1.1 ")
    append(Int64(status.rawValue))
    append(ASCII.space)
    append(status.reason)
    append("\r\n")
  }

  private mutating func appendBody(
    _ exchange: HTTPExchange, _ write: (inout [UInt8]) -> Void, bytes: () -> Int
  ) {
    append("Content-Length: ")
    append(Int64(bytes()))
    append("\r\n\r\n")
    if !exchange.hasNoBody { write(&self) }
  }

  /// Appends the answer to a preflight of a listed origin.
  package mutating func appendPreflight(
    _ exchange: HTTPExchange, common: HTTPCommonFields, isForPrivateNetwork: Bool
  ) {
    appendStatusLine(.noContent)
    append("Access-Control-Allow-Methods: GET, POST\r\nAccess-Control-Allow-Headers: ")
    append("Authorization, Content-Type, Idempotency-Key, Last-Event-ID, traceparent\r\n")
    append("Access-Control-Max-Age: 600\r\n")
    if isForPrivateNetwork { append("Access-Control-Allow-Private-Network: true\r\n") }
    appendEnd(of: exchange, common)
    append("\r\n")
  }

  // MARK: - Lines

  /// Appends the head of a response that has lines, in chunks.
  package mutating func appendLinesHead(_ exchange: HTTPExchange, common: HTTPCommonFields) {
    appendStatusLine(.ok)
    append("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n")
    append("Transfer-Encoding: chunked\r\n")
    appendEnd(of: exchange, common)
    append("\r\n")
  }

  /// Appends a reply line as a chunk.
  package mutating func appendLineChunk(_ line: UnsafeBufferPointer<UInt8>) {
    let line = HTTPResponse.withoutEnd(line)
    append(contentsOf: String(line.count + 1, radix: 16).utf8)
    append("\r\n")
    append(contentsOf: line)
    append("\n\r\n")
  }

  /// Appends the end of a response in chunks.
  package mutating func appendLastChunk() { append("0\r\n\r\n") }

  // MARK: - Streams of events

  /// Appends the head of a stream, from the reply to its WATCH; one that says more is its first
  /// event.
  package mutating func appendStreamHead(
    _ line: UnsafeBufferPointer<UInt8>, _ exchange: HTTPExchange, common: HTTPCommonFields
  ) {
    appendStatusLine(.ok)
    append("Content-Type: text/event-stream\r\nCache-Control: no-store\r\nLatchkey-Reply: OK\r\n")
    append("X-Accel-Buffering: no\r\n")
    appendEnd(of: exchange, common)
    append("\r\n")
    let rest = HTTPResponse.withoutEnd(line).dropFirst(3)
    guard !rest.isEmpty else { return }
    append("event: begin\ndata: ")
    append(contentsOf: rest)
    append("\n\n")
  }

  /// Appends an `EVENT` line as an event of a stream, with its id if it has one.
  package mutating func appendStreamEvent(_ line: UnsafeBufferPointer<UInt8>) {
    let line = HTTPResponse.withoutEnd(line)
    let json = UnsafeBufferPointer(rebasing: line[Swift.min(6, line.count)...])
    if let id = HTTPResponse.eventID(json) {
      append("id: ")
      append(contentsOf: json[id])
      append(ASCII.newline)
    }
    append("data: ")
    append(contentsOf: json)
    append("\n\n")
  }
}

/// The parts of replies that responses are made of.
package enum HTTPResponse {
  /// A comment in a stream, which keeps what is between worker and caller from closing it.
  package static let comment: StaticString = ":\n\n"

  fileprivate static func withoutEnd(
    _ line: UnsafeBufferPointer<UInt8>
  ) -> UnsafeBufferPointer<UInt8> {
    line.last == ASCII.newline ? UnsafeBufferPointer(rebasing: line.dropLast()) : line
  }

  /// The code that an `ERR` goes on with.
  fileprivate static func code(_ rest: UnsafeBufferPointer<UInt8>) -> ErrorCode {
    let word = rest.prefix { $0 != ASCII.space }
    return ErrorCode(rawValue: String(decoding: word, as: UTF8.self)) ?? .internal
  }

  /// Where the id stands in an event's JSON, whose first member it is; nil if it has none.
  fileprivate static func eventID(_ json: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
    let start: StaticString = "{\"id\":\""
    let count = start.utf8CodeUnitCount
    guard json.count > count, (0..<count).allSatisfy({ json[$0] == start.utf8Start[$0] }) else {
      return nil
    }
    return json[count...].firstIndex(of: ASCII.quote).map { count..<$0 }
  }
}
