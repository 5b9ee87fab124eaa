// Owns: callers who each answer the messages of a conversation of their own, one after another, and
// how many messages there were. Runs on the main thread, which is the loop's.

import Glibc
import Loop

/// The requests with which one message is answered.
enum MessageWay: String {
  /// TURN and DONE.
  case turn
  /// LOCK, RECOVER, SAY, HISTORY, SAY and UNLOCK.
  case six

  static let question = "{\"role\":\"user\",\"content\":\"Can I move my visit to Friday?\"}"
  static let answer = "{\"role\":\"assistant\",\"content\":\"Yes: Friday at ten is free.\"}"

  /// The requests for a message, with the turn where `#` stands.
  func requests(_ device: String) -> [String] {
    switch self {
    case .turn:
      [
        "TURN \(device) last=20 \(MessageWay.question)",
        "DONE \(device) turn=# {\"say\":\(MessageWay.answer)}",
      ]
    case .six:
      [
        "LOCK \(device) agent", "RECOVER \(device)", "SAY \(device) \(MessageWay.question)",
        "HISTORY \(device) last=20", "SAY \(device) \(MessageWay.answer)",
        "UNLOCK \(device) agent",
      ]
    }
  }

  /// The requests that make a session with three fields and twenty messages.
  static func history(_ device: String) -> [String] {
    let messages = repeatElement("\(question),\(answer)", count: 10).joined(separator: ",")
    return [
      "OPEN \(device) {\"lang\":\"en\",\"step\":7,\"topic\":\"visits\"}",
      "SAY \(device) [\(messages)]",
    ]
  }
}

/// One caller: it sends a request, reads the reply, and sends the next one.
private final class MessageCaller: FileWatchOwner {
  private unowned let run: MessageRun
  private let socket: Socket
  private let requests: [String]
  private var watch: FileWatch?
  private var isConnected = false
  private var next = 0
  private var startNs: Int64 = 0
  private var reply: [UInt8] = []

  init(_ run: MessageRun, _ socket: Socket, _ requests: [String]) {
    self.run = run
    self.socket = socket
    self.requests = requests
    watch = FileWatch(run.loop, socket.descriptor, owner: self)
    watch?.want(.write)
  }

  deinit {
    watch = nil
    socket.close()
  }

  func fileReady(_ readiness: Readiness) {
    if isConnected { return read() }
    let outcome = socket.connectOutcome()
    guard outcome == 0 else { return run.failed(SystemError("connect", outcome).description) }
    isConnected = true
    watch?.want(.read)
    send()
  }

  private func send() {
    if next == 0 { startNs = MonotonicTime.nowNs() }
    var line = requests[next]
    if line.contains("#") {
      let text = String(decoding: reply, as: UTF8.self)
      line = line.replacing("#", with: "\(ReplyFigure.number("turn", in: text[...]) ?? 0)")
    }
    reply.removeAll(keepingCapacity: true)
    let bytes = Array("\(line)\n".utf8)
    guard bytes.withUnsafeBytes({ socket.write($0) }) == .moved(bytes.count) else {
      return run.failed("a request could not be written")
    }
  }

  private func read() {
    switch socket.read(into: run.readBuffer) {
    case .moved(let count): reply += run.readBuffer[..<count]
    case .wouldBlock: return
    case .ended: return run.failed("the server closed a connection")
    case .broken(let number): return run.failed(SystemError("read", number).description)
    }
    guard reply.last == UInt8(ascii: "\n") else { return }
    guard reply.starts(with: "OK".utf8) else {
      return run.failed("\(requests[next]): " + String(decoding: reply, as: UTF8.self))
    }
    next = (next + 1) % requests.count
    if next == 0, !run.messageDone(ns: MonotonicTime.nowNs() - startNs) { return }
    send()
  }
}

/// All callers of a measurement.
final class MessageRun {
  let loop: EventLoop
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  private let way: MessageWay
  private let options: TurnsOptions
  private let address: SocketAddress
  private var callers: [MessageCaller] = []
  private var timer: LoopTimer?
  private var latenciesNs: [UInt32] = []
  private var isCounting = false
  private var isOver = false
  private var failure: String?
  /// How many callers have ended after the time was up: none leaves a turn behind.
  private var ended = 0
  private var before = ProcessorTimes()
  private var spent = ProcessorTimes()
  private var startNs: Int64 = 0
  private var endNs: Int64 = 0

  /// So long the callers go on before they are counted.
  private static let warmUpMs: Int64 = 300

  init(_ way: MessageWay, _ options: TurnsOptions) throws(LoadFailure) {
    self.way = way
    self.options = options
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.workers[0])
    } catch {
      throw LoadFailure(error)
    }
    timer = LoopTimer(loop) { [unowned self] in timerFired() }
  }

  deinit { readBuffer.deallocate() }

  func measure() throws(LoadFailure) -> BenchReport {
    let devices = (0..<options.connections).map { "\(way.rawValue)-\(options.connections)-\($0)" }
    let worker = try PatientConnection(options.workers[0])
    for device in devices {
      // An earlier round has made it.
      if try worker.request("GET \(device)") != "NONE" { continue }
      for line in MessageWay.history(device) where try !worker.request(line).hasPrefix("OK") {
        throw LoadFailure("\(device) cannot be filled")
      }
    }
    do throws(SystemError) {
      for device in devices {
        callers.append(MessageCaller(self, try address.connect(), way.requests(device)))
      }
    } catch {
      throw LoadFailure(error)
    }
    timer?.set(afterMs: MessageRun.warmUpMs)
    loop.run()
    if let failure { throw LoadFailure(failure) }
    let seconds = Double(endNs - startNs) / 1e9
    var shown = BenchOptions()
    shown.connections = options.connections
    shown.devices = options.connections
    return BenchReport(
      options: shown, latenciesNs: latenciesNs.sorted(), seconds: seconds, spent: spent)
  }

  private func timerFired() {
    if isCounting {
      isOver = true
      endNs = MonotonicTime.nowNs()
      spent = ProcessorTimes.now(of: options.observed).minus(before)
      return
    }
    isCounting = true
    before = ProcessorTimes.now(of: options.observed)
    startNs = MonotonicTime.nowNs()
    timer?.set(afterMs: Int64(options.seconds) * 1_000)
  }

  /// Whether the caller goes on.
  func messageDone(ns: Int64) -> Bool {
    guard isOver else {
      if isCounting { latenciesNs.append(UInt32(clamping: ns)) }
      return true
    }
    ended += 1
    if ended == callers.count { loop.stop() }
    return false
  }

  func failed(_ reason: String) {
    if failure == nil { failure = reason }
    loop.stop()
  }
}
