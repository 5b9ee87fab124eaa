// Owns: the sending of webhooks: libcurl's multi interface on an event loop. Knows nothing of
// hooks, events' order or retries. Runs on its loop's thread.
//
// libcurl never blocks it: sockets are watched by the loop, and hosts are looked up on threads of
// libcurl's own. Its callbacks only note what it wants; outcomes are reported when it has returned.

internal import CCurl
internal import Glibc
package import Loop

/// Sends requests to receivers; each outcome is reported once, unless the request is cancelled.
package final class WebhookSender {
  /// A request that is under way.
  package struct Ticket: Hashable, Sendable {
    fileprivate let number: UInt64
  }

  /// What libcurl has the loop watch.
  private final class Watch: FileWatchOwner {
    let descriptor: Int32
    /// The request that it serves.
    var number: UInt64?
    private unowned let sender: WebhookSender
    private(set) lazy var file = FileWatch(sender.loop, descriptor, owner: self)

    init(_ sender: WebhookSender, _ descriptor: Int32) {
      self.sender = sender
      self.descriptor = descriptor
    }

    func fileReady(_ readiness: Readiness) { sender.ready(descriptor, readiness) }
  }

  private let loop: EventLoop
  private let library: CurlLibrary
  private let limits: WebhookLimits
  private let multi: UnsafeMutableRawPointer
  private var timer: LoopTimer?
  private var watches: [Int32: Watch] = [:]
  /// Those that libcurl needs no more; they live until the turn's end: one of them may be calling.
  private var retired: [Watch] = []
  private var transfers: [UInt64: WebhookTransfer] = [:]
  private var numbers: [UnsafeMutableRawPointer: UInt64] = [:]
  private var nextNumber: UInt64 = 0
  /// Outcomes of requests that could not be begun, for the next turn.
  private var failed: [(done: (WebhookOutcome) -> Void, number: UInt64, reason: String)] = []

  /// How many requests are under way.
  package var underWay: Int { transfers.count + failed.count }
  /// How many connections were made, for requests that are over.
  package private(set) var connectionsMade = 0

  /// Loads libcurl at the first one in the process.
  package init(_ loop: EventLoop, _ limits: WebhookLimits) throws(WebhookError) {
    library = try CurlLibrary.shared()
    guard let multi = curl_make_multi(library.functions) else {
      throw WebhookError("libcurl has no memory")
    }
    (self.loop, self.limits, self.multi) = (loop, limits, multi)
    limit(connections: limits.connectionsMax)
    _ = curl_set_multi_callbacks(
      library.functions, multi, WebhookSender.socketChanged, WebhookSender.timerChanged,
      Unmanaged.passUnretained(self).toOpaque())
    timer = LoopTimer(loop) { [unowned self] in timerFired() }
    loop.atTurnEnd { [weak self] in self?.retired.removeAll() }
  }

  deinit {
    for transfer in transfers.values {
      _ = curl_remove(library.functions, multi, transfer.easy)
    }
    curl_free_multi(library.functions, multi)
  }

  /// It has so many connections at most from now on, as soon as those that are in use allow it.
  package func limit(connections: Int) {
    for option in [CURLMOPT_MAXCONNECTS, CURLMOPT_MAX_TOTAL_CONNECTIONS] {
      // For libcurl none means any number.
      _ = curl_set_multi_number(library.functions, multi, option, max(1, connections))
    }
  }

  // MARK: Requests

  /// Begins a request; `done` is called later, in a turn of the loop, and may begin others.
  @discardableResult
  package func post(
    _ request: WebhookRequest, _ done: @escaping (WebhookOutcome) -> Void
  ) -> Ticket {
    nextNumber += 1
    let number = nextNumber
    do throws(WebhookError) {
      let transfer = try WebhookTransfer(library, request, limits, done)
      transfers[number] = transfer
      numbers[transfer.easy] = number
      let code = curl_add(library.functions, multi, transfer.easy)
      if code != CURLM_OK {
        forget(number)
        throw WebhookError("libcurl has refused the request (\(code.rawValue))")
      }
    } catch {
      failed.append((done, number, error.description))
      timer?.set(afterMs: 0)
    }
    return Ticket(number: number)
  }

  /// Ends a request without an outcome; what its receiver has got already stays.
  package func cancel(_ ticket: Ticket) {
    failed.removeAll { $0.number == ticket.number }
    guard let transfer = transfers[ticket.number] else { return }
    _ = curl_remove(library.functions, multi, transfer.easy)
    forget(ticket.number)
  }

  private func forget(_ number: UInt64) {
    if let transfer = transfers.removeValue(forKey: number) { numbers[transfer.easy] = nil }
  }

  // MARK: What libcurl wants

  private static func of(_ owner: UnsafeMutableRawPointer?) -> WebhookSender? {
    owner.map { Unmanaged<WebhookSender>.fromOpaque($0).takeUnretainedValue() }
  }

  private static let socketChanged: curl_socket_callback = { easy, descriptor, what, owner, _ in
    WebhookSender.of(owner)?.watch(descriptor, what, for: easy)
    return 0
  }

  private static let timerChanged: curl_multi_timer_callback = { _, milliseconds, owner in
    guard let sender = WebhookSender.of(owner) else { return 0 }
    if milliseconds >= 0 {
      sender.timer?.set(afterMs: Int64(milliseconds))
    } else if sender.failed.isEmpty {
      sender.timer?.cancel()
    }
    return 0
  }

  private func watch(_ descriptor: Int32, _ what: Int32, for easy: UnsafeMutableRawPointer?) {
    if what == CURL_POLL_REMOVE {
      guard let watch = watches.removeValue(forKey: descriptor) else { return }
      watch.file.want(.none)
      retired.append(watch)
      return
    }
    let watch = watches[descriptor] ?? Watch(self, descriptor)
    watches[descriptor] = watch
    watch.number = easy.flatMap { numbers[$0] }
    if let number = watch.number { transfers[number]?.uses(descriptor) }
    watch.file.want(
      Readiness(
        read: what == CURL_POLL_IN || what == CURL_POLL_INOUT,
        write: what == CURL_POLL_OUT || what == CURL_POLL_INOUT))
  }

  // MARK: What happens on the loop

  private func ready(_ descriptor: Int32, _ readiness: Readiness) {
    let flags =
      (readiness.canRead ? CURL_CSELECT_IN : 0) | (readiness.canWrite ? CURL_CSELECT_OUT : 0)
    let number = watches[descriptor]?.number
    _ = curl_socket_ready(library.functions, multi, descriptor, flags)
    settle()
    // Where nothing was read yet the header may be among what has come.
    if let number, readiness.canRead { endIfTooLong(number) }
  }

  private func endIfTooLong(_ number: UInt64) {
    guard let transfer = transfers[number], transfer.isTooLong else { return }
    let outcome = transfer.outcomeOfTooLong
    connectionsMade += transfer.connectionsMade
    // A transfer that is ended before its time has its connection closed.
    _ = curl_remove(library.functions, multi, transfer.easy)
    forget(number)
    transfer.done(outcome)
  }

  private func timerFired() {
    // CURL_SOCKET_TIMEOUT: no descriptor, but time has passed.
    _ = curl_socket_ready(library.functions, multi, -1, 0)
    settle()
  }

  /// Takes what is over out of libcurl, then reports it.
  private func settle() {
    var over: [(WebhookTransfer, WebhookOutcome)] = []
    var code = CURLE_OK
    while let easy = curl_next_done(library.functions, multi, &code) {
      guard let number = numbers[easy], let transfer = transfers[number] else { break }
      let outcome = transfer.outcome(code)
      connectionsMade += transfer.connectionsMade
      _ = curl_remove(library.functions, multi, easy)
      forget(number)
      over.append((transfer, outcome))
    }
    let unbegun = failed
    failed.removeAll()
    for (transfer, outcome) in over { transfer.done(outcome) }
    for entry in unbegun { entry.done(.failed(entry.reason)) }
  }
}
