// Owns: when requests are due in an open loop: at random moments, whatever the replies take.
// Values; the loop's thread.

import Glibc

/// A queue, first come, first served.
struct WaitingLine<Element> {
  private var items: [Element] = []
  private var head = 0

  var isEmpty: Bool { head == items.count }
  var waiting: ArraySlice<Element> { items[head...] }

  mutating func push(_ item: Element) {
    if head > 1_024, head * 2 > items.count {
      items.removeFirst(head)
      head = 0
    }
    items.append(item)
  }

  mutating func pop() -> Element? {
    guard head < items.count else { return nil }
    head += 1
    return items[head - 1]
  }
}

/// A stream of requests at a rate, with the gaps of a Poisson process; the same ones each time.
struct Arrivals {
  private let meanGapNs: Double
  private var state: UInt64 = 0x6c61_7463_686b_6579
  private var nextNs: Double
  /// When each was due that has not been sent.
  private(set) var due = WaitingLine<Int64>()

  init(rate: Double, nowNs: Int64) {
    meanGapNs = 1e9 / rate
    nextNs = Double(nowNs)
  }

  /// When the next one is due that has not become due yet.
  var nextDueNs: Int64 { Int64(nextNs) }

  /// The oldest request that is due by now and has not been sent.
  mutating func take(_ nowNs: Int64) -> Int64? {
    advance(nowNs)
    return due.pop()
  }

  mutating func advance(_ nowNs: Int64) {
    while nextNs <= Double(nowNs) {
      due.push(Int64(nextNs))
      // Knuth's generator; its upper bits are random enough for gaps.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let share = Double((state >> 11) + 1) / Double(1 << 53)
      nextNs -= log(share) * meanGapNs
    }
  }
}
