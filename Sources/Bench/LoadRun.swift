// Owns: one load from its first connection to its figures. Runs on the main thread, which is the
// loop's.

import Glibc
import Loop

/// All callers of a load, and the phases it goes through.
final class LoadRun: LoadOwner {
  private enum Phase {
    /// Callers are being connected and do their first pass; goes to counting or over.
    case warming
    /// Replies are being counted; goes to over.
    case counting
    case over
  }

  private let options: LoadOptions
  private let loop: EventLoop
  private let address: SocketAddress
  private let scriptHash: String
  private var end: LoopTimer?
  private var callers: [LoadCaller] = []
  private var passesDone = 0
  private var failure: String?
  private var phase = Phase.warming
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

  private var startNs: Int64 = 0
  private var endNs: Int64 = 0
  private var latenciesNs: [UInt32] = []
  private var before = ProcessorTimes()
  private var after = ProcessorTimes()

  init(_ options: LoadOptions) throws(LoadFailure) {
    self.options = options
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.address)
    } catch {
      throw LoadFailure(error)
    }
    scriptHash = options.target == .redis ? try LoadTarget.loadScript(address) : ""
    latenciesNs.reserveCapacity(Int(options.seconds * 400_000))
    end = LoopTimer(loop) { [unowned self] in countingEnded() }
  }

  deinit { readBuffer.deallocate() }

  /// Runs the load; throws at the first thing that goes wrong.
  func measure() throws(LoadFailure) -> LoadReport {
    // Few connect at a time, so that the server's queue of new ones never overflows: that would
    // cost a second each.
    for _ in 0..<min(128, options.connections) { addCaller() }
    loop.run()
    if let failure { throw LoadFailure(failure) }
    return LoadReport(
      options: options, latenciesNs: latenciesNs.sorted(), seconds: Double(endNs - startNs) / 1e9,
      spent: after.minus(before))
  }

  private func addCaller() {
    let index = callers.count
    // The number of callers is part of the name: loads of other sizes have other holders.
    let requests = stride(from: index, to: options.devices, by: options.connections).flatMap {
      let (device, agent) = ("\(options.prefix)-\(options.connections)-\($0)", "agent-\(index)")
      guard options.target == .redis else {
        return options.verb.requests(device: device, agent: agent, messages: options.messages)
      }
      return [LoadTarget.redis.request(device: device, agent: agent, scriptHash: scriptHash)]
    }
    do throws(SystemError) {
      let socket = try address.connect()
      callers.append(LoadCaller(loop, socket, requests, options.target, owner: self))
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

  func replied(sentNs: Int64, nowNs: Int64) -> Bool {
    switch phase {
    case .warming:
      // Those that are done first go on meanwhile, so that counting begins at full load.
      if passesDone == options.connections { countingBegins(nowNs) }
      return phase == .counting || (phase == .warming && options.requests != 0)
    case .counting:
      latenciesNs.append(UInt32(clamping: nowNs - sentNs))
      if let most = options.requests, latenciesNs.count >= most { countingEnded() }
      return phase == .counting
    case .over: return false
    }
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
    loop.stop()
  }
}
