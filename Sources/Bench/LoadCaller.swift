// Owns: one caller: its connection, its requests, and the one that is under way. As little as
// possible happens per request, since the caller shares the machine with what it measures.
// Runs on the loop's thread.

import Glibc
import Loop

/// What a caller needs from the load it is part of.
protocol LoadOwner: AnyObject {
  var readBuffer: UnsafeMutableRawBufferPointer { get }
  /// The caller is connected.
  func callerConnected()
  /// The caller has been through its devices for the first time.
  func firstPassDone()
  /// A good reply has come to what was sent at that time; true asks for the next request.
  func replied(sentNs: Int64, nowNs: Int64) -> Bool
  func callerFailed(_ reason: String)
}

/// One unpipelined caller, which goes round and round its own devices.
final class LoadCaller: FileWatchOwner {
  private unowned let owner: any LoadOwner
  private let socket: Socket
  private let requests: [[UInt8]]
  private let goodReplyByte: UInt8
  private var watch: FileWatch?
  private var isConnected = false
  private var next = 0
  private var isFirstPass = true
  private var sentNs: Int64 = 0
  /// A reply of which a part has come.
  private var partial: [UInt8] = []

  init(
    _ loop: EventLoop, _ socket: Socket, _ requests: [[UInt8]], _ target: LoadTarget,
    owner: any LoadOwner
  ) {
    self.owner = owner
    self.socket = socket
    self.requests = requests
    goodReplyByte = target.goodReplyByte
    watch = FileWatch(loop, socket.descriptor, owner: self)
    watch?.want(.write)
  }

  deinit {
    watch = nil
    socket.close()
  }

  func fileReady(_ readiness: Readiness) {
    if isConnected { read() } else { connected() }
  }

  private func connected() {
    let outcome = socket.connectOutcome()
    guard outcome == 0 else {
      owner.callerFailed(SystemError("connect", outcome).description)
      return
    }
    isConnected = true
    watch?.want(.read)
    owner.callerConnected()
    send(nowNs: MonotonicTime.nowNs())
  }

  private func send(nowNs: Int64) {
    let request = requests[next]
    next = next + 1 == requests.count ? 0 : next + 1
    sentNs = nowNs
    // A request is far smaller than a socket's buffer, and none is under way.
    guard request.withUnsafeBytes({ socket.write($0) }) == .moved(request.count) else {
      owner.callerFailed("a request could not be written")
      return
    }
  }

  private func read() {
    switch socket.read(into: owner.readBuffer) {
    case .moved(let count): take(UnsafeRawBufferPointer(rebasing: owner.readBuffer[..<count]))
    case .wouldBlock: return
    case .ended: owner.callerFailed("the server closed a connection")
    case .broken(let number): owner.callerFailed(SystemError("read", number).description)
    }
  }

  private func take(_ bytes: UnsafeRawBufferPointer) {
    guard bytes[bytes.count - 1] == UInt8(ascii: "\n") else {
      partial += bytes
      return
    }
    guard (partial.first ?? bytes[0]) == goodReplyByte else {
      owner.callerFailed("bad reply: " + String(decoding: partial + bytes, as: UTF8.self))
      return
    }
    if !partial.isEmpty { partial = [] }
    let nowNs = MonotonicTime.nowNs()
    if isFirstPass, next == 0 {
      isFirstPass = false
      owner.firstPassDone()
    }
    if owner.replied(sentNs: sentNs, nowNs: nowNs) { send(nowNs: nowNs) }
  }
}
