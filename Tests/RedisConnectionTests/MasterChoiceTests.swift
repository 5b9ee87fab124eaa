// Owns: the tests of which sentinel's answer counts.

import Loop
import RedisConnection
import Testing

struct MasterChoiceTests {
  private let old = Address.tcp(host: "old", port: 1)
  private let new = Address.tcp(host: "new", port: 2)

  private func settled(_ sentinels: Int) -> MasterChoice {
    var choice = MasterChoice(sentinels: sentinels)
    for index in 0..<sentinels {
      _ = choice.answered(index, MasterAnswer(old, epoch: 5), nowMs: 0)
    }
    return choice
  }

  @Test func `the first master counts when most sentinels have answered, or after a moment`() {
    var choice = MasterChoice(sentinels: 3)
    #expect(choice.answered(0, MasterAnswer(old, epoch: 1), nowMs: 10) == nil)
    #expect(choice.look(nowMs: 10 + MasterChoice.settleMs - 1) == nil)
    // The one that was quicker is cut off from the others.
    #expect(choice.answered(1, MasterAnswer(new, epoch: 2), nowMs: 20) == new)
    #expect(choice.answered(2, MasterAnswer(new, epoch: 2), nowMs: 30) == nil)

    var alone = MasterChoice(sentinels: 3)
    #expect(alone.answered(2, MasterAnswer(old, epoch: 1), nowMs: 10) == nil)
    #expect(alone.look(nowMs: 10 + MasterChoice.settleMs) == old)
    var single = MasterChoice(sentinels: 1)
    #expect(single.answered(0, MasterAnswer(old, epoch: 0), nowMs: 10) == old)
  }

  @Test func `one sentinel that knows of a failover is enough`() {
    var choice = settled(3)
    #expect(choice.answered(1, MasterAnswer(new, epoch: 6), nowMs: 1) == new)
    // Those that have yet to hear of it change nothing.
    #expect(choice.answered(0, MasterAnswer(old, epoch: 5, isDown: true), nowMs: 2) == nil)
    #expect(choice.chosen?.address == new)
  }

  @Test func `a stale sentinel that is left alone brings no deposed master back`() {
    var choice = settled(3)
    #expect(choice.answered(1, MasterAnswer(new, epoch: 6), nowMs: 1) == new)
    #expect(choice.answered(2, MasterAnswer(new, epoch: 6), nowMs: 1) == nil)
    choice.lost(1)
    #expect(choice.look(nowMs: 2) == nil)
    choice.lost(2)
    #expect(choice.look(nowMs: 3) == nil)
    #expect(choice.answered(0, MasterAnswer(old, epoch: 5), nowMs: 4) == nil)
    #expect(choice.chosen?.address == new && choice.count == 1)
    choice.lost(0)
    #expect(choice.look(nowMs: 5) == nil && choice.chosen?.address == new)
  }

  @Test func `sentinels that were set up anew count by most, whatever their epoch`() {
    var choice = settled(3)
    #expect(choice.answered(0, MasterAnswer(new, epoch: 0), nowMs: 1) == nil)
    #expect(choice.answered(1, MasterAnswer(new, epoch: 0), nowMs: 1) == nil)
    #expect(choice.answered(2, MasterAnswer(new, epoch: 0), nowMs: 1) == new)
    // The same address again, under a lower epoch, is no change.
    #expect(choice.answered(0, MasterAnswer(new, epoch: 0), nowMs: 2) == nil)
  }

  @Test func `the leader's new master under the old epoch waits for the others, or for its epoch`()
  {
    var choice = settled(3)
    #expect(choice.answered(0, MasterAnswer(new, epoch: 5), nowMs: 1) == nil)
    #expect(choice.answered(0, MasterAnswer(new, epoch: 6), nowMs: 2) == new)
    var other = settled(3)
    #expect(other.answered(0, MasterAnswer(new, epoch: 5), nowMs: 1) == nil)
    #expect(other.answered(1, MasterAnswer(new, epoch: 5), nowMs: 1) == new)
  }
}
