// Owns: requests at a rate that does not wait for replies, more than Redis carries, and then few
// again: what is served, what is refused and how soon, and how long it takes until all is well.
// Runs on the main thread, which is the loop's.

import Glibc
import Loop

/// One connection, with one request under way at most.
private final class OpenCaller: FileWatchOwner {
  private unowned let run: OverloadRun
  private var socket: Socket?
  private var watch: FileWatch?
  private var isConnected = false
  private var again: LoopTimer?
  /// When the request that is under way was due.
  private var dueNs: Int64?
  /// The beginning of its reply.
  private var start: [UInt8] = []

  init(_ run: OverloadRun) {
    self.run = run
    again = LoopTimer(run.loop) { [unowned self] in connect() }
  }

  deinit { close() }

  func connect() {
    do throws(SystemError) {
      let socket = try run.address.connect()
      self.socket = socket
      isConnected = false
      watch = FileWatch(run.loop, socket.descriptor, owner: self)
      watch?.want(.write)
    } catch {
      again?.set(afterMs: 20)
    }
  }

  func fileReady(_ readiness: Readiness) {
    guard let socket else { return }
    guard isConnected else {
      guard socket.connectOutcome() == 0 else { return lost() }
      isConnected = true
      watch?.want(.read)
      guard let auth = run.auth else { return run.isFree(self) }
      if auth.withUnsafeBytes({ socket.write($0) }) != .moved(auth.count) { lost() }
      return
    }
    switch socket.read(into: run.readBuffer) {
    case .moved(let count):
      let bytes = UnsafeRawBufferPointer(rebasing: run.readBuffer[..<count])
      if start.count < 20 { start += bytes.prefix(20 - start.count) }
      guard bytes.last == UInt8(ascii: "\n") else { return }
      replied()
    case .wouldBlock: break
    case .ended, .broken: lost()
    }
  }

  /// Sends a request, which was due at that time.
  func send(_ request: [UInt8], dueNs: Int64) {
    guard let socket else { return }
    self.dueNs = dueNs
    // A request is far smaller than a socket's buffer, and none is under way.
    guard request.withUnsafeBytes({ socket.write($0) }) == .moved(request.count) else {
      return lost()
    }
  }

  private func replied() {
    if let dueNs { run.count(start, dueNs: dueNs) }
    dueNs = nil
    start.removeAll(keepingCapacity: true)
    run.isFree(self)
  }

  private func lost() {
    run.lost += 1
    dueNs = nil
    close()
    again?.set(afterMs: 20)
  }

  private func close() {
    watch = nil
    socket?.close()
    socket = nil
    start.removeAll(keepingCapacity: true)
  }
}

/// A load that comes at a rate, and the calm after it.
final class OverloadRun {
  /// Replies to a phase's requests.
  private struct Phase {
    var served = ReplyFigures()
    var refused = ReplyFigures()
    var unavailable = 0
    var unknown = 0
    var other = 0

    var count: Int { served.count + refused.count + unavailable + unknown + other }
  }

  let loop: EventLoop
  let address: SocketAddress
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  var lost = 0
  private let options: FleetOptions
  /// What a connection begins with; nil without a secret.
  let auth: [UInt8]?
  /// The line for each device: its number stands for `%`.
  private let requests: [[UInt8]]
  private var requestsSent = 0
  private var arrivals: Arrivals
  private var callers: [OpenCaller] = []
  private var free: [OpenCaller] = []
  private var connected = 0
  private var pace: LoopTimer?
  private var end: LoopTimer?
  private var startNs: Int64 = .max
  private var loadEndNs: Int64 = .max
  private var unsent = 0
  private var load = Phase()
  private var calm = Phase()
  /// How many requests were served while the load came.
  private var servedMeanwhile = 0
  /// When the latest request of the calm was due that was not served well.
  private var latestBadNs: Int64?
  /// A served request that took longer was not served well.
  private static let goodNs: Int64 = 250_000_000

  init(_ options: FleetOptions) throws(LoadFailure) {
    self.options = options
    guard let path = options.linesFile else { throw LoadFailure("overload needs --lines") }
    guard let rate = options.rate else { throw LoadFailure("overload needs --rate") }
    auth = options.secret.map { Array("AUTH \($0)\n".utf8) }
    let line = try RequestRun.read(path)
    guard line.count(where: { $0 == UInt8(ascii: "\n") }) == 1 else {
      throw LoadFailure("\(path) has to have one line")
    }
    requests = (0..<max(1, options.devices)).map { number in
      line.flatMap { $0 == UInt8(ascii: "%") ? Array("\(number)".utf8) : [$0] }
    }
    arrivals = Arrivals(rate: rate, nowNs: 0)
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.address)
    } catch {
      throw LoadFailure(error)
    }
    pace = LoopTimer(loop) { [unowned self] in paced() }
    end = LoopTimer(loop) { [unowned self] in phaseEnds() }
  }

  deinit { readBuffer.deallocate() }

  /// A connection has nothing under way.
  fileprivate func isFree(_ caller: OpenCaller) {
    free.append(caller)
    guard startNs == .max else { return }
    connected += 1
    if connected == options.connections { begin() } else { connectNext() }
  }

  private func connectNext() {
    guard callers.count < options.connections else { return }
    let caller = OpenCaller(self)
    callers.append(caller)
    caller.connect()
  }

  private func begin() {
    startNs = MonotonicTime.nowNs()
    arrivals = Arrivals(rate: options.rate ?? 1, nowNs: startNs)
    end?.set(afterMs: Int64(options.seconds * 1_000))
    paced()
  }

  /// Sends what has become due.
  private func paced() {
    let nowNs = MonotonicTime.nowNs()
    while !free.isEmpty, let dueNs = arrivals.take(nowNs) {
      requestsSent += 1
      free.removeLast().send(requests[requestsSent % requests.count], dueNs: dueNs)
    }
    pace?.set(afterMs: 1)
  }

  private func phaseEnds() {
    guard loadEndNs == .max, let rate = options.afterRate else { return loop.stop() }
    loadEndNs = MonotonicTime.nowNs()
    // What no connection was free for was not sent, and comes no more.
    unsent = arrivals.due.waiting.count
    arrivals = Arrivals(rate: rate, nowNs: loadEndNs)
    end?.set(afterMs: Int64(options.afterSeconds * 1_000))
  }

  /// Counts a reply by its first bytes.
  func count(_ start: [UInt8], dueNs: Int64) {
    let nowNs = MonotonicTime.nowNs()
    let isCalm = dueNs >= loadEndNs
    let isServed = add(start, nowNs - dueNs, to: isCalm ? \.calm : \.load)
    if isServed, nowNs < loadEndNs { servedMeanwhile += 1 }
    if isCalm, !isServed || nowNs - dueNs > OverloadRun.goodNs {
      latestBadNs = max(latestBadNs ?? 0, dueNs)
    }
  }

  /// Returns whether it was served.
  private func add(
    _ start: [UInt8], _ ns: Int64, to phase: ReferenceWritableKeyPath<OverloadRun, Phase>
  ) -> Bool {
    if start.starts(with: "ERR overloaded".utf8) {
      self[keyPath: phase].refused.add(ns)
    } else if start.starts(with: "ERR unavailable".utf8) {
      self[keyPath: phase].unavailable += 1
    } else if start.starts(with: "ERR unknown_outcome".utf8) {
      self[keyPath: phase].unknown += 1
    } else if start.starts(with: "ERR".utf8) {
      self[keyPath: phase].other += 1
    } else {
      self[keyPath: phase].served.add(ns)
      return true
    }
    return false
  }

  /// Runs both phases, and returns the result in one line.
  func measure() -> String {
    for _ in 0..<min(options.connections, 64) { connectNext() }
    loop.run()
    let endNs = loadEndNs == .max ? MonotonicTime.nowNs() : loadEndNs
    let seconds = Double(endNs - startNs) / 1e9
    if loadEndNs == .max { servedMeanwhile = load.served.count }
    let (times, refusals) = (load.served.us([0.5, 0.99]), load.refused.us([0.5, 0.99]))
    let recoveryMs = latestBadNs.map { ($0 - endNs) / 1_000_000 + 1 } ?? 0
    return "{\"connections\":\(options.connections),\"offered_per_s\":\(Int(options.rate ?? 0))"
      + ",\"answered\":\(load.count)"
      + ",\"served_per_s\":\(Int(Double(servedMeanwhile) / seconds)),\"p50_us\":\(times[0])"
      + ",\"p99_us\":\(times[1]),\"refused\":\(load.refused.count)"
      + ",\"refused_p50_us\":\(refusals[0]),\"refused_p99_us\":\(refusals[1])"
      + ",\"unavailable\":\(load.unavailable),\"unknown\":\(load.unknown),\"other\":\(load.other)"
      + ",\"unsent\":\(unsent),\"lost\":\(lost),\"after_served\":\(calm.served.count)"
      + ",\"after_failed\":\(calm.count - calm.served.count),\"recovery_ms\":\(recoveryMs)}"
  }
}
