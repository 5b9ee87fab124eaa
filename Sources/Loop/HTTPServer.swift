// Owns: the admin port: libevent's HTTP server, GET only. Runs on its loop's thread.

internal import CLibevent

/// The answer to a GET.
package struct HTTPAnswer: Sendable {
  package var status: Int32
  package var contentType: String
  package var body: String

  package init(status: Int32, contentType: String = "text/plain; charset=utf-8", body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }
}

/// A small HTTP/1.1 server for health checks and metrics.
package final class HTTPServer {
  private let http: OpaquePointer
  private let respond: (String) -> HTTPAnswer
  /// The port that it listens on.
  package let port: UInt16

  /// Listens at once; `respond` gets the path without the query.
  package init(
    _ loop: EventLoop, host: String, port: UInt16, _ respond: @escaping (String) -> HTTPAnswer
  ) throws(SystemError) {
    let address = try SocketAddress.resolve(.tcp(host: host, port: port))
    let listener = try address.bind(sharingPort: false)
    try listener.listen(backlog: 128)
    self.port = try listener.localPort()
    guard let http = evhttp_new(loop.base) else { throw SystemError("evhttp_new", 12) }
    guard evhttp_accept_socket(http, listener.descriptor) == 0 else {
      evhttp_free(http)
      throw SystemError("evhttp_accept_socket", 22)
    }
    self.http = http
    self.respond = respond
    evhttp_set_max_headers_size(http, 16_384)
    evhttp_set_max_body_size(http, 0)
    evhttp_set_timeout(http, 10)
    evhttp_set_allowed_methods(http, UInt16(EVHTTP_REQ_GET.rawValue | EVHTTP_REQ_HEAD.rawValue))
    evhttp_set_gencb(
      http,
      { request, context in
        guard let request, let context else { return }
        Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue().serve(request)
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  deinit { evhttp_free(http) }

  private func serve(_ request: OpaquePointer) {
    let uri = evhttp_request_get_evhttp_uri(request)
    let path = uri.flatMap { evhttp_uri_get_path($0) }.map { String(cString: $0) } ?? "/"
    let answer = respond(path)
    let headers = evhttp_request_get_output_headers(request)
    evhttp_add_header(headers, "Content-Type", answer.contentType)
    guard let body = evbuffer_new() else { return }
    defer { evbuffer_free(body) }
    var text = answer.body
    if evhttp_request_get_command(request) == EVHTTP_REQ_HEAD {
      // libevent would send the body of an answer to HEAD.
      evhttp_add_header(headers, "Content-Length", "\(text.utf8.count)")
    } else {
      text.withUTF8 { _ = evbuffer_add(body, $0.baseAddress, $0.count) }
    }
    evhttp_send_reply(request, answer.status, nil, body)
  }
}
