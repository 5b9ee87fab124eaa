// Owns: the figures of a load, and the line that shows them. A value.

/// The result of a load.
struct BenchReport {
  let options: BenchOptions
  /// Of each counted request, in ascending order.
  let latenciesNs: [UInt32]
  let seconds: Double
  let spent: ProcessorTimes
  /// How many of them had no reply when the time was up; only in an open loop.
  var unanswered = 0

  /// The latency that a share of the requests did not exceed.
  private func latencyUs(_ share: Double) -> Int {
    guard !latenciesNs.isEmpty else { return 0 }
    let index = min(latenciesNs.count - 1, Int(share * Double(latenciesNs.count)))
    return Int(latenciesNs[index]) / 1_000
  }

  private func perRequest(_ us: Double) -> String {
    let requests = latenciesNs.count - unanswered
    return requests == 0 ? "0" : BenchReport.decimal(us / Double(requests))
  }

  /// Two decimals; printf's way to do it would need Foundation.
  private static func decimal(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    return "\(hundredths / 100).\(String(100 + hundredths % 100).dropFirst())"
  }

  /// One line.
  ///
  /// It has no errors: a load that met one has no report.
  var json: String {
    let requests = latenciesNs.count - unanswered
    let perSecond = seconds > 0 ? Int(Double(requests) / seconds) : 0
    var text = "{\"target\":\"\(options.target.rawValue)\",\"connections\":\(options.connections)"
    text += ",\"devices\":\(options.devices),\"requests\":\(requests)"
    text += ",\"seconds\":\(BenchReport.decimal(seconds)),\"requests_per_s\":\(perSecond)"
    text += ",\"p50_us\":\(latencyUs(0.5)),\"p90_us\":\(latencyUs(0.9))"
    text += ",\"p99_us\":\(latencyUs(0.99)),\"max_us\":\(latencyUs(1))"
    text += ",\"own_cpu_us\":\(perRequest(spent.ownUs))"
    for process in spent.observed {
      text += ",\"\(process.name)_cpu_us\":\(perRequest(process.us))"
    }
    return text + ",\"unanswered\":\(unanswered),\"errors\":0}"
  }
}
