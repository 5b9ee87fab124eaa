// Owns: callers that send the lines of a file again and again, whatever the replies are: those that
// ask for much, the calm ones beside them, and more of them than Redis carries. Runs on the main
// thread, which is the loop's.

import Glibc
import Loop

/// The replies of one kind.
struct ReplyFigures {
  private(set) var latenciesNs: [Int64] = []

  var count: Int { latenciesNs.count }
  mutating func add(_ ns: Int64) { latenciesNs.append(ns) }

  /// The latency in microseconds that a share of them did not exceed, for each share.
  func us(_ shares: [Double]) -> [Int64] {
    let sorted = latenciesNs.sorted()
    return shares.map { share in
      sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))] / 1_000
    }
  }
}

/// One caller.
private final class Requester: FileWatchOwner {
  private unowned let run: RequestRun
  private let number: Int
  private var socket: Socket?
  private var watch: FileWatch?
  private var isConnected = false
  private var again: LoopTimer?
  private var toSend: [UInt8] = []
  private var sentCount = 0
  private var sentNs: Int64 = 0
  private var awaited = 0
  private var rounds = 0
  /// The beginning of a reply that has not ended.
  private var start: [UInt8] = []
  private var wasRefused = false

  init(_ run: RequestRun, _ number: Int) {
    self.run = run
    self.number = number
    again = LoopTimer(run.loop) { [unowned self] in
      if socket == nil { connect() } else { sendAll() }
    }
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
      again?.set(afterMs: 100)
    }
  }

  func fileReady(_ readiness: Readiness) {
    guard let socket else { return }
    if !isConnected {
      guard socket.connectOutcome() == 0 else { return lost() }
      isConnected = true
      return sendAll()
    }
    if readiness.canWrite { write(socket) }
    if readiness.canRead { read(socket) }
  }

  private func sendAll() {
    guard let socket else { return connect() }
    rounds += 1
    guard run.roundsMax == 0 || rounds <= run.roundsMax else { return run.ended() }
    toSend = run.lines(of: number)
    (sentCount, awaited, wasRefused) = (0, run.lineCount, false)
    sentNs = MonotonicTime.nowNs()
    write(socket)
  }

  private func write(_ socket: Socket) {
    while sentCount < toSend.count {
      let outcome = toSend.withUnsafeBytes { bytes in
        socket.write(UnsafeRawBufferPointer(rebasing: bytes[sentCount...]))
      }
      switch outcome {
      case .moved(let count): sentCount += count
      case .wouldBlock:
        watch?.want(.both)
        return
      case .ended, .broken: return lost()
      }
    }
    watch?.want(.read)
    // A caller that is gone as soon as it has asked.
    guard run.leaves else { return }
    close()
    again?.set(afterMs: 1_000)
  }

  private func read(_ socket: Socket) {
    switch socket.read(into: run.readBuffer) {
    case .moved(let count):
      let bytes = UnsafeRawBufferPointer(rebasing: run.readBuffer[..<count])
      for byte in bytes {
        if byte != UInt8(ascii: "\n") {
          if start.count < 20 { start.append(byte) }
          continue
        }
        replied()
      }
    case .wouldBlock: break
    case .ended, .broken: lost()
    }
  }

  private func replied() {
    let ns = MonotonicTime.nowNs() - sentNs
    wasRefused = run.count(start, ns: ns) || wasRefused
    start.removeAll(keepingCapacity: true)
    awaited -= 1
    guard awaited == 0 else { return }
    guard wasRefused, run.pauseMs > 0 else { return sendAll() }
    again?.set(afterMs: run.pauseMs)
  }

  private func lost() {
    run.lost += 1
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

/// All callers, for a while.
final class RequestRun {
  let loop: EventLoop
  let address: SocketAddress
  let roundsMax: Int
  let leaves: Bool
  let pauseMs: Int64
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
  var lost = 0
  private let options: FleetOptions
  private let text: [UInt8]
  let lineCount: Int
  private var served = ReplyFigures()
  private var refused = ReplyFigures()
  private var unavailable = 0
  private var unknown = 0
  private var lastServedNs: Int64
  private var gapNs: Int64 = 0
  private var callers: [Requester] = []
  private var running = 0
  private var end: LoopTimer?

  init(_ options: FleetOptions) throws(LoadFailure) {
    self.options = options
    guard let path = options.linesFile else { throw LoadFailure("requests needs --lines") }
    text = try RequestRun.read(path)
    lineCount = text.count { $0 == UInt8(ascii: "\n") }
    guard lineCount > 0 else { throw LoadFailure("\(path) has no line") }
    roundsMax = options.rounds
    leaves = options.leaves
    pauseMs = options.pauseMs
    lastServedNs = MonotonicTime.nowNs()
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.address)
    } catch {
      throw LoadFailure(error)
    }
    end = LoopTimer(loop) { [unowned self] in loop.stop() }
  }

  deinit { readBuffer.deallocate() }

  static func read(_ path: String) throws(LoadFailure) -> [UInt8] {
    guard let file = fopen(path, "re") else { throw LoadFailure("\(path) cannot be read") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&room, 1, room.count, file)
      guard count > 0 else { return bytes }
      bytes += room[..<count]
    }
  }

  /// The lines of a caller: `%` stands for its number.
  func lines(of number: Int) -> [UInt8] {
    guard text.contains(UInt8(ascii: "%")) else { return text }
    let digits = Array("\(number)".utf8)
    return text.flatMap { $0 == UInt8(ascii: "%") ? digits : [$0] }
  }

  /// Counts a reply by its first bytes; returns whether it is a refusal.
  func count(_ start: [UInt8], ns: Int64) -> Bool {
    if start.starts(with: "ERR overloaded".utf8) {
      refused.add(ns)
      return true
    }
    if start.starts(with: "ERR unavailable".utf8) {
      unavailable += 1
      return true
    }
    if start.starts(with: "ERR unknown_outcome".utf8) {
      unknown += 1
      return true
    }
    served.add(ns)
    let nowNs = MonotonicTime.nowNs()
    gapNs = max(gapNs, nowNs - lastServedNs)
    lastServedNs = nowNs
    return false
  }

  /// A caller has had its rounds.
  func ended() {
    running -= 1
    if running == 0 { loop.stop() }
  }

  /// Asks until the time is over, and returns the result in one line.
  func measure() -> String {
    callers = (0..<options.connections).map { Requester(self, $0) }
    running = callers.count
    let startedNs = MonotonicTime.nowNs()
    lastServedNs = startedNs
    for caller in callers { caller.connect() }
    end?.set(afterMs: Int64(options.seconds * 1_000))
    loop.run()
    let endedNs = MonotonicTime.nowNs()
    let seconds = Double(endedNs - startedNs) / 1e9
    gapNs = max(gapNs, endedNs - lastServedNs)
    let times = served.us([0.5, 0.99, 1])
    let refusals = refused.us([0.5, 0.99])
    return "{\"connections\":\(options.connections),\"served\":\(served.count)"
      + ",\"served_per_s\":\(Int(Double(served.count) / seconds)),\"p50_us\":\(times[0])"
      + ",\"p99_us\":\(times[1]),\"max_us\":\(times[2]),\"gap_ms\":\(gapNs / 1_000_000)"
      + ",\"refused\":\(refused.count),\"refused_p50_us\":\(refusals[0])"
      + ",\"refused_p99_us\":\(refusals[1]),\"unavailable\":\(unavailable)"
      + ",\"unknown\":\(unknown),\"lost\":\(lost)}"
  }
}
