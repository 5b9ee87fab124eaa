// Owns: the tests of timers and of watched signals.

import Glibc
import Testing

@testable import Loop

struct TimerTests {
  @Test func `timers fire in the order of their times and each of them once`() throws {
    let loop = try EventLoop()
    var fired: [Int64] = []
    let times: [Int64] = [40, 10, 0, 30, 20]
    let timers = times.map { time in LoopTimer(loop) { fired.append(time) } }
    for (timer, time) in zip(timers, times) { timer.set(afterMs: time) }
    #expect(timers.allSatisfy { $0.isSet })
    let end = LoopTimer(loop) { loop.stop() }
    end.set(afterMs: 120)
    run(loop, keeping: timers, end)
    #expect(fired == times.sorted())
    #expect(timers.allSatisfy { !$0.isSet })
  }

  @Test func `a timer that was cancelled does not fire`() throws {
    let loop = try EventLoop()
    var fired = 0
    let timer = LoopTimer(loop) { fired += 1 }
    timer.set(afterMs: 5)
    timer.cancel()
    #expect(!timer.isSet)
    timer.cancel()
    let end = LoopTimer(loop) { loop.stop() }
    end.set(afterMs: 50)
    run(loop, keeping: timer, end)
    #expect(fired == 0)
  }

  @Test func `a timer can be cancelled by one that fires in the same turn`() throws {
    let loop = try EventLoop()
    var fired: [String] = []
    var second: LoopTimer?
    let first = LoopTimer(loop) {
      fired.append("first")
      second?.cancel()
    }
    second = LoopTimer(loop) { fired.append("second") }
    first.set(afterMs: 0)
    second?.set(afterMs: 0)
    let end = LoopTimer(loop) { loop.stop() }
    end.set(afterMs: 50)
    run(loop, keeping: first, second, end)
    #expect(fired == ["first"])
  }

  @Test(arguments: [(5, 60), (500, 10)] as [(Int64, Int64)])
  func `setting a timer again replaces its time`(first: Int64, second: Int64) throws {
    let loop = try EventLoop()
    let started = MonotonicTime.nowMs()
    var firedAfterMs: [Int64] = []
    let timer = LoopTimer(loop) { firedAfterMs.append(MonotonicTime.nowMs() - started) }
    timer.set(afterMs: first)
    timer.set(afterMs: second)
    let end = LoopTimer(loop) { loop.stop() }
    end.set(afterMs: 150)
    run(loop, keeping: timer, end)
    #expect(firedAfterMs.count == 1)
    // libevent's clock is a coarse one: it may be some milliseconds behind.
    #expect(firedAfterMs.allSatisfy { $0 >= second - 10 && $0 < 400 }, "\(firedAfterMs)")
  }

  @Test func `a timer can be set again in its own action`() throws {
    let loop = try EventLoop()
    var count = 0
    var timer: LoopTimer?
    timer = LoopTimer(loop) {
      #expect(timer?.isSet == false)
      count += 1
      if count == 3 { loop.stop() } else { timer?.set(afterMs: 1) }
    }
    timer?.set(afterMs: -1)
    run(loop, keeping: timer)
    #expect(count == 3)
  }

  @Test func `a timer can go in its own action, and does not fire once it is gone`() throws {
    let loop = try EventLoop()
    var fired: [String] = []
    var one: LoopTimer?
    var other: LoopTimer? = LoopTimer(loop) { fired.append("other") }
    one = LoopTimer(loop) {
      fired.append("one")
      one = nil
      other = nil
    }
    one?.set(afterMs: 5)
    other?.set(afterMs: 30)
    let end = LoopTimer(loop) { loop.stop() }
    end.set(afterMs: 80)
    run(loop, keeping: end)
    #expect(fired == ["one"])
    #expect(one == nil && other == nil)
  }

  @Test func `a watched signal is an event of the loop each time it comes`() throws {
    let loop = try EventLoop()
    var count = 0
    let watch = SignalWatch(loop, SIGUSR1) {
      count += 1
      if count == 3 { loop.stop() } else { kill(getpid(), SIGUSR1) }
    }
    kill(getpid(), SIGUSR1)
    run(loop, keeping: watch)
    #expect(count == 3)
  }
}
