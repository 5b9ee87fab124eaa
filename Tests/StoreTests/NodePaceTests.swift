// Owns: the tests of which requests are refused because a node would answer them late: a node that
// is simulated, with a clock of its own.

import Testing

@testable import Store

struct NodePaceTests {
  /// A node, and the requests that come to it, a millisecond at a time.
  struct Simulation {
    var pace = NodePace(requestTimeoutMs: 500)
    /// How many requests a second the node answers, and for how many ms of each period it runs.
    let capacity: Double
    let runsMs: Int
    let periodMs: Int
    private(set) var nowMs = 0
    private var queue: [Int64] = []
    private var due = 0.0
    private var allowance = 0.0
    private(set) var served = 0
    private(set) var refused = 0
    private(set) var longestMs: Int64 = 0

    init(capacity: Double, runsMs: Int = 1, periodMs: Int = 1) {
      (self.capacity, self.runsMs, self.periodMs) = (capacity, runsMs, periodMs)
    }

    private var nowNs: Int64 { Int64(nowMs) * 1_000_000 + 1 }

    /// Forgets what was counted.
    mutating func count() { (served, refused, longestMs) = (0, 0, 0) }

    /// So many requests a second come, for so long; a node that `isStopped` answers none.
    mutating func pass(_ ms: Int, offered: Double, isStopped: Bool = false) {
      for _ in 0..<ms {
        nowMs += 1
        due += offered / 1_000
        while due >= 1 {
          due -= 1
          arrive()
        }
        if nowMs % periodMs < runsMs, !isStopped { answer() }
      }
    }

    mutating func arrive() {
      guard pace.admits(nowNs: nowNs) else { return refused += 1 }
      pace.began(nowNs: nowNs)
      queue.append(nowNs)
    }

    private mutating func answer() {
      allowance += capacity / 1_000 * Double(periodMs) / Double(runsMs)
      var left = min(Int(allowance), queue.count)
      allowance -= Double(Int(allowance))
      while left > 0 {
        // The requests of a call are answered together.
        let call = queue.prefix(min(64, left))
        longestMs = max(longestMs, (nowNs - call[0]) / 1_000_000)
        pace.answered(call.count, arrivedNs: call[0], nowNs: nowNs)
        queue.removeFirst(call.count)
        served += call.count
        left -= call.count
      }
    }
  }

  @Test(arguments: [2_000.0, 18_000, 60_000], [(1, 1), (2, 20), (5, 50), (10, 100)])
  func `at ten times the capacity nearly all of it is used, and none waits for long`(
    capacity: Double, slices: (runsMs: Int, periodMs: Int)
  ) {
    for factor in [1.2, 3, 10] {
      var node = Simulation(capacity: capacity, runsMs: slices.runsMs, periodMs: slices.periodMs)
      node.pass(1_000, offered: factor * capacity)
      node.count()
      node.pass(2_000, offered: factor * capacity)
      #expect(Double(node.served) > 1.9 * capacity, "\(factor) times")
      #expect(node.longestMs <= 200, "\(factor) times")
      #expect(node.refused > 0)
      // And little later all is well.
      node.pass(300, offered: 0.3 * capacity)
      node.count()
      node.pass(1_000, offered: 0.3 * capacity)
      #expect(node.refused == 0 && node.longestMs <= Int64(slices.periodMs + 10))
    }
  }

  @Test(arguments: [(1, 1), (10, 100)])
  func `below the capacity nothing is refused`(slices: (runsMs: Int, periodMs: Int)) {
    for factor in [0.1, 0.3, 0.6, 0.9] {
      var node = Simulation(capacity: 18_000, runsMs: slices.runsMs, periodMs: slices.periodMs)
      node.pass(1_000, offered: factor * 18_000)
      node.count()
      node.pass(3_000, offered: factor * 18_000)
      #expect(node.refused == 0, "\(factor)")
    }
  }

  @Test func `requests that come at once to a node that is prompt are not refused`() {
    var node = Simulation(capacity: 200_000)
    // With one request at a time the node seems to be slow.
    node.pass(1_000, offered: 100)
    for _ in 0..<5_000 { node.arrive() }
    node.pass(100, offered: 100)
    #expect(node.refused == 0 && node.pace.outstanding == 0 && node.longestMs <= 25)
  }

  @Test func `callers that wait for replies are not refused by a node that was idle and pauses`() {
    for (callers, pauseMs) in [(500, 100), (5_000, 0)] {
      var node = Simulation(capacity: 100_000)
      node.pass(1_000, offered: 100)
      for _ in 0..<callers { node.arrive() }
      node.pass(pauseMs, offered: 0, isStopped: true)
      for _ in 0..<100 {
        let before = node.served
        node.pass(1, offered: 0)
        for _ in before..<node.served { node.arrive() }
      }
      #expect(node.refused == 0, "\(callers) callers")
    }
  }

  @Test func `the onset of an overload does no harm`() {
    var node = Simulation(capacity: 18_000, runsMs: 10, periodMs: 100)
    node.pass(1_000, offered: 0.3 * 18_000)
    node.count()
    node.pass(1_000, offered: 10 * 18_000)
    #expect(node.longestMs < 300, "some would have had no reply in time")
    #expect(Double(node.served) > 0.95 * 18_000)
  }

  @Test func `while a node is silent few are let in, and all when it answers again`() {
    var node = Simulation(capacity: 200_000)
    node.pass(500, offered: 10_000)
    node.count()
    node.pass(1_000, offered: 10_000, isStopped: true)
    #expect(node.refused > 7_500 && node.pace.outstanding < 2_500)
    node.pass(100, offered: 10_000)
    node.count()
    node.pass(500, offered: 10_000)
    #expect(node.refused == 0 && node.longestMs <= 1)
  }

  @Test func `so many requests that fail are not waited for`() {
    var node = Simulation(capacity: 1_000)
    node.pass(1_000, offered: 1_000, isStopped: true)
    let outstanding = node.pace.outstanding
    #expect(outstanding > 0)
    let nowNs = Int64(node.nowMs) * 1_000_000 + 1
    node.pace.left(outstanding, isLate: true, nowNs: nowNs)
    #expect(node.pace.outstanding == 0)
    let isFirstAdmitted = node.pace.admits(nowNs: nowNs)
    #expect(isFirstAdmitted)
    // Behind them few are let in, until the node answers.
    for _ in 0..<32 { node.pace.began(nowNs: nowNs) }
    let isFurtherAdmitted = node.pace.admits(nowNs: nowNs)
    #expect(!isFurtherAdmitted)
    var anew = node.pace
    anew.connected(nowNs: nowNs)
    let isAdmittedAnew = anew.admits(nowNs: nowNs)
    #expect(isAdmittedAnew, "a new connection has nothing before them")
    node.pace.answered(1, arrivedNs: nowNs, nowNs: nowNs + 1)
    let isLaterAdmitted = node.pace.admits(nowNs: nowNs + 1)
    #expect(isLaterAdmitted)
  }

  @Test func `the room is that of the longest pause, and has no bound while answers are prompt`() {
    var prompt = Simulation(capacity: 100_000)
    prompt.pass(500, offered: 50_000)
    let unbounded = prompt.pace.room(nowNs: Int64(prompt.nowMs) * 1_000_000 + 2)
    #expect(unbounded == nil)
    for (runsMs, periodMs, within) in [(1, 1, 10...14), (10, 100, 180...200)] {
      var node = Simulation(capacity: 100_000, runsMs: runsMs, periodMs: periodMs)
      node.pass(1_000, offered: 300_000)
      let room = node.pace.room(nowNs: Int64(node.nowMs) * 1_000_000 + 2) ?? 0
      // So many ms of the node's work.
      #expect(within.contains(room / 100), "\(room)")
    }
  }
}
