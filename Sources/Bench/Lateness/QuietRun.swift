// Owns: the measurement of an idle fleet's cost: many locks are held, and no requests are sent.
// Main thread.

import Loop

/// One run.
struct QuietRun {
  private let options: LatenessOptions

  init(_ options: LatenessOptions) { self.options = options }

  func measure() throws(LoadFailure) -> String {
    try takeLocks()
    // Each worker has swept all partitions by then, and what it was busy with is over.
    try Pause.wait(ms: options.locks > 0 ? 7_000 : 1_000)
    let before = ProcessorTimes.now(of: options.observed)
    let startNs = MonotonicTime.nowNs()
    try Pause.wait(ms: Int64(options.seconds) * 1_000)
    let spent = ProcessorTimes.now(of: options.observed).minus(before)
    let elapsedUs = Double(MonotonicTime.nowNs() - startNs) / 1e3
    let shares = spent.observed.map { name, us in
      // In hundredths of a percent, printed with two decimals.
      let hundredths = Int((us / elapsedUs * 10_000).rounded())
      let decimals = String(100 + hundredths % 100).dropFirst()
      return "\"\(name)_cpu_percent\":\(hundredths / 100).\(decimals)"
    }
    return "{" + (["\"locks\":\(options.locks)"] + shares).joined(separator: ",") + "}"
  }

  /// Takes the locks by the workers, which hold them from then on.
  func takeLocks() throws(LoadFailure) {
    guard options.locks > 0 else { return }
    var connections: [PatientConnection] = []
    for address in options.workers { connections.append(try PatientConnection(address)) }
    guard !connections.isEmpty else { throw LoadFailure("no worker is named") }
    let step = 1_000
    for first in stride(from: 0, to: options.locks, by: step) {
      let numbers = first..<min(first + step, options.locks)
      let text = numbers.reduce("") { $0 + "LOCK quiet-\($1) agent ttl=24h\n" }
      let worker = connections[first / step % connections.count]
      for reply in try worker.exchange(text, lines: numbers.count) where !reply.hasPrefix("OK") {
        throw LoadFailure("LOCK: \(reply)")
      }
    }
  }
}
