// Owns: the parts of a request's head, and what is refused in one: everything about which two
// readers of HTTP might differ, such as two lengths, since a proxy before the worker may read it
// the other way. Offsets into the head's bytes; any thread.

/// The request line and the header fields that this worker looks at.
package struct HTTPHead: Equatable, Sendable {
  /// The methods of which a route has any use.
  package enum Method: Sendable { case get, head, post, options, other }

  /// How the end of the body is known.
  package enum Framing: Equatable, Sendable {
    case none
    case length(Int)
    case chunked
  }

  package var method = Method.other
  /// The path of the target, its slash included, and what follows a question mark.
  package var path = 0..<0
  package var query: Range<Int>?
  package var framing = Framing.none
  /// Whether another request may follow on the connection.
  package var isKept = true
  package var expectsContinue = false
  package var asksForPrivateNetwork = false
  package var host: Range<Int>?
  package var authorization: Range<Int>?
  package var origin: Range<Int>?
  package var fetchSite: Range<Int>?
  package var idempotencyKey: Range<Int>?
  package var lastEventID: Range<Int>?
  package var traceParent: Range<Int>?
  package var askedMethod: Range<Int>?
  private var fieldCount = 0
  private var hasLength = false

  /// The most fields of a head.
  package static let fieldsMax = 100

  /// Parses a head, from the request line to the empty line at its end.
  ///
  /// Each of its lines ends with CR LF, as its reader has made sure.
  package init(_ bytes: Span<UInt8>) throws(HTTPRefusal) {
    var at = try parseRequestLine(bytes)
    while at < bytes.count, bytes[at] != ASCII.carriageReturn {
      guard let end = HTTPHead.endOfLine(bytes, from: at) else { break }
      try parseField(bytes, at..<end)
      at = end + 2
    }
    guard host != nil else {
      throw HTTPRefusal(.badRequest, "the header Host is missing")
    }
  }

  /// Where the line ends that begins there: at its CR.
  private static func endOfLine(_ bytes: Span<UInt8>, from start: Int) -> Int? {
    ByteSearch.newline(in: bytes, from: start).map { $0 - 1 }
  }

  // MARK: - The request line

  private mutating func parseRequestLine(_ bytes: Span<UInt8>) throws(HTTPRefusal) -> Int {
    let end = HTTPHead.endOfLine(bytes, from: 0) ?? bytes.count
    let line = bytes.extracting(0..<end)
    guard let first = line.indices.first(where: { line[$0] == ASCII.space }),
      let last = line.indices.last(where: { line[$0] == ASCII.space }), first < last
    else { throw HTTPHead.noRequest(line) }
    try HTTPHead.checkVersion(line, last + 1)
    method = HTTPHead.method(line.extracting(0..<first))
    let target = first + 1..<last
    for at in target where line[at] <= ASCII.space || line[at] >= ASCII.delete {
      throw HTTPRefusal(
        .badRequest, "the target has a character at byte \(at) that has to be percent-encoded")
    }
    guard line[target.lowerBound] == ASCII.slash else {
      throw HTTPRefusal(.badRequest, "the target has to be a path, as in POST /v1/LOCK/dev-1/agent")
    }
    if let mark = target.first(where: { line[$0] == UInt8(ascii: "?") }) {
      path = target.lowerBound..<mark
      query = mark + 1..<target.upperBound
    } else {
      path = target
    }
    return end + 2
  }

  private static func method(_ word: Span<UInt8>) -> Method {
    func isWord(_ name: StaticString) -> Bool {
      guard word.count == name.utf8CodeUnitCount else { return false }
      return word.indices.allSatisfy { word[$0] == name.utf8Start[$0] }
    }
    if isWord("POST") { return .post }
    if isWord("GET") { return .get }
    if isWord("HEAD") { return .head }
    return isWord("OPTIONS") ? .options : .other
  }

  private static func checkVersion(_ line: Span<UInt8>, _ start: Int) throws(HTTPRefusal) {
    guard begins(line, start, "HTTP/") else { throw noRequest(line) }
    guard line.count == start + 8, begins(line, start, "HTTP/1.1") else {
      throw HTTPRefusal(.versionNotSupported, "this port speaks HTTP/1.1 only")
    }
  }

  private static func begins(_ line: Span<UInt8>, _ start: Int, _ word: StaticString) -> Bool {
    guard line.count >= start + word.utf8CodeUnitCount else { return false }
    return (0..<word.utf8CodeUnitCount).allSatisfy { line[start + $0] == word.utf8Start[$0] }
  }

  /// The refusal of a first line that is no request of HTTP.
  static func noRequest(_ line: Span<UInt8>) -> HTTPRefusal {
    if !line.isEmpty, line[0] == 0x16 {
      return HTTPRefusal(.badRequest, "this is a TLS handshake, and TLS is off on this port")
    }
    let start = line.extracting(0..<min(line.count, OtherProtocol.bytesMax))
    if OtherProtocol.recognise(start, isWhole: true) == .proxyHeader {
      return HTTPRefusal(
        .badRequest, "this is a PROXY header, and --proxy-protocol is off on this worker")
    }
    return HTTPRefusal(
      .badRequest, "this is no request of HTTP/1.1: this port takes those, and --listen lines")
  }

  // MARK: - Header fields

  private mutating func parseField(
    _ bytes: Span<UInt8>, _ line: Range<Int>
  ) throws(HTTPRefusal) {
    fieldCount += 1
    guard fieldCount <= HTTPHead.fieldsMax else {
      throw HTTPRefusal(
        RequestError(.tooLarge, "a request may have \(HTTPHead.fieldsMax) header fields at most"))
    }
    var colon = line.lowerBound
    while colon < line.upperBound, HTTPHead.isNameByte(bytes[colon]) { colon += 1 }
    guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == ASCII.colon else {
      throw HTTPRefusal(.badRequest, "a header line has no name and colon at its beginning")
    }
    var value = colon + 1..<line.upperBound
    while let first = value.first, HTTPHead.isBlank(bytes[first]) { value.removeFirst() }
    while let last = value.last, HTTPHead.isBlank(bytes[last]) { value.removeLast() }
    for at in value where bytes[at] < ASCII.space && bytes[at] != ASCII.tab || bytes[at] == 0x7F {
      throw HTTPRefusal(.badRequest, "a header field has a control character")
    }
    try take(bytes, name: line.lowerBound..<colon, value)
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == ASCII.space || byte == ASCII.tab }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    if ASCII.isLetter(byte) || ASCII.isDigit(byte) || byte == ASCII.minus { return true }
    let others: StaticString = "!#$%&'*+.^_`|~"
    return others.withUTF8Buffer { $0.contains(byte) }
  }

  private mutating func take(
    _ bytes: Span<UInt8>, name: Range<Int>, _ value: Range<Int>
  ) throws(HTTPRefusal) {
    func names(_ word: StaticString) -> Bool { CaseInsensitive.equal(bytes, name, word) }
    switch name.count {
    case 4 where names("host"): try HTTPHead.once(&host, value, "Host")
    case 6 where names("origin"): try HTTPHead.once(&origin, value, "Origin")
    case 6 where names("expect"): try takeExpectation(bytes, value)
    case 7 where names("upgrade"):
      throw HTTPRefusal(.badRequest, "this port speaks HTTP/1.1 and upgrades to nothing else")
    case 10 where names("connection"): takeConnection(bytes, value)
    case 11 where names("traceparent"): try HTTPHead.once(&traceParent, value, "traceparent")
    case 13 where names("authorization"): try HTTPHead.once(&authorization, value, "Authorization")
    case 13 where names("last-event-id"): try HTTPHead.once(&lastEventID, value, "Last-Event-ID")
    case 13 where names("content-range"):
      throw HTTPRefusal(.badRequest, "a part of a body (Content-Range) is no payload")
    case 14 where names("content-length"): try takeLength(bytes, value)
    case 14 where names("sec-fetch-site"): try HTTPHead.once(&fetchSite, value, "Sec-Fetch-Site")
    case 15 where names("idempotency-key"):
      try HTTPHead.once(&idempotencyKey, value, "Idempotency-Key")
    case 16 where names("content-encoding"):
      guard CaseInsensitive.equal(bytes, value, "identity") else {
        throw HTTPRefusal(.unsupportedMediaType, "send the body without a Content-Encoding")
      }
    case 17 where names("transfer-encoding"): try takeEncoding(bytes, value)
    case 29 where names("access-control-request-method"):
      try HTTPHead.once(&askedMethod, value, "Access-Control-Request-Method")
    case 38 where names("access-control-request-private-network"): asksForPrivateNetwork = true
    default: break
    }
  }

  /// Takes a field that may stand once: of two, another reader might take the other one.
  private static func once(
    _ field: inout Range<Int>?, _ value: Range<Int>, _ name: String
  ) throws(HTTPRefusal) {
    guard field == nil else {
      throw HTTPRefusal(.badRequest, "the header \(name) is repeated: send it once")
    }
    field = value
  }

  private func takesBody(_ name: String) throws(HTTPRefusal) {
    guard hasLength || framing != .none else { return }
    throw HTTPRefusal(
      .badRequest,
      "\(name) is one more statement of the body's end: send one Content-Length, "
        + "or Transfer-Encoding: chunked")
  }

  private mutating func takeLength(
    _ bytes: Span<UInt8>, _ value: Range<Int>
  ) throws(HTTPRefusal) {
    try takesBody("Content-Length")
    guard 1...18 ~= value.count, value.allSatisfy({ ASCII.isDigit(bytes[$0]) }) else {
      throw HTTPRefusal(.badRequest, "Content-Length is not one number of bytes")
    }
    let length = value.reduce(0) { $0 * 10 + Int(bytes[$1] - ASCII.zero) }
    hasLength = true
    framing = length > 0 ? .length(length) : .none
  }

  private mutating func takeEncoding(
    _ bytes: Span<UInt8>, _ value: Range<Int>
  ) throws(HTTPRefusal) {
    try takesBody("Transfer-Encoding")
    guard CaseInsensitive.equal(bytes, value, "chunked") else {
      throw HTTPRefusal(.notImplemented, "of Transfer-Encoding this port knows chunked only")
    }
    framing = .chunked
  }

  private mutating func takeExpectation(
    _ bytes: Span<UInt8>, _ value: Range<Int>
  ) throws(HTTPRefusal) {
    guard CaseInsensitive.equal(bytes, value, "100-continue") else {
      throw HTTPRefusal(.expectationFailed, "of Expect this port knows 100-continue only")
    }
    expectsContinue = true
  }

  private mutating func takeConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    var start = value.lowerBound
    for at in value.lowerBound...value.upperBound {
      guard at == value.upperBound || bytes[at] == ASCII.comma else { continue }
      var word = start..<at
      while let first = word.first, HTTPHead.isBlank(bytes[first]) { word.removeFirst() }
      while let last = word.last, HTTPHead.isBlank(bytes[last]) { word.removeLast() }
      if CaseInsensitive.equal(bytes, word, "close") { isKept = false }
      start = at + 1
    }
  }
}
