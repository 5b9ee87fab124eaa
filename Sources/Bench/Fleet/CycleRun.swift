// Owns: callers who connect, say who they are, take a lock and go, again and again, as serverless
// functions do; and how many of these cycles there were. Runs on the main thread, which is the
// loop's.

import Glibc
import Loop

/// One caller, with one connection at a time.
private final class CycleCaller: FileWatchOwner {
  private unowned let run: CycleRun
  private let request: [UInt8]
  private let resumes: Bool
  private var transport: Transport?
  private var watch: FileWatch?
  private var isConnected = false
  /// Whether bytes can go both ways.
  private var isOpen = false
  /// Of the latest connection by TLS: the next one resumes its session.
  private var ticket: TLSTicket?
  private var startNs: Int64 = 0
  private var reply: [UInt8] = []

  init(_ run: CycleRun, _ request: [UInt8]) {
    self.run = run
    self.request = request
    resumes = run.resumes
  }

  deinit { close() }

  func begin() {
    startNs = MonotonicTime.nowNs()
    do throws(SystemError) {
      let socket = try run.address.connect()
      transport = run.way.over(socket, resuming: ticket)
      (isConnected, isOpen) = (false, false)
      reply.removeAll(keepingCapacity: true)
      watch = FileWatch(run.loop, socket.descriptor, owner: self)
      watch?.want(.write)
    } catch {
      run.failed(error.description)
    }
  }

  func fileReady(_ readiness: Readiness) {
    guard let transport else { return }
    if isOpen { return read(transport) }
    if !isConnected {
      let outcome = transport.socket.connectOutcome()
      guard outcome == 0 else { return run.failed(SystemError("connect", outcome).description) }
      isConnected = true
    }
    switch transport.shakeHands() {
    case .underWay: watch?.want(transport.wants)
    case .failed(let reason): run.failed(reason)
    case .plain: run.failed("the server does not speak TLS")
    case .done:
      isOpen = true
      watch?.want(.read)
      if transport.isResumed { run.resumed += 1 }
      guard request.withUnsafeBytes({ transport.write($0) }) == .moved(request.count) else {
        return run.failed("a request could not be written")
      }
    }
  }

  private func read(_ transport: Transport) {
    switch transport.read(into: run.readBuffer) {
    case .moved(let count): reply += run.readBuffer[..<count]
    case .wouldBlock: return
    case .ended: return run.failed("the server closed a connection")
    case .broken(let number): return run.failed(SystemError("read", number).description)
    }
    if transport.hasBufferedInput { return read(transport) }
    let lines = reply.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard lines.count > run.target.cycleReplies.count else { return }
    for (line, first) in zip(lines, run.target.cycleReplies) where line.first != first {
      return run.failed("bad reply: " + String(decoding: reply, as: UTF8.self))
    }
    close()
    if run.cycleDone(ns: MonotonicTime.nowNs() - startNs) { begin() }
  }

  private func close() {
    watch = nil
    if resumes { ticket = transport?.ticket ?? ticket }
    transport?.close()
    transport = nil
  }
}

/// All callers of a measurement.
final class CycleRun {
  let target: LoadTarget
  let loop: EventLoop
  let address: SocketAddress
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  private let options: FleetOptions
  private let scriptHash: String
  /// How callers reach the target, and whether by TLS they resume their sessions.
  let way: LoadTransport
  var resumes: Bool { options.resumes }
  /// How many sessions were resumed.
  var resumed = 0
  private var callers: [CycleCaller] = []
  private var end: LoopTimer?
  private var latenciesNs: [UInt32] = []
  private var isOver = false
  private var failure: String?

  init(_ target: LoadTarget, _ options: FleetOptions) throws(LoadFailure) {
    self.target = target
    self.options = options
    way = try LoadTransport(options.authority, to: options.address)
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.address)
    } catch {
      throw LoadFailure(error)
    }
    scriptHash =
      target == .redis ? try LoadTarget.loadScript(address, secret: options.secret) : ""
    latenciesNs.reserveCapacity(Int(options.seconds * 50_000))
    end = LoopTimer(loop) { [unowned self] in
      isOver = true
      loop.stop()
    }
  }

  deinit { readBuffer.deallocate() }

  func measure() throws(LoadFailure) -> BenchReport {
    callers = (0..<options.connections).map { index in
      CycleCaller(
        self,
        target.auth(options.secret)
          + target.request(
            device: "cycle-\(index)", agent: "agent-\(index)", scriptHash: scriptHash))
    }
    let before = ProcessorTimes.now(of: options.observed)
    let startNs = MonotonicTime.nowNs()
    for caller in callers { caller.begin() }
    end?.set(afterMs: Int64(options.seconds * 1_000))
    loop.run()
    if let failure { throw LoadFailure(failure) }
    if options.authority != nil, options.resumes, 2 * resumed < latenciesNs.count {
      throw LoadFailure("\(resumed) of \(latenciesNs.count) sessions were resumed")
    }
    var shown = BenchOptions()
    shown.target = target
    shown.connections = options.connections
    shown.devices = options.connections
    return BenchReport(
      options: shown, latenciesNs: latenciesNs.sorted(),
      seconds: Double(MonotonicTime.nowNs() - startNs) / 1e9,
      spent: ProcessorTimes.now(of: options.observed).minus(before))
  }

  /// Counts a cycle; true asks for the next one.
  func cycleDone(ns: Int64) -> Bool {
    if !isOver { latenciesNs.append(UInt32(clamping: ns)) }
    return !isOver
  }

  func failed(_ reason: String) {
    if failure == nil { failure = reason }
    loop.stop()
  }
}

extension LoadTarget {
  /// The AUTH line; nothing without a secret.
  fileprivate func auth(_ secret: String?) -> [UInt8] {
    guard let secret else { return [] }
    return self == .latchkey
      ? Array("AUTH \(secret)\n".utf8) : LoadTarget.command(["AUTH", secret])
  }

  /// How the lines of both replies begin.
  fileprivate var cycleReplies: [UInt8] {
    switch self {
    case .latchkey: Array("OO".utf8)
    case .http: Array("HH".utf8)
    case .redis, .webdis: Array("+:".utf8)
    }
  }
}
