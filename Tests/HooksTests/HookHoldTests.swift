// Owns: the tests of how sure a worker's hold on events is.

import SessionModel
import Testing

@testable import Hooks

struct HookHoldTests {
  private static let sureMs = HookHold.sureMs
  private static let (one, other) = (Partition.all[3], Partition.all[200])

  @Test func `a hold is sure for less than a lease, and a claim of all confirms it`() {
    #expect(Self.sureMs < ReadHookCall.leaseMs)
    var hold = HookHold(nowMs: 0)
    #expect(hold.isSure(nowMs: Self.sureMs - 1) && !hold.isSure(nowMs: Self.sureMs))
    hold.claimBegan(nowMs: 5_000, calls: 2)
    hold.claimAnswered()
    #expect(hold.isClaiming && !hold.isSure(of: Self.one, nowMs: 5_000), "one has not answered")
    hold.claimAnswered()
    #expect(!hold.isClaiming && hold.isSure(nowMs: 5_000 + Self.sureMs - 1))
    #expect(!hold.isSure(of: Self.one, nowMs: 5_000 + Self.sureMs), "from when it was begun")
    hold.claimBegan(nowMs: 9_000, calls: 0)
    #expect(!hold.isClaiming && hold.isSure(nowMs: 9_000), "nothing is held")
  }

  @Test func `a claim that failed in part confirms the other partitions`() {
    var hold = HookHold(nowMs: 0)
    hold.claimBegan(nowMs: 5_000, calls: 2)
    hold.claimFailed([Self.one])
    hold.claimAnswered()
    hold.claimAnswered()
    #expect(!hold.isSure(of: Self.one, nowMs: 5_000) && hold.isSure(of: Self.other, nowMs: 5_000))
    #expect(!hold.isSure(nowMs: 5_000))
    hold.claimBegan(nowMs: 6_000, calls: 1)
    hold.claimAnswered()
    #expect(hold.isSure(nowMs: 6_000), "the next one has succeeded")
  }

  @Test func `what came late is held from its read on, whatever a claim says of the rest`() {
    // The worker was stopped between the question and the answer.
    var hold = HookHold(nowMs: 900)
    hold.claimBegan(nowMs: 10_000, calls: 1)
    hold.tookEvents(of: Self.one, readAtMs: 1_000)
    hold.tookEvents(of: Self.one, readAtMs: 9_999)
    hold.claimAnswered()
    #expect(!hold.isSure(of: Self.one, nowMs: 10_000))
    #expect(hold.isSure(of: Self.other, nowMs: 10_000))
    hold.claimBegan(nowMs: 10_100, calls: 1)
    hold.claimAnswered()
    #expect(hold.isSure(of: Self.one, nowMs: 10_100))
    hold.tookEvents(of: Self.one, readAtMs: 10_200)
    #expect(hold.isSure(nowMs: 10_100 + Self.sureMs - 1), "it is held longer than the rest")
  }
}
