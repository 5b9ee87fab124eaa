// Owns: the measurement of changes: how long after a SAY its change is at callers who watch the
// device, and the processor time that this takes. Runs on its own loop; main thread.

import Glibc
import Loop

/// One device that many watch, and one caller who says something at a steady rate.
final class ChangesRun: ChangeWatcherOwner {
  private let options: ChangesOptions
  private let loop: EventLoop
  private let addresses: [SocketAddress]
  private let maker: PatientConnection
  private var watchers: [ChangeWatcher] = []
  private var watching = 0
  private var pace: LoopTimer?
  private var failure: String?
  private var sentNs: [Int64] = []
  private var latenciesNs: [Int64] = []
  private var before = ProcessorTimes()
  /// The memory of the observed processes before there were watchers, and with them.
  private var memoryKiB: [(before: Double, after: Double)] = []
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

  /// After the last SAY its change may take so long.
  private static let lastMs: Int64 = 5_000
  private static let device = "changes"

  init(_ options: ChangesOptions) throws(LoadFailure) {
    self.options = options
    // Requests are due at moments that are finer than a loop's timers usually are.
    setenv("EVENT_PRECISE_TIMER", "1", 1)
    do throws(SystemError) {
      loop = try EventLoop()
      var addresses: [SocketAddress] = []
      for address in options.http.isEmpty ? options.workers : options.http {
        addresses.append(try SocketAddress.resolve(address))
      }
      self.addresses = addresses
    } catch {
      throw LoadFailure(error)
    }
    maker = try PatientConnection(options.workers[0])
    pace = LoopTimer(loop) { [unowned self] in paced() }
  }

  deinit { readBuffer.deallocate() }

  /// Runs it; a line of JSON.
  func measure() throws(LoadFailure) -> String {
    let opened = try maker.request("OPEN \(ChangesRun.device)")
    guard opened.hasPrefix("OK") else { throw LoadFailure("OPEN: \(opened)") }
    // The first ones make the server allocate what it does once.
    memoryKiB = options.observed.map { (ProcessorTimes.memoryKiB(of: $0.pid), 0) }
    // Few connect at a time, so that the server's queue of new ones never overflows.
    for _ in 0..<min(128, options.watchers) { addWatcher() }
    loop.run()
    if let failure { throw LoadFailure(failure) }
    let spent = ProcessorTimes.now(of: options.observed).minus(before)
    let spread = Spread(latenciesNs.map { $0 / 1_000 })
    let pushed = Double(max(1, latenciesNs.count))
    let processes = zip(spent.observed, memoryKiB).map { process, memory in
      let bytes = (memory.after - memory.before) * 1_024 / Double(options.watchers)
      return ",\"\(process.name)_cpu_us\":\((process.us / pushed * 100).rounded() / 100)"
        + ",\"\(process.name)_bytes\":\(Int(bytes))"
    }
    return "{\"watchers\":\(options.watchers),\"said\":\(sentNs.count),"
      + "\"missing\":\(options.watchers * sentNs.count - latenciesNs.count),"
      + "\"p50_us\":\(spread.ms(0.5)),\"p99_us\":\(spread.ms(0.99)),\"max_us\":\(spread.ms(1))"
      + processes.joined() + "}"
  }

  private var request: String {
    guard options.http.isEmpty else {
      return "GET /v1/watch/\(ChangesRun.device)?changes=yes&types=chat.said HTTP/1.1\r\n"
        + "Host: bench\r\n\r\n"
    }
    return "WATCH \(ChangesRun.device) changes=yes types=chat.said\n"
  }

  private func addWatcher() {
    let address = addresses[watchers.count % addresses.count]
    do throws(SystemError) {
      watchers.append(
        ChangeWatcher(loop, try address.connect(), Array(request.utf8), owner: self))
    } catch {
      watcherFailed(error.description)
    }
  }

  func watcherBegan() {
    watching += 1
    if watchers.count < options.watchers { addWatcher() }
    guard watching == options.watchers else { return }
    for (index, process) in options.observed.enumerated() {
      memoryKiB[index].after = ProcessorTimes.memoryKiB(of: process.pid)
    }
    before = ProcessorTimes.now(of: options.observed)
    latenciesNs.reserveCapacity(options.watchers * options.count)
    pace?.set(afterMs: 100)
  }

  func watcherFailed(_ reason: String) {
    if failure == nil { failure = reason }
    loop.stop()
  }

  func changeCame(_ number: Int, nowNs: Int64) {
    latenciesNs.append(nowNs - sentNs[number])
    let isLast = sentNs.count == options.count
    if isLast, latenciesNs.count == options.watchers * options.count { loop.stop() }
  }

  /// Says the next message; at the end, time is up for the changes that are missing.
  private func paced() {
    guard sentNs.count < options.count else { return loop.stop() }
    sentNs.append(MonotonicTime.nowNs())
    do throws(LoadFailure) {
      try maker.post("SAY \(ChangesRun.device) {\"role\":\"other\",\"n\":\(sentNs.count)}\n")
    } catch {
      return watcherFailed(error.text)
    }
    let isLast = sentNs.count == options.count
    pace?.set(afterMs: isLast ? ChangesRun.lastMs : options.everyMs)
  }
}

/// What is measured.
struct ChangesOptions {
  var workers: [Address] = []
  /// Where watchers connect by HTTP; empty where they watch by lines.
  var http: [Address] = []
  var watchers = 1_000
  /// How many messages are said, and how often.
  var count = 100
  var everyMs: Int64 = 100
  var observed: [BenchOptions.Observed] = []

  /// Reads what follows `changes` on the command line.
  static func parse(_ words: [String]) throws(LoadFailure) -> ChangesOptions {
    var options = ChangesOptions()
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        options.workers.append(try BenchOptions.address(word))
        continue
      }
      guard let value = rest.popFirst() else { throw LoadFailure("\(word) needs a value") }
      if word == "--pid" {
        options.observed.append(try BenchOptions.observed(value))
        continue
      }
      if word == "--http" {
        options.http.append(try BenchOptions.address(value))
        continue
      }
      guard let number = Int(value), number > 0 else {
        throw LoadFailure("\(word) takes a number from 1 on")
      }
      switch word {
      case "--watchers": options.watchers = number
      case "--count": options.count = number
      case "--every-ms": options.everyMs = Int64(number)
      default: throw LoadFailure("there is no option '\(word)'; see --help")
      }
    }
    guard !options.workers.isEmpty else { throw LoadFailure("no worker is named") }
    return options
  }
}
