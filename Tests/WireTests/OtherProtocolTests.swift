// Owns: the tests of connections that begin with another protocol's bytes.

import Testing
import Wire

@Suite struct OtherProtocolTests {
  /// The frames that a framer that checks the first line makes of some bytes.
  private func framed(_ bytes: [UInt8], chunk: Int, max lineBytesMax: Int = 4_096) -> [String] {
    var framer = LineFramer(lineBytesMax: lineBytesMax, findsOtherProtocols: true)
    var all: [String] = []
    for start in stride(from: 0, to: bytes.count, by: chunk) {
      let piece = Array(bytes[start..<min(start + chunk, bytes.count)])
      var offset = 0
      reading: while true {
        switch framer.next(in: piece.span, at: &offset) {
        case .line(let range): all.append(Array(piece[range]).text)
        case .joinedLine: all.append(framer.held.text)
        case .tooLong: all.append("too long")
        case .otherProtocol(let other): all.append("other: \(other.rawValue)")
        case .needMore: break reading
        }
      }
      #expect(offset == piece.count)
    }
    return all
  }

  static let others: [(start: String, other: OtherProtocol)] = [
    ("GET / HTTP/1.1\r\n", .http), ("POST / HTTP/1.1\r\n", .http), ("GET /\n", .http),
    ("HEAD /a/b?c=d HTTP/1.0\r\n", .http), ("get /x http/1.1\n", .http),
    ("OPTIONS * HTTP/1.1\r\n", .http), ("CONNECT a.example:443 HTTP/1.1\r\n", .http),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .http), ("HTTP/1.1 200 OK\r\n", .http),
    ("GET http://a.example/ HTTP/1.1\r\n", .http), ("PUT https://a/ HTTP/1.1\n", .http),
    // A page that is served under the name of this machine may choose the method.
    ("CLEAR /victim HTTP/1.1\r\n", .http), ("X-ANY!#$% / HTTP/1.1\r\n", .http),
    ("Host: a.example\r\n", .header), ("Host:\r\n", .header), ("X-A: b\n", .header),
    (":: x\n", .header),
    ("*3\r\n$5\r\nCLEAR\r\n", .resp), ("*1\n", .resp), ("*12345\r\n", .resp),
    ("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", .proxyHeader), ("PROXY UNKNOWN\r\n", .proxyHeader),
    ("\u{16}\u{3}\u{1}", .tls), ("\u{16}\u{3}\n", .tls),
  ]

  @Test(arguments: others)
  func `the first line of another protocol is found however it comes`(
    _ item: (start: String, other: OtherProtocol)
  ) {
    let bytes = item.start.bytes + "CLEAR victim\nPING\n".bytes
    for chunk in [1, 2, 3, 7, 1_000] {
      #expect(framed(bytes, chunk: chunk) == ["other: \(item.other.rawValue)"], "by \(chunk)")
      let behindEmpty = framed("\r\n\n".bytes + bytes, chunk: chunk)
      #expect(behindEmpty == ["other: \(item.other.rawValue)"], "by \(chunk)")
    }
  }

  @Test func `a TLS hello without a newline is found by its first bytes`() {
    var hello: [UInt8] = [0x16, 3, 1, 0, 0x5B, 1, 0, 0, 0x57, 3, 3]
    hello += (11..<43).map { UInt8($0) }
    #expect(framed(hello, chunk: 1) == ["other: TLS"])
    #expect(framed(Array(hello.prefix(2)), chunk: 2) == ["other: TLS"])
    #expect(framed([0x16], chunk: 1).isEmpty)
  }

  static let ours = [
    "PING", "GET d1", "get d/current/1", "LIST *", "LIST user=a", "PUT d/s k \"v\"", "HELP", "*",
    "* x",
    "**", "*a", "FROB", "POST", "POST d", "OPTIONS d", "CONNECT d a", "PRI x", "PROXY x", "PROXY",
    "DROP d/s HTTP/1.1", "LOCK d HTTP/1.1", "SAY d {\"a\": \"GET / HTTP/1.1\"}", "AUTH app.a/b:c",
    ":",
    "{\"a\": 1}", "[1]", "\"a: b\"", "lock:x a", "\u{16}PING", "LOCK d: a",
  ]

  @Test(arguments: ours)
  func `a line of this protocol, well-formed or not, is none of another`(_ line: String) {
    for chunk in [1, 3, 1_000] {
      #expect(framed("\(line)\nPING\n".bytes, chunk: chunk) == [line, "PING"], "by \(chunk)")
    }
  }

  @Test(arguments: others)
  func `on a connection that has begun with a line of this protocol it is a line`(
    _ item: (start: String, other: OtherProtocol)
  ) {
    let lines = framed("PING\n".bytes + item.start.bytes + "\nPING\n".bytes, chunk: 1_000)
    #expect(lines.first == "PING" && lines.last == "PING" && lines.count > 2)
    #expect(!lines.contains { $0.hasPrefix("other") })
  }

  @Test func `an overlong first line is no line: the bytes after it show the protocol`() {
    let method = String(repeating: "A", count: 600)
    let request = "\(method) / HTTP/1.1\r\nHost: a\r\n\r\nCLEAR victim\n"
    for chunk in [1, 40, 10_000] {
      #expect(framed(request.bytes, chunk: chunk, max: 100) == ["too long", "other: header"])
      let long = "GET /\(method) HTTP/1.1\r\nCLEAR victim\n"
      #expect(framed(long.bytes, chunk: chunk, max: 100) == ["other: HTTP"])
      let ours = "\(method)\nPING\nGET / HTTP/1.1\n"
      #expect(
        framed(ours.bytes, chunk: chunk, max: 100) == ["too long", "PING", "GET / HTTP/1.1"])
    }
  }

  @Test func `each has a description`() {
    for other in OtherProtocol.allCases {
      #expect(other.error.code == .badRequest)
      #expect(
        other.error.text.hasSuffix("this port takes the lines of Latchkey's protocol; closing"))
    }
    #expect(OtherProtocol.http.error.text.hasPrefix("this is an HTTP request: "))
  }
}
