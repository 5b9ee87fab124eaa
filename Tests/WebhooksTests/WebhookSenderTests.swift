// Owns: the tests of the sender, against receivers that listen on loopback.

import Foundation
import TestSupport
import Testing

@testable import Loop
@testable import Webhooks

struct WebhookSenderTests {
  private func outcome(
    _ reaction: Reaction, timeoutMs: Int64 = 5_000,
    _ change: (inout WebhookLimits) -> Void = { _ in }
  ) throws -> WebhookOutcome? {
    let sending = try Sending(change)
    let receiver = try Receiver(sending.loop) { _ in reaction }
    return try withExtendedLifetime(receiver) {
      try sending.post("http://127.0.0.1:\(receiver.port)/hook", timeoutMs: timeoutMs)
    }
  }

  @Test func `a request is a POST with its headers and its body, and 2xx has delivered it`() throws
  {
    let sending = try Sending()
    let receiver = try Receiver(sending.loop) { _ in .status("202 Accepted") }
    let outcome = try sending.post(
      "http://me:p%40ss@127.0.0.1:\(receiver.port)/a/../b?key=x", body: "{\"a\":1}",
      headers: [("Content-Type", "application/x"), ("Latchkey-Event-Id", "q-1-0")])
    #expect(outcome == .delivered(status: 202))
    let request = try #require(receiver.requests.first)
    #expect(request.header.hasPrefix("POST /a/../b?key=x HTTP/1.1\r\n"))
    #expect(request.body == "{\"a\":1}")
    #expect(request.value("content-type") == "application/x")
    #expect(request.value("latchkey-event-id") == "q-1-0")
    #expect(request.value("user-agent") == "latchkey/test")
    #expect(request.value("host") == "127.0.0.1:\(receiver.port)")
    #expect(request.value("authorization") == "Basic bWU6cEBzcw==")
    #expect(request.value("expect") == nil && request.value("accept-encoding") == nil)
  }

  @Test(
    arguments: [
      (Reaction.status("500 Oops"), WebhookOutcome.refused(status: 500, retryAfterMs: nil)),
      (
        .status("503 Busy", "Retry-After: 7"), .refused(status: 503, retryAfterMs: 7_000)
      ),
      (
        .status("301 Moved", "Location: http://127.0.0.1:1/"),
        .refused(status: 301, retryAfterMs: nil)
      ),
      (.status("404 None", "Set-Cookie: a=b"), .refused(status: 404, retryAfterMs: nil)),
      (
        .answerAndClose("HTTP/1.1 200 OK\r\nContent-Le"),
        .failed("the connection ended before the answer")
      ),
      (.answerAndClose(""), .failed("the connection ended before the answer")),
      (.answerAndClose("220 mail.example ESMTP\r\n"), .failed("its answer is no HTTP")),
      // The header has come: the status counts, whatever becomes of the body.
      (
        .answerAndClose("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nhalf"),
        .delivered(status: 200)
      ),
      (.answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), .delivered(status: 204)),
    ])
  func `the outcome is that of the reply's status`(
    reaction: Reaction, expected: WebhookOutcome
  ) throws {
    #expect(try outcome(reaction) == expected)
  }

  @Test func `a redirect is not followed, and is named`() throws {
    let sending = try Sending()
    let other = try Receiver(sending.loop) { _ in .status("200 OK") }
    let receiver = try Receiver(sending.loop) { _ in
      .status("307 Elsewhere", "Location: http://127.0.0.1:\(other.port)/")
    }
    let outcome = try sending.post("http://127.0.0.1:\(receiver.port)/")
    #expect(outcome?.problem?.contains("redirects are not followed") == true, "\(outcome as Any)")
    #expect(other.connectionCount == 0)
  }

  @Test func `a receiver that says nothing fails when its time is over`() throws {
    let startMs = MonotonicTime.nowMs()
    #expect(try outcome(.hang, timeoutMs: 150) == .failed("no answer in time"))
    #expect(MonotonicTime.nowMs() - startMs >= 150)
  }

  @Test func `a reply without end is cut, and its status counts`() throws {
    let sending = try Sending()
    let start = "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 32_768)
    let receiver = try Receiver(sending.loop) { _ in .stream(start) }
    let outcome = try sending.post("http://127.0.0.1:\(receiver.port)/")
    #expect(outcome == .delivered(status: 200))
    // What the kernel's buffers took, and no more.
    #expect(receiver.streamedBytes < 32 << 20)
  }

  @Test func `a header without end is cut, and is a failure`() throws {
    let start = "HTTP/1.1 200 OK\r\n" + String(repeating: "X-A: aaaaaaaaaaaaaaaa\r\n", count: 2_000)
    #expect(
      try outcome(.stream(start)) == .failed("its reply's header has more than 16384 bytes"))
  }

  @Test(arguments: [
    // A byte of a body behind 60,000 of an extension; an extension without end.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;", true),
    ("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n1;", "", false),
  ])
  func `what frames a body without end is cut, and the status counts`(
    head: String, chunk: String, isDelivered: Bool
  ) throws {
    let sending = try Sending()
    let extension60 = String(repeating: "e", count: 60_000)
    let receiver = try Receiver(sending.loop) { _ in
      .answerAndStream(head, chunk.isEmpty ? extension60 : "\(chunk)\(extension60)\r\nx\r\n")
    }
    let outcome = try sending.post("http://127.0.0.1:\(receiver.port)/")
    #expect(outcome?.isDelivered == isDelivered, "\(outcome as Any)")
    if !isDelivered { #expect(outcome == .refused(status: 503, retryAfterMs: nil)) }
    #expect(receiver.streamedBytes < 32 << 20)
  }

  @Test func `a port on which nothing listens is a failure`() throws {
    let sending = try Sending()
    let port = try Receiver(sending.loop) { _ in .hang }.port
    #expect(
      try sending.post("http://127.0.0.1:\(port)/") == .failed("connect: Connection refused"))
  }

  @Test func `a connection is used again`() throws {
    let sending = try Sending()
    let receiver = try Receiver(sending.loop) { _ in .status("200 OK") }
    for _ in 0..<50 {
      #expect(
        try sending.post("http://127.0.0.1:\(receiver.port)/") == .delivered(status: 200))
    }
    #expect(receiver.requests.count == 50)
    #expect(receiver.connectionCount == 1)
    #expect(sending.sender.connectionsMade == 1)
  }

  @Test func `many requests share few connections, and each has its outcome`() throws {
    let sending = try Sending(connectionsMax: 4)
    let receiver = try Receiver(sending.loop) { _ in .status("200 OK") }
    var outcomes = 0
    for number in 0..<300 {
      let request = WebhookRequest(
        address: try sending.address("http://127.0.0.1:\(receiver.port)/\(number)"), headers: [],
        body: [], timeoutMs: 10_000)
      sending.sender.post(request) {
        #expect($0 == .delivered(status: 200))
        outcomes += 1
        if outcomes == 300 { sending.loop.stop() }
      }
    }
    #expect(sending.sender.underWay == 300)
    sending.run()
    #expect(outcomes == 300 && sending.sender.underWay == 0)
    #expect(receiver.connectionCount <= 4)
    #expect(Set(receiver.requests.map { $0.header.prefix { $0 != "\r\n" } }).count == 300)
  }

  @Test func `a request that was cancelled has no outcome`() throws {
    let sending = try Sending()
    let receiver = try Receiver(sending.loop) {
      $0.header.contains("/hang") ? .hang : .status("200 OK")
    }
    let request = WebhookRequest(
      address: try sending.address("http://127.0.0.1:\(receiver.port)/hang"), headers: [],
      body: [], timeoutMs: 10_000)
    let ticket = sending.sender.post(request) { _ in Issue.record("an outcome") }
    #expect(try sending.post("http://127.0.0.1:\(receiver.port)/") == .delivered(status: 200))
    sending.sender.cancel(ticket)
    sending.sender.cancel(ticket)
    #expect(sending.sender.underWay == 0)
    #expect(try sending.post("http://127.0.0.1:\(receiver.port)/") == .delivered(status: 200))
  }

  @Test func `an outcome may begin the next request`() throws {
    let sending = try Sending()
    let receiver = try Receiver(sending.loop) { _ in .status("200 OK") }
    let request = WebhookRequest(
      address: try sending.address("http://127.0.0.1:\(receiver.port)/"), headers: [], body: [],
      timeoutMs: 5_000)
    var count = 0
    func next(_ outcome: WebhookOutcome?) {
      count += 1
      if count == 20 { return sending.loop.stop() }
      sending.sender.post(request, next)
    }
    next(nil)
    sending.run()
    #expect(receiver.requests.count == 19)
  }

  @Test(arguments: [
    ("http://127.0.0.1:1/", "127.0.0.1 is a loopback address"),
    // The name is fine; what it leads to is not.
    ("http://localhost:1/", "is a loopback address"),
    ("http://[::ffff:127.0.0.1]:1/", "127.0.0.1 is"),
    ("http://10.255.255.1/", "10.255.255.1 is a private address"),
  ])
  func `an address is held against the policy when it is connected to`(
    url: String, problem: String
  ) throws {
    let sending = try Sending(
      policy: AddressPolicy(allowsPrivate: false, allowsLoopback: false))
    // As at HOOK time by a worker that allows all, or by a name that was public then.
    let address = try sending.address(url)
    var outcome: WebhookOutcome?
    sending.sender.post(
      WebhookRequest(address: address, headers: [], body: [], timeoutMs: 5_000)
    ) {
      outcome = $0
      sending.loop.stop()
    }
    sending.run()
    #expect(outcome?.problem?.contains(problem) == true, "\(outcome as Any)")
  }

  @Test func `the environment's proxy is not used`() throws {
    let sending = try Sending()
    setenv("http_proxy", "http://127.0.0.1:1", 1)
    defer { unsetenv("http_proxy") }
    let receiver = try Receiver(sending.loop) { _ in .status("200 OK") }
    #expect(try sending.post("http://127.0.0.1:\(receiver.port)/") == .delivered(status: 200))
  }

  @Test func `a host without an address is a failure`() throws {
    let sending = try Sending()
    let outcome = try sending.post("http://nowhere.invalid/")
    #expect(
      [.failed("its host cannot be resolved"), .failed("no answer in time")].contains(outcome))
  }

  @Test func `TLS is verified, by name and authority`() throws {
    let certificates = try Certificates()
    try certificates.make("server", for: "DNS:cache.example,IP:127.0.0.1")
    try certificates.make("other", for: "DNS:other.example")
    for (files, authorities, expected) in [
      ("server", certificates.authority, WebhookOutcome.delivered(status: 200)),
      ("other", certificates.authority, .failed("its certificate does not verify")),
      ("server", nil, .failed("its certificate does not verify")),
      ("server", "/nowhere", .failed("the file of authorities cannot be read")),
    ] as [(String, String?, WebhookOutcome)] {
      let sending = try Sending(authorities: authorities)
      let context = try TLSContext(.server, certificates.files(files))
      let receiver = try Receiver(sending.loop, tls: context) { _ in .status("200 OK") }
      #expect(
        try sending.post("https://127.0.0.1:\(receiver.port)/") == expected,
        "\(files), \(authorities ?? "the system's")")
    }
  }

  @Test func `a missing library is an error that says what to install`() {
    #expect {
      try CurlLibrary.load("libcurl-of-nowhere.so.4")
    } throws: { "\($0)".contains("Debian: libcurl4") }
  }
}

extension Certificates {
  /// A certificate, in the form that a context takes it.
  fileprivate func files(_ name: String) -> TLSFiles {
    TLSFiles(certificate: path("\(name).pem"), key: path("\(name).key"))
  }
}
