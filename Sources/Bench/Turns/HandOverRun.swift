// Owns: the measurement of how soon a caller that waits has the turn that another one ends, on two
// workers. Main thread.

import Loop

/// One run: the two callers hand the turn to each other.
struct HandOverRun {
  private let options: TurnsOptions
  /// Not counted: the workers' first ones.
  private static let warmUp = 100

  init(_ options: TurnsOptions) { self.options = options }

  func measure() throws(LoadFailure) -> String {
    var sides: [PatientConnection] = []
    for place in 0..<2 {
      sides.append(try PatientConnection(options.workers[place % options.workers.count]))
    }
    let other = try PatientConnection(options.workers[0])
    let device = "hand-over"
    var turn = try number(sides[0].request("TURN \(device) last=0 ttl=10m"))
    var timesUs: [Int64] = []
    let endMs = MonotonicTime.nowMs() + Int64(options.seconds) * 1_000
    var place = 0
    while MonotonicTime.nowMs() < endMs || timesUs.count <= HandOverRun.warmUp {
      let (giver, taker) = (sides[place], sides[1 - place])
      try taker.post("TURN \(device) wait=1m last=0 ttl=10m {\"content\":\"hello\"}\n")
      // It waits once Redis has its ticket.
      while try !other.request("TURN \(device) policy=reject").contains("\"ahead\":1}") {}
      let startNs = MonotonicTime.nowNs()
      try giver.post("DONE \(device) turn=\(turn) {\"say\":{\"content\":\"hi\"}}\n")
      let granted = String(decoding: try taker.line(), as: UTF8.self)
      timesUs.append((MonotonicTime.nowNs() - startNs) / 1_000)
      guard String(decoding: try giver.line(), as: UTF8.self).hasPrefix("OK") else {
        throw LoadFailure("DONE failed")
      }
      turn = try number(granted)
      place = 1 - place
    }
    let sorted = timesUs.dropFirst(HandOverRun.warmUp).sorted()
    func us(_ share: Double) -> Int64 {
      sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }
    return "{\"hand_overs\":\(sorted.count),\"p50_us\":\(us(0.5)),\"p99_us\":\(us(0.99)),"
      + "\"max_us\":\(us(1))}"
  }

  private func number(_ reply: String) throws(LoadFailure) -> Int64 {
    guard reply.hasPrefix("OK"), let number = ReplyFigure.number("turn", in: reply[...]) else {
      throw LoadFailure("TURN: \(reply)")
    }
    return number
  }
}
