// Owns: one request to the HTTP server until its answer is given: at once, later, or in parts. Runs
// on its loop's thread.
//
// libevent keeps a request until it is answered, also when its connection has ended meanwhile; then
// it has no connection, and the answer frees it. So each call has to be answered once.

internal import CLibevent
internal import Glibc

/// A request to the HTTP server, and the way to answer it.
package final class HTTPCall {
  package enum Method: Sendable {
    case get, head, post
  }

  /// Nil once the answer is complete.
  private var request: OpaquePointer?
  private let renewed: (Int32) -> Void
  /// Whether the answer is sent in parts, and has begun.
  private var isStreaming = false
  package let method: Method
  /// Without the query.
  package let path: String

  /// Bytes of a stream that its client may leave unread.
  private static let unreadBytesMax = 256 << 10
  /// POLLRDHUP, which the C library's header shows to GNU sources only.
  private static let closedByPeer: Int16 = 0x2000

  init(_ request: OpaquePointer, renewed: @escaping (Int32) -> Void) {
    self.request = request
    self.renewed = renewed
    method =
      switch evhttp_request_get_command(request) {
      case EVHTTP_REQ_HEAD: .head
      case EVHTTP_REQ_POST: .post
      default: .get
      }
    let uri = evhttp_request_get_evhttp_uri(request)
    path = uri.flatMap { evhttp_uri_get_path($0) }.map { String(cString: $0) } ?? "/"
  }

  /// The first value of a header field; nil if it is missing.
  package func field(_ name: String) -> String? {
    guard let request, let headers = evhttp_request_get_input_headers(request),
      let value = evhttp_find_header(headers, name)
    else { return nil }
    return String(cString: value)
  }

  /// Why another reader might see this request end elsewhere; nil if none does.
  var framingFault: String? {
    guard let request, let headers = evhttp_request_get_input_headers(request) else { return nil }
    var framing = HTTPFraming(hasBody: method == .post)
    var next = headers.pointee.tqh_first
    while let field = next {
      next = field.pointee.next.tqe_next
      guard let name = field.pointee.key, let value = field.pointee.value else { continue }
      let fault = framing.fault(String(cString: name), String(cString: value))
      if let fault { return fault }
    }
    return nil
  }

  /// The body; empty if there is none.
  package var body: [UInt8] {
    guard let request, let buffer = evhttp_request_get_input_buffer(request) else { return [] }
    let count = evbuffer_get_length(buffer)
    return [UInt8](unsafeUninitializedCapacity: count) { room, initialized in
      initialized = max(0, evbuffer_copyout(buffer, room.baseAddress, count))
    }
  }

  /// The address of the client; nil if it is gone.
  package var peer: PeerAddress? {
    descriptor.flatMap { Socket(adopting: $0).peerAddress() }
  }

  private var connection: OpaquePointer? {
    request.flatMap { evhttp_request_get_connection($0) }
  }
  private var bytes: OpaquePointer? {
    connection.flatMap { evhttp_connection_get_bufferevent($0) }
  }
  private var descriptor: Int32? {
    bytes.map { bufferevent_getfd($0) }.flatMap { $0 >= 0 ? $0 : nil }
  }

  /// The connection has its time anew.
  func renew() { if let descriptor { renewed(descriptor) } }

  /// Whether the answer is complete, or there is no client to get it.
  package var isOver: Bool { connection == nil }

  /// Whether its client has closed its side, which libevent does not notice before it writes.
  package var isAbandoned: Bool {
    guard let descriptor else { return true }
    let gone = HTTPCall.closedByPeer | Int16(POLLHUP) | Int16(POLLERR)
    var entry = pollfd(fd: descriptor, events: gone, revents: 0)
    return poll(&entry, 1, 0) > 0 && entry.revents & gone != 0
  }

  /// Answers; a call that was answered stays as it is.
  package func answer(_ answer: HTTPAnswer) {
    guard let request, !isStreaming else { return }
    let headers = addFields(answer)
    guard let body = evbuffer_new() else { return }
    defer { evbuffer_free(body) }
    var text = answer.body
    if method == .head {
      // libevent would send the body of an answer to HEAD.
      evhttp_add_header(headers, "Content-Length", "\(text.utf8.count)")
    } else {
      text.withUTF8 { _ = evbuffer_add(body, $0.baseAddress, $0.count) }
    }
    renew()
    self.request = nil
    evhttp_send_reply(request, answer.status, nil, body)
  }

  private func addFields(_ answer: HTTPAnswer) -> UnsafeMutablePointer<evkeyvalq>? {
    guard let request else { return nil }
    let headers = evhttp_request_get_output_headers(request)
    evhttp_add_header(headers, "Content-Type", answer.contentType)
    for field in answer.fields { evhttp_add_header(headers, field.name, field.value) }
    return headers
  }

  // MARK: In parts

  /// Begins an answer in parts, the first of which is the answer's body.
  package func begin(_ answer: HTTPAnswer) {
    guard let request, !isStreaming else { return }
    isStreaming = true
    _ = addFields(answer)
    evhttp_send_reply_start(request, answer.status, nil)
    // Its client says nothing more: silence is no reason to end it.
    if let bytes {
      var most = timeval(tv_sec: 10, tv_usec: 0)
      bufferevent_set_timeouts(bytes, nil, &most)
    }
    _ = send(answer.body)
  }

  /// Sends a part; false if its client is gone, or leaves too much unread, and `end` is due.
  package func send(_ text: String) -> Bool {
    guard isStreaming, let request, let bytes, let part = evbuffer_new() else { return false }
    defer { evbuffer_free(part) }
    guard evbuffer_get_length(bufferevent_get_output(bytes)) < HTTPCall.unreadBytesMax else {
      return false
    }
    var text = text
    text.withUTF8 { _ = evbuffer_add(part, $0.baseAddress, $0.count) }
    evhttp_send_reply_chunk(request, part)
    renew()
    return true
  }

  /// Ends an answer in parts.
  package func end() {
    guard isStreaming, let request else { return }
    self.request = nil
    evhttp_send_reply_end(request)
  }
}
