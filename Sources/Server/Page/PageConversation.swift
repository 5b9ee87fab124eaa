// Owns: the page's way to a serving loop: a connection within the process, whose other end is a
// caller's connection like any other. Sends a request and hands its reply, or the events that
// follow, to the HTTP call. Runs on the control loop.

internal import Loop

/// One request of the page on its way.
final class PageConversation: FileWatchOwner {
  enum Kind {
    /// One reply line, which is the answer.
    case reply
    /// A reply, and then events for as long as the client stays.
    case events
  }

  /// What it is about, for the limits.
  struct Topic {
    let kind: Kind
    let isExport: Bool
    /// The key of the principal; nil without principals.
    let principal: String?
  }

  /// What it may take.
  struct Limits {
    /// The time for its reply.
    let timeoutMs: Int64
    let replyBytesMax: Int
    /// Whether a reply of so many bytes may be sent now.
    let hasRoom: (Int) -> Bool
  }

  let topic: Topic
  private let call: HTTPCall
  private let socket: Socket
  private let limits: Limits
  private let untilMs: Int64
  private let ended: (PageConversation) -> Void
  private var watch: FileWatch?
  private var output: [UInt8]
  private var input: [UInt8] = []
  private var scanned = 0
  /// How many replies come before the one of the request.
  private var repliesBefore: Int
  private var isStreaming = false
  private(set) var isOver = false

  private static let readBytes = 64 << 10

  /// Sends `lines`, of which the last one is the request.
  init(
    _ loop: EventLoop, _ socket: Socket, _ call: HTTPCall, _ topic: Topic, lines: [[UInt8]],
    _ limits: Limits, ended: @escaping (PageConversation) -> Void
  ) {
    (self.call, self.socket, self.topic) = (call, socket, topic)
    (self.limits, self.ended) = (limits, ended)
    untilMs = loop.nowMs + limits.timeoutMs
    output = lines.flatMap { $0 + [UInt8(ascii: "\n")] }
    repliesBefore = lines.count - 1
    watch = FileWatch(loop, socket.descriptor, owner: self)
    watch?.want(.both)
  }

  func fileReady(_ readiness: Readiness) {
    if readiness.canWrite { write() }
    if readiness.canRead, !isOver { read() }
  }

  /// Ends it if its client is gone, or its reply has not come in time; a stream gets a comment, by
  /// which its client knows that it lives.
  func look(nowMs: Int64) {
    guard !isOver else { return }
    if call.isOver || call.isAbandoned { return end() }
    if !isStreaming, nowMs >= untilMs { return end() }
    if isStreaming, !call.send(":\n\n") { end() }
  }

  private func write() {
    let sent = output.withUnsafeBytes { socket.write($0) }
    switch sent {
    case .moved(let count): output.removeFirst(count)
    case .wouldBlock: return
    case .ended, .broken: return end()
    }
    if output.isEmpty { watch?.want(.read) }
  }

  private func read() {
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: PageConversation.readBytes, alignment: 16)
    defer { room.deallocate() }
    switch socket.read(into: room) {
    case .moved(let count):
      input += room[..<count]
      takeLines()
    case .wouldBlock: return
    case .ended, .broken: end()
    }
  }

  private func takeLines() {
    var start = 0
    while !isOver, scanned < input.count {
      guard let end = input[scanned...].firstIndex(of: UInt8(ascii: "\n")) else {
        scanned = input.count
        break
      }
      take(input[start..<end])
      (start, scanned) = (end + 1, end + 1)
    }
    input.removeFirst(start)
    scanned -= start
    guard !isOver, input.count > limits.replyBytesMax else { return }
    answer("ERR too_large the reply has over \(limits.replyBytesMax) bytes: use latchkey call")
  }

  private func take(_ line: ArraySlice<UInt8>) {
    let isOK = line.starts(with: "OK".utf8)
    if isStreaming { return push(line) }
    if repliesBefore > 0, isOK {
      repliesBefore -= 1
      return
    }
    guard topic.kind == .events, isOK else { return answer(String(decoding: line, as: UTF8.self)) }
    isStreaming = true
    call.begin(
      HTTPAnswer(
        status: 200, contentType: "text/event-stream", body: ":\n\n", fields: PageHeaders.fields))
  }

  private func push(_ line: ArraySlice<UInt8>) {
    guard line.starts(with: "EVENT ".utf8) else { return }
    let event = String(decoding: line.dropFirst(6), as: UTF8.self)
    if !call.send("data: \(event)\n\n") { end() }
  }

  private func answer(_ line: String) {
    guard limits.hasRoom(line.utf8.count) else {
      call.answer(PageServer.text(503, "large replies are on their way: ask again in a moment"))
      return end()
    }
    call.answer(HTTPAnswer(status: 200, body: line + "\n", fields: PageHeaders.fields))
    end()
  }

  /// Ends it; one that has no answer yet gets to know that there is none.
  func end() {
    guard !isOver else { return }
    isOver = true
    watch?.want(.none)
    watch = nil
    socket.close()
    call.answer(
      PageServer.text(503, "the worker gave no reply: what was asked may have been done or not"))
    call.end()
    ended(self)
  }
}

/// What answers of the page have in common.
enum PageHeaders {
  /// Nothing is kept by browsers or proxies, and nothing is guessed.
  static let fields: [(name: String, value: String)] = [
    ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
  ]

  /// Those of the page itself: it loads nothing but from here, and stands in no other page.
  static func page(nonce: String) -> [(name: String, value: String)] {
    let policy =
      "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; "
      + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
      + "frame-ancestors 'none'"
    return fields + [
      ("Content-Security-Policy", policy), ("X-Frame-Options", "DENY"),
      ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
  }
}
