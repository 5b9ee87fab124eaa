// Owns: one connection that watches, and the moments at which changes come. Runs on the loop's
// thread.

import Loop

/// The callbacks of a watcher to its run.
protocol ChangeWatcherOwner: AnyObject {
  var readBuffer: UnsafeMutableRawBufferPointer { get }
  /// Its WATCH was answered.
  func watcherBegan()
  /// The change with this number has come, counted from 0.
  func changeCame(_ number: Int, nowNs: Int64)
  func watcherFailed(_ reason: String)
}

/// A connection that watches one device.
final class ChangeWatcher: FileWatchOwner {
  private unowned let owner: any ChangeWatcherOwner
  private let socket: Socket
  private let request: [UInt8]
  private var watch: FileWatch?
  private var isConnected = false
  /// The first byte of the line that is coming; nil at its beginning.
  private var first: UInt8?
  private var hasBegun = false
  /// The changes that have come.
  private var changes = 0

  init(_ loop: EventLoop, _ socket: Socket, _ request: [UInt8], owner: any ChangeWatcherOwner) {
    self.owner = owner
    self.socket = socket
    self.request = request
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
      return owner.watcherFailed(SystemError("connect", outcome).description)
    }
    isConnected = true
    watch?.want(.read)
    // A request is far smaller than a socket's buffer.
    guard request.withUnsafeBytes({ socket.write($0) }) == .moved(request.count) else {
      return owner.watcherFailed("a request could not be written")
    }
  }

  private func read() {
    switch socket.read(into: owner.readBuffer) {
    case .moved(let count): take(UnsafeRawBufferPointer(rebasing: owner.readBuffer[..<count]))
    case .wouldBlock: return
    case .ended: owner.watcherFailed("the server closed a connection")
    case .broken(let number): owner.watcherFailed(SystemError("read", number).description)
    }
  }

  /// Each line counts at its end: the first one is the reply to WATCH, and each `EVENT`, or `data:`
  /// by HTTP, is one SAY's change, in their order.
  private func take(_ bytes: UnsafeRawBufferPointer) {
    let nowNs = MonotonicTime.nowNs()
    for byte in bytes {
      guard byte == UInt8(ascii: "\n") else {
        first = first ?? byte
        continue
      }
      if !hasBegun {
        hasBegun = true
        owner.watcherBegan()
      } else if first == UInt8(ascii: "E") || first == UInt8(ascii: "d") {
        owner.changeCame(changes, nowNs: nowNs)
        changes += 1
      }
      first = nil
    }
  }
}
