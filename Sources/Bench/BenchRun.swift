// Owns: one load from its first connection to its figures. Runs on the main thread, which is the
// loop's.

import Glibc
import Loop

/// All callers of a load, and the phases it goes through.
final class BenchRun: LoadOwner {
  private enum Phase {
    /// Callers are being connected and do their first pass; goes to pacing,
    /// counting or over.
    case warming
    /// In an open loop, requests have begun to be sent when they are due; goes to counting.
    case pacing
    /// Replies are being counted; goes to over.
    case counting
    case over
  }

  private let options: BenchOptions
  private let loop: EventLoop
  private let address: SocketAddress
  private let scriptHash: String
  private let way: LoadTransport
  private var end: LoopTimer?
  /// When requests are due in an open loop; nil in a closed one.
  private var arrivals: Arrivals?
  private var free = WaitingLine<LoadCaller>()
  private var pace: LoopTimer?
  private var callers: [LoadCaller] = []
  private var passesDone = 0
  private var failure: String?
  private var phase = Phase.warming
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

  private var startNs: Int64 = 0
  private var endNs: Int64 = 0
  private var latenciesNs: [UInt32] = []
  private var unanswered = 0
  private var before = ProcessorTimes()
  private var after = ProcessorTimes()

  init(_ options: BenchOptions) throws(LoadFailure) {
    self.options = options
    way = try LoadTransport(options.authority, to: options.address)
    // Requests are due at moments that are finer than a loop's timers usually are.
    if options.rate != nil { setenv("EVENT_PRECISE_TIMER", "1", 1) }
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.address)
    } catch {
      throw LoadFailure(error)
    }
    scriptHash = try BenchRun.scriptHash(options, address)
    latenciesNs.reserveCapacity(Int(options.seconds * 400_000))
    end = LoopTimer(loop) { [unowned self] in timeIsUp() }
    pace = LoopTimer(loop) { [unowned self] in paced() }
  }

  deinit { readBuffer.deallocate() }

  /// Runs the load; throws at the first thing that goes wrong.
  func measure() throws(LoadFailure) -> BenchReport {
    // Few connect at a time, so that the server's queue of new ones never overflows: that would
    // cost a second each.
    for _ in 0..<min(128, options.connections) { addCaller() }
    loop.run()
    if let failure { throw LoadFailure(failure) }
    return BenchReport(
      options: options, latenciesNs: latenciesNs.sorted(), seconds: Double(endNs - startNs) / 1e9,
      spent: after.minus(before), unanswered: unanswered)
  }

  private static func scriptHash(
    _ options: BenchOptions, _ address: SocketAddress
  ) throws(LoadFailure) -> String {
    guard options.target == .redis || options.target == .webdis else { return "" }
    guard let scripts = options.scripts else { return try LoadTarget.loadScript(address) }
    let resolved: SocketAddress
    do throws(SystemError) {
      resolved = try SocketAddress.resolve(scripts)
    } catch {
      throw LoadFailure(error)
    }
    return try LoadTarget.loadScript(resolved)
  }

  private func addCaller() {
    let index = callers.count
    // The number of callers is part of the name: loads of other sizes have other holders.
    let requests = stride(from: index, to: options.devices, by: options.connections).flatMap {
      let (device, agent) = ("\(options.prefix)-\(options.connections)-\($0)", "agent-\(index)")
      guard options.target != .latchkey else {
        return options.verb.requests(device: device, agent: agent, messages: options.messages)
      }
      return [options.target.request(device: device, agent: agent, scriptHash: scriptHash)]
    }
    do throws(SystemError) {
      let socket = try address.connect()
      callers.append(
        LoadCaller(loop, way.over(socket), requests, options.target, owner: self))
    } catch {
      callerFailed(error.description)
    }
  }

  func callerConnected() {
    if callers.count < options.connections { addCaller() }
  }

  func callerFailed(_ reason: String) {
    if failure == nil { failure = reason }
    loop.stop()
  }

  func firstPassDone() { passesDone += 1 }

  func replied(_ caller: LoadCaller, sentNs: Int64, nowNs: Int64) -> Int64? {
    if phase == .counting {
      // In an open loop, startNs is not when the first one is sent, but when the first is due.
      if arrivals == nil || sentNs >= startNs {
        latenciesNs.append(UInt32(clamping: nowNs - sentNs))
      }
      if let most = options.requests, latenciesNs.count >= most { countingEnded() }
    } else if phase == .warming, passesDone == options.connections {
      if let rate = options.rate { pacingBegins(rate, nowNs) } else { countingBegins(nowNs) }
    }
    switch phase {
    // Those that are done first go on meanwhile, so that counting begins at full load.
    case .warming: return options.requests != 0 || caller.isFirstPass ? nowNs : nil
    case .pacing, .counting:
      guard arrivals != nil else { return nowNs }
      if let dueNs = arrivals?.take(nowNs) { return dueNs }
      free.push(caller)
      return nil
    case .over: return nil
    }
  }

  /// Counting begins when the full load that comes before has been worked off.
  private func pacingBegins(_ rate: Double, _ nowNs: Int64) {
    phase = .pacing
    arrivals = Arrivals(rate: rate, nowNs: nowNs)
    pace?.set(afterUs: 0)
    end?.set(afterMs: 500)
  }

  /// Sends the requests that have become due without a reply.
  private func paced() {
    guard phase != .over else { return }
    let nowNs = MonotonicTime.nowNs()
    while !free.isEmpty, let dueNs = arrivals?.take(nowNs) { free.pop()?.send(nowNs: dueNs) }
    // With every caller busy, what is due goes to the first who is answered.
    pace?.set(afterUs: max(100, ((arrivals?.nextDueNs ?? 0) - nowNs) / 1_000))
  }

  private func timeIsUp() {
    if phase == .pacing { countingBegins(MonotonicTime.nowNs()) } else { countingEnded() }
  }

  private func countingBegins(_ nowNs: Int64) {
    startNs = nowNs
    before = ProcessorTimes.now(of: options.observed)
    phase = .counting
    if options.requests == 0 {
      countingEnded()
    } else {
      end?.set(afterMs: Int64(options.seconds * 1_000))
    }
  }

  private func countingEnded() {
    endNs = MonotonicTime.nowNs()
    after = ProcessorTimes.now(of: options.observed)
    phase = .over
    if arrivals != nil { countUnanswered() }
    loop.stop()
  }

  /// Callers that wait at the end have waited at least that long; to leave them out would flatter.
  private func countUnanswered() {
    arrivals?.advance(endNs)
    let waiting = callers.compactMap(\.busySinceNs) + (arrivals?.due.waiting ?? [])
    let late = waiting.filter { $0 >= startNs }.map { UInt32(clamping: endNs - $0) }
    unanswered = late.count
    latenciesNs += late
  }
}
