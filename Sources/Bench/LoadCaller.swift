// Owns: one caller: its connection, its requests, and the one that is under way. As little as
// possible happens per request, since the caller shares the machine with what it measures.
// Runs on the loop's thread.

import Glibc
import Loop

/// The callbacks of a caller to its load.
protocol LoadOwner: AnyObject {
  var readBuffer: UnsafeMutableRawBufferPointer { get }
  /// The caller is connected.
  func callerConnected()
  /// The caller has been through its devices for the first time.
  func firstPassDone()
  /// A good reply has come to what was sent at that time, or should have been.
  ///
  /// The answer is the time that the next request is counted from; with nil there is none yet.
  func replied(_ caller: LoadCaller, sentNs: Int64, nowNs: Int64) -> Int64?
  func callerFailed(_ reason: String)
}

/// One unpipelined caller, which goes round and round its own devices.
final class LoadCaller: FileWatchOwner {
  private unowned let owner: any LoadOwner
  private let transport: Transport
  private let requests: [[UInt8]]
  private let target: LoadTarget
  private let goodReplyByte: UInt8
  private var watch: FileWatch?
  private var isConnected = false
  /// Whether bytes can go both ways.
  private var isOpen = false
  private var next = 0
  /// There are devices that it has not been to.
  private(set) var isFirstPass = true
  private var sentNs: Int64 = 0
  /// Whether a request is under way.
  private var isBusy = false
  /// A reply of which a part has come.
  private var partial: [UInt8] = []

  init(
    _ loop: EventLoop, _ transport: Transport, _ requests: [[UInt8]], _ target: LoadTarget,
    owner: any LoadOwner
  ) {
    self.owner = owner
    self.transport = transport
    self.requests = requests
    self.target = target
    goodReplyByte = target.goodReplyByte
    watch = FileWatch(loop, transport.socket.descriptor, owner: self)
    watch?.want(.write)
  }

  deinit {
    watch = nil
    transport.close()
  }

  func fileReady(_ readiness: Readiness) {
    guard isOpen else { return connected() }
    repeat { read() } while transport.hasBufferedInput
  }

  private func connected() {
    if isConnected { return shakeHands() }
    let outcome = transport.socket.connectOutcome()
    guard outcome == 0 else {
      owner.callerFailed(SystemError("connect", outcome).description)
      return
    }
    isConnected = true
    shakeHands()
  }

  private func shakeHands() {
    switch transport.shakeHands() {
    case .underWay: watch?.want(transport.wants)
    case .failed(let reason): owner.callerFailed(reason)
    case .plain: owner.callerFailed("the server does not speak TLS")
    case .done:
      isOpen = true
      watch?.want(.read)
      owner.callerConnected()
      send(nowNs: MonotonicTime.nowNs())
    }
  }

  /// When the request that is under way was sent, or should have been.
  var busySinceNs: Int64? { isBusy ? sentNs : nil }

  /// Sends the next request, which is counted from that time.
  func send(nowNs: Int64) {
    let request = requests[next]
    next = next + 1 == requests.count ? 0 : next + 1
    sentNs = nowNs
    isBusy = true
    // A request is far smaller than a socket's buffer, and none is under way.
    guard request.withUnsafeBytes({ transport.write($0) }) == .moved(request.count) else {
      owner.callerFailed("a request could not be written")
      return
    }
  }

  private func read() {
    switch transport.read(into: owner.readBuffer) {
    case .moved(let count): take(UnsafeRawBufferPointer(rebasing: owner.readBuffer[..<count]))
    case .wouldBlock: return
    case .ended: owner.callerFailed("the server closed a connection")
    case .broken(let number): owner.callerFailed(SystemError("read", number).description)
    }
  }

  private func take(_ bytes: UnsafeRawBufferPointer) {
    switch state(bytes) {
    case .unfinished:
      partial += bytes
      return
    case .bad:
      owner.callerFailed("bad reply: " + String(decoding: partial + bytes, as: UTF8.self))
      return
    case .good: break
    }
    if !partial.isEmpty { partial = [] }
    isBusy = false
    let nowNs = MonotonicTime.nowNs()
    if isFirstPass, next == 0 {
      isFirstPass = false
      owner.firstPassDone()
    }
    if let fromNs = owner.replied(self, sentNs: sentNs, nowNs: nowNs) { send(nowNs: fromNs) }
  }

  /// The state of the reply, with these bytes as its last ones.
  private func state(_ bytes: UnsafeRawBufferPointer) -> ReplyState {
    if target == .http {
      return partial.isEmpty
        ? .ofLatchkey(bytes) : (partial + bytes).withUnsafeBytes { .ofLatchkey($0) }
    }
    if target == .webdis {
      return partial.isEmpty
        ? .ofHTTP(bytes) : (partial + bytes).withUnsafeBytes { .ofHTTP($0) }
    }
    guard bytes[bytes.count - 1] == UInt8(ascii: "\n") else { return .unfinished }
    return (partial.first ?? bytes[0]) == goodReplyByte ? .good : .bad
  }
}
