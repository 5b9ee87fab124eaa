// Owns: the tests of the admin port, by a client that sends raw bytes.

import Foundation
import Glibc
import Testing

@testable import Loop

struct HTTPServerTests {
  /// The bytes that came back, and the paths that reached the handler.
  private struct Exchange {
    var text: String
    var paths: [String]

    var statusLine: Substring { text.prefix { $0 != "\r\n" } }
    var body: Substring {
      text.firstRange(of: "\r\n\r\n").map { text[$0.upperBound...] } ?? ""
    }
    func has(header: String) -> Bool {
      text.lowercased().contains("\r\n" + header.lowercased() + "\r\n")
    }
  }

  /// Sends bytes to a server of its own and reads until the server closes.
  ///
  /// With `thenEnds` the client says that nothing more will come.
  private func exchange(_ request: String, thenEnds: Bool = false) throws -> Exchange {
    let loop = try EventLoop()
    var paths: [String] = []
    let server = try HTTPServer(loop, host: "127.0.0.1", port: 0) { call in
      let path = call.path
      paths.append(path)
      switch path {
      case "/healthz": return HTTPAnswer(status: 200, body: "ok\n")
      case "/metrics": return HTTPAnswer(status: 200, contentType: "text/x", body: "größe 1\n")
      case "/readyz": return HTTPAnswer(status: 503, body: "not now\n")
      default: return HTTPAnswer(status: 404, body: "no \(path)\n")
      }
    }
    #expect(server.port > 0)
    let answers = try Mailbox<[UInt8]>()
    var answer: [UInt8] = []
    let reader = MailboxReader(loop, answers) { bytes in
      answer = bytes
      loop.stop()
    }
    let port = server.port
    let client = try LoopThread(name: "client") {
      answers.post(converse(port, Array(request.utf8), thenEnds: thenEnds))
    }
    run(loop, keeping: server, reader, within: 30_000)
    client.join()
    return Exchange(text: String(decoding: answer, as: UTF8.self), paths: paths)
  }

  private func get(_ path: String, method: String = "GET") throws -> Exchange {
    try exchange("\(method) \(path) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
  }

  @Test func `a GET is answered with status, type, length and body`() throws {
    let health = try get("/healthz")
    #expect(health.statusLine == "HTTP/1.1 200 OK")
    #expect(health.body == "ok\n")
    #expect(health.has(header: "Content-Type: text/plain; charset=utf-8"))
    #expect(health.has(header: "Content-Length: 3"))
    #expect(health.paths == ["/healthz"])
  }

  @Test func `status, type and UTF-8 text are as the answer says`() throws {
    let metrics = try get("/metrics")
    #expect(metrics.body == "größe 1\n")
    #expect(metrics.has(header: "Content-Type: text/x"))
    #expect(try get("/readyz").statusLine.hasPrefix("HTTP/1.1 503 "))
  }

  @Test func `an unknown path is 404`() throws {
    let answer = try get("/nothing/here")
    #expect(answer.statusLine.hasPrefix("HTTP/1.1 404 "))
    #expect(answer.body == "no /nothing/here\n")
  }

  @Test func `the query is not part of the path`() throws {
    #expect(try get("/healthz?a=b&c=/x").paths == ["/healthz"])
  }

  @Test func `a HEAD has the headers and no body`() throws {
    let answer = try get("/healthz", method: "HEAD")
    #expect(answer.statusLine == "HTTP/1.1 200 OK")
    #expect(answer.body == "")
  }

  @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
  func `any other method is rejected before the handler`(method: String) throws {
    let answer = try get("/healthz", method: method)
    #expect(answer.paths == [])
    #expect(!answer.statusLine.contains(" 200 "))
  }

  @Test func `a header of a mebibyte is rejected before the handler`() throws {
    let header = "X-Long: " + String(repeating: "x", count: 1 << 20)
    let answer = try exchange("GET /healthz HTTP/1.1\r\nHost: h\r\n\(header)\r\n\r\n")
    #expect(answer.paths == [])
    #expect(!answer.statusLine.contains(" 200 "))
  }

  @Test func `a request line of a mebibyte is rejected before the handler`() throws {
    let path = "/" + String(repeating: "x", count: 1 << 20)
    #expect(try get(path).paths == [])
  }

  @Test func `a body is rejected before the handler`() throws {
    let answer = try exchange(
      "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
    #expect(answer.paths == [])
    #expect(!answer.statusLine.contains(" 200 "))
  }

  @Test(arguments: [
    "Content-Length: 28", "Transfer-Encoding: chunked", "Content-Length: 0\r\nContent-Length: 0",
    "Content-Length : 28", "Content-Length: +0", "Host: other", "Transfer-Encoding: gzip, chunked",
  ])
  func `a request whose end a proxy might see elsewhere is refused, with what follows`(
    field: String
  ) throws {
    let answer = try exchange(
      "GET /healthz HTTP/1.1\r\nHost: h\r\n\(field)\r\n\r\nGET /metrics HTTP/1.1\r\n"
        + "Host: h\r\n\r\n")
    #expect(answer.paths == [])
    // Where no bodies are taken, one is too large.
    #expect([" 400 ", " 413 "].contains { answer.statusLine.contains($0) })
    #expect(answer.text.components(separatedBy: "HTTP/1.1 ").count == 2)
  }

  @Test func `of a body there is one statement`() {
    func fault(_ fields: [(String, String)]) -> String? {
      var framing = HTTPFraming(hasBody: true)
      return fields.lazy.compactMap { framing.fault($0.0, $0.1) }.first
    }
    #expect(fault([("Host", "h"), ("Content-Length", "4"), ("X", "y")]) == nil)
    #expect(fault([("transfer-encoding", "Chunked")]) == nil)
    #expect(fault([("Content-Length", "4"), ("content-length", "30")]) != nil)
    #expect(fault([("Content-Length", "4"), ("Transfer-Encoding", "chunked")]) != nil)
    for length in ["", "-1", "+4", "4, 4", "0x4", " 4"] {
      #expect(fault([("Content-Length", length)]) != nil, "\(length)")
    }
  }

  @Test(arguments: [
    "\r\n\r\n", "hello\r\n\r\n", "GET\r\n\r\n", "GET /healthz SMTP/9\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n", "PING\n\n",
  ])
  func `bytes that are not HTTP are rejected before the handler`(request: String) throws {
    let answer = try exchange(request, thenEnds: true)
    #expect(answer.paths == [])
    #expect(!answer.statusLine.contains(" 200 "))
  }

  @Test func `two requests on one connection are answered in order`() throws {
    let answer = try exchange(
      "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
        + "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    #expect(answer.paths == ["/healthz", "/x"])
    let bodies = ["ok\n", "no /x\n"].compactMap { answer.text.firstRange(of: $0)?.lowerBound }
    #expect(bodies.count == 2 && bodies == bodies.sorted())
  }

  /// Sends to a server of its own, on so many connections, and gives what each got until its end.
  private func crowd(
    _ requests: [String], connectionsMax: Int, limited: @escaping (HTTPLimit) -> Void
  ) throws -> [String] {
    let loop = try EventLoop()
    let server = try HTTPServer(
      loop, host: "127.0.0.1", port: 0, connectionsMax: connectionsMax, timeoutMs: 1_000,
      limited: limited
    ) { _ in HTTPAnswer(status: 200, body: "ok\n") }
    let answers = try Mailbox<(Int, [UInt8])>()
    var got = [String?](repeating: nil, count: requests.count)
    let reader = MailboxReader(loop, answers) { index, bytes in
      got[index] = String(decoding: bytes, as: UTF8.self)
      if !got.contains(nil) { loop.stop() }
    }
    let port = server.port
    let clients = try requests.enumerated().map { index, request in
      try LoopThread(name: "client") {
        answers.post((index, converse(port, Array(request.utf8), thenEnds: false)))
      }
    }
    run(loop, keeping: server, reader, within: 30_000)
    for client in clients { client.join() }
    return got.map { $0 ?? "" }
  }

  @Test func `a connection that does not end its request is closed in time`() throws {
    var slow = 0
    let got = try crowd(["GET /healthz HTTP/1.1\r\nX: ", ""], connectionsMax: 4) {
      if case .slow(let count) = $0 { slow += count }
    }
    #expect(got.allSatisfy { !$0.contains(" 200 ") })
    // libevent closes what is silent for as long, and may be the first to do so.
    #expect(slow <= 2)
  }

  @Test func `of too many connections those with the least time left are ended`() throws {
    var full = 0
    let whole = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    let dawdlers = Array(repeating: "GET /healthz HTTP/1.1\r\n", count: 12)
    let got = try crowd(dawdlers + [whole], connectionsMax: 4) {
      if case .full = $0 { full += 1 }
    }
    #expect(full >= 8)
    #expect(got.dropLast().allSatisfy { !$0.contains(" 200 ") })
  }

  @Test func `those without a whole request are ended first, and each is ended once`() throws {
    var connections = HTTPConnections(most: 4, timeoutMs: 1_000)
    let pairs = try (0..<4).map { _ in try Socket.pair() }
    defer { for end in pairs.flatMap({ [$0.0, $0.1] }) { end.close() } }
    func isEnded(_ index: Int) -> Bool {
      withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8) {
        pairs[index].1.read(into: $0) == .ended
      }
    }
    for (index, (near, _)) in pairs.enumerated() {
      #expect(connections.add(near, nowMs: Int64(index)) == (index == 3))
      if index < 2 { connections.renew(near.descriptor, nowMs: Int64(index)) }
    }
    #expect((0..<4).map(isEnded) == [false, false, true, false])
    #expect(connections.endOverdue(nowMs: 2_000) == 3)
    #expect(connections.endOverdue(nowMs: 3_000) == 0)
    #expect(connections.nextMs == nil)
  }

  @Test func `a port in use cannot be listened on`() throws {
    let loop = try EventLoop()
    let server = try HTTPServer(loop, host: "127.0.0.1", port: 0) { _ in
      HTTPAnswer(status: 200, body: "")
    }
    let error = try #require(throws: SystemError.self) {
      try HTTPServer(loop, host: "127.0.0.1", port: server.port) { _ in
        HTTPAnswer(status: 200, body: "")
      }
    }
    #expect(error.number == EADDRINUSE)
  }
}

/// A client on a thread of its own: sends all, and reads until the end or for ten seconds.
private func converse(_ port: UInt16, _ request: [UInt8], thenEnds: Bool) -> [UInt8] {
  guard let address = try? SocketAddress.resolve(.tcp(host: "127.0.0.1", port: port)),
    let socket = try? address.connect()
  else { return [] }
  defer { socket.close() }
  var (sent, received) = (0, [UInt8]())
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let events = Int16(POLLIN) | (sent < request.count ? Int16(POLLOUT) : 0)
    var entry = pollfd(fd: socket.descriptor, events: events, revents: 0)
    guard poll(&entry, 1, 10_000) == 1 else { return received }
    if entry.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
      let outcome = buffer.withUnsafeMutableBytes { socket.read(into: $0) }
      switch outcome {
      case .moved(let count): received += buffer[..<count]
      case .wouldBlock: break
      case .ended, .broken: return received
      }
    }
    if entry.revents & Int16(POLLOUT) != 0 {
      let outcome = request.withUnsafeBytes {
        socket.write(UnsafeRawBufferPointer(rebasing: $0[sent...]))
      }
      if case .moved(let count) = outcome { sent += count }
      if sent == request.count, thenEnds { socket.finishWriting() }
    }
  }
}
