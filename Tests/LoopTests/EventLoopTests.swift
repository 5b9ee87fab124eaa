// Owns: the tests of turns: the work in one, its order, and its time.

import Glibc
import Testing

@testable import Loop

struct EventLoopTests {
  /// Lets the clock go on, without giving the loop a turn.
  private func burn(ns: Int64) {
    let start = MonotonicTime.nowNs()
    while MonotonicTime.nowNs() - start < ns {}
  }

  @Test func `time stands still within a turn and goes on between turns`() throws {
    let loop = try EventLoop()
    var turns: [[Int64]] = []
    var timer: LoopTimer?
    timer = LoopTimer(loop) {
      let first = loop.nowNs
      burn(ns: 2_000_000)
      turns.append([first, loop.nowNs])
      timer?.set(afterMs: 0)
    }
    loop.atTurnEnd {
      guard let index = turns.indices.last, turns[index].count == 2 else { return }
      burn(ns: 1_000_000)
      turns[index].append(loop.nowNs)
      #expect(loop.nowMs == loop.nowNs / 1_000_000)
      if turns.count == 3 { loop.stop() }
    }
    timer?.set(afterMs: 0)
    run(loop, keeping: timer)
    #expect(turns.count == 3)
    for turn in turns { #expect(Set(turn).count == 1, "\(turn)") }
    for (one, next) in zip(turns, turns.dropFirst()) { #expect(next[0] - one[0] >= 3_000_000) }
  }

  @Test func `work for the turn's end runs after all ready callbacks, in order`() throws {
    let loop = try EventLoop()
    let pairs = try (0..<3).map { _ in try SocketPair() }
    var done: [String] = []
    let owners = pairs.enumerated().map { index, pair in
      Callback { _ in
        done.append("ready")
        _ = pair.near.readText()
      }
    }
    let watches = zip(pairs, owners).map { FileWatch(loop, $0.near.descriptor, owner: $1) }
    for watch in watches { watch.want(.read) }
    for pair in pairs { #expect(pair.far.write("x") == .moved(1)) }
    loop.atTurnEnd { done.append("first") }
    loop.atTurnEnd {
      done.append("second")
      loop.stop()
    }
    run(loop, keeping: watches, owners)
    #expect(done == ["ready", "ready", "ready", "first", "second"])
  }

  @Test func `a loop that is stopped in a turn still ends that turn`() throws {
    let loop = try EventLoop()
    var endings = 0
    let timer = LoopTimer(loop) { loop.stop() }
    timer.set(afterMs: 0)
    loop.atTurnEnd { endings += 1 }
    run(loop, keeping: timer)
    #expect(endings == 1)
  }

  @Test func `a loop that was stopped before it runs returns at once`() throws {
    let loop = try EventLoop()
    loop.stop()
    let start = MonotonicTime.nowMs()
    run(loop)
    #expect(MonotonicTime.nowMs() - start < 1_000)
  }

  @Test func `time that was read before the loop ran is not the first turn's`() throws {
    let loop = try EventLoop()
    let before = loop.nowNs
    var after: Int64 = 0
    let timer = LoopTimer(loop) {
      after = loop.nowNs
      loop.stop()
    }
    timer.set(afterMs: 50)
    run(loop, keeping: timer)
    // The clock is read at the first question of a turn and kept until the turn ends; what was
    // asked before the first turn is kept through the wait of that turn as well.
    #expect(after - before >= 30_000_000)
  }

  @Test func `a thread has its name and is waited for`() throws {
    final class Seen: @unchecked Sendable { var name = "" }
    let seen = Seen()
    let thread = try LoopThread(name: "a-name-that-is-too-long") {
      var line = [CChar](repeating: 0, count: 64)
      guard let file = fopen("/proc/thread-self/comm", "re") else { return }
      defer { fclose(file) }
      guard fgets(&line, 64, file) != nil else { return }
      let bytes = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
      seen.name = String(decoding: bytes, as: UTF8.self)
    }
    thread.join()
    #expect(seen.name == "a-name-that-is-")
  }

  @Test func `monotonic time does not go back`() {
    var last = MonotonicTime.nowNs()
    for _ in 0..<10_000 {
      let now = MonotonicTime.nowNs()
      #expect(now >= last)
      last = now
    }
    #expect(abs(MonotonicTime.nowMs() - MonotonicTime.nowNs() / 1_000_000) <= 1)
  }
}
