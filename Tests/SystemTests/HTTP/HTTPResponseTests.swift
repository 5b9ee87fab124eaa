// Owns: the tests that each request of HTTP has one response, whole and in its place, whatever is
// wrong with the request.

import Foundation
import TestSupport
import Testing

extension SystemSuites.HTTP {
  private static let chunked = "HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

  @Test func `a request that was answered has no second response`() throws {
    let header = "PROXY TCP4 10.0.0.1 127.0.0.1 80 5284\r\n"
    let rows: [(Int, String, Int)] = [
      (0, "POST /v1/NOPE \(Self.chunked)zz\r\n", 404),
      (0, "POST /v1/CLEAR/d?x \(Self.chunked)3\r\n{}\nzz\r\n", 400),
      (1, "POST /v1/NOPE \(Self.chunked)5\r\n{", 404),
      (1, "POST /v1/OPEN/d HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n{", 413),
    ]
    for (worker, text, status) in rows {
      let http = try Lab.current.workers[worker].http()
      try http.send((worker == 1 ? header : "") + text)
      #expect(try http.response().status == status, "\(text)")
      #expect(http.isClosed(), "\(text)")
    }
  }

  @Test func `a body of lines that goes wrong ends with a line`() throws {
    let header = "PROXY TCP4 10.0.0.1 127.0.0.1 80 5284\r\n"
    let rows = [
      (0, "", "zz\r\n", "the body's chunks are malformed"),
      (1, header, "", "a request has to end within 300ms"),
    ]
    for (worker, before, after, error) in rows {
      let http = try Lab.current.workers[worker].http()
      try http.send("\(before)POST /v1/lines \(Self.chunked)7\r\nPING\nPI\r\n\(after)")
      let response = try http.response()
      #expect(response.status == 200)
      #expect(response.body.hasPrefix("OK\nERR bad_request \(error)"), "\(response.body)")
      #expect(response.body.split(separator: "\n").count == 2, "\(response.body)")
      #expect(http.isClosed())
    }
  }

  @Test func `the word to go on stands before the response, and behind earlier ones`() throws {
    let http = try connect()
    try http.send("POST", "/v1/SEIZE/\(Lab.device())/a")
    for body in ["PING\n", "PING\nPING\n"] {
      try http.send(
        "POST /v1/lines HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n"
          + "Expect: 100-continue\r\n\r\n")
      if body.utf8.count == 5 { #expect(try http.response().status == 200, "that of SEIZE") }
      #expect(try http.head().0 == 100)
      try http.send(body)
      let response = try http.response()
      #expect(response.status == 200 && response.body.contains("OK\n"), "\(response)")
    }
    #expect(try http.get("/v1/PING").status == 200)
  }

  @Test func `a HEAD is refused without a body`() throws {
    let http = try connect()
    for target in ["/v1/PING", "/v1/NOPE", "/v1/lines"] {
      try http.send("HEAD", target)
      let (status, headers) = try http.head()
      #expect(status == 405 && headers["content-length"] != nil && headers["allow"] != nil)
    }
    #expect(try http.get("/v1/PING").body == "{}")
  }

  @Test func `lines have the trace of their request, unless they name one`() throws {
    let (http, device) = (try connect(), Lab.device())
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
    let lines = "LOCK \(device) a\nSEIZE \(device) b\nSEIZE \(device) c trace=\(parent)0\n"
    let replies = try http.post("/v1/lines", ["traceparent: \(parent)1"], lines).body
    #expect(replies.split(separator: "\n").map { $0.prefix(3) } == ["OK ", "OK ", "OK "])
    let later = try http.post("/v1/lines", ["traceparent: nonsense"], "SEIZE \(device) d").body
    #expect(later.hasPrefix("OK "))
    let events = try http.get("/v1/EVENTS/\(device)").body
    func count(_ text: String) -> Int { events.components(separatedBy: text).count - 1 }
    #expect(count("\"trace\":\"\(parent)1\"") == 1, "\(events.prefix(2_000))")
    #expect(count("\"trace\":\"\(parent)0\"") == 1, "\(events.prefix(2_000))")
    #expect(count("\"trace\":") == 2, "\(events.prefix(2_000))")
  }

  @Test func `a long line of IMPORT in a body has the room that it has by lines`() throws {
    func line(_ bytes: Int) -> String {
      "IMPORT d {\"a\":\"\(String(repeating: "x", count: bytes))\"}\n"
    }
    let body = try connect().post("/v1/lines", [], line(1_500_000) + line(2_200_000) + "PING").body
    let replies = body.split(separator: "\n")
    #expect(replies.count == 3 && replies.last == "OK", "\(body.prefix(500))")
    #expect(replies.first?.hasPrefix("ERR bad_request") == true, "\(body.prefix(500))")
    let tooLarge = "ERR too_large this line may have \((2 << 20) + 1_024) bytes at most"
    #expect(replies.dropFirst().first == Substring(tooLarge), "\(body.prefix(500))")
  }
}
