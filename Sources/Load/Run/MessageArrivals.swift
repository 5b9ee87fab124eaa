// Owns: when messages come in an open loop: at random moments, whatever the replies take, and who
// waits because every conversation is busy. A value; the loop's thread.

/// A stream of messages at a rate.
struct MessageArrivals {
  private let meanGapNs: Double
  private var dice: Dice
  private var nextNs: Double
  /// Due, and not begun: when each was due, oldest first, from `head` on.
  private var waiting: [Int64] = []
  private var head = 0
  /// How many found no free conversation when they were due.
  private(set) var waited = 0

  init(rate: Double, seed: UInt64, nowNs: Int64) {
    meanGapNs = 1e9 / rate
    dice = Dice(seed ^ 0x6172_7269_7661_6c73)
    nextNs = Double(nowNs)
    nextNs += dice.pause(mean: meanGapNs)
  }

  var waitingCount: Int { waiting.count - head }

  /// How long it is until the next message is due.
  func msToNext(_ nowNs: Int64) -> Int64 { max(0, Int64(nextNs) - nowNs) / 1_000_000 }

  /// The messages that have become due.
  mutating func due(_ nowNs: Int64) -> [Int64] {
    var found: [Int64] = []
    while nextNs <= Double(nowNs) {
      found.append(Int64(nextNs))
      nextNs += dice.pause(mean: meanGapNs)
    }
    return found
  }

  mutating func wait(_ dueNs: Int64) {
    waited += 1
    waiting.append(dueNs)
  }

  /// The message that has waited longest.
  mutating func takeWaiting() -> Int64? {
    guard head < waiting.count else { return nil }
    let dueNs = waiting[head]
    head += 1
    if head == waiting.count {
      waiting = []
      head = 0
    }
    return dueNs
  }
}
