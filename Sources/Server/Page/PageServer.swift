// Owns: the page for people at the admin port, and its resources: who may ask for them, and how
// many at once. Runs on the control loop.
//
// A verb is not run here: its line goes to a serving loop over a connection within the process, so
// that arguments, rights, limits and the audit are those of every caller.

internal import Access
internal import Loop
internal import Page
internal import Service
internal import Settings
internal import Synchronization
internal import Wire

/// Answers the requests of the page.
final class PageServer {
  /// The control loop's part.
  struct Surroundings {
    /// The figures of the worker and the fleet, as JSON.
    let overview: () -> String
    /// Hands a caller's connection to a serving loop; false if none takes callers.
    let join: (InternalCaller) -> Bool
  }

  private let loop: EventLoop
  private let shared: SharedState
  private let access: PageAccess
  private let origin: PageGuard
  private var refusals: PageRefusals
  private let surroundings: Surroundings
  /// Those that are under way, by their identity.
  private var conversations: [ObjectIdentifier: PageConversation] = [:]
  private var check: LoopTimer?
  /// The large replies of the last moments, of which a browser may have read nothing yet.
  private var largeReplies: [(untilMs: Int64, bytes: Int)] = []
  private var overview: (atMs: Int64, text: String) = (.min, "")

  /// How many requests there may be at once, and how many streams of events beside them: an action
  /// finds a place however many look.
  ///
  /// Together they leave a quarter of the port's connections to probes.
  private var callsMax: Int { max(1, shared.settings.adminConnectionsMax * 3 / 8) }
  private var streamsMax: Int { callsMax }
  /// How many of each one principal may have, so that none takes the page from the others.
  private static let ofPrincipalMax = 16
  /// How many of them may be exports, whose replies are as large as a session may be.
  private static let exportsMax = 2
  /// The most bytes of another reply: lists and chats end their pages before.
  private static let replyBytesMax = 4 << 20
  /// Replies of more bytes are counted for as long as a connection may take to read them, and may
  /// have so many in all.
  private static let smallReplyBytes = 256 << 10, keptBytesMax = 64 << 20
  /// How old an overview may be that is shown: it is made once a second at most.
  private static let overviewAgeMs: Int64 = 900
  /// How often streams get a comment, and clients that are gone are found; less than a connection's
  /// time.
  private let checkMs: Int64

  init(
    _ loop: EventLoop, _ shared: SharedState, isOpenToOthers: Bool, _ surroundings: Surroundings
  ) {
    (self.loop, self.shared, self.surroundings) = (loop, shared, surroundings)
    access = PageAccess(shared, isOpenToOthers: isOpenToOthers)
    origin = PageGuard(hosts: shared.settings.adminHosts)
    refusals = PageRefusals(shared)
    checkMs = min(2_000, shared.settings.adminTimeoutMs / 3)
    check = LoopTimer(loop) { [unowned self] in lookAfterAll() }
  }

  /// The answer to a request; nil if it is answered later, or is none of the page's.
  func respond(_ call: HTTPCall) -> HTTPAnswer? {
    let fields = PageGuard.Fields(
      host: call.field("Host"), origin: call.field("Origin"), site: call.field("Sec-Fetch-Site"),
      marker: call.field("Latchkey-Page"))
    if call.path == "/" { return page(call, fields) }
    if let refusal = origin.refusal(fields) {
      return refusals.answer(PageRefusal(status: 403, text: refusal), from: call.peer)
    }
    let caller: PageCaller
    switch access.caller(call.field("Authorization")) {
    case .refused(let refusal): return refusals.answer(refusal, from: call.peer)
    case .accepted(let accepted): caller = accepted
    }
    switch (call.path, call.method) {
    case ("/page/overview", .get):
      guard caller.isOperator else {
        let refusal = PageRefusal(
          status: 403, text: PageCaller.needsOperator, who: caller.principal?.key, verb: "STATS")
        return refusals.answer(refusal, from: call.peer)
      }
      return HTTPAnswer(
        status: 200, contentType: "application/json", body: currentOverview(),
        fields: PageHeaders.fields)
    case ("/page/events", .get):
      let after = call.field("Last-Event-ID") ?? ""
      guard after.utf8.count <= 64, after.utf8.allSatisfy({ IDText.isIDByte($0) }) else {
        return PageServer.text(400, "the header Last-Event-ID is no event's id")
      }
      return begin(
        call, caller, .events, Array((after.isEmpty ? "WATCH *" : "WATCH * after=\(after)").utf8))
    case ("/page/call", .post):
      let line = call.body
      if let refusal = PageVerbs.refusal(line) { return PageServer.text(400, refusal) }
      return begin(call, caller, .reply, line)
    case ("/page/overview", _), ("/page/events", _), ("/page/call", _):
      return PageServer.text(405, "there are GET /page/overview, GET /page/events, POST /page/call")
    default:
      return PageServer.text(404, "there are /page/overview, /page/events and /page/call")
    }
  }

  private func page(_ call: HTTPCall, _ fields: PageGuard.Fields) -> HTTPAnswer {
    if let refusal = access.refusal ?? origin.hostRefusal(fields) {
      return refusals.answer(PageRefusal(status: 403, text: refusal), from: call.peer)
    }
    guard call.method != .post else { return PageServer.text(405, "the page is read by GET") }
    let nonce = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
    return HTTPAnswer(
      status: 200, contentType: "text/html; charset=utf-8", body: PageText.html(nonce: nonce),
      fields: PageHeaders.page(nonce: nonce))
  }

  static func text(_ status: Int32, _ text: String) -> HTTPAnswer {
    HTTPAnswer(status: status, body: text + "\n", fields: PageHeaders.fields)
  }

  /// However many browsers ask, it is made once a second, and never while none does.
  private func currentOverview() -> String {
    let nowMs = MonotonicTime.nowMs()
    if overview.text.isEmpty || nowMs - overview.atMs > PageServer.overviewAgeMs {
      overview = (nowMs, surroundings.overview())
    }
    return overview.text
  }

  // MARK: Conversations

  private func begin(
    _ call: HTTPCall, _ caller: PageCaller, _ kind: PageConversation.Kind, _ line: [UInt8]
  ) -> HTTPAnswer? {
    let isExport = PageVerbs.verb(of: line) == "EXPORT"
    if let refusal = refusal(caller, kind, isExport: isExport) {
      return PageServer.text(503, refusal)
    }
    guard let socket = connect(call.peer) else {
      return PageServer.text(503, "the worker takes no requests now")
    }
    let conversation = PageConversation(
      loop, socket, call,
      PageConversation.Topic(
        kind: kind, isExport: isExport, principal: caller.principal?.key),
      lines: caller.greeting + [line],
      PageConversation.Limits(
        timeoutMs: shared.settings.adminTimeoutMs,
        replyBytesMax: isExport ? 2 * shared.settings.importLineBytesMax : PageServer.replyBytesMax,
        hasRoom: { [unowned self] in hasRoom($0) })
    ) { [unowned self] ended in
      shared.descriptors.giveBack()
      conversations[ObjectIdentifier(ended)] = nil
    }
    conversations[ObjectIdentifier(conversation)] = conversation
    if check?.isSet != true { check?.set(afterMs: checkMs) }
    return nil
  }

  /// Why there is no place for one more conversation; nil if there is.
  private func refusal(
    _ caller: PageCaller, _ kind: PageConversation.Kind, isExport: Bool
  ) -> String? {
    let topics = conversations.values.map(\.topic)
    let same = topics.filter { $0.kind == kind }
    let most = kind == .events ? streamsMax : callsMax
    guard same.count < most else { return "the page has \(most) of these under way: close a tab" }
    if let key = caller.principal?.key {
      guard same.count(where: { $0.principal == key }) < PageServer.ofPrincipalMax else {
        return "this principal has \(PageServer.ofPrincipalMax) of these under way: close a tab"
      }
    }
    guard isExport, topics.count(where: \.isExport) >= PageServer.exportsMax else { return nil }
    return "there are \(PageServer.exportsMax) exports under way: try again after them"
  }

  /// The near end of a connection to a serving loop; nil if there can be none now.
  private func connect(_ peer: PeerAddress?) -> Socket? {
    guard shared.descriptors.take() else { return nil }
    guard shared.descriptors.take() else {
      shared.descriptors.giveBack()
      return nil
    }
    do throws(SystemError) {
      let (near, far) = try Socket.pair()
      if surroundings.join(InternalCaller(socket: far, peer: peer)) { return near }
      near.close()
      far.close()
    } catch {
      shared.log.repeated(
        .warn, "a request of the page could not be sent", cause: error.description,
        ["error": error.description])
    }
    for _ in 0..<2 { shared.descriptors.giveBack() }
    return nil
  }

  /// Whether a reply may be given to libevent, which keeps it until the browser has read it, or its
  /// connection has had its time.
  private func hasRoom(_ bytes: Int) -> Bool {
    guard bytes > PageServer.smallReplyBytes else { return true }
    largeReplies.removeAll { $0.untilMs <= loop.nowMs }
    let kept = largeReplies.reduce(0) { $0 + $1.bytes }
    guard largeReplies.isEmpty || kept + bytes <= PageServer.keptBytesMax else { return false }
    largeReplies.append((loop.nowMs + shared.settings.adminTimeoutMs, bytes))
    return true
  }

  private func lookAfterAll() {
    for conversation in Array(conversations.values) { conversation.look(nowMs: loop.nowMs) }
    if !conversations.isEmpty { check?.set(afterMs: checkMs) }
  }
}
