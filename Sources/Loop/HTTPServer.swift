// Owns: the admin port: libevent's HTTP server, GET only where no bodies are taken, with a limit on
// connections and on the time of each. Runs on its loop's thread.

internal import CLibevent
internal import Glibc
internal import Synchronization

/// The answer to a request.
package struct HTTPAnswer: Sendable {
  package var status: Int32
  package var contentType: String
  package var body: String
  /// Further header fields.
  package var fields: [(name: String, value: String)]

  package init(
    status: Int32, contentType: String = "text/plain; charset=utf-8", body: String,
    fields: [(name: String, value: String)] = []
  ) {
    self.status = status
    self.contentType = contentType
    self.body = body
    self.fields = fields
  }
}

/// What an HTTP server has to limit, for its log and its figures.
package enum HTTPLimit: Sendable {
  /// So many connections had used up their time.
  case slow(Int)
  /// There were as many connections as there may be, and one was ended for another.
  case full
  /// A connection could not be accepted; the next one is tried after a pause.
  case refused(SystemError)
}

/// A small HTTP/1.1 server for health checks, metrics and the page for people.
package final class HTTPServer {
  private let http: OpaquePointer
  private let loop: EventLoop
  private let respond: (HTTPCall) -> HTTPAnswer?
  private let limited: (HTTPLimit) -> Void
  private var listener: OpaquePointer?
  private var connections: HTTPConnections
  /// Connections of this turn, which have no descriptor before it ends.
  private var beginning: [OpaquePointer] = []
  /// Why no connection is accepted now.
  private var isFull = false
  private var isPausing = false
  private var pause: LoopTimer?
  private var check: LoopTimer?
  /// The port that it listens on.
  package let port: UInt16

  /// How long no connection is accepted after one could not be.
  private static let pauseMs: Int64 = 100

  /// Listens at once; `respond` gives the answer, or nil if the call is answered later.
  ///
  /// There are `connectionsMax` connections at most; each may take `timeoutMs` for a request and
  /// its answer. Where bodies may have `bodyBytesMax` bytes, POST is taken too.
  package init(
    _ loop: EventLoop, host: String, port: UInt16, connectionsMax: Int = 64,
    timeoutMs: Int64 = 10_000, bodyBytesMax: Int = 0,
    limited: @escaping (HTTPLimit) -> Void = { _ in },
    _ respond: @escaping (HTTPCall) -> HTTPAnswer?
  ) throws(SystemError) {
    let address = try SocketAddress.resolve(.tcp(host: host, port: port))
    let socket = try address.bind(sharingPort: false)
    try socket.listen(backlog: 128)
    self.port = try socket.localPort()
    guard let http = evhttp_new(loop.base) else { throw SystemError("evhttp_new", 12) }
    guard let bound = evhttp_accept_socket_with_handle(http, socket.descriptor) else {
      evhttp_free(http)
      throw SystemError("evhttp_accept_socket", 22)
    }
    self.http = http
    self.loop = loop
    self.respond = respond
    self.limited = limited
    connections = HTTPConnections(most: connectionsMax, timeoutMs: timeoutMs)
    listener = evhttp_bound_socket_get_listener(bound)
    configure(bodyBytesMax: bodyBytesMax)
    pause = LoopTimer(loop) { [unowned self] in
      isPausing = false
      acceptAsAllowed()
    }
    check = LoopTimer(loop) { [unowned self] in checkTimes() }
    loop.atTurnEnd { [weak self] in self?.turnEnded() }
  }

  deinit { evhttp_free(http) }

  private func configure(bodyBytesMax: Int) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    evhttp_set_max_headers_size(http, 16_384)
    evhttp_set_max_body_size(http, bodyBytesMax)
    // Within the time of a connection: a silent one is found by libevent.
    evhttp_set_timeout(http, Int32(max(1, connections.timeoutMs / 1_000)))
    let posts = bodyBytesMax > 0 ? EVHTTP_REQ_POST.rawValue : 0
    evhttp_set_allowed_methods(
      http, UInt16(EVHTTP_REQ_GET.rawValue | EVHTTP_REQ_HEAD.rawValue | posts))
    evhttp_set_gencb(
      http,
      { request, context in
        guard let request, let context else { return }
        Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue().serve(request)
      }, context)
    evhttp_set_bevcb(
      http,
      { base, context in
        guard let context, let bytes = bufferevent_socket_new(base, -1, 0) else { return nil }
        Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue().begins(bytes)
        return bytes
      }, context)
    evconnlistener_set_error_cb(listener) { listener, _ in
      let number = errno
      guard let listener else { return }
      // Until the turn's end, when its server notices: the poller would report it without end.
      evconnlistener_disable(listener)
      HTTPServer.failures.withLock { $0[UInt(bitPattern: listener)] = number }
    }
  }

  /// What the listeners of the process have failed with, by their address: libevent's callback says
  /// no more.
  private static let failures = Mutex<[UInt: Int32]>([:])

  // MARK: Connections

  private func begins(_ bytes: OpaquePointer) {
    beginning.append(bytes)
    // This turn's further ones wait until it is known which have ended.
    acceptAsAllowed()
  }

  private func turnEnded() {
    if let listener,
      let number = HTTPServer.failures.withLock({
        $0.removeValue(forKey: UInt(bitPattern: listener))
      })
    {
      isPausing = true
      pause?.set(afterMs: HTTPServer.pauseMs)
      limited(.refused(SystemError("accept", number)))
    }
    for bytes in beginning {
      let socket = Socket(adopting: bufferevent_getfd(bytes))
      if connections.add(socket, nowMs: loop.nowMs) { limited(.full) }
      if check?.isSet != true { setCheck() }
    }
    beginning.removeAll()
    if isFull { connections.forgetClosed() }
    acceptAsAllowed()
  }

  private func acceptAsAllowed() {
    isFull = connections.isFull || !beginning.isEmpty
    guard let listener else { return }
    if isFull || isPausing {
      evconnlistener_disable(listener)
    } else {
      evconnlistener_enable(listener)
    }
  }

  private func checkTimes() {
    let overdue = connections.endOverdue(nowMs: loop.nowMs)
    if overdue > 0 { limited(.slow(overdue)) }
    setCheck()
  }

  private func setCheck() {
    guard let nextMs = connections.nextMs else { return }
    // One that was ended a moment ago may not be closed yet.
    check?.set(afterMs: max(20, nextMs - loop.nowMs))
  }

  // MARK: Requests

  private func serve(_ request: OpaquePointer) {
    let call = HTTPCall(request) { [weak self] descriptor in
      guard let self else { return }
      connections.renew(descriptor, nowMs: loop.nowMs)
    }
    call.renew()
    if let fault = call.framingFault {
      return call.answer(
        HTTPAnswer(status: 400, body: fault + "\n", fields: [("Connection", "close")]))
    }
    if let answer = respond(call) { call.answer(answer) }
  }
}
