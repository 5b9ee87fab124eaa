// Owns: the measurement of what callers that wait for a turn cost while none is granted. Main
// thread.

import Loop

/// One run.
struct WaitingRun {
  private let options: TurnsOptions
  /// On so many devices they wait.
  private static let devices = 50

  init(_ options: TurnsOptions) { self.options = options }

  func measure() throws(LoadFailure) -> String {
    let holder = try PatientConnection(options.workers[0])
    for number in 0..<WaitingRun.devices {
      let reply = try holder.request("TURN waited-\(number) ttl=1h last=0")
      guard reply.hasPrefix("OK") else { throw LoadFailure("TURN: \(reply)") }
    }
    var waiting: [PatientConnection] = []
    for number in 0..<options.connections {
      let caller = try PatientConnection(options.workers[number % options.workers.count])
      try caller.post("TURN waited-\(number % WaitingRun.devices) wait=1h last=0\n")
      waiting.append(caller)
    }
    for number in 0..<WaitingRun.devices {
      let wanted = (options.connections + WaitingRun.devices - 1 - number) / WaitingRun.devices
      while try !holder.request("TURN waited-\(number) policy=reject")
        .contains("\"ahead\":\(wanted)}")
      { try Pause.wait(ms: 10) }
    }
    // Each worker has swept all partitions by then, and what it was busy with is over.
    try Pause.wait(ms: 7_000)
    let before = ProcessorTimes.now(of: options.observed)
    let startNs = MonotonicTime.nowNs()
    try Pause.wait(ms: Int64(options.seconds) * 1_000)
    let spent = ProcessorTimes.now(of: options.observed).minus(before)
    let elapsedUs = Double(MonotonicTime.nowNs() - startNs) / 1e3
    let shares = spent.observed.map { name, us in
      // In hundredths of a percent, printed with two decimals.
      let hundredths = Int((us / elapsedUs * 10_000).rounded())
      return
        "\"\(name)_cpu_percent\":\(hundredths / 100).\(String(100 + hundredths % 100).dropFirst())"
    }
    return withExtendedLifetime(waiting) {
      "{" + (["\"waiting\":\(options.connections)"] + shares).joined(separator: ",") + "}"
    }
  }
}
