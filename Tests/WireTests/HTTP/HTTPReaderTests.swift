// Owns: the tests of HTTP's framing: what is one request, however its bytes come, and what is
// refused because two readers could differ about it.

import Testing

@testable import Wire

/// Everything that a reader finds in a text that comes in such pieces.
private func events(_ pieces: [[UInt8]]) -> [String] {
  var reader = HTTPReader()
  var found: [String] = []
  for piece in pieces {
    var at = 0
    var isMore = true
    while isMore {
      switch reader.next(in: piece.span, at: &at) {
      case .needMore: isMore = false
      case .head(let head):
        let path = String(decoding: reader.head[head.path], as: UTF8.self)
        found.append("\(head.method) \(path) \(head.framing) \(head.isKept ? "kept" : "last")")
      case .body(let range):
        let text = String(decoding: piece[range], as: UTF8.self)
        if let last = found.last, last.hasPrefix("body ") {
          found[found.count - 1] = last + text
        } else {
          found.append("body " + text)
        }
      case .end: found.append("end")
      case .refused(let refusal):
        found.append("refused \(refusal.status.rawValue)")
        isMore = false
      }
    }
    if found.last?.hasPrefix("refused") == true { break }
  }
  return found
}

private func events(_ text: String) -> [String] { events([Array(text.utf8)]) }

private let get = "GET /v1/PING HTTP/1.1\r\nHost: h\r\n\r\n"

struct HTTPReaderTests {
  private static let good: [(String, [String])] = [
    (get, ["get /v1/PING none kept", "end"]),
    (get + get, ["get /v1/PING none kept", "end", "get /v1/PING none kept", "end"]),
    ("\r\n" + get, ["get /v1/PING none kept", "end"]),
    (
      "POST /v1/X?a=b HTTP/1.1\r\nhost:\th \r\ncontent-length: 5\r\nConnection: foo, Close\r\n\r\n"
        + "{\"a\"}",
      ["post /v1/X length(5) last", "body {\"a\"}", "end"]
    ),
    (
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
        + "3;a=\"b\"\r\nabc\r\n01\r\nd\r\n0\r\nx: y\r\n\r\n" + get,
      [
        "post / chunked kept", "body abcd", "end", "get /v1/PING none kept", "end",
      ]
    ),
    (
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + String(repeating: "1\r\nx\r\n", count: 50) + "0\r\n\r\n",
      ["post / chunked kept", "body " + String(repeating: "x", count: 50), "end"]
    ),
    (
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
      ["post / none kept", "end"]
    ),
  ]

  @Test(arguments: good)
  func `a request is found, whole, a byte at a time and cut anywhere`(
    text: String, wanted: [String]
  ) {
    let bytes = Array(text.utf8)
    #expect(events([bytes]) == wanted)
    #expect(events(bytes.map { [$0] }) == wanted)
    for cut in bytes.indices {
      #expect(events([Array(bytes[..<cut]), Array(bytes[cut...])]) == wanted)
    }
  }

  /// What stands between the request line and the empty line, and the status.
  private static let badFields: [(String, Int)] = [
    ("Content-Length: 1\r\nContent-Length: 1", 400), ("Content-Length: 1, 1", 400),
    ("Content-Length: +1", 400), ("Content-Length: 0x1", 400), ("Content-Length:", 400),
    ("Content-Length: 9999999999999999999", 400), ("Content-Length: -1", 400),
    ("Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nContent-Length: 1", 400),
    ("Content-Length: 0\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: gzip, chunked", 501), ("Transfer-Encoding: identity", 501),
    ("Transfer-Encoding: xchunked", 501), ("Transfer-Encoding : chunked", 400),
    ("Content-Length : 1", 400), (" Content-Length: 1", 400), ("X: a\r\n b", 400),
    ("X: a\r\n\tb", 400), ("X: a\nContent-Length: 1", 400), ("X: a\rY: b", 400),
    ("X: a\u{0}b", 400), ("no colon", 400), (": x", 400), ("X\u{E9}: x", 400),
    ("Host: other", 400), ("Authorization: a\r\nAuthorization: b", 400),
    ("Idempotency-Key: a\r\nIdempotency-Key: a", 400), ("Origin: null\r\nOrigin: null", 400),
    ("Upgrade: h2c", 400), ("Upgrade: websocket\r\nConnection: Upgrade", 400),
    ("Content-Range: bytes 0-1/2", 400), ("Content-Encoding: gzip", 415),
    ("Expect: 200-ok", 417),
    (Array(repeating: "X: y", count: 100).joined(separator: "\r\n"), 413),
    ("X: " + String(repeating: "y", count: 16_384), 413),
  ]

  @Test(arguments: badFields)
  func `a head about whose meaning two readers could differ is refused`(
    fields: String, status: Int
  ) {
    let text = "POST / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\nabc"
    #expect(events(text) == ["refused \(status)"])
    #expect(events(text.utf8.map { [$0] }) == ["refused \(status)"])
  }

  private static let badStarts: [(String, Int, naming: String)] = [
    ("GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"),
    ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"),
    ("GET / HTTP/1.11\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1"),
    ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 400, "path"),
    ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path"),
    ("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path"),
    ("GET / HTTP/1.1\r\n\r\n", 400, "Host"), ("GET /\r\n\r\n", 400, "no request of HTTP"),
    ("GET  /  HTTP/1.1\r\nHost: h\r\n\r\n", 400, "percent-encoded"),
    ("GET /\u{E9} HTTP/1.1\r\nHost: h\r\n\r\n", 400, "percent-encoded"),
    ("GET / http/1.1\r\nHost: h\r\n\r\n", 400, "no request of HTTP"),
    ("LOCK dev-1 agent\n", 400, "--listen"), ("LOCK dev-1 agent\r\n\r\n", 400, "--listen"),
    ("*1\r\n$4\r\nPING\r\n", 400, "no request of HTTP"), ("\u{16}\u{3}\u{1}", 400, "TLS"),
    ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + get, 400, "PROXY"),
    (" " + get, 400, "no request of HTTP"),
    ("GET / HTTP/1.1\nHost: h\n\n", 400, "no request of HTTP"),
  ]

  @Test(arguments: badStarts)
  func `what is no request of HTTP 1-1 is refused in words`(
    text: String, status: Int, name: String
  ) {
    var reader = HTTPReader()
    let bytes = Array(text.utf8)
    var at = 0
    guard case .refused(let refusal) = reader.next(in: bytes.span, at: &at) else {
      Issue.record("not refused: \(text)")
      return
    }
    #expect(refusal.status.rawValue == status && refusal.error.text.contains(name), "\(refusal)")
    // And nothing behind it is looked at.
    let more = Array(get.utf8)
    at = 0
    let event = reader.next(in: more.span, at: &at)
    #expect(event == .needMore)
  }

  @Test(arguments: [
    "1\r\nab", "1\nx", "x\r\n", "\r\n", "-1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n",
    "1\r\nx\n0\r\n\r\n",
    "1\r\nx0\r\n\r\n", "100000000\r\n", "1;\u{0}\r\n", "0\r\nX: y\n\r\n", "1\rx", "0\r\n\rx",
    "1;" + String(repeating: "e", count: 16_385), "0\r\n" + String(repeating: "t", count: 16_385),
  ])
  func `malformed chunks are refused`(chunks: String) {
    let found = events("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    #expect(found.last?.hasPrefix("refused") == true, "\(found)")
  }

  @Test func `what is kept of a head is bounded, and given up with it`() {
    var reader = HTTPReader()
    var at = 0
    let byte: [UInt8] = [UInt8(ascii: "a")]
    var refusals = 0
    for _ in 0..<20_000 where refusals == 0 {
      at = 0
      if case .refused = reader.next(in: byte.span, at: &at) { refusals += 1 }
    }
    #expect(refusals == 1 && reader.heldBytes <= 2 * HTTPReader.headBytesMax)
    reader.stop()
    #expect(reader.heldBytes == 0 && !reader.holdsPart)
  }
}

struct HTTPResponseTests {
  private func response(_ line: String, _ change: (inout HTTPExchange) -> Void = { _ in }) -> String
  {
    var (exchange, bytes) = (HTTPExchange(), [UInt8]())
    change(&exchange)
    var common = HTTPCommonFields(origins: [Array("https://a.example".utf8)])
    common.date = Array("Sat, 21 Nov 2026 02:44:52 GMT".utf8)
    Array(line.utf8).withUnsafeBufferPointer {
      bytes.appendResponse($0, exchange, common: common)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func `each word and each code of the line protocol has its status`() {
    let words = [("OK", 200), ("NONE", 404), ("HELD", 423), ("BUSY", 409), ("STALE", 412)]
    for (word, status) in words {
      let text = response(word + " {\"a\":1}\n")
      #expect(text.hasPrefix("HTTP/1.1 \(status) "))
      #expect(text.contains("\r\nLatchkey-Reply: \(word)\r\n"))
      #expect(text.hasSuffix("Content-Length: 7\r\n\r\n{\"a\":1}"))
      #expect(response(word).hasSuffix("Content-Length: 2\r\n\r\n{}"))
    }
    let codes: [ErrorCode: Int] = [
      .badRequest: 400, .unknownVerb: 404, .tooLarge: 413, .authRequired: 401, .forbidden: 403,
      .illegalState: 409, .conflict: 409, .quota: 429, .unavailable: 503, .unknownOutcome: 504,
      .overloaded: 503, .draining: 503, .internal: 500,
    ]
    #expect(codes.count == ErrorCode.allCases.count)
    for (code, status) in codes {
      let text = response("ERR \(code.rawValue) a \"b\" c\n")
      #expect(text.hasPrefix("HTTP/1.1 \(status) ") && text.contains("\r\nLatchkey-Reply: ERR\r\n"))
      #expect(text.hasSuffix("\r\n\r\n{\"code\":\"\(code.rawValue)\",\"text\":\"a \\\"b\\\" c\"}"))
      #expect(text.contains("\r\nRetry-After: 1\r\n") == (status == 503))
      #expect(text.contains("\r\nWWW-Authenticate: Bearer\r\n") == (status == 401))
    }
    // A script's word that is none for callers is a bug, and no success.
    #expect(response("FOUND x").hasPrefix("HTTP/1.1 500 "))
  }

  @Test func `a response says what its request asked for`() {
    let plain = response("OK")
    #expect(!plain.contains("Connection:") && !plain.contains("Access-Control"))
    #expect(plain.contains("\r\nDate: Sat, 21 Nov 2026 02:44:52 GMT\r\n"))
    #expect(response("OK") { $0.closes = true }.contains("\r\nConnection: close\r\n"))
    let listed = response("OK") { $0.origin = 0 }
    #expect(
      listed.contains("\r\nAccess-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n"))
    let refused = response("ERR bad_request x") {
      ($0.status, $0.allows) = (.methodNotAllowed, .post)
    }
    #expect(refused.hasPrefix("HTTP/1.1 405 ") && refused.contains("\r\nAllow: POST, OPTIONS\r\n"))
  }

  @Test func `events and lines have the form of their streams`() {
    func text(_ write: (inout [UInt8], UnsafeBufferPointer<UInt8>) -> Void, _ line: String)
      -> String
    {
      var bytes: [UInt8] = []
      Array(line.utf8).withUnsafeBufferPointer { write(&bytes, $0) }
      return String(decoding: bytes, as: UTF8.self)
    }
    let event = "{\"id\":\"0a1-17-0\",\"type\":\"lock.seized\"}"
    #expect(
      text({ $0.appendStreamEvent($1) }, "EVENT \(event)\n") == "id: 0a1-17-0\ndata: \(event)\n\n")
    #expect(
      text({ $0.appendStreamEvent($1) }, "EVENT {\"type\":\"x\"}\n") == "data: {\"type\":\"x\"}\n\n"
    )
    let begin = text(
      { $0.appendStreamHead($1, HTTPExchange(), common: .init(origins: [])) },
      "OK {\"lost\":true}\n")
    #expect(begin.hasSuffix("\r\n\r\nevent: begin\ndata: {\"lost\":true}\n\n"))
    #expect(
      text({ $0.appendStreamHead($1, HTTPExchange(), common: .init(origins: [])) }, "OK\n")
        .hasSuffix("\r\n\r\n"))
    #expect(
      text({ $0.appendLineChunk($1) }, "OK {\"a\":\"0123456789\"}\n")
        == "16\r\nOK {\"a\":\"0123456789\"}\n\r\n")
  }

  @Test func `a body of JSON becomes one line, and a string stays as it is`() {
    var bytes = Array("{\n\t\"a\":\r\n\"b\tc\\\"\n\"}".utf8)
    JSONBlanks.makeSpaces(&bytes, from: 0)
    #expect(String(decoding: bytes, as: UTF8.self) == "{  \"a\":  \"b\tc\\\"\n\"}")
    for (text, isOne) in [("\"a b\"", true), ("\"a\" ttl=5", false), ("\"a", false)] {
      let bytes = Array(text.utf8)
      let found = JSONBlanks.isOneString(bytes.span, from: 0)
      #expect(found == isOne, "\(text)")
    }
    for (name, isName) in [
      ("ttl", true), ("max-messages", true), ("and.user", true), ("and.a%20b", true), ("", false),
      ("and.", false), ("a%3D", false), (".x", false), ("a=b", false),
    ] {
      let bytes = Array(name.utf8)
      let found = OptionText.isName(bytes.span)
      #expect(found == isName, "\(name)")
    }
  }

  @Test func `a part of a URL is decoded once, and an id is encoded where it has to be`() {
    for (part, text, id) in [
      ("a%20b", "a b", "a%20b"), ("a%2520b", "a%20b", "a%20b"), ("a+b", "a+b", "a+b"),
      ("a%2Fb", "a/b", "a%2Fb"), ("%C3%A9", "é", "%C3%A9"), ("x=%3D", "x==", "x%3D%3D"),
    ] {
      var (decoded, encoded) = ([UInt8](), [UInt8]())
      let bytes = Array(part.utf8)
      let isGood = PercentText.decode(bytes.span, into: &decoded)
      #expect(isGood)
      #expect(String(decoding: decoded, as: UTF8.self) == text)
      PercentText.appendID(decoded[...], into: &encoded)
      #expect(String(decoding: encoded, as: UTF8.self) == id)
    }
    for part in ["%", "a%2", "%zz", "%%41"] {
      var decoded: [UInt8] = []
      let bytes = Array(part.utf8)
      let isGood = PercentText.decode(bytes.span, into: &decoded)
      #expect(!isGood, "\(part)")
    }
  }
}
