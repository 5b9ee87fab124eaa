// Owns: the tests of the line that a request of HTTP becomes: the same words, options and payload,
// and nothing that a caller could slip in between.

import Service
import Testing
import Wire

@testable import Server

struct HTTPRequestLineTests {
  /// The line of a request, or the text of its refusal.
  private func line(_ target: String, _ headers: String = "", body: String = "") -> String {
    let text = "POST \(target) HTTP/1.1\r\nHost: h\r\n\(headers)\r\n"
    let bytes = Array(text.utf8)
    do throws(HTTPRefusal) {
      let head = try HTTPHead(bytes.span)
      guard case .verb(let index) = try HTTPRequestLine.route(head, bytes.span, VerbTable()) else {
        return "lines"
      }
      var line = HTTPRequestLine()
      try line.begin(VerbTable.all[index], head, bytes.span)
      // In two parts, as bodies may come.
      let half = body.utf8.count / 2
      Array(body.utf8.prefix(half)).withUnsafeBufferPointer { line.append($0) }
      Array(body.utf8.dropFirst(half)).withUnsafeBufferPointer { line.append($0) }
      try line.end()
      return String(decoding: line.bytes, as: UTF8.self)
    } catch {
      return "\(error.error.code.rawValue): \(error.error.text)"
    }
  }

  private static let lines: [(String, String)] = [
    ("/v1/PING", "PING"), ("/v1/lock/dev-1/agent", "LOCK dev-1 agent"), ("/v1/lines", "lines"),
    ("/v1/LOCK/a%20b/x?ttl=1h&wait=2s", "LOCK a%20b x ttl=1h wait=2s"),
    ("/v1/LOCK/a%2520b/x", "LOCK a%20b x"), ("/v1/LOCK/a%2Fb/x%0AQUIT", "LOCK a%2Fb x%0AQUIT"),
    ("/v1/LOCK/ttl=5/x", "LOCK ttl%3D5 x"), ("/v1/LOCK/%22d/%7Bx", "LOCK %22d %7Bx"),
    ("/v1/GET/d?session=current", "GET d/current"), ("/v1/GET/d?chat=2", "GET d/current/2"),
    ("/v1/SAY/d?seq=1&session=S&chat=@a%20b", "SAY d/S/@a%20b seq=1"),
    ("/v1/OPEN/d?chat=none", "OPEN d chat=none"),
    ("/v1/GET?user=a%20b&fields=x", "GET user=a%20b fields=x"),
    ("/v1/REPORT?user=ada", "REPORT user=ada"),
    ("/v1/PUT/d/a%20%22b", "PUT d \"a \\\"b\""), ("/v1/TAKE/d/a/b%2Fc", "TAKE d \"a\" \"b/c\""),
    ("/v1/LIST/user=ada?limit=5", "LIST \"user=ada\" limit=5"),
    ("/v1/LIST/thread=a%20b", "LIST \"thread=a b\""), ("/v1/LIST?tag=x%20y", "LIST tag=x%20y"),
    ("/v1/LIST?thread=a%20b", "LIST thread=\"a b\""),
    ("/v1/LIST/d?AND.user=a%20b", "LIST d AND.user=a%20b"),
    (
      "/v1/OPEN/d?link.case=a%20b,%2525&link.a%20b=c%2Cd",
      "OPEN d link.case=a%20b,%25 link.a%20b=c%2Cd"
    ),
    ("/v1/OPEN/d?link.case=,a", "OPEN d link.case=,a"),
    ("/v1/GET/d?Session=S&%63HAT=2", "GET d/S/2"), ("/v1/GET/d?%73ession=S", "GET d/S"),
    ("/v1/GET/d?session=a&%53ession=b", "bad_request: option 'session' is repeated: give it once"),
    ("/v1/OPEN/d?name=a%20b%22&user=a%20b", "OPEN d name=\"a b\\\"\" user=a%20b"),
    ("/v1/WATCH/*?types=a,b", "WATCH * types=\"a,b\""), ("/v1/LOCK/d/x?", "LOCK d x"),
    ("/v1/LOCK/d/x?a%3Db=c", "bad_request: 'a=b' is no name of an option"),
    ("/v1/LOCK/d/x?ttl", "bad_request: option 'ttl' has no value: write name=value"),
    ("/v1/LOCK//x", "bad_request: the path has an empty segment: each is one word"),
    ("/v1/LOCK/d/", "bad_request: the path has an empty segment: each is one word"),
    (
      "/v1/LOCK/%/x",
      "bad_request: a % in the target has no two hexadecimal digits behind it: write %25 for it"
    ),
    ("/v1/GET/d?session=a&session=b", "bad_request: option 'session' is repeated: give it once"),
    ("/v1/REPORT?session=a", "bad_request: session= and chat= need a device in the path"),
    ("/v1/NOPE/x", "unknown_verb: there is no verb 'NOPE'; HELP lists them"),
  ]

  @Test(arguments: lines)
  func `a target is the words and the options of a line`(target: String, wanted: String) {
    #expect(line(target) == wanted)
  }

  @Test func `what a header replaces may stand once all the same`() {
    let header = "Last-Event-ID: 0a3-1-1\r\n"
    #expect(line("/v1/WATCH/d?after=0a3-1-0", header) == "WATCH d after=0a3-1-1")
    let repeated = "bad_request: option 'after' is repeated: give it once"
    #expect(line("/v1/WATCH/d?after=0a3-1-0&%61fter=0a3-1-0", header) == repeated)
    #expect(line("/v1/WATCH/d?ticket=t") == "WATCH d ticket=t")
  }

  @Test func `what is at no path is named`() {
    for target in ["/", "/v1", "/v1/", "/v2/PING", "/v1//PING"] {
      #expect(line(target).hasPrefix("unknown_verb: there is nothing at this path"), "\(target)")
    }
  }

  private static let bodies: [(String, String, String)] = [
    ("/v1/SET/d", "{\"a\":1}", "SET d {\"a\":1}"), ("/v1/SET/d", " \r\n", "SET d"),
    ("/v1/SET/d", "\n {\n\"a\":\t1\n}\n", "SET d { \"a\": 1 }"),
    ("/v1/PUT/d/k?ttl=5m", "\"a b\"\n", "PUT d \"k\" ttl=5m \"a b\""),
    (
      "/v1/PUT/d/k", "\"a\" ttl=5",
      "bad_request: the body is no JSON object or array, and no single string"
    ),
    ("/v1/SET/d", "rev=5", "bad_request: the body is no JSON object or array"),
    ("/v1/SET/d", "\"a\"", "bad_request: the body is no JSON object or array"),
  ]

  @Test(arguments: bodies)
  func `a body is the payload, and can be nothing else`(
    target: String, body: String, wanted: String
  ) {
    #expect(line(target, body: body) == wanted)
  }

  @Test(arguments: [
    ("group=g", true), ("limit=1&GROUP=g", true), ("%67rou%50=g", true), ("group", true),
    ("&&group=", true), ("groups=g", false), ("%67rou=g", false), ("%6", false),
    ("group%3D=g", false),
    ("x=group=g", false), ("", false),
  ])
  func `an option is known by its name, however that is spelt`(query: String, has: Bool) throws {
    let bytes = Array("GET /v1/EVENTS/*?\(query) HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
    let head = try HTTPHead(bytes.span)
    #expect(HTTPRequestLine.hasOption("group", head, bytes.span) == has)
  }

  @Test func `headers stand for options`() {
    #expect(line("/v1/CLEAR/d", "Idempotency-Key: \"a b\"\r\n") == "CLEAR d req=a%20b")
    #expect(line("/v1/CLEAR/d", "Idempotency-Key: x\r\n") == "CLEAR d req=x")
    #expect(line("/v1/CLEAR/d", "Idempotency-Key:\r\n").hasPrefix("bad_request: the header"))
    #expect(
      line("/v1/WATCH/d?after=1&changes=yes", "Last-Event-ID: 0a1-2-3\r\n")
        == "WATCH d changes=yes after=0a1-2-3")
    #expect(
      line("/v1/WATCH/d?%61fter=1", "Last-Event-ID: 0a1-2-3\r\n") == "WATCH d after=0a1-2-3")
    #expect(line("/v1/WATCH/d?after=1", "Last-Event-ID:\r\n") == "WATCH d after=1")
  }
}
