// Owns: the tests of the harness' figures: histograms, counts over time, the estimate of the
// server's clock, arrivals, and numbers as text.

import Testing

@testable import Load

struct FiguresTests {
  @Test func `a percentile is within 1,6 percent of the exact one`() {
    var dice = Dice(11)
    var histogram = LatencyHistogram()
    var values: [Int64] = []
    for _ in 0..<20_000 {
      let value = Int64(dice.pause(mean: 3_000_000))
      values.append(value)
      histogram.add(value)
    }
    values.sort()
    for share in [0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 1] {
      let exact = values[max(0, Int((share * 20_000).rounded(.up)) - 1)]
      let shown = histogram.percentileNs(share)
      #expect(shown >= exact && Double(shown) <= Double(exact) * 1.016 + 1, "\(share)")
    }
    #expect(histogram.count == 20_000)
    #expect(histogram.maxNs == values.last)
  }

  @Test(arguments: [0, 1, 63, 64, 65, 127, 128, 1_000, 1 << 30, 1 << 42, .max] as [Int64])
  func `a value alone is its own percentile`(value: Int64) {
    var histogram = LatencyHistogram()
    #expect(histogram.percentileNs(0.5) == 0)
    histogram.add(value)
    let shown = histogram.percentileNs(0.5)
    #expect(shown <= value)
    #expect(value > 1 << 42 || shown == value)
    histogram.clear()
    #expect(histogram.count == 0 && histogram.percentileNs(1) == 0)
  }

  @Test func `intervals cover the measured time, and nothing is counted after its end`() {
    let second: Int64 = 1_000_000_000
    var tally = Tally(startNs: 0, durationMs: 2_000)
    for step in 0..<8 {
      let nowNs = Int64(step) * second / 4
      tally.tick(nowNs)
      tally.answered(.say, 1_000_000, .ok)
      if step == 3 { tally.failed(.say, "unavailable") }
    }
    tally.answered(.connect, 500, nil)
    tally.answered(.message, 500, nil)
    tally.end(2 * second)
    tally.answered(.say, 1_000_000, .ok)
    tally.failed(.say, "unavailable")
    #expect(tally.requests == 8)
    #expect(tally.errorCount == 1)
    #expect(tally.intervals.map(\.requests).reduce(0, +) == 8)
    #expect(tally.intervals.map { $0.errors.values.reduce(0, +) }.reduce(0, +) == 1)
    #expect(abs(tally.intervals.map(\.seconds).reduce(0, +) - 2) < 0.001)
    #expect(tally[.connect].latency.count == 1)
  }

  @Test func `the points of a long run are spread over all of it`() {
    var tally = Tally(startNs: 0, durationMs: 1_000)
    for second in 0..<10_000 {
      tally.abandonmentReported(5, nowNs: Int64(second) * 1_000_000_000)
    }
    let times = tally.latePoints.map(\.atS)
    #expect(tally.lateness.count == 10_000)
    #expect((Tally.pointsMax / 2...Tally.pointsMax).contains(times.count))
    #expect(times == times.sorted())
    #expect(times[0] < 20 && times[times.count - 1] > 9_980)
  }

  @Test func `replies that are no errors are counted apart`() {
    var tally = Tally(startNs: 0, durationMs: 1_000)
    for word in [.ok, .held, .held, .none, .stale] as [ReplyLine.Word] {
      tally.answered(.lock, 1, word)
    }
    let lock = tally[.lock]
    #expect([lock.held, lock.none, lock.stale, lock.errorCount] == [2, 1, 1, 0])
  }

  @Test func `the server's clock is found from grants, and found again after a jump`() throws {
    let ms: Int64 = 1_000_000
    var clock = ServerClock()
    #expect(clock.offsetNs == nil && clock.lateNs(0, after: 0) == nil)
    // The server is 5,000 ms ahead; each grant takes 4 ms to and fro.
    for step in 0..<200 {
      let at = Int64(step) * 37 * ms + 300_000
      clock.observe(
        serverMs: (at + 5_000 * ms) / ms, invokedNs: at - 2 * ms, returnedNs: at + 2 * ms)
    }
    let offset = try #require(clock.offsetNs)
    #expect(abs(offset - 5_000 * ms) <= 2 * ms)
    #expect(clock.errorNs <= 3 * ms)
    let late = try #require(clock.lateNs(100 * ms, after: 5_090))
    #expect(abs(late - 10 * ms) <= 2 * ms)
    #expect(clock.lateNs(0, after: 6_000) == 0)
    let jumped = 8_000 * ms
    clock.observe(serverMs: 1_008_000, invokedNs: jumped, returnedNs: jumped + 4 * ms)
    #expect(abs(try #require(clock.offsetNs) - 1_000_000 * ms) <= 4 * ms)
  }

  @Test func `arrivals come at their rate, whatever becomes of them`() {
    var flow = MessageArrivals(rate: 1_000, seed: 3, nowNs: 0)
    var all: [Int64] = []
    for step in 1...100 { all += flow.due(Int64(step) * 100_000_000) }
    #expect((9_000...11_000).contains(all.count))
    #expect(all == all.sorted())
    #expect(all.allSatisfy { $0 >= 0 && $0 <= 10_000_000_000 })
    for due in all.prefix(3) { flow.wait(due) }
    #expect(flow.waitingCount == 3 && flow.waited == 3)
    #expect((0..<4).map { _ in flow.takeWaiting() } == [all[0], all[1], all[2], nil])
    #expect(flow.waitingCount == 0)
  }

  @Test func `a seed repeats its random numbers`() {
    var one = Dice(7)
    var other = Dice(7)
    #expect((0..<100).allSatisfy { _ in one.next() == other.next() })
    var third = Dice(8)
    #expect(one.next() != third.next())
    #expect((0..<1_000).filter { _ in one.happens(10) }.count < 200)
    #expect((0..<100).allSatisfy { _ in one.happens(100) && !one.happens(0) })
  }

  @Test(
    arguments: [
      (1_234, 1_000.0, 2, "1.23"), (-1_234, 1_000, 1, "-1.2"), (999, 1_000, 2, "1.00"),
      (5, 1, 0, "5"), (-1, 1_000, 1, "0.0"),
    ] as [(Int64, Double, Int, String)])
  func `decimals are written as printf would`(
    value: Int64, unit: Double, digits: Int, text: String
  ) {
    #expect(NumberText.decimal(value, over: unit, digits) == text)
  }

  @Test func `large numbers have commas`() {
    #expect(
      [0, 999, 1_000, -12_345, 1_234_567].map(NumberText.grouped) == [
        "0", "999", "1,000", "-12,345", "1,234,567",
      ])
    #expect(
      [123_400, 4_310_000, 125_000_000, 2_919_000_000].map(NumberText.ms) == [
        "0.123", "4.31", "125", "2,919",
      ])
  }
}
